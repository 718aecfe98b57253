"""Statistics of few fresh scores, against formulas written out one by one and against scipy.stats."""

import math

import numpy as np
import pytest
from scipy import stats

from tunecli.results import confidence


def set_by_hand(rows, floor=0.0):
    """The set of the best, larger is better, with loops and Python floats."""
    k = len(rows)
    own = [len(row) - 1 for row in rows]
    squares = [sum((x - sum(row) / len(row)) ** 2 for x in row) for row in rows]
    pooled = sum(squares) / sum(own)
    v = [max((4 * pooled + s) / (4 + d), floor) for s, d in zip(squares, own, strict=True)]
    kept = []
    for i in range(k):
        stays = True
        for j in range(k):
            if i == j:
                continue
            # c: how often each candidate's variance is part of v_i / R_i + v_j / R_j
            c = [0.0] * k
            for a in (i, j):
                for b in range(k):
                    c[b] += 4 / (4 + own[a]) * own[b] / sum(own) / len(rows[a])
                c[a] += own[a] / (4 + own[a]) / len(rows[a])
            parts = [c[b] * v[b] for b in range(k)]
            freedom = sum(parts) ** 2 / sum(part**2 / d for part, d in zip(parts, own, strict=True))
            quantile = stats.t.ppf(0.95 ** (1 / (k - 1)), max(freedom, 1))
            gap = np.mean(rows[j]) - np.mean(rows[i])
            stays &= bool(gap <= quantile * math.sqrt(v[i] / len(rows[i]) + v[j] / len(rows[j])))
        kept.append(stays)
    return kept


def table_of(rows):
    width = max(len(row) for row in rows)
    return np.array([[*row, *[math.nan] * (width - len(row))] for row in rows])


@pytest.mark.parametrize("k", [2, 3, 7])
def test_the_set_equals_the_formula_written_out_with_loops(k):
    rng = np.random.default_rng(k)
    for study in range(30):
        rows = [list(rng.normal(rng.normal(), 0.4, rng.integers(2, 6))) for _ in range(k)]
        floor = 0.0 if study % 2 else 0.3
        in_set = confidence.is_in_set(confidence.moderated(table_of(rows), floor), is_maximized=True)
        assert in_set.tolist() == set_by_hand(rows, floor)


def test_of_losses_the_set_is_that_of_the_negated_scores():
    scores = np.random.default_rng(0).normal(size=(6, 5)) + np.arange(6)[:, None]
    least = confidence.is_in_set(confidence.moderated(scores), is_maximized=False)
    greatest = confidence.is_in_set(confidence.moderated(-scores), is_maximized=True)
    assert least.tolist() == greatest.tolist()
    assert least[0]
    assert not least[3:].any()


def test_two_candidates_of_equal_variance_are_compared_by_students_test():
    a = np.array([0.1, 0.2, 0.45])
    half = stats.t.ppf(0.95, 4) * math.sqrt(
        2 * np.var(a, ddof=1) / 3
    )  # Student's test of two samples has 4 degrees
    for gap, is_kept in ((0.999 * half, True), (1.001 * half, False)):
        in_set = confidence.is_in_set(confidence.moderated(np.array([a, a + gap])), is_maximized=True)
        assert in_set.tolist() == [is_kept, True]


def test_an_interval_of_own_scores_equals_that_of_scipy():
    scores = np.array([[0.2, 0.5, 0.4, 0.9]])
    half = confidence.half_widths(confidence.moderated(scores, prior=0))[0]
    low, high = stats.t.interval(0.95, 3, loc=scores.mean(), scale=stats.sem(scores[0]))
    assert (scores.mean() - half, scores.mean() + half) == pytest.approx((low, high))


def test_the_scores_of_many_studies_are_treated_as_those_of_one():
    scores = np.random.default_rng(3).normal(size=(4, 3, 5))
    together = confidence.moderated(scores)
    for i in range(4):
        alone = confidence.moderated(scores[i])
        assert together.variance[i] == pytest.approx(alone.variance)
        in_set = confidence.is_in_set(together, is_maximized=True)[i]
        assert in_set.tolist() == confidence.is_in_set(alone, is_maximized=True).tolist()


def test_the_variance_of_stepped_scores_is_at_least_that_of_rounding():
    spread = confidence.moderated(np.array([[0.5, 0.5, 0.5], [0.25, 0.25, 0.25]]), confidence.floor_of(0.25))
    assert spread.variance.tolist() == pytest.approx([0.25**2 / 12] * 2)
    assert np.var(np.random.default_rng(0).uniform(-0.125, 0.125, 200_000)) == pytest.approx(
        0.25**2 / 12, rel=0.01
    )


def test_equal_scores_have_no_variance_at_all():
    spread = confidence.moderated(np.full((2, 7), 0.1))
    assert spread.variance.tolist() == [0.0, 0.0]
    assert spread.mean.tolist() == [0.1, 0.1]


def test_a_candidate_without_scores_neither_leaves_nor_beats():
    scores = np.array([[1.0, 1.1, 0.9], [math.nan] * 3, [5.0, 5.1, 4.9]])
    assert confidence.is_in_set(confidence.moderated(scores), is_maximized=True).tolist() == [
        False,
        True,
        True,
    ]


def test_split_effects_leave_the_comparison_and_not_the_means():
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.01, (3, 5))
    splits = 10 * rng.normal(size=5)
    with_splits, without = confidence.of_blocks(noise + splits), confidence.of_blocks(noise)
    assert with_splits.variance == pytest.approx(without.variance)
    assert with_splits.mean == pytest.approx(noise.mean(1) + splits.mean())
    residuals = noise - noise.mean(1, keepdims=True) - noise.mean(0) + noise.mean()
    assert with_splits.pooled == pytest.approx(
        (residuals**2).sum() / 8
    )  # (K − 1)(R − 1) of the two-way layout
    assert with_splits.freedom.sum() == pytest.approx(8)


def test_a_failed_run_on_a_hard_split_does_not_raise_the_candidates_mean():
    splits = np.array([0.0, 0.0, 0.0, -10.0])
    scores = np.array([[0.1, -0.1, 0.0, 0.0], [0.0, 0.1, -0.1, 0.0]]) + splits
    scores[1, 3] = math.nan
    spread = confidence.of_blocks(scores)
    assert abs(spread.mean[0] - spread.mean[1]) < 0.1


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 5), (5, 5), (350, 359)])
def test_intervals_of_probabilities_equal_those_of_scipy(k, n):
    reference = stats.binomtest(k, n)
    wilson = reference.proportion_ci(0.95, method="wilson")
    exact = reference.proportion_ci(0.95, method="exact")
    assert confidence.wilson(k / n, n) == pytest.approx((wilson.low, wilson.high), abs=1e-12)
    assert confidence.clopper_pearson(k, n) == pytest.approx((exact.low, exact.high), abs=1e-12)
