"""What the next study changes, by rules on a report."""

import math
from dataclasses import replace

import pytest

from tests.support.reports import (
    ACCURACY,
    make_confirmed,
    make_effect,
    make_effects,
    make_report,
    make_trial,
    number_axis,
    options_axis,
    report_of,
)
from tunecli.config.axes import position_between
from tunecli.effects import ProfilePoint, Reliability
from tunecli.objective import Objective
from tunecli.results.advice.basis import value_at
from tunecli.results.confirmed import Interval
from tunecli.results.next_space import Act, first_trial, next_changes
from tunecli.results.report import AxisKind, Finding, Severity

LR = number_axis("lr", 1e-4, 1.0, is_log=True)
DROPOUT = number_axis("dropout", 0.0, 0.5, least=0.0, greatest=1.0)
KIND = options_axis("kind", "a", "b", "c")


def bowl(centre, deviation=0.01, sign=1.0, n=41):
    """A profile with its best score in the middle: 1 at an end that is one range away."""
    return tuple(ProfilePoint(i / (n - 1), sign * (i / (n - 1) - centre) ** 2, deviation) for i in range(n))


def report_at(axis, *, r2=0.9, share=0.2, profile=(), objective=None, values=None, **changes):
    values = values or [value_at(axis, p) for p in (0.5, 0.45, 0.55, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)]
    scores = [0.1 + 0.01 * n for n in range(len(values))]
    if objective is ACCURACY:
        scores = [1 - score for score in scores]
    return make_report(
        scores,
        [{axis.name: value} for value in values],
        [axis],
        **({"objective": objective} if objective else {}),
        effects=make_effects(make_effect(axis.name, share, profile=profile), r2=r2),
        **changes,
    )


def finding(rule, axis=None, trials=(), evidence="It is so."):
    return Finding(
        rule, Severity.PROBLEM, "Claim.", evidence, parameter=axis.name if axis else "", trials=trials
    )


def only(act, report, *findings):
    return [change for change in next_changes(report, findings) if change.act is act]


def test_a_range_is_narrowed_to_where_the_profile_reaches_the_best():
    (change,) = only(Act.NARROW, report_at(LR, profile=bowl(0.5)))
    half = math.sqrt(2 * 0.01) + 0.1  # where the square reaches two deviations, and a tenth of the range
    ends = [position_between(LR.low, LR.high, end, is_log=LR.is_log) for end in (change.low, change.high)]
    assert ends == pytest.approx([0.5 - half, 0.5 + half], abs=0.03)


def test_a_range_is_narrowed_alike_if_higher_scores_are_better():
    low = only(Act.NARROW, report_at(LR, profile=bowl(0.5)))
    high = only(Act.NARROW, report_at(LR, profile=bowl(0.5, sign=-1.0), objective=ACCURACY))
    assert (low[0].low, low[0].high) == (high[0].low, high[0].high)


@pytest.mark.parametrize(
    "changes",
    [{"r2": 0.84}, {"share": 0.05}, {"profile": bowl(0.5, deviation=1.0)}, {"profile": ()}],
)
def test_a_range_stays_whole_where_the_model_shows_too_little(changes):
    assert not only(Act.NARROW, report_at(LR, **{"profile": bowl(0.5), **changes}))


def test_no_range_is_narrowed_while_the_model_is_unknown():
    report = report_at(LR, profile=bowl(0.5))
    report = replace(report, effects=replace(report.effects, reliability=Reliability.UNKNOWN))
    assert not only(Act.NARROW, report)


def test_a_narrower_range_keeps_the_first_trial_and_the_default():
    axis = replace(LR, default=1e-4)
    report = report_at(axis, profile=bowl(0.5), values=[0.9, 0.01, 0.02])
    assert only(Act.NARROW, report) == []  # from the default at one end to the first trial at the other
    (change,) = only(Act.NARROW, report_at(LR, profile=bowl(0.5), values=[0.9, 0.01, 0.02]))
    assert change.high >= 0.9


def test_with_several_goals_no_range_is_narrowed():
    objective = Objective(
        "val_loss", maximize=False, further_objectives=(Objective("seconds", maximize=False),)
    )
    trials = [
        make_trial(n, 0.1 + n, {"lr": 0.01}, metrics={"val_loss": 0.1 + n, "seconds": 1.0}) for n in range(3)
    ]
    report = report_of(trials, [LR], objective)
    report = replace(report, effects=make_effects(make_effect("lr", 0.5, profile=bowl(0.5)), r2=0.95))
    assert not only(Act.NARROW, report)


def test_a_flagged_end_moves_by_a_decade_and_not_beyond_half_the_range():
    report = report_at(LR, values=[0.9, 0.8, 0.7])
    (change,) = only(Act.WIDEN, report, finding("best-on-a-bound", LR, (0, 1, 2), "3 of 5 lie there."))
    assert (change.low, change.high) == (1e-4, 10.0)
    assert change.reason == "3 of 5 lie there."
    width = number_axis("width", 16, 256, is_log=True, kind=AxisKind.WHOLE)
    report = report_at(width, values=[16, 17, 18])
    (change,) = only(Act.WIDEN, report, finding("best-on-a-bound", width, (0, 1, 2)))
    assert (change.low, change.high) == (4, 256)


def test_a_flagged_end_stops_where_the_key_ends():
    report = report_at(DROPOUT, values=[0.5, 0.49, 0.48])
    (change,) = only(Act.WIDEN, report, finding("best-on-a-bound", DROPOUT, (0, 1, 2)))
    assert (change.low, change.high, change.inner) == (0.0, 0.75, None)
    momentum = replace(DROPOUT, high=0.9)
    report = report_at(momentum, values=[0.9, 0.89, 0.88])
    (change,) = only(Act.WIDEN, report, finding("best-on-a-bound", momentum, (0, 1, 2)))
    assert change.high == 1.0
    assert change.inner.high == pytest.approx(0.999)
    report = report_at(replace(DROPOUT, high=1.0), values=[1.0, 0.99, 0.98])
    assert not only(Act.WIDEN, report, finding("best-on-a-bound", DROPOUT, (0, 1, 2)))


def test_a_parameter_without_effect_is_fixed_at_the_value_that_trains_fastest():
    trials = [
        make_trial(n, 0.1 + 0.01 * n, {"dropout": 0.04 * n + 0.02}, seconds=20.0 - n) for n in range(12)
    ]
    report = report_of(trials, [DROPOUT])
    (change,) = only(Act.FIX, report, finding("no-effect", DROPOUT))
    assert change.trial == 8  # the best of those with a dropout of more than a third
    assert "trains fastest" in change.reason
    equal = report_of([replace_seconds(trial, 5.0) for trial in trials], [DROPOUT])
    (change,) = only(Act.FIX, equal, finding("no-effect", DROPOUT))
    assert change.trial == 0


def replace_seconds(trial, seconds):
    return replace(trial, outcome=replace(trial.outcome, seconds=seconds))


def option_report(scores, counts, *, deviation=0.01, r2=0.6):
    values = [option for option, n in zip("abc", counts, strict=True) for _ in range(n)]
    profile = tuple(ProfilePoint(float(n), score, deviation) for n, score in enumerate(scores))
    return make_report(
        [0.1 + 0.001 * n for n in range(len(values))],
        [{"kind": value} for value in values],
        [KIND],
        effects=make_effects(make_effect("kind", 0.3, profile=profile), r2=r2),
    )


def test_an_option_is_dropped_only_if_its_best_is_clearly_worse_and_it_was_tried():
    (change,) = only(Act.DROP, option_report([0.1, 0.11, 0.5], [9, 9, 9]))
    assert change.kept == (0, 1)
    assert "`c`" in change.reason
    assert not only(Act.DROP, option_report([0.1, 0.11, 0.5], [9, 9, 7]))
    assert not only(Act.DROP, option_report([0.1, 0.11, 0.5], [9, 9, 9], deviation=0.3))
    assert not only(Act.DROP, option_report([0.1, 0.11, 0.5], [9, 9, 9], r2=0.4))


def test_the_option_of_the_first_trial_is_kept():
    assert not only(Act.DROP, option_report([0.9, 0.1, 0.1], [9, 9, 9]))


def test_the_next_study_begins_with_the_confirmed_trial_else_the_predicted_one():
    report = report_at(LR)
    assert first_trial(report).number == 0
    predicted = replace(report.effects, predicted={0: (0.3, 0.01), 2: (0.1, 0.01)})
    assert first_trial(replace(report, effects=predicted)).number == 2
    unknown = replace(make_effects(r2=0.2), predicted=predicted.predicted)
    assert first_trial(replace(report, effects=unknown)).number == 0
    confirmed = make_confirmed({3: Interval(0.1, 0.05, 0.15), 0: Interval(0.2, 0.1, 0.3)})
    report = replace(report, effects=predicted, confirmed=confirmed)
    assert first_trial(report).number == 3
    assert "Trial 3 was confirmed" in only(Act.BEGIN, report)[0].reason


def test_undertrained_trials_get_half_as_many_epochs_again():
    (change,) = only(Act.TRAIN_LONGER, report_at(LR), finding("undertrained"))
    assert change.factor == 1.5


def test_an_unknown_importance_asks_for_enough_trials_and_names_quasi_random_ones():
    report = replace(report_at(LR), effects=make_effects(make_effect("lr", 0.5), r2=0.3, n_missing=30))
    (change,) = only(Act.MORE_TRIALS, report)
    assert change.n_trials == 30
    few = replace(report, effects=make_effects(r2=0.3, n_trials=12, n_missing=8))
    assert only(Act.MORE_TRIALS, few)[0].n_trials == 20
    assert "R² 0.3" in change.reason and "`sampler: quasirandom`" in change.reason
    assert not only(Act.MORE_TRIALS, report_at(LR, r2=0.6))
    covering = replace(report, facts=replace(report.facts, sampler="quasirandom"))
    (change,) = only(Act.MORE_TRIALS, covering)
    assert "sampler" not in change.reason


def test_a_study_without_a_complete_trial_has_no_next_one():
    assert next_changes(make_report([None, None]), []) == []
