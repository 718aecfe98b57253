"""From texts to tokens: the characters that the training part contains, each with a token.

Loads no torch.

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
    """The characters and the length learnt from the training part's texts.

    Token 0 pads a text to the common length; token 1 is a character that the alphabet lacks.

    Attributes:
        characters: the most frequent first, ties by code point; the first one is token 2.
        length: tokens in each example, at least 1.
    """

    characters: tuple[str, ...]
    length: int

    @property
    def n_tokens(self) -> int:
        """Number of different tokens, including padding and unknown."""
        return _FIRST + len(self.characters)


def learn_alphabet(texts: Iterable[str | None], max_length: int, max_tokens: int) -> Alphabet:
    """Learn an alphabet from texts.

    Args:
        texts: the texts of the training part; None means an empty text.
        max_length: longer texts are cut, and the characters after the cut are not counted; at least 1.
        max_tokens: the largest number of different tokens, including padding and unknown; at least 2. The rarest
            characters are dropped.
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
    """Encode texts as tokens, cut or padded on the right.

    Returns:
        (N, T) in [0, n_tokens).
    """
    token_of = {character: token for token, character in enumerate(alphabet.characters, start=_FIRST)}
    tokens_NT = np.full((len(texts), alphabet.length), PADDING, dtype=np.int64)
    for row, text in enumerate(texts):
        tokens = [token_of.get(character, UNKNOWN) for character in (text or "")[: alphabet.length]]
        tokens_NT[row, : len(tokens)] = tokens
    return tokens_NT
