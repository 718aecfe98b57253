"""Byte-pair encoding (Sennrich et al. 2016): learns merges of characters, and splits words by them. Loads no torch.

The package `tokenizers` learns the merges. Splitting needs no package, so a stored vocabulary reads new texts anywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from tunecli.errors import DataError
from tunecli.registry.packages import install_command

_MIN_PAIRS = 2  # a merge that one word needs once compresses nothing
_PARALLELISM = "TOKENIZERS_PARALLELISM"


def require_tokenizers() -> None:
    """Check that the package `tokenizers` is installed, without importing it.

    Raises:
        DataError: it is not installed.
    """
    if find_spec("tokenizers") is None:
        message = "`tokens: bpe` needs the package tokenizers, which is not installed"
        raise DataError(message, hint=install_command("tokenizers", "text"), parameter="data.tokens")


def learn_merges(lines: Iterable[str], characters: Sequence[str], most: int) -> list[tuple[str, str]]:
    """Learn merges: the most frequent pair of neighbours first, then the most frequent pair after that merge, …

    Args:
        lines: the words of each text, separated by spaces.
        characters: the characters that may be merged. A word is cut where it has another one.
        most: the largest number of different tokens: characters, and pairs that were merged.

    Returns:
        The pairs, in the order in which they are merged; the same for the same texts, for any number of threads.

    Raises:
        DataError: the package `tokenizers` is not installed.
    """
    require_tokenizers()
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=most, min_frequency=_MIN_PAIRS, show_progress=False, initial_alphabet=[*characters]
    )
    known = frozenset((*characters, " "))
    with _without_threads():
        tokenizer.train_from_iterator((_known_parts(line, known) for line in lines), trainer)
    merges: list[Any] = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    return [(left, right) for left, right in pairs]


def splitter(merges: Sequence[tuple[str, str]]) -> Callable[[str], tuple[str, ...]]:
    """A function that splits a word by merges; it keeps the results of the last words."""
    rank_of = {pair: rank for rank, pair in enumerate(merges)}

    @lru_cache(maxsize=100_000)
    def split(word: str) -> tuple[str, ...]:
        return _merged(word, rank_of)

    return split


def _merged(word: str, rank_of: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    """The parts of a word after all merges, the earliest learnt first and each from left to right."""
    parts = list(word)
    while len(parts) > 1:
        ranks = [rank_of.get(pair, len(rank_of)) for pair in pairwise(parts)]
        best = min(ranks)
        if best == len(rank_of):
            break
        place = ranks.index(best)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return tuple(parts)


def _known_parts(line: str, known: frozenset[str]) -> str:
    """A line with a space for each character that is not known."""
    if known.issuperset(line):
        return line
    return "".join(character if character in known else " " for character in line)


@contextmanager
def _without_threads() -> Iterator[None]:
    """Keep the package from starting threads: it warns when a process that has used them forks, as workers do."""
    before = os.environ.get(_PARALLELISM)
    os.environ[_PARALLELISM] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLELISM]
        else:
            os.environ[_PARALLELISM] = before
