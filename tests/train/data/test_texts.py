"""Texts become tokens, with an alphabet from the training part alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunecli.train.data.texts import PADDING, UNKNOWN, Alphabet, encode, learn_alphabet

texts_of_any_kind = st.lists(st.none() | st.text(max_size=12), min_size=1, max_size=8)


def test_characters_are_sorted_by_frequency_then_code_point() -> None:
    assert learn_alphabet(["banana", "band"], 10, 256).characters == ("a", "n", "b", "d")


def test_rarest_characters_beyond_the_limit_become_unknown() -> None:
    alphabet = learn_alphabet(["banana"], 10, 4)
    assert alphabet == Alphabet(("a", "n"), 6)
    assert alphabet.n_tokens == 4
    assert encode(alphabet, ["ban"]).tolist() == [[UNKNOWN, 2, 3, PADDING, PADDING, PADDING]]


def test_characters_after_the_cut_are_not_learnt() -> None:
    alphabet = learn_alphabet(["abc"], 2, 256)
    assert alphabet == Alphabet(("a", "b"), 2)
    assert encode(alphabet, ["abc", "a", "", None]).tolist() == [[2, 3], [2, 0], [0, 0], [0, 0]]


def test_empty_texts_are_one_token_of_padding() -> None:
    alphabet = learn_alphabet(["", None], 9, 256)
    assert encode(alphabet, ["", "x"]).tolist() == [[PADDING], [UNKNOWN]]


@given(texts_of_any_kind, texts_of_any_kind, st.integers(1, 15), st.integers(3, 10))
def test_tokens_are_in_range_and_decode_to_the_text(
    known: list[str | None], others: list[str | None], max_length: int, max_tokens: int
) -> None:
    alphabet = learn_alphabet(known, max_length, max_tokens)
    assert alphabet.n_tokens <= max_tokens
    assert 1 <= alphabet.length <= max_length
    tokens = encode(alphabet, known + others)
    assert tokens.shape == (len(known) + len(others), alphabet.length)
    assert 0 <= tokens.min() <= tokens.max() < alphabet.n_tokens
    for text, row in zip(known, tokens.tolist(), strict=False):
        kept = (text or "")[:max_length]
        assert row[len(kept) :] == [PADDING] * (alphabet.length - len(kept))
        for character, token in zip(kept, row, strict=False):
            assert token == UNKNOWN or alphabet.characters[token - 2] == character
            assert (token == UNKNOWN) == (character not in alphabet.characters)
