"""The table of classes shows each class' scores as scikit-learn gives them, and the worst ones of many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as reference

from tests.support.reports import make_trial, report_of, text_of
from tunecli.results.classes import MOST_ROWS, ClassScores, class_scores
from tunecli.results.page.page import page_of

Y, GUESS = np.random.default_rng(1).integers(0, 3, (2, 60))
COUNTS = [
    (float(((k == Y) & (k == GUESS)).sum()), float((k == Y).sum()), float((k == GUESS).sum()))
    for k in range(3)
]


def test_the_scores_of_each_class_are_scikit_learns() -> None:
    precision, recall, f1, support = reference.precision_recall_fscore_support(Y, GUESS)
    found = class_scores("abc", COUNTS)
    assert [one.n_examples for one in found] == support.tolist()
    for attribute, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        assert [getattr(one, attribute) for one in found] == pytest.approx(expected.tolist())


def test_a_class_without_examples_or_guesses_has_no_such_score() -> None:
    (unseen,) = ClassScores(3, "label", class_scores(["x"], [(0.0, 0.0, 0.0)])).rows
    assert unseen == ("x", "0", "—", "—", "—")
    (never,) = ClassScores(3, "class", class_scores(["x"], [(0.0, 4.0, 0.0)])).rows
    assert never == ("x", "4", "—", "0.000", "0.000")


def test_a_table_of_many_classes_shows_the_worst() -> None:
    many = class_scores([f"c{k}" for k in range(50)], [(float(k), 50.0, 50.0) for k in range(50)][::-1])
    found = ClassScores(1, "class", many, threshold=0.25, n_models=3)
    fixed = replace(found, is_tuned=False)
    assert "threshold 0.25." in fixed.note
    assert "tuned" not in fixed.note
    assert [row[0] for row in found.rows] == [f"c{k}" for k in range(20, 50)]
    assert len(found.rows) == MOST_ROWS
    assert "the threshold 0.25" in found.note
    assert "3 models" in found.note
    assert found.note.endswith("the 30 of 50 classes with the lowest F1.")


def test_page_and_text_show_the_classes_and_escape_their_names() -> None:
    found = ClassScores(0, "class", class_scores(["<b>", "b", "c"], COUNTS))
    report = report_of([make_trial(0, 0.5)], classes=found)
    page = page_of(report)
    assert "Classes of the best trial" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "Classes of the best trial" in text_of(report)
    assert "Classes of the best trial" not in page_of(report_of([make_trial(0, 0.5)]))
