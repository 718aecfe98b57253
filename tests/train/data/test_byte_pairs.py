"""Merges of byte-pair encoding are learnt, and split words like the package that learns them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tunecli.errors import DataError
from tunecli.registry.packages import install_command
from tunecli.train.data import byte_pairs
from tunecli.train.data.byte_pairs import learn_merges, splitter

LINES = ["▁low ▁low ▁lower ▁newest", "▁newest ▁widest ▁new", "▁low , ▁wider"] * 4
CHARACTERS = sorted(set("".join(LINES)) - {" "})


def pairs_by_hand(lines: list[str], n: int) -> list[tuple[str, str]]:
    """The merges of Sennrich et al. 2016, algorithm 1: counted anew after each merge; ties by age of the tokens."""
    words = Counter(tuple(word) for line in lines for word in line.split())
    age = {character: number for number, character in enumerate(CHARACTERS)}
    merges: list[tuple[str, str]] = []
    while len(age) < n:
        counts: Counter[tuple[str, str]] = Counter()
        for word, n_words in words.items():
            for pair in pairwise(word):
                counts[pair] += n_words
        best = min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]), default=None)
        if best is None or counts[best] < 2:
            break
        merges.append(best)
        age.setdefault("".join(best), len(age))
        words = Counter({merged(word, best): n_words for word, n_words in words.items()})
    return merges


def merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    parts: list[str] = []
    for part in word:
        if parts and (parts[-1], part) == pair:
            parts[-1] += part
        else:
            parts.append(part)
    return tuple(parts)


def test_merges_are_those_of_the_papers_algorithm() -> None:
    pytest.importorskip("tokenizers")
    assert learn_merges(LINES, CHARACTERS, 25) == pairs_by_hand(LINES, 25)
    assert learn_merges(LINES, CHARACTERS, 1000) == pairs_by_hand(LINES, 1000)


def test_words_are_split_as_the_package_splits_them() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    merges = learn_merges(LINES, CHARACTERS, 25)
    names = dict.fromkeys([*CHARACTERS, *("".join(pair) for pair in merges)])
    model = tokenizers.models.BPE(vocab={name: number for number, name in enumerate(names)}, merges=merges)
    package, split = tokenizers.Tokenizer(model), splitter(merges)
    for word in ("▁lowest", "▁widest", "▁wow", "e", "▁newerestlow"):
        assert list(split(word)) == package.encode(word).tokens


def test_an_unknown_character_is_never_merged() -> None:
    pytest.importorskip("tokenizers")
    known = [character for character in CHARACTERS if character != "o"]
    merges = learn_merges(LINES, known, 1000)
    assert merges
    assert not any("o" in left + right for left, right in merges)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_pairs, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="needs the package tokenizers") as error:
        learn_merges(LINES, CHARACTERS, 25)
    assert error.value.parameter == "data.tokens"
    assert error.value.hint == install_command("tokenizers", "text")
