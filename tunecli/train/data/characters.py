"""Texts as tokens: one for each character, in an alphabet that the training part alone decides.

Token 0 fills a text up to the common length, 1 stands for a character that training never saw, or too rarely.
Knows neither tables nor models; loads no torch.

Axes: N examples, T tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PADDING, UNKNOWN = 0, 1
_FIRST = 2


@dataclass(frozen=True, slots=True)
class Alphabet:
    """What the training part's texts taught.

    Attributes:
        characters: the most frequent first, ties by code point; the first of them is token 2.
        length: tokens in each example, at least 1.
    """

    characters: tuple[str, ...]
    length: int

    @property
    def n_tokens(self) -> int:
        """How many different tokens there are, padding and unknown among them."""
        return _FIRST + len(self.characters)


def learn_alphabet(texts: Iterable[str | None], max_length: int, max_tokens: int) -> Alphabet:
    """Learn the characters of texts and the length they are brought to.

    Args:
        texts: the training part's; None is an empty one.
        max_length: what is longer will be cut; at least 1. Characters beyond it do not count.
        max_tokens: different tokens in all, padding and unknown among them; at least 2. The rarest characters go.
    """
    counts: Counter[str] = Counter()
    length = 1
    for text in texts:
        kept = (text or "")[:max_length]
        counts.update(kept)
        length = max(length, len(kept))
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    return Alphabet(tuple(ranked[: max_tokens - _FIRST]), length)


def encode(alphabet: Alphabet, texts: Sequence[str | None]) -> NDArray[np.int64]:
    """Write texts as tokens, cut or padded on the right.

    Returns:
        (N, T) in [0, n_tokens).
    """
    token_of = {character: token for token, character in enumerate(alphabet.characters, start=_FIRST)}
    tokens_NT = np.full((len(texts), alphabet.length), PADDING, dtype=np.int64)
    for row, text in enumerate(texts):
        tokens = [token_of.get(character, UNKNOWN) for character in (text or "")[: alphabet.length]]
        tokens_NT[row, : len(tokens)] = tokens
    return tokens_NT
