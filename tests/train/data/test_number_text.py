"""A text is a number if a CSV reader reads it as one; Python's ``float`` accepts more."""

from __future__ import annotations

import io
import math

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunecli.train.data.number_text import INFINITE, MISSING, MISSING_AMONG_NUMBERS, read_fields

WORDS = MISSING | MISSING_AMONG_NUMBERS | INFINITE
PIECES = [
    *"0123456789",
    *"+-.eE_,' ",
    "１",
    "٣",
    "²",
    "½",
    "Ⅷ",
    "x",
    "j",
    "L",
    "inf",
    "nan",
    "e5",
    "0x",
    "1d",
    "\u00a0",
    "\u200b",
    "\t",
]


def arrow_number(text: str) -> float | None:
    """The number that Arrow's CSV reader, an independent one, reads from a field; None: no number."""
    options = arrow_csv.ConvertOptions(column_types={"a": pa.float64()}, null_values=[])
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(f"a;b\n{text};1\n".encode()),
            parse_options=arrow_csv.ParseOptions(delimiter=";"),
            convert_options=options,
        )
    except pa.ArrowInvalid:
        return None
    return float(table["a"][0].as_py())


def by_grammar(text: str) -> bool:
    """A number by JSON's grammar, plus the forms of CSV files: a plus, leading zeros, and a point at either end."""
    rest = text.removeprefix("+") if text.startswith("+") else text.removeprefix("-")

    def digits(part: str) -> bool:
        return all("0" <= character <= "9" for character in part)

    mantissa, mark, exponent = rest.replace("E", "e").partition("e")
    if mark:
        power = exponent[1:] if exponent[:1] in ("+", "-") else exponent
        if not power or not digits(power):
            return False
    whole, _, fraction = mantissa.partition(".")
    return bool(whole + fraction) and digits(whole) and digits(fraction)


texts = st.lists(st.sampled_from(PIECES), max_size=7).map("".join).map(str.strip)


@given(st.lists(texts, min_size=20, max_size=20))
@example(
    [
        "1_2",
        "1__2",
        "_1",
        "１２",
        "٣",
        "0x10",
        "0b1",
        "1e",
        "1e+",
        "+.",
        ".",
        "+",
        "1.",
        ".5",
        "5.e3",
        "1 2",
        "1,5",
        "--1",
        "+-1",
        "1j",
    ]
)
@example(
    [
        "1d5",
        "1f",
        "1e5.0",
        "e5",
        "E",
        ".e1",
        "+.5e-3",
        "00012",
        "-0",
        "1e400",
        "-1e400",
        "1e-400",
        "1'000",
        "½",
        "²",
        "Ⅷ",
        "1\u00a02",
        "1\u200b",
        "nan(1)",
        "1L",
    ]
)
def test_grammar_of_numbers_matches_an_independent_reader(candidates: list[str]) -> None:
    for text in candidates:
        if text.lower() in WORDS:
            continue
        found = read_fields([text, "1"])
        is_plain = found.kind == "number" and not found.readings
        assert is_plain == by_grammar(text), text
        if ";" not in text and "\t" not in text and "nan" not in text.lower() and "inf" not in text.lower():
            expected = arrow_number(text)
            assert (expected is None) == (not is_plain), text
            if expected is not None:
                assert found.values[0] == expected


@given(
    st.lists(
        st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70), st.none()),
        min_size=1,
        max_size=30,
    )
)
def test_both_paths_read_numbers_to_the_last_bit(values: list[float | int | None]) -> None:
    fields = ["" if value is None else repr(value) for value in values]
    expected = [math.nan if value is None else float(value) for value in values]
    np.testing.assert_array_equal(
        read_fields(fields).values, expected
    )  # numbers and gaps alone: the fast way
    if any(value is not None for value in values):
        np.testing.assert_array_equal(read_fields([*fields, "NA"]).values, [*expected, math.nan])


@pytest.mark.parametrize("mark", sorted(MISSING))
def test_missing_marks_hold_in_every_column_and_case(mark: str) -> None:
    for spelt in (mark, mark.upper(), mark.capitalize()):
        assert math.isnan(read_fields([spelt, "1"]).values[0])
        assert read_fields([spelt, "word"]).values.tolist() == [None, "word"]
        assert read_fields([spelt, spelt]).kind == "empty"


@pytest.mark.parametrize("mark", sorted(MISSING_AMONG_NUMBERS))
def test_dash_or_point_is_missing_only_among_numbers(mark: str) -> None:
    found = read_fields([mark, "1", "2.5", mark])
    assert found.kind == "number"
    assert found.marks == ((mark, 0, 2),)
    np.testing.assert_array_equal(found.values, [math.nan, 1.0, 2.5, math.nan])
    assert read_fields([mark, "+"]).values.tolist() == [mark, "+"]
    assert math.isnan(read_fields([mark], "number").values[0])


@pytest.mark.parametrize("word", [*sorted(INFINITE), "INF", "Infinity", "1e400", "-1e999"])
def test_infinity_among_numbers_is_not_text(word: str) -> None:
    found = read_fields(["1", word])
    assert found.kind == "number"
    assert math.isinf(found.values[1])
    assert math.isinf(read_fields([word], "number").values[0])


def test_words_for_infinity_without_any_number_are_text() -> None:
    assert read_fields(["inf", "north"]).kind == "text"


def test_text_column_reports_its_first_non_number() -> None:
    found = read_fields(["1", "-", "NA", "2", "n/a?", "n/a?"])
    assert (found.kind, found.odd_row, found.n_numbers, found.n_values) == ("text", 4, 2, 5)
    assert not found.has_decimal_commas


def test_decimal_commas_beside_decimal_points_are_detected() -> None:
    found = read_fields(["0,5", "1", "", "-2.25"])
    assert found.kind == "text"
    assert found.has_decimal_commas
    assert not read_fields(["1,234", "1", ""]).has_decimal_commas, "it has two readings"
    assert not read_fields(["0,5", "x"]).has_decimal_commas


def test_very_long_field_is_read_in_linear_time() -> None:
    digits = "1" * 100_000
    for text in (digits + "x", digits + "." + digits + "x", digits + "e" + digits + "x", "+" * 100_000):
        assert read_fields([text, "1"]).kind == "text"
