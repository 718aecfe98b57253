"""A trial at its time limit has one result, computed by its own process or from its record."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent
from tests.support.jobs import make_job
from tunecli.commands.check import load_checked
from tunecli.messages import Ended, EpochEnded, Event, Job, Started
from tunecli.objective import Constraint, Objective
from tunecli.study.record.lifecycle import begin
from tunecli.study.runner.result_so_far import result_so_far
from tunecli.study.sweep import sweep
from tunecli.train.user_code.reports import Reports
from tunecli.trial import Failure, FailureKind, Outcome, State

ACCURACY = Objective("val_accuracy", True)
SCORES = [0.5, 0.9, 0.7]
CUT = Outcome(State.FAILED, seconds=3.5, device="cpu", failure=Failure(FailureKind.TIMEOUT, "1 s has passed"))


def epochs_with(scores: list[float], **others: float) -> list[EpochEnded]:
    return [
        EpochEnded(
            0, 1, number, 9, {"val_accuracy": score, "train_loss": 1.0, "val_loss": 1.0, **others}, 0.1
        )
        for number, score in enumerate(scores, 1)
    ]


@pytest.mark.parametrize(
    ("training", "score", "kept_epoch"), [({}, 0.7, 3), ({"early_stop": {"patience": 5}}, 0.9, 2)]
)
def test_a_built_in_trial_has_the_score_of_its_kept_epoch(training, score, kept_epoch):
    job = make_job(0, {"data": {"source": "iris"}, "training": {"epochs": 9, **training}}, ACCURACY)
    outcome = result_so_far(job, epochs_with(SCORES), CUT, State.COMPLETE)
    assert outcome is not None
    assert (outcome.state, outcome.score, outcome.epochs, outcome.kept_epoch) == (
        State.COMPLETE,
        score,
        3,
        kept_epoch,
    )
    assert (outcome.seconds, outcome.device, outcome.failure, outcome.weights_sha256) == (
        3.5,
        "cpu",
        None,
        "",
    )


def test_a_command_has_the_result_that_its_own_reports_give():
    job = make_job(0, {"command": ["x"]}, ACCURACY)
    reports = Reports(job, "cpu")
    for epoch in epochs_with(SCORES):
        reports.epoch_ended(epoch.epoch, epoch.metrics)
    expected = reports.finished()
    assert isinstance(expected, Ended)
    outcome = result_so_far(job, epochs_with(SCORES), CUT, State.COMPLETE)
    assert outcome == replace(expected.outcome, seconds=3.5)


@pytest.mark.parametrize("config", [{"command": ["x"]}, {"data": {"source": "iris"}}])
def test_a_trial_without_an_epoch_or_a_required_metric_has_no_result(config):
    bounded = replace(ACCURACY, constraints=(Constraint("size", 3.0),))
    assert result_so_far(make_job(0, config, ACCURACY), [], CUT, State.COMPLETE) is None
    job = make_job(0, config, bounded)
    assert result_so_far(job, epochs_with(SCORES), CUT, State.COMPLETE) is None
    assert result_so_far(job, epochs_with(SCORES, size=1.0), CUT, State.COMPLETE) is not None


STUDY = """\
study: timed
seed: 3
objective: {metric: val_loss, direction: minimize}
trial: {command: [sh, -c, "exit 1", "{x}"], params: {x: {uniform: [0, 1]}}}
search: {sampler: random, trials: 4, lookahead: 1}
run: {device: cpu, trial_limit: {time: 60}, on_failure: {timeout: KEEP}}
"""


class Slow(FakeEngine):
    """Every trial reaches its time limit: the odd ones without an epoch. Their workers are killed."""

    def _events_of(self, job: Job) -> Iterator[Event]:
        assert job.limits.is_kept == self.is_kept
        yield Started(job.number, job.attempt, "cpu", 1)
        if job.number % 2 == 0:
            yield EpochEnded(job.number, job.attempt, 1, 0, {"val_loss": job.number / 10}, 0.1)
        yield Ended(job.number, job.attempt, CUT)


@pytest.mark.parametrize("policy", ["keep", "skip"])
def test_a_killed_trial_keeps_the_score_on_record_only_if_the_file_says_so(tmp_path: Path, policy):
    path = tmp_path / "timed.yaml"
    path.write_text(STUDY.replace("KEEP", policy))
    engine = Slow(2, random.Random(1))
    engine.is_kept = policy == "keep"
    with begin(load_checked(path, ()), tmp_path / "run") as study:
        sweep(study, Silent(), engine)
        trials, limits = study.log.trials(), study.log.ended_early()
    if policy == "skip":
        assert {trial.state for trial in trials} == {State.FAILED}
        assert limits == {}
        return
    assert [trial.state for trial in trials] == [State.COMPLETE, State.FAILED] * 2
    assert [trial.outcome and trial.outcome.score for trial in trials] == [0.0, None, 0.2, None]
    assert limits == {0: CUT.failure, 2: CUT.failure}
    failure = trials[1].outcome and trials[1].outcome.failure
    assert failure == Failure(FailureKind.TIMEOUT, "1 s has passed, and the trial has no val_loss so far")
