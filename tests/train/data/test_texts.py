"""Texts become tokens, with a vocabulary from the training part alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.schema.data import TokenKind
from tunecli.train.data.texts import PADDING, UNKNOWN, TextSettings, Vocabulary, encode, learn_vocabulary

texts_of_any_kind = st.lists(st.none() | st.text(max_size=12), min_size=1, max_size=8)


def learnt(
    texts: list[str | None],
    max_length: int,
    max_tokens: int,
    kind: TokenKind = "characters",
    is_lowercase: bool = False,
) -> Vocabulary:
    return learn_vocabulary(texts, TextSettings(kind, is_lowercase, max_length, max_tokens))


def test_characters_are_sorted_by_frequency_then_code_point() -> None:
    assert learnt(["banana", "band"], 10, 256).tokens == ("a", "n", "b", "d")


def test_rarest_characters_beyond_the_limit_become_unknown() -> None:
    vocabulary = learnt(["banana"], 10, 4)
    assert vocabulary == Vocabulary(("a", "n"), 6)
    assert vocabulary.n_tokens == 4
    assert encode(vocabulary, ["ban"]).tolist() == [[UNKNOWN, 2, 3, PADDING, PADDING, PADDING]]


def test_characters_after_the_cut_are_not_learnt() -> None:
    vocabulary = learnt(["abc"], 2, 256)
    assert vocabulary == Vocabulary(("a", "b"), 2)
    assert encode(vocabulary, ["abc", "a", "", None]).tolist() == [[2, 3], [2, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_empty_texts_are_one_token_of_padding(kind: TokenKind) -> None:
    if kind == "bpe":
        pytest.importorskip("tokenizers")
    vocabulary = learnt(["", None], 9, 256, kind)
    assert encode(vocabulary, ["", "x"]).tolist() == [[PADDING], [UNKNOWN]]


def test_words_are_counted_and_cut_as_words() -> None:
    vocabulary = learnt(["The cat saw the dog, the cat", "a dog"], 6, 5, "words", True)
    assert vocabulary == Vocabulary(("dog", "the", ","), 6, "words", True)
    assert encode(vocabulary, ["The dog sat"]).tolist() == [[3, 2, UNKNOWN, PADDING, PADDING, PADDING]]


def test_byte_pairs_read_a_word_that_training_lacks_by_its_parts() -> None:
    pytest.importorskip("tokenizers")
    texts: list[str | None] = ["the lowest low", "newest low new", "the lower new"] * 5
    vocabulary = learnt(texts, 20, 24, "bpe")
    assert vocabulary.n_tokens <= 24
    assert vocabulary.split("the low", 9) == ["▁the", "▁low"]
    (tokens,) = encode(vocabulary, ["new lowest"]).tolist()
    parts = [vocabulary.tokens[token - 2] for token in tokens if token != PADDING]
    assert "".join(parts) == "▁new▁lowest"
    assert len(parts) < len("▁new▁lowest")
    assert encode(vocabulary, ["zz"])[0, 1:4].tolist() == [UNKNOWN, UNKNOWN, PADDING]


@given(
    texts_of_any_kind,
    texts_of_any_kind,
    st.integers(1, 15),
    st.integers(3, 10),
    st.sampled_from(["characters", "words"]),
)
def test_tokens_are_in_range_and_decode_to_the_text(
    known: list[str | None], others: list[str | None], max_length: int, max_tokens: int, kind: TokenKind
) -> None:
    vocabulary = learnt(known, max_length, max_tokens, kind)
    assert vocabulary.n_tokens <= max_tokens
    assert 1 <= vocabulary.length <= max_length
    tokens = encode(vocabulary, known + others)
    assert tokens.shape == (len(known) + len(others), vocabulary.length)
    assert 0 <= tokens.min() <= tokens.max() < vocabulary.n_tokens
    for text, row in zip(known, tokens.tolist(), strict=False):
        kept = vocabulary.split(text or "", max_length)
        assert row[len(kept) :] == [PADDING] * (vocabulary.length - len(kept))
        for part, token in zip(kept, row, strict=False):
            assert token == UNKNOWN or vocabulary.tokens[token - 2] == part
            assert (token == UNKNOWN) == (part not in vocabulary.tokens)
