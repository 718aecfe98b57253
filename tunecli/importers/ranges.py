"""Other tools' distributions as ranges of a study's file.

Owns the arithmetic: exponents of any base, rounding to multiples, upper ends that are left out. A rounded distribution
draws x and returns round(x / q) · q, so its values are the multiples of q; ours start at the lower end and go on by
`step`. Both are the same values once the ends are moved to multiples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from tunecli.config.modifiers import LEAST_WEIGHT
from tunecli.config.range_words import RANGE_WORDS
from tunecli.importers.written import Line

_DIGITS = 12  # exp(log(0.001)) is 0.0010000000000000002
_MOST_STEPS = 1e15  # between 0 and a bound: beyond, a float cannot tell neighbours apart
_MAX_VALUES = 32  # of a choice in place of a range with uneven ends


class NoRangeError(ValueError):
    """A distribution's numbers make no range; the message says why, and ``hint`` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Imported:
    """A value of the study's file.

    Attributes:
        value: a range as a one-line map, or a constant.
        note: how it differs from the other tool's distribution; empty: it does not.
    """

    value: Any
    note: str = ""


def bounded(word: str, low: float, high: float, **modifiers: Any) -> Imported:
    """``{word: [low, high]}``.

    Raises:
        NoRangeError: the bounds are reversed, or a logarithmic range does not start above 0.
    """
    if low > high:
        raise NoRangeError(f"the range is reversed: {low} is above {high}")
    if word.startswith("log") and low <= 0:
        raise NoRangeError(f"a logarithmic range must start above 0, not at {low}")
    return Imported(Line({word: [low, high], **modifiers}))


def power(base: float, exponent: float) -> float:
    """``base ** exponent``, to 12 digits.

    Raises:
        NoRangeError: the result is no finite number above 0.
    """
    try:
        value = float(f"{float(base) ** exponent:.{_DIGITS}g}")
    except (OverflowError, ZeroDivisionError, ValueError, TypeError):
        value = 0.0
    if not 0 < value < math.inf:
        raise NoRangeError(f"{base:g} to the power of {exponent:g} is too large or too small for a float")
    return value


def rounded(
    word: str, low: float, high: float, q: float, *, clips: bool = False, is_whole: bool | None = None
) -> Imported:
    """The range of the multiples of ``q`` that a rounded distribution returns.

    Args:
        word: ``uniform`` or ``loguniform``.
        low, high: the bounds before rounding.
        q: the distance between values.
        clips: whether a value beyond a bound becomes the bound; the bounds are then values, too.
        is_whole: whether the values are whole numbers; None: they are if ``q`` is one.

    Raises:
        NoRangeError: there is no such range.
    """
    bounded(word, low, high)
    if q <= 0:
        raise NoRangeError(f"the distance between values must be above 0, not {q}")
    if max(abs(low), abs(high)) > _MOST_STEPS * q:
        raise NoRangeError(f"the distance between values, {q:g}, is too small for values up to {high:g}")
    step, ends = Decimal(str(q)), (Decimal(str(low)), Decimal(str(high)))
    is_even = all(end % step == 0 for end in ends)
    is_int = float(q).is_integer() if is_whole is None else is_whole
    if clips and not is_even:
        return _clipped(word, ends, step, is_int=is_int)
    first, last = (_multiple(end, step) for end in ends)
    note = "" if is_even else f"the ends are rounded to multiples of {q:g}, as the values are"
    if word == "loguniform" and first <= 0:
        first, note = step, f"the logarithmic range starts at {q:g}, because it must start above 0"
    if first > last:
        raise NoRangeError(f"no multiple of {q:g} lies between {low:g} and {high:g}")
    return Imported(_stepped(word, first, last, step, is_int=is_int), note)


def normal(word: str, mean: float, deviation: float, q: float | None = None) -> Imported:
    """``{normal: [mean, deviation]}``, or ``lognormal`` with the mean and deviation of the logarithm.

    Raises:
        NoRangeError: the deviation or ``q`` is not above 0.
    """
    if deviation <= 0:
        raise NoRangeError(f"the deviation must be above 0, not {deviation}")
    if q is not None and q <= 0:
        raise NoRangeError(f"the distance between values must be above 0, not {q}")
    return Imported(Line({word: [mean, deviation], **({} if q is None else {"step": q})}))


def choice(values: Sequence[Any], weights: Sequence[float] | None = None) -> Imported:
    """``{choice: [...]}`` without repeated values.

    Raises:
        NoRangeError: there is no value, a value looks like a range, or the weights are no weights of the values.
    """
    if not values:
        raise NoRangeError("the list of values is empty")
    if weights is not None and (len(weights) != len(values) or any(weight < 0 for weight in weights)):
        raise NoRangeError(f"{len(values)} values need {len(values)} weights of 0 or more")
    for value in values:
        if key := reserved_key(value):
            raise NoRangeError(
                f"the value has the key `{key}`, which is a range in tunecli", "rename the key"
            )
        if isinstance(value, float) and math.isnan(value):
            raise NoRangeError("NaN cannot be an option")
    kept: list[Any] = []
    sums: list[float] = []
    for place, value in enumerate(values):
        weight = 1.0 if weights is None else weights[place]
        same = next((i for i, one in enumerate(kept) if type(one) is type(value) and one == value), None)
        if same is None:
            kept.append(value)
            sums.append(weight)
        else:
            sums[same] += weight
    n_repeated = len(values) - len(kept)
    note = f"repeated values are written once: {n_repeated} left out" if n_repeated else ""
    if weights is None:
        return Imported(Line(choice=kept), note)
    return _weighted(kept, sums, note)


def _weighted(values: list[Any], weights: list[float], note: str) -> Imported:
    """A choice with weights. Values that are never drawn, or hardly ever, are left out."""
    if not any(weights):
        raise NoRangeError("one of the weights must be above 0")
    least = LEAST_WEIGHT * max(weights)
    drawn = [(value, weight) for value, weight in zip(values, weights, strict=True) if weight >= least]
    if len(drawn) < len(values):
        left_out = f"values of weight 0 are left out: {len(values) - len(drawn)}"
        note = "; ".join(filter(None, (note, left_out)))
    return Imported(Line(choice=[value for value, _ in drawn], weights=[weight for _, weight in drawn]), note)


def reserved_key(value: Any) -> str:
    """The first key in a value that tunecli would read as a range; empty if there is none."""
    if isinstance(value, Line):  # a range that was made here
        return ""
    if isinstance(value, dict):
        own = next((key for key in value if key in RANGE_WORDS), "")
        return own or next(filter(None, map(reserved_key, value.values())), "")
    if isinstance(value, list | tuple):
        return next(filter(None, map(reserved_key, value)), "")
    return ""


def whole(word: str, low: float, high: float, step: float | None = None) -> Imported:
    """``{int: [low, high]}`` or ``logint``; a bound that is no whole number is moved inwards.

    Raises:
        NoRangeError: no whole number lies between the bounds.
    """
    first, last = math.ceil(low), math.floor(high)
    note = "" if (first, last) == (low, high) else "the ends are moved to whole numbers"
    if step is not None and not float(step).is_integer():
        raise NoRangeError(f"the step of whole numbers must be a whole number, not {step}")
    by = {} if step is None or step <= 1 else {"step": int(step)}
    return Imported(bounded(word, first, last, **by).value, note)


def _multiple(number: Decimal, step: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    return (number / step).to_integral_value(rounding) * step


def _clipped(word: str, ends: tuple[Decimal, Decimal], step: Decimal, *, is_int: bool) -> Imported:
    """The ends and the multiples between them: all as a choice, or only the multiples if they are many."""
    first, last = _multiple(ends[0], step, ROUND_CEILING), _multiple(ends[1], step, ROUND_FLOOR)
    n_values = int((last - first) / step) + 1
    if 0 <= n_values <= _MAX_VALUES:
        values = dict.fromkeys((ends[0], *(first + step * i for i in range(n_values)), ends[1]))
        return Imported(
            Line(choice=[_plain(value, is_int=is_int) for value in values]),
            "a choice, because the ends are no multiples of the step",
        )
    if first > last or (word == "loguniform" and first <= 0):
        raise NoRangeError(f"no multiple of {step} lies between the ends")
    return Imported(
        _stepped(word, first, last, step, is_int=is_int), f"only the multiples of {step}, without the ends"
    )


def _stepped(word: str, first: Decimal, last: Decimal, step: Decimal, *, is_int: bool) -> Line:
    if is_int:
        by = {"step": int(step)} if step > 1 else {}
        return Line({"int" if word == "uniform" else "logint": [int(first), int(last)], **by})
    return Line({word: [float(first), float(last)], "step": float(step)})


def _plain(value: Decimal, *, is_int: bool) -> int | float:
    return int(value) if is_int and value == int(value) else float(value)
