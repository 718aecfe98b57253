"""Ranges with steps, for numbers of any size: distinct values in the range, and units that map back to them."""

from __future__ import annotations

import hashlib
import random
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunecli.config.domains import (
    Domain,
    Integer,
    Normal,
    Real,
    last_value,
    n_values,
    position_of,
    unit_of_value,
    value_at,
    value_of_unit,
)
from tunecli.config.enumeration import grid_point_at, grid_position_of, n_grid_points
from tunecli.config.labels import described
from tunecli.config.load import parse_study
from tunecli.config.scales import is_too_fine
from tunecli.errors import ConfigError

mantissas = st.integers(-(10**12), 10**12)
exponents = st.integers(-8, 9)


@st.composite
def stepped_reals(draw: st.DrawFn) -> Real:
    low = float(f"{draw(mantissas)}e{draw(exponents)}")
    step = float(f"{draw(st.integers(1, 999))}e{draw(st.integers(-12, 6))}")
    count = draw(st.integers(0, 10**9))
    high = float(Fraction(repr(low)) + count * Fraction(repr(step)))
    is_log = low > 0 and draw(st.booleans())
    assume(low <= high and not is_too_fine(low, high, step))
    assume(not is_log or step > 1e-11 * high)  # finer, and units have no numbers left to tell values apart
    return Real(low, high, is_log, step)


@st.composite
def whole(draw: st.DrawFn) -> Integer:
    low = draw(st.integers(-(10**30), 10**30))
    step = draw(st.integers(1, 1000) | st.integers(1, 10**20))
    high = low + step * draw(st.integers(0, 10**9)) + draw(st.integers(0, step - 1))
    return Integer(low, high, low > 0 and high < low * 10**11 and draw(st.booleans()), step)


@settings(deadline=None)
@given(stepped_reals() | whole(), st.data())
def test_neighbouring_values_are_distinct_inside_on_the_grid_and_return_from_their_units(
    domain: Real | Integer, data: st.DataObject
) -> None:
    count = n_values(domain)
    assert count is not None
    assert domain.step is not None
    if isinstance(domain, Integer) and domain.is_log:
        assume(domain.step * 10**11 > domain.high)
    first = data.draw(st.integers(0, count - 1))
    positions = range(first, min(first + 3, count))
    values = [value_at(domain, position) for position in positions]
    assert values == sorted(set(values))
    for position, value in zip(positions, values, strict=True):
        assert isinstance(value, int | float)
        assert domain.low <= value <= domain.high
        exact = Fraction(str(domain.low)) + position * Fraction(str(domain.step))
        nearest = exact if isinstance(domain, Integer) else float(exact)
        assert value == nearest or (value == domain.high and position == count - 1)
        assert position_of(domain, value) == position
        assert value_of_unit(domain, unit_of_value(domain, value)) == value


@settings(deadline=None)
@given(stepped_reals() | whole())
def test_the_last_value_is_shown_and_the_next_one_would_lie_outside(domain: Real | Integer) -> None:
    last, step = last_value(domain), domain.step
    assert step is not None
    count = n_values(domain)
    assert count is not None
    assert Fraction(str(domain.low)) + count * Fraction(str(step)) > Fraction(str(domain.high))
    if n_values(domain) != 1 and step != 1:
        assert described(domain).split(" by ")[0].split()[-1] in (str(last), f"{last:g}")


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Real(1e9, 1000000000.01, step=0.001), [float(f"1000000000.{n:03}") for n in range(11)]),
        (Real(-0.3, 0.3, step=0.1), [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]),
        (Real(-1000.0, -999.99, step=0.01), [-1000.0, -999.99]),
        (Real(0.0, 1.0, step=0.3333333333), [0.0, 0.3333333333, 0.6666666666, 0.9999999999]),
        (Integer(10**17, 10**17 + 3), [10**17, 10**17 + 1, 10**17 + 2, 10**17 + 3]),
        (
            Integer(2**60, 2**60 + 2 * (2**54 + 1), step=2**54 + 1),
            [2**60 + n * (2**54 + 1) for n in range(3)],
        ),
    ],
)
def test_a_stepped_range_has_the_values_that_its_digits_say(domain: Domain, values: list[float]) -> None:
    assert [value_at(domain, position) for position in range(n_values(domain) or 0)] == values


@pytest.mark.parametrize(
    "domain",
    [
        Real(1e9, 1000000000.01, grid=11),
        Real(1e12, 1000000000000.1, is_log=True, grid=50),
        Integer(10**17, 10**17 + 10, grid=5),
        Integer(10**17, 10**17 + 10, is_log=True, grid=5),
        Normal(1e9, 1e-4, grid=20),
    ],
)
def test_a_grid_of_large_numbers_keeps_all_of_its_points(domain: Real | Integer | Normal) -> None:
    points = [grid_point_at(domain, place) for place in range(n_grid_points(domain) or 0)]
    assert points == sorted(set(points))
    assert len(points) == domain.grid
    assert [grid_position_of(domain, point) for point in points] == list(range(len(points)))


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (Integer(10, 100, step=64), "int 10, 74 by 64"),
        (Integer(10, 100, step=30), "int 10 … 100 by 30"),
        (Integer(10, 100, step=40), "int 10 … 90 by 40"),
        (Real(0.0, 1.0, step=0.3), "uniform 0 … 0.9 by 0.3"),
        (Real(1e-5, 0.1, is_log=True), "loguniform 1e-05 … 0.1"),
        (Real(1e9, 1000000000.01, step=0.001), "uniform 1e+09 … 1000000000.01 by 0.001"),
        (Integer(3, 3), "int 3 … 3"),
    ],
)
def test_a_range_is_shown_with_its_real_last_value(domain: Domain, text: str) -> None:
    assert described(domain) == text


@pytest.mark.parametrize(
    ("lr", "words"),
    [
        ("{uniform: [1e9, 1000000001], step: 1e-7}", "`step` is too small for numbers as large as"),
        (
            "{uniform: [1.0, 1.0000000000000002], grid: 5}",
            "`grid` is 5, but the range contains fewer numbers",
        ),
    ],
)
def test_steps_below_the_resolution_of_floats_are_refused(lr: str, words: str, tmp_path) -> None:
    text = f"objective: {{metric: val_loss}}\ntrial: {{python: 'm:f', params: {{x: {lr}}}}}\n"
    with pytest.raises(ConfigError, match=words):
        parse_study(text.encode(), "study.yaml", (), tmp_path)


def test_a_step_of_whole_numbers_keeps_all_its_digits(tmp_path) -> None:
    step = 2**54 + 1
    text = f"objective: {{metric: val_loss}}\ntrial: {{python: 'm:f', params: {{x: {{int: [0, {3 * step}], step: {step}}}}}}}\n"
    (parameter,) = parse_study(text.encode(), "study.yaml", (), tmp_path).space.parameters
    assert value_at(parameter.domain, 3) == 3 * step


def test_a_value_rounded_by_an_earlier_version_keeps_its_position() -> None:
    domain = Real(-0.3, 0.3, step=0.1)
    assert position_of(domain, 5.55111512313e-17) == 3
    assert unit_of_value(domain, 5.55111512313e-17) == unit_of_value(domain, 0.0)
    assert position_of(domain, 0.05) is None


def ordinary_ranges() -> list[Domain]:
    """Ranges with ordinary bounds and steps."""
    draw = random.Random(5)
    found: list[Domain] = []
    for _ in range(300):
        low, step = (
            round(draw.uniform(0, 100), draw.choice((0, 1, 2, 3))),
            draw.choice((0.1, 0.05, 0.25, 1e-3, 2.0)),
        )
        high = round(low + step * draw.randint(1, 60), 6)
        is_log = low > 0 and draw.random() < 0.3
        found.append(Real(low, high, is_log, draw.choice((step, None)), draw.choice((None, 3, 20))))
        first = draw.randint(-1000, 1000)
        found.append(
            Integer(
                first,
                first + draw.choice((1, 10, 1000)),
                False,
                draw.choice((1, 3, 64)),
                draw.choice((None, 7)),
            )
        )
        found.append(
            Integer(
                draw.randint(1, 64), draw.randint(64, 4096), True, draw.choice((1, 8)), draw.choice((None, 5))
            )
        )
        found.append(Normal(draw.uniform(-5, 5), draw.uniform(0.1, 3), draw.choice((None, 9))))
    return found


def test_ordinary_ranges_give_the_recorded_values_and_units() -> None:
    digest = hashlib.sha256()
    for domain in ordinary_ranges():
        drawn = [value_of_unit(domain, place / 29) for place in range(29)]
        places = [grid_point_at(domain, place) for place in range(min(n_grid_points(domain) or 0, 50))]
        units = [unit_of_value(domain, value) for value in (*drawn, *(places if n_values(domain) else ()))]
        is_plain = isinstance(domain, Integer | Real) and not domain.is_log
        written = [repr(each) if is_plain else f"{each:.10g}" for each in (*drawn, *places, *units)]
        digest.update(
            repr((n_values(domain), written)).encode()
        )  # logarithms differ in their last bits by platform
    assert digest.hexdigest() == GOLDEN


GOLDEN = "f76b961502e8b2ef37b17c8957ca7305a859a8c6191baae6805b0e325e31938a"
"""The hash of the values from before they were computed from decimal digits."""
