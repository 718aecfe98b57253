"""The score of an own trial follows from its reports by one rule, in one run or in several attempts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.jobs import change_job, make_job
from tunecli.messages import Job
from tunecli.objective import Constraint, Objective
from tunecli.train.user_code.reports import Reports
from tunecli.train.user_code.scoring import KeptSteps
from tunecli.trial import FailureKind, Outcome, State

ACCURACY = Objective("acc", True)
Report = tuple[int, dict[str, float]]


def job_of(rule: str, n: int = 0, objective: Objective = ACCURACY) -> Job:
    return make_job(0, {}, replace(objective, score_rule=rule, n_averaged=n))


def outcome_of(job: Job, reports: Sequence[Report], last: dict[str, float] | None = None) -> Outcome:
    """The outcome of one attempt with these epochs, and values after the last one."""
    trial = Reports(job, "cpu")
    for epoch, metrics in reports:
        trial.epoch_ended(epoch, metrics)
    trial.update(last or {})
    return replace(trial.ended().outcome, seconds=0.0)


def of_values(*values: float) -> list[Report]:
    return [(epoch, {"acc": value}) for epoch, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("rule", "n", "values", "score", "epoch"),
    [
        ("last", 0, (0.5, 0.9, 0.7), 0.7, 3),
        ("best", 0, (0.5, 0.9, 0.7), 0.9, 2),
        ("best", 0, (0.9, 0.5, 0.9), 0.9, 1),
        ("mean_of_last", 2, (0.0, 0.5, 0.75), 0.625, 3),
        ("mean_of_last", 9, (0.25, 0.75), 0.5, 2),
        ("mean_of_last", 1, (0.25, 0.75), 0.75, 2),
    ],
)
def test_the_rule_decides_which_reported_values_are_the_score(
    rule: str, n: int, values: tuple[float, ...], score: float, epoch: int
) -> None:
    outcome = outcome_of(job_of(rule, n), of_values(*values))
    assert (outcome.score, outcome.metrics, outcome.kept_epoch) == (score, {"acc": score}, epoch)
    assert (outcome.state, outcome.epochs) == (State.COMPLETE, len(values))


def test_the_best_value_follows_the_direction() -> None:
    job = job_of("best", objective=Objective("acc", False))
    assert outcome_of(job, of_values(0.5, 0.1, 0.7)).score == 0.1


def test_best_takes_the_other_metrics_from_the_same_report() -> None:
    objective = Objective(
        "acc", True, further_objectives=(Objective("size", False),), constraints=(Constraint("ms", 5),)
    )
    reports = [(1, {"acc": 0.9, "size": 10.0}), (2, {"acc": 0.8, "size": 7.0})]
    outcome = outcome_of(job_of("best", objective=objective), reports, {"ms": 3.0})
    assert outcome.metrics == {"acc": 0.9, "size": 10.0, "ms": 3.0}  # `ms` was not reported before


def test_best_needs_every_metric_of_the_objective_to_be_finite_in_that_report() -> None:
    objective = Objective("acc", True, constraints=(Constraint("ms", 5),))
    reports = [(1, {"acc": 0.9, "ms": math.nan}), (2, {"acc": 0.8, "ms": 3.0})]
    outcome = outcome_of(job_of("best", objective=objective), reports)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.ERROR
    assert "ms" in outcome.failure.cause


def test_mean_of_last_averages_each_metric_that_the_objective_names() -> None:
    objective = Objective("acc", True, constraints=(Constraint("ms", 5),))
    reports = [
        (1, {"acc": 0.0, "ms": 1.0, "lr": 1.0}),
        (2, {"acc": 0.5, "lr": 2.0}),
        (3, {"acc": 1.0, "ms": 2.0}),
    ]
    outcome = outcome_of(job_of("mean_of_last", 2, objective), reports)
    assert outcome.metrics == {"acc": 0.75, "ms": 1.5, "lr": 2.0}


def test_values_after_the_last_epoch_replace_its_values() -> None:
    reports = of_values(0.5, 0.7)
    assert outcome_of(job_of("last"), reports, {"acc": 0.6}).score == 0.6
    assert (
        outcome_of(job_of("best"), reports, {"acc": 0.6}).score == 0.7
    )  # it was reported, and it is the best
    assert outcome_of(job_of("best"), reports, {"acc": 0.8}).score == 0.8
    assert outcome_of(job_of("mean_of_last", 2), reports, {"acc": 0.9}).score == 0.7
    assert outcome_of(job_of("mean_of_last", 2), [], {"acc": 0.9}).score == 0.9


def test_the_mean_of_huge_values_is_finite() -> None:
    assert outcome_of(job_of("mean_of_last", 2), of_values(1.5e308, 1.5e308)).score == 1.5e308


def test_a_pruned_trial_has_the_best_score_so_far() -> None:
    job = change_job(job_of("best"), stop_above=(None, -0.95))
    outcome = outcome_of(job, of_values(0.9, 0.5, 0.99))
    assert (outcome.state, outcome.score, outcome.kept_epoch, outcome.epochs) == (State.PRUNED, 0.9, 1, 2)


@given(
    st.sampled_from([("last", 0), ("best", 0), ("mean_of_last", 3)]),
    st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7]), min_size=1, max_size=8),
    st.integers(0, 8),
    st.integers(0, 3),
)
def test_an_interrupted_trial_has_the_outcome_of_an_uninterrupted_one(
    rule: tuple[str, int], values: list[float], cut: int, repeated: int
) -> None:
    job, reports = job_of(*rule), of_values(*values)
    reports = [(epoch, {**metrics, "other": float(epoch)}) for epoch, metrics in reports]
    recorded = tuple(reports[:cut])
    resumed = change_job(job, attempt=2, recorded=recorded, epoch_offset=0 if recorded else None)
    again = reports[max(0, len(recorded) - repeated) :]
    assert outcome_of(resumed, again, {"acc": 0.2}) == outcome_of(job, reports, {"acc": 0.2})


def kept(steps: Iterable[int], before: Iterable[int] = ()) -> list[int]:
    rule = KeptSteps()
    for step in before:
        rule.add(step)
    found = []
    for step in steps:
        if rule.keeps(step):
            rule.add(step)
            found.append(step)
    return found


def test_the_record_keeps_a_bounded_number_of_steps() -> None:
    assert kept(range(1, 1001)) == [*range(1, 1001)]
    every = kept(range(1, 200_001))
    assert len(every) < 2100
    assert all(later - earlier <= earlier / 200 + 1 for earlier, later in pairwise(every))
    assert kept(range(10_000, 1_010_000, 1_000)) == [
        *range(10_000, 1_010_000, 1_000)
    ]  # rare reports are all kept


@given(st.integers(0, 4000), st.integers(0, 50))
def test_a_resumed_trial_keeps_the_same_steps(cut: int, repeated: int) -> None:
    whole = kept(range(1, 4001))
    start = max(1, cut - repeated)
    before = [step for step in whole if step < start]
    assert before + kept(range(start, 4001), before) == whole


def test_steps_that_are_not_on_record_still_update_the_metrics() -> None:
    job = make_job(0, {"every": "step"}, ACCURACY)
    trial = Reports(job, "cpu")
    events = [trial.epoch_ended(step, {"acc": step / 10_000}) for step in range(1, 2001)]
    n_kept = sum(event is not None for event in events)
    assert 1000 < n_kept < 1200
    outcome = trial.ended().outcome
    assert (outcome.score, outcome.epochs) == (0.2, 2000)
