from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.results.wording import one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, ünïcödé, 漢字 and 👩‍🔬", "plain, ünïcödé, 漢字 and 👩‍🔬"),
        ("two\r\nlines\tand  blanks ", "two lines and blanks"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\x00b\x7f\x9bc", "abc"),
        ("abc\u202edcba\u2066", "abcdcba"),
        ("a\u2028b\x85c", "a b c"),
        ("\ud800", "\ufffd"),
    ],
)
def test_text_is_made_one_harmless_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


@given(st.text(st.characters()))
def test_no_control_and_no_line_end_is_left_and_doing_it_twice_is_doing_it_once(text: str) -> None:
    line = one_line(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in line)
    assert one_line(line) == line
    line.encode()
