"""Texts are split into words and punctuation marks."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.train.data.words import MAX_SUBWORD_CHARACTERS, START, marked_words_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop, it’s 3.14!", ["Don't", "stop", ",", "it’s", "3", ".", "14", "!"]),
        ("cafe\u0301 नमस्ते", ["café", "नमस्ते"]),
        ("中文 ひらがな", ["中", "文", "ひらがな"]),
        ("'90s rock'n'roll_x \t\n 👍", ["'", "90s", "rock'n'roll_x", "👍"]),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_and_single_marks(text: str, words: list[str]) -> None:
    assert words_of(text, 99) == words


def test_small_letters_and_the_limit_apply_to_words() -> None:
    assert words_of("A Bee, SEA", 3, is_lowercase=True) == ["a", "bee", ","]
    assert words_of("ab " * 50_000, 2) == ["ab", "ab"]


@given(st.text(max_size=40))
def test_words_hold_every_character_except_spaces(text: str) -> None:
    normal = "".join(unicodedata.normalize("NFC", text).split())
    assert "".join(words_of(text, 99)) == normal
    if START not in normal:
        assert "".join(marked_words_of(text, 99)).replace(START, "") == normal


def test_marked_words_keep_where_a_space_was() -> None:
    assert marked_words_of("play ground (playground)", 99) == ["▁play", "▁ground", "▁(", "playground", ")"]
    assert max(map(len, marked_words_of("x" * 5000, 9))) == MAX_SUBWORD_CHARACTERS
