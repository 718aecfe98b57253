"""From raw fresh scores to the values of a confirmation."""

import math
from dataclasses import replace

import pytest
from scipy import stats

from tunecli.results.confirming import confirmed_of, trial_to_quote
from tunecli.results.fresh import FreshCandidate, FreshQuote, FreshRuns

NAN = math.nan
GOOD = (0.975, 0.986, 0.972, 0.981, 0.978)
BETTER = (0.981, 0.984, 0.975, 0.980, 0.979)
BAD = (0.90, 0.91, 0.905, 0.90, 0.895)


def runs_of(*rows, **settings):
    candidates = tuple(FreshCandidate(i, tuple(row), is_first=i == 0) for i, row in enumerate(rows))
    settings = {"id": 1, "n_repeats": 5, "n_trials_then": 32, "is_maximized": True} | settings
    return FreshRuns(candidates=candidates, **settings)


def quoted(scores, **settings):
    return confirmed_of(runs_of(GOOD, BETTER, quote=FreshQuote(1, tuple(scores)), **settings)).quote


def in_set(runs):
    return [candidate.number for candidate in confirmed_of(runs).in_set]


def test_a_candidate_that_is_clearly_worse_leaves_the_set():
    runs = runs_of(BAD, GOOD, BETTER)
    assert in_set(runs) == [1, 2]
    assert trial_to_quote(runs) == 2
    assert not confirmed_of(runs).first.is_in_set


def test_the_quote_has_students_interval_of_the_mean_and_of_one_more_training():
    scores = [0.5, 0.52, 0.47, 0.51, 0.5]
    quote = quoted(scores)
    low, high = stats.t.interval(0.95, 4, loc=0.5, scale=stats.sem(scores))
    assert (quote.score.mean, quote.score.low, quote.score.high) == pytest.approx((0.5, low, high))
    half = stats.t.ppf(0.975, 4) * stats.tstd(scores) * math.sqrt(1 + 1 / 5)
    assert quote.one_more.high - quote.one_more.mean == pytest.approx(half)


def test_a_missing_training_leaves_the_set_and_the_quote_open():
    runs = runs_of(BAD, GOOD, (0.98, None, 0.97))
    confirmed = confirmed_of(runs)
    assert trial_to_quote(runs) is None
    assert len(confirmed.in_set) == 3 and not confirmed.is_set_known
    assert confirmed.n_missing == 3 + 5
    assert confirmed.candidates[2].scores == (0.98, 0.97)
    done = runs_of(BAD, GOOD, quote=FreshQuote(1, GOOD))
    assert confirmed_of(done).n_missing == 0 and confirmed_of(done).is_set_known


def test_one_candidate_is_quoted_and_is_compared_with_none():
    runs = runs_of(GOOD, quote=FreshQuote(0, BETTER))
    confirmed = confirmed_of(runs)
    assert trial_to_quote(runs) == 0
    assert len(confirmed.in_set) == 1
    assert confirmed.quote.score.mean == pytest.approx(sum(BETTER) / 5)


def test_a_smaller_loss_is_quoted_when_the_metric_is_minimised():
    assert trial_to_quote(runs_of(BAD, GOOD, is_maximized=False)) == 0


def test_a_training_that_ignores_its_seed_has_no_interval():
    rows = [(0.2,) * 5, (0.3,) * 5]
    confirmed = confirmed_of(runs_of(*rows, quote=FreshQuote(0, (0.2,) * 5), step=0.01))
    assert confirmed.is_seed_ignored
    assert confirmed.quote.score is None
    assert confirmed.quote.one_more is None
    assert confirmed.seed_deviation is None
    assert [candidate.fresh for candidate in confirmed.candidates] == [None, None]
    assert len(confirmed.in_set) == 2


def test_an_accuracy_at_its_limit_is_no_sign_of_an_ignored_seed():
    metrics = tuple({"accuracy": 1.0, "val_loss": loss} for loss in (0.01, 0.02, 0.01, 0.03, 0.02))
    runs = runs_of((1.0,) * 5, quote=FreshQuote(0, (1.0,) * 5), is_fraction=True, step=0.01, n_valid=100)
    runs = replace(runs, candidates=(replace(runs.candidates[0], metrics=metrics),))
    confirmed = confirmed_of(runs)
    assert not confirmed.is_seed_ignored
    assert confirmed.quote.score.low < 1.0 == confirmed.quote.score.high
    assert confirmed.quote.validation.low == pytest.approx(
        stats.binomtest(100, 100).proportion_ci(method="wilson").low
    )


def test_equal_scores_without_a_known_step_get_no_interval_of_width_zero():
    quote = confirmed_of(runs_of(GOOD, BETTER, quote=FreshQuote(1, (0.5,) * 5))).quote
    assert quote.score is None
    assert quote.one_more is None


def test_the_interval_of_a_fraction_ends_at_one():
    scores = (1.0, 0.99, 1.0, 1.0, 1.0)
    assert quoted(scores, is_fraction=True, n_valid=100).score.high == 1.0
    assert quoted(scores).score.high > 1.0


def test_the_validation_part_is_said_to_be_unknown_where_it_is():
    assert quoted(GOOD).validation is None
    assert "number of validation examples" in quoted(GOOD).validation_reason
    loss = quoted(GOOD, n_valid=359)
    assert loss.validation is None
    assert "each of the 359" in loss.validation_reason
    known = quoted(GOOD, n_valid=359, is_fraction=True)
    assert known.validation_reason == ""
    assert known.validation.low < known.validation.mean < known.validation.high


def test_a_failed_run_is_counted_and_removes_no_candidate():
    runs = runs_of(GOOD, (0.981, NAN, 0.975, 0.980, 0.979))
    assert in_set(runs) == [0, 1]
    assert confirmed_of(runs).candidates[1].n_failed == 1


def test_a_candidate_leaves_for_its_failures_only_beyond_their_intervals():
    one_of_eight = (0.99, *[NAN] * 7)
    half = (*[0.98] * 4, *[NAN] * 4)
    eight = (0.98, 0.97, 0.99, 0.98, 0.97, 0.98, 0.985, 0.975)
    runs = runs_of(eight, half, one_of_eight, n_repeats=8)
    assert in_set(runs) == [0, 1]  # Clopper-Pearson: 0 of 8 to 0.37; 4 of 8 from 0.16; 7 of 8 from 0.47
    assert trial_to_quote(runs) == 1


def test_a_candidate_of_which_every_run_failed_leaves_the_set():
    runs = runs_of(GOOD, (NAN,) * 5)
    assert in_set(runs) == [0]
    assert confirmed_of(runs).candidates[1].fresh is None


def test_no_trial_is_quoted_when_every_run_failed():
    runs = runs_of((NAN,) * 5, (math.inf,) * 5)
    assert trial_to_quote(runs) is None
    confirmed = confirmed_of(runs)
    assert confirmed.quote is None
    assert confirmed.n_missing == 0


def test_a_quote_of_which_every_run_failed_is_none():
    assert confirmed_of(runs_of(GOOD, quote=FreshQuote(0, (NAN,) * 5))).quote is None


def test_a_single_far_score_is_named():
    quote = quoted((0.978, 0.981, 0.984, 0.90, 0.98))
    assert quote.note.startswith("1 of 5 fresh runs ended far below the others")
    assert quoted((0.978, 0.981, 0.984, 0.975, 0.98)).note == ""


def test_the_runs_of_a_single_trial_are_not_counted_twice_in_their_usual_spread():
    scores = (0.978, 0.981, 0.9835, 0.965, 0.98)
    assert quoted(scores).note == ""
    assert confirmed_of(runs_of(scores, quote=FreshQuote(0, scores))).quote.note == ""


def test_splits_widen_the_quote_by_the_ratio_of_the_parts():
    plain = quoted(GOOD).score
    split = quoted(GOOD, is_split=True, n_train=800, n_valid=200).score
    ratio = (split.high - split.mean) / (plain.high - plain.mean)
    assert ratio == pytest.approx(math.sqrt((1 / 5 + 200 / 800) / (1 / 5)))
    unknown = quoted(GOOD, is_split=True).score
    assert unknown.high == pytest.approx(split.high)  # the default split has this ratio too


def test_shared_splits_hide_no_difference():
    hard = (0.0, -0.2, -0.4, 0.1, 0.3)
    better = [0.5 + x + e for x, e in zip(hard, (0.001, 0.0, -0.001, 0.0, 0.001), strict=True)]
    worse = [0.48 + x for x in hard]
    assert in_set(runs_of(better, worse)) == [0, 1]
    assert in_set(runs_of(better, worse, is_split=True, n_train=80, n_valid=20)) == [0]


def test_the_cheapest_of_the_set_trains_in_the_fewest_seconds():
    runs = runs_of(BAD, GOOD, BETTER)
    seconds = (0.1, 2.0, 0.8)
    candidates = tuple(replace(c, seconds=s) for c, s in zip(runs.candidates, seconds, strict=True))
    assert confirmed_of(replace(runs, candidates=candidates)).cheapest.number == 2
    assert confirmed_of(runs).cheapest is None


def test_test_scores_have_intervals_of_their_own():
    tested = {"test_accuracy": (0.97, 0.96, 0.98, 0.97, 0.965)}
    quote = confirmed_of(runs_of(GOOD, quote=FreshQuote(0, BETTER, tested=tested, n_openings=2))).quote
    low, high = stats.t.interval(0.95, 4, loc=0.969, scale=stats.sem(tested["test_accuracy"]))
    assert (quote.tested["test_accuracy"].low, quote.tested["test_accuracy"].high) == pytest.approx(
        (low, high)
    )
    assert quote.n_openings == 2
