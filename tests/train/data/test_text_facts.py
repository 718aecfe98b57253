"""What a check says about a column of texts."""

from __future__ import annotations

from math import isnan

from tunecli.train.data.text_facts import TextFacts, text_column_oddities, text_facts
from tunecli.train.data.texts import TextSettings, learn_vocabulary

WORDS = TextSettings("words", max_length=3)


def test_cut_and_empty_texts_and_unknown_tokens_are_counted() -> None:
    training = ["a b c d", "b", "", None, "c"]
    facts = text_facts("t", learn_vocabulary(training, WORDS), [*training, "z z"], ["a z", "b"])
    assert facts == TextFacts("t", "words", 5, 3, 6, 1, 2, 1 / 3)
    kinds = [odd.kind for odd in text_column_oddities(facts)]
    assert kinds == ["cut", "unknown_tokens"]


def test_texts_of_known_tokens_are_not_notable() -> None:
    vocabulary = learn_vocabulary(["a b", "b"], WORDS)
    assert not [*text_column_oddities(text_facts("t", vocabulary, ["a b", "b"], ["b"]))]
    assert isnan(text_facts("t", vocabulary, ["a"], [""]).unknown_fraction)
