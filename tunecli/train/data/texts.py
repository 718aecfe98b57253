"""From texts to tokens: the vocabulary that the training part's texts have, and each text as its tokens.

A token is a character, a word, or a part of a word (byte-pair encoding). Loads no torch.

Axes: N examples, T tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data, TokenKind
from tunecli.train.data.byte_pairs import learn_merges, splitter
from tunecli.train.data.words import marked_words_of, words_of

PADDING, UNKNOWN = 0, 1
_FIRST = 2

Split = Callable[[str, int], Sequence[str]]
"""(text, n) → its first n tokens as texts."""


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How texts become tokens.

    Attributes:
        kind: the unit of a token.
        is_lowercase: whether all letters become small letters first.
        max_length: longer texts are cut, and the tokens after the cut are not counted; at least 1.
        max_tokens: the largest number of different tokens, including padding and unknown; at least 2. The rarest
            are dropped.
    """

    kind: TokenKind = "characters"
    is_lowercase: bool = False
    max_length: int = 256
    max_tokens: int = 256

    @classmethod
    def of(cls, data: Data) -> TextSettings:
        """The settings of a trial's data."""
        return cls(data.tokens, data.lowercase, data.max_length, data.most_tokens)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens and the length learnt from the training part's texts: plain values, which can be stored.

    Token 0 pads a text to the common length; token 1 is everything that the vocabulary lacks.

    Attributes:
        tokens: the text of each token from token 2 on. The most frequent is first, ties by code point; for ``bpe``,
            this is the order of the characters, and merged pairs follow them.
        length: tokens in each example, at least 1.
        kind: the unit of a token.
        is_lowercase: whether all letters become small letters first.
        merges: for ``bpe``, the pairs that are merged, in order, each as ``left right``.
    """

    tokens: tuple[str, ...]
    length: int
    kind: TokenKind = "characters"
    is_lowercase: bool = False
    merges: tuple[str, ...] = ()

    @property
    def n_tokens(self) -> int:
        """Number of different tokens, including padding and unknown."""
        return _FIRST + len(self.tokens)

    @property
    def split(self) -> Split:
        """The function that splits a text into tokens."""
        return _splitter(self.kind, self.is_lowercase, self.merges)


def learn_vocabulary(texts: Iterable[str | None], settings: TextSettings) -> Vocabulary:
    """Learn a vocabulary from the texts of the training part; None means an empty text.

    Raises:
        DataError: ``bpe`` needs a package that is not installed.
    """
    if settings.kind == "bpe":
        return _learn_byte_pairs(texts, settings)
    split = _splitter(settings.kind, settings.is_lowercase)
    counts: Counter[str] = Counter()
    length = 1
    for text in texts:
        kept = split(text or "", settings.max_length)
        counts.update(kept)
        length = max(length, len(kept))
    tokens = _most_frequent(counts, settings.max_tokens - _FIRST)
    return Vocabulary(tokens, length, settings.kind, settings.is_lowercase)


def encode(vocabulary: Vocabulary, texts: Sequence[str | None]) -> NDArray[np.int64]:
    """Encode texts as tokens, cut or padded on the right.

    Returns:
        (N, T) in [0, n_tokens).
    """
    token_of = {text: token for token, text in enumerate(vocabulary.tokens, start=_FIRST)}
    split = vocabulary.split
    tokens_NT = np.full((len(texts), vocabulary.length), PADDING, dtype=np.int64)
    for row, text in enumerate(texts):
        tokens = [token_of.get(part, UNKNOWN) for part in split(text or "", vocabulary.length)]
        tokens_NT[row, : len(tokens)] = tokens
    return tokens_NT


def _splitter(kind: TokenKind, is_lowercase: bool, merges: Sequence[str] = ()) -> Split:
    if kind == "words":
        return lambda text, most: words_of(text, most, is_lowercase=is_lowercase)
    if kind == "characters":
        return lambda text, most: (text.lower() if is_lowercase else text)[:most]
    parts_of = splitter([(left, right) for left, right in (merge.split(" ") for merge in merges)])

    def parts(text: str, most: int) -> Sequence[str]:
        kept: list[str] = []
        for word in marked_words_of(text, most, is_lowercase=is_lowercase):
            if len(kept) >= most:
                break
            kept += parts_of(word)
        return kept[:most]

    return parts


def _learn_byte_pairs(texts: Iterable[str | None], settings: TextSettings) -> Vocabulary:
    """Learn characters, then merges of them, until there are ``max_tokens`` or no pair occurs twice."""
    kept = [text or "" for text in texts]
    lines = [
        " ".join(marked_words_of(text, settings.max_length, is_lowercase=settings.is_lowercase))
        for text in kept
    ]
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    counts.pop(" ", None)
    characters = _most_frequent(counts, settings.max_tokens - _FIRST)
    pairs = learn_merges(lines, characters, settings.max_tokens - _FIRST)
    tokens = tuple(dict.fromkeys((*characters, *(left + right for left, right in pairs))))
    merges = tuple(f"{left} {right}" for left, right in pairs)
    split = _splitter("bpe", settings.is_lowercase, merges)
    length = max(1, max((len(split(text, settings.max_length)) for text in kept), default=1))
    return Vocabulary(tokens, length, "bpe", settings.is_lowercase, merges)


def _most_frequent(counts: Counter[str], most: int) -> tuple[str, ...]:
    """The most frequent texts first, ties by code point."""
    return tuple(sorted(counts, key=lambda text: (-counts[text], text))[:most])
