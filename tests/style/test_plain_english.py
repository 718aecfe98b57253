"""What people read is plain English: texts for users without exception, docstrings and comments with few."""

from pathlib import Path

import pytest

from tests.style.prose import PATTERNS, Text, pages, texts

ROOT = Path(__file__).parents[2]
MOST = {"docstring": 0.01, "string": 0.0, "comment": 0.02, "page": 0.0}


@pytest.fixture(scope="module")
def package_texts() -> list[Text]:
    return texts()


@pytest.mark.parametrize("kind", MOST)
def test_few_texts_meet_a_pattern_of_hard_sentences(kind, package_texts):
    found = pages(ROOT) if kind == "page" else [text for text in package_texts if text.kind == kind]
    hits = [
        f"{text.path.relative_to(ROOT)}:{text.line}: {'; '.join(text.findings())}"
        for text in found
        if text.findings()
    ]
    assert len(hits) <= MOST[kind] * len(found), "\n".join(hits)


@pytest.mark.parametrize(
    "sentence",
    [
        "What is thought of a trial by all that was learnt: its loss, and what it is to be better than.",
        "Whoever trains it needs no word from the coordinator.",
        "Few epochs may deceive: what learns slowly is neither begun nor continued by who goes by them",
        "A trial that breaks a bound stands after all that hold every one.",
        "None where nothing can be done with what is seen.",
        "`tpe` is told of both.",
        "The order does not matter (law 5).",
    ],
)
def test_the_old_dialect_is_found(sentence):
    assert Text(Path(), 1, "string", sentence).findings()


@pytest.mark.parametrize(
    "sentence",
    [
        "Posterior of one trial: predicted loss, log-probability of feasibility, and the incumbent to improve on.",
        "Start and epoch events are buffered: losing them in a crash costs only a re-run.",
        "Run every third `curves` trial to completion, proposed from complete trials only.",
        "The message says what to do.",
    ],
)
def test_plain_sentences_are_not_found(sentence):
    assert not Text(Path(), 1, "string", sentence).findings()


def test_each_pattern_is_narrow_enough_for_code_in_backticks():
    for name in PATTERNS:
        assert not Text(Path(), 1, "string", "Use `what it is` and ``nobody is told``.").findings(), name
