"""Numbers as people write them are read in the one format that all values of a column share."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.train.data.number_format import NumberFormat, formats_of, has_decimals, read_number
from tunecli.train.data.number_text import NUMBER


def written(number: float, how: NumberFormat, digits: int, style: int) -> str:
    """A number in a format, by Python's own formatting of numbers."""
    text = f"{abs(number):,.{digits}f}" if how.thousands else f"{abs(number):.{digits}f}"
    text = text.translate({ord(","): how.thousands, ord("."): how.decimal})
    if how.unit == "%":
        text += [" %", "%"][style % 2]
    elif how.unit:
        text = [f"{how.unit} {text}", f"{text} {how.unit}", f"{how.unit}{text}"][style % 3]
    if number >= 0:
        return text
    return [f"-{text}", f"\u2212{text}", f"({text})"][style % 3]


formats = st.builds(
    NumberFormat,
    st.just("."),
    st.sampled_from(["", ",", "'", " ", "\u202f", "\u00a0"]),
    st.sampled_from(["", "€", "$", "kr", "usd", "%"]),
) | st.builds(
    NumberFormat,
    st.just(","),
    st.sampled_from(["", ".", "'", " "]),
    st.sampled_from(["", "€", "chf", "zł", "%"]),
)


@given(
    formats,
    st.lists(st.tuples(st.integers(-(10**10), 10**10), st.integers(0, 5)), min_size=1, max_size=12),
    st.integers(0, 4),
)
def test_written_numbers_are_read_back_or_left_open(
    how: NumberFormat, drawn: list[tuple[int, int]], digits: int
) -> None:
    numbers = [number / 10**digits for number, _ in drawn]
    texts = [written(number, how, digits, style) for number, (_, style) in zip(numbers, drawn, strict=True)]
    if all(NUMBER.fullmatch(text.replace("\u2212", "-")) for text in texts):
        return  # plain: a point is a decimal point
    found = formats_of(texts)
    if not any("(" not in text for text in texts):
        assert found == ()
        return
    assert 1 <= len(found) <= 2
    # One of the readings is the meant one; if it is the only one, nothing else was possible.
    same = [reading for reading in found if [read_number(text, reading) for text in texts] == numbers]
    assert same
    if len(found) == 1:
        assert all(read_number(text, found[0]) is not None for text in texts)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1,234,567"], [1234567.0]),
        (["1.234.567,5", "12"], [1234567.5, 12.0]),
        (["1 234,5", "1\u202f000"], [1234.5, 1000.0]),
        (["1'234.50", "1’000"], [1234.5, 1000.0]),
        (["€12", "- 3.5"], [12.0, -3.5]),
        (["€12", "-3.5"], [12.0, -3.5]),
        (["USD 12", "usd 13.5"], [12.0, 13.5]),
        (["12 kr", "13,50 kr."], [12.0, 13.5]),
        (["12%", "-0.5 %"], [12.0, -0.5]),
        (["($5.20)", "$1,000.00", "$(2)"], [-5.2, 1000.0, -2.0]),
        (["1.234,50-", "2"], [-1234.5, 2.0]),
        (["12,-", "13,50 €"], [12.0, 13.5]),
        (["\u221212", "1.234"], [-12.0, 1.234]),
        (["1,5e3", "2"], [1500.0, 2.0]),
        (["12%", "0.12"], None),
        (["€12", "$13"], None),
        (["(1)", "(2)"], None),
        (["2-", "3"], None),
        (["1,5", "1.5"], None),
        (["1,23,456", "1"], None),
        (["12:30"], None),
        (["10-20"], None),
        (["5 kg"], None),
        (["01.02.2024"], None),
        (["0,123,456"], None),
        (["1_000"], None),
        (["\u0663,5"], None),
    ],
)
def test_texts_with_one_reading_are_read_so(texts: list[str], numbers: list[float] | None) -> None:
    found = formats_of(texts)
    if numbers is None:
        assert found == ()
    else:
        (how,) = {tuple(read_number(text, reading) for text in texts) for reading in found}
        assert list(how) == numbers


@pytest.mark.parametrize("texts", [["1,234"], ["1.234 €", "12 €"], ["1,234", "56,789", "1"]])
def test_three_digits_after_the_only_mark_have_two_readings(texts: list[str]) -> None:
    point, comma = formats_of(texts)
    assert (point.decimal, comma.decimal) == (".", ",")
    assert read_number(texts[0], point) != read_number(texts[0], comma)


def test_new_value_is_read_only_in_the_format_of_training() -> None:
    how = NumberFormat(",", "", "€")
    assert read_number("12,50", how) == 12.5
    assert read_number("1.234,50 €", how) == 1234.5, "only a decimal comma makes sense of it"
    for text in ("12.50", "1.234", "12,50 $", "12,50 %"):
        assert read_number(text, how) is None
    assert read_number("12", NumberFormat(unit="%")) is None


def test_only_unambiguous_texts_tell_the_decimal_mark() -> None:
    comma = NumberFormat(",")
    assert has_decimals("0,5", comma)
    assert has_decimals("1.234,5", comma)
    assert not has_decimals("1,234", comma)
    assert not has_decimals("7", comma)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_in_plain_form_is_read_to_the_last_bit(number: float) -> None:
    assert read_number(repr(number), NumberFormat()) == number
    assert math.copysign(1, read_number(repr(number), NumberFormat()) or number) == math.copysign(1, number)
