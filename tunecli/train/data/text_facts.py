"""Facts about a column of texts before any training: its vocabulary, cut texts and unknown tokens. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunecli.config.schema.data import TokenKind
from tunecli.train.data.leakage import MAX_SAMPLED
from tunecli.train.data.notes import Oddity, short
from tunecli.train.data.texts import PADDING, UNKNOWN, Vocabulary, encode

_NOTABLE = 0.1
"""From this share of cut texts, or of unknown validation tokens, on there is a note."""


@dataclass(frozen=True, slots=True)
class TextFacts:
    """Facts about a column of texts and its vocabulary, which the first training part gives.

    Attributes:
        column: its name.
        kind: the unit of a token.
        n_tokens: number of different tokens, including padding and unknown.
        length: tokens in each example.
        n_texts: number of texts that were counted: all, or a sample.
        n_cut: how many of them have more tokens than ``length``.
        n_empty: how many of them have no token.
        unknown_fraction: share of the validation part's tokens that the vocabulary lacks; NaN without a token.
    """

    column: str
    kind: TokenKind
    n_tokens: int
    length: int
    n_texts: int
    n_cut: int
    n_empty: int
    unknown_fraction: float


def text_facts(
    column: str, vocabulary: Vocabulary, texts: Sequence[str | None], validation_texts: Sequence[str | None]
) -> TextFacts:
    """The facts about a column of texts.

    Args:
        column: its name.
        vocabulary: learnt from the training part.
        texts: all texts of the source. Of more than `MAX_SAMPLED`, every n-th is counted.
        validation_texts: those of the validation part, sampled in the same way.
    """
    texts, validation_texts = _sampled(texts), _sampled(validation_texts)
    split = vocabulary.split
    lengths = [len(split(text or "", vocabulary.length + 1)) for text in texts]
    tokens_NT = encode(vocabulary, validation_texts)
    n_read = int((tokens_NT != PADDING).sum())
    return TextFacts(
        column,
        vocabulary.kind,
        vocabulary.n_tokens,
        vocabulary.length,
        len(texts),
        sum(length > vocabulary.length for length in lengths),
        sum(length == 0 for length in lengths),
        int((tokens_NT == UNKNOWN).sum()) / n_read if n_read else float("nan"),
    )


def text_column_oddities(facts: TextFacts) -> Iterator[Oddity]:
    """Notes on a column of texts of which models miss much."""
    column = short(facts.column)
    if facts.n_cut > _NOTABLE * facts.n_texts:
        text = (
            f"column '{column}': {facts.n_cut / facts.n_texts:.0%} of the texts are cut after {facts.length:,} "
            f"tokens; `data.max_length` is the limit"
        )
        yield Oddity("cut", (facts.column,), text)
    if facts.unknown_fraction > _NOTABLE:
        text = (
            f"column '{column}': the vocabulary lacks {facts.unknown_fraction:.0%} of the validation part's tokens; "
            "raise `data.max_tokens`, or use `tokens: bpe` or `characters`"
        )
        yield Oddity("unknown_tokens", (facts.column,), text)


def _sampled(texts: Sequence[str | None]) -> Sequence[str | None]:
    return texts[:: -(-len(texts) // MAX_SAMPLED) or 1]
