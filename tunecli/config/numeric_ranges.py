"""The domain of a range of numbers, from its word, its two numbers and its modifiers. Checks that it can be drawn from.

Does not know the file: a problem says which key is wrong.
"""

from __future__ import annotations

import math

from tunecli.config.domains import Integer, Normal, Powers, Real, bounds, power_at, value_of_unit
from tunecli.config.scales import is_too_fine

MAX_GRID = 10_000
MAX_STEPS = 10**15  # with more, neighbouring values may be the same float
_LARGEST_POWER, _SMALLEST_POWER = 1e300, 1e-300
_LARGEST_WHOLE_POWER = 2**63 - 1
_LARGEST_LOGARITHM = 690.0  # of a lognormal number that is drawn: e**690 is about 1e299


class UnusableRangeError(ValueError):
    """Numbers from which no range can be made.

    Attributes:
        message: the mistake.
        hint: how to correct it; may be empty.
        key: the key whose value is wrong; empty for the two numbers.
    """

    def __init__(self, message: str, hint: str = "", key: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.key = message, hint, key


def numeric_domain(
    word: str, low: float, high: float, step: float | None, grid: int | None
) -> Integer | Real | Normal:
    """The domain of ``{word: [low, high], step: …, grid: …}``.

    Args:
        word: one of `tunecli.config.range_words.NUMERIC_WORDS`.
        low, high: finite numbers: the bounds, or the mean and the deviation.
        step: above 0; None if the file has none.
        grid: at least 1; None if the file has none.

    Raises:
        UnusableRangeError: no such range can be drawn from.
    """
    is_normal, is_whole = word in ("normal", "lognormal"), word in ("int", "logint")
    if is_normal and high <= 0:
        raise UnusableRangeError(f"the deviation of `{word}` must be above 0")
    if not is_normal and low > high:
        raise UnusableRangeError(f"the range is reversed: {low} is above {high}", f"write [{high}, {low}]")
    if word in ("loguniform", "logint") and low <= 0:
        raise UnusableRangeError(f"a logarithmic range must be above 0, not start at {low}")
    least, most = _widest(word, low, high)
    if not math.isfinite(float(most) - float(least)):
        raise UnusableRangeError("the range is too wide: its width is not a finite number")
    if grid is not None and grid > MAX_GRID:
        raise UnusableRangeError(f"`grid` must be at most {MAX_GRID:,} points", key="grid")
    if step and not (float(most) - float(least)) / step <= MAX_STEPS:
        message = f"`step` is too small: the range would have more than {MAX_STEPS:,} values"
        raise UnusableRangeError(message, key="step")
    if step and not is_whole and is_too_fine(float(least), float(most), step):
        raise UnusableRangeError(
            f"`step` is too small for numbers as large as {shown(max(least, most, key=abs))}: "
            "neighbouring values would be equal",
            "write a range that starts near 0, and add the large number where the value is used",
            "step",
        )
    if grid and grid > 1 and step is None and (is_normal or (low < high and not is_whole)):
        is_wide = not is_too_fine(*_spacing(word, low, high, grid))
        if not is_wide:
            wider = "a larger deviation" if is_normal else "a wider range"
            raise UnusableRangeError(
                f"`grid` is {grid:,}, but the range contains fewer numbers",
                f"write {wider}, or a smaller `grid`",
                "grid",
            )
    if is_normal:
        return Normal(float(low), float(high), grid, word == "lognormal", step)
    if is_whole:
        return Integer(int(low), int(high), word == "logint", int(step or 1), grid)
    return Real(float(low), float(high), word == "loguniform", step, grid)


def _widest(word: str, low: float, high: float) -> tuple[float, float]:
    """The bounds; for a normal distribution, four deviations on each side of the mean."""
    if word == "normal":
        return low - 4 * high, low + 4 * high
    if word != "lognormal":
        return low, high
    farthest = abs(low) + 8 * high  # a draw is within about 7 deviations
    if farthest > _LARGEST_LOGARITHM:
        message = f"the range is too wide: its numbers reach e**{farthest:.0f} or e**-{farthest:.0f}"
        hint = "`lognormal` has the mean and the deviation of the natural logarithm, as in [-7, 1]"
        raise UnusableRangeError(message, hint)
    return math.exp(low - 4 * high), math.exp(low + 4 * high)


def _spacing(word: str, low: float, high: float, grid: int) -> tuple[float, float, float]:
    """The ends of a range and the distance of its grid points; of the logarithms of a lognormal one."""
    if word in ("normal", "lognormal"):
        return float(low - 4 * high), float(low + 4 * high), float(high) / grid
    return float(low), float(high), float(high - low) / grid


def powers_domain(base: int | float, exponents: Integer | Real | Normal) -> Powers:
    """The domain of ``{power: {of: base, …}}``.

    Raises:
        UnusableRangeError: the base is not above 0 or is 1, or a power is not a number of usual size.
    """
    if not 0 < base < math.inf or base == 1:
        raise UnusableRangeError("`of` must be a number above 0, and not 1", "for example `of: 2`", "of")
    domain = Powers(base, exponents)
    ends = (0.0, math.nextafter(1.0, 0.0))
    drawn = [value_of_unit(exponents, unit) for unit in ends] + [*bounds(exponents)]
    for exponent in drawn:
        if float(exponent) * abs(math.log(base)) > math.log(_LARGEST_POWER) * 1.01:  # type: ignore[arg-type]
            raise _too_large(base, exponent)
        power = power_at(domain, exponent)
        most = _LARGEST_WHOLE_POWER if domain.is_whole else _LARGEST_POWER
        if not _SMALLEST_POWER <= power <= most:
            raise _too_large(base, exponent)
    return domain


def _too_large(base: float, exponent: object) -> UnusableRangeError:
    return UnusableRangeError(f"{shown(base)} ** {exponent} is out of range", "write smaller exponents")


def shown(value: object) -> str:
    """A number in few digits, if those are all of it."""
    if isinstance(value, float):
        text = f"{value:g}"
        return text if not math.isfinite(value) or float(text) == value else repr(value)
    return str(value)
