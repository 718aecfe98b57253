"""A group of trials: a trial that ends leaves the group, and the others do not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.jobs import change_job
from tests.train.fused.trials import checkpoints_of, epochs_of, job_of, outcomes_of
from tunecli.messages import Ended, EpochEnded, Job, Started, Stopped
from tunecli.objective import Objective
from tunecli.train.fused.group import run_group
from tunecli.train.loop import run
from tunecli.trial import Checkpoint, FailureKind, State

LONG: dict[str, Any] = {
    "model": {"name": "mlp", "hidden": [16], "dropout": 0.2},
    "training": {"epochs": 8, "batch_size": 32},
}


def test_each_trial_yields_its_start_every_epoch_and_one_end() -> None:
    jobs = [job_of(number) for number in (5, 2, 9)]
    events = [*run_group(jobs)]
    assert [event.number for event in events[:3] if isinstance(event, Started)] == [5, 2, 9]
    for job in jobs:
        own = [event for event in events if event.number == job.number]
        assert [type(event) for event in own] == [Started, EpochEnded, EpochEnded, EpochEnded, Ended]
        assert [event.epoch for event in own if isinstance(event, EpochEnded)] == [1, 2, 3]
        (outcome,) = outcomes_of(own).values()
        last = own[-2]
        assert isinstance(last, EpochEnded)
        assert (outcome.state, outcome.epochs, outcome.kept_epoch) == (State.COMPLETE, 3, 3)
        assert outcome.metrics == last.metrics
        assert outcome.score == last.metrics["val_accuracy"]
        assert outcome.device == "cpu"


def test_the_time_of_a_group_is_divided_among_its_trials() -> None:
    events = [*run_group([job_of(number) for number in range(4)])]
    epochs_s = sum(event.seconds for event in events if isinstance(event, EpochEnded))
    assert sum(outcome.seconds for outcome in outcomes_of(events).values()) == pytest.approx(
        epochs_s, rel=0.2
    )


def test_trials_that_end_early_do_not_change_the_bits_of_the_others() -> None:
    pruned = job_of(0, LONG, stop_above=[None, -2.0])
    diverged = job_of(1, {**LONG, "optimizer": {"name": "adam", "lr": 1e30}})
    short = job_of(2, {**LONG, "training": {"epochs": 3, "batch_size": 32}})
    patient = job_of(3, {**LONG, "training": {"epochs": 8, "batch_size": 32, "early_stop": {"patience": 1}}})
    whole = [job_of(number, LONG) for number in (4, 5, 6)]
    jobs = [whole[0], pruned, diverged, whole[1], short, patient, whole[2]]
    outcomes = outcomes_of(events := [*run_group(jobs)])
    assert (outcomes[0].state, outcomes[0].epochs) == (State.PRUNED, 2)
    assert outcomes[1].failure is not None
    assert outcomes[1].failure.kind is FailureKind.DIVERGED
    assert outcomes[2].epochs == 3
    plain = outcomes_of(run(patient))[3]
    assert (outcomes[3].epochs, outcomes[3].kept_epoch) == (plain.epochs, plain.kept_epoch)
    for job in whole:
        told = [
            event.metrics for event in events if isinstance(event, EpochEnded) and event.number == job.number
        ]
        assert told == epochs_of(run_group([job]))[job.number]


def test_the_best_epochs_weights_are_kept_under_early_stopping(tmp_path: Path) -> None:
    training = {"epochs": 8, "batch_size": 32, "early_stop": {"patience": 2}}
    jobs = [
        job_of(
            number, {**LONG, "training": training}, weights_path=str(tmp_path / str(number)), keep_below=bound
        )
        for number, bound in ((0, None), (1, -2.0))
    ]
    outcomes = outcomes_of(run_group(jobs))
    assert (tmp_path / "0").is_file()
    assert not (tmp_path / "1").exists()
    assert (bool(outcomes[0].weights_sha256), bool(outcomes[1].weights_sha256)) == (True, False)


def after(job: Job, events: list[Any], epoch: int) -> Job:
    """The job of a second attempt, with its checkpoint of ``epoch``."""
    kept = [
        event.checkpoint for event in checkpoints_of(events, job.number) if event.checkpoint.epoch == epoch
    ]
    assert kept
    return change_job(job, attempt=2, checkpoints=kept)


OPTIMIZERS = [
    "sgd",
    "gd",
    "adam",
    "adamw",
    "nadam",
    "radam",
    "adamax",
    "adagrad",
    "adadelta",
    "rmsprop",
    "rprop",
    "asgd",
]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_trial_continues_from_a_checkpoint_of_either_loop(name: str, tmp_path: Path) -> None:
    momentum = {"momentum": 0.9} if name == "sgd" else {}
    exclude = {} if name == "rprop" else {"decay_exclude": ["bias"]}
    config = {
        **LONG,
        "optimizer": {"name": name, **momentum, **exclude},
        "learning_rate": ["cosine", {"cut": {"on_plateau": {"patience": 0}, "factor": 0.5}}],
        "weights": [{"cut": {"fraction": 0.3, "from_epoch": 1}}],
        "training": {"epochs": 4, "batch_size": 32, "average": "ema", "early_stop": {"patience": 4}},
    }
    knobs = {"checkpoints_path": str(tmp_path), "checkpoint_epochs": 2}
    jobs = [job_of(number, config, **knobs) for number in range(3)]
    fused = [*run_group(jobs)]
    told = epochs_of(fused)
    again = [after(job, fused, 2) for job in jobs]
    resumed = [*run_group(again)]
    assert [event.from_epoch for event in resumed if isinstance(event, Started)] == [2, 2, 2]
    assert epochs_of(resumed) == {number: epochs[2:] for number, epochs in told.items()}

    alone = epochs_of(run(again[1]))[1]
    for found, expected in zip(alone, told[1][2:], strict=True):
        assert found["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-5)
    plain = [*run(jobs[1])]
    back = epochs_of(run_group([again[0], after(jobs[1], plain, 2)]))
    assert back[0] == told[0][2:]
    for found, expected in zip(back[1], told[1][2:], strict=True):
        assert found["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-5)


def test_trials_at_different_epochs_train_in_one_group(tmp_path: Path) -> None:
    config = {**LONG, "training": {"steps": 14, "batch_size": 32}}
    jobs = [job_of(n, config, checkpoints_path=str(tmp_path), checkpoint_epochs=1) for n in range(2)]
    fused = [*run_group(jobs)]
    told = epochs_of(fused)
    mixed = epochs_of(run_group([after(jobs[0], fused, 3), jobs[1]]))
    assert mixed == {0: told[0][3:], 1: told[1]}


def test_the_statistics_of_batch_norm_are_saved(tmp_path: Path) -> None:
    model = {"name": "mlp", "hidden": [16], "norm": "batch", "dropout": 0.1}
    config = {**LONG, "model": model, "training": {"epochs": 3, "batch_size": 32}}
    jobs = [job_of(n, config, checkpoints_path=str(tmp_path), checkpoint_epochs=1) for n in range(2)]
    fused = [*run_group(jobs)]
    resumed = epochs_of(run_group([after(job, fused, 1) for job in jobs]))
    assert resumed == {number: epochs[1:] for number, epochs in epochs_of(fused).items()}


def test_a_stop_leaves_every_trial_at_a_checkpoint(tmp_path: Path) -> None:
    jobs = [job_of(n, LONG, checkpoints_path=str(tmp_path), checkpoint_epochs=0) for n in range(3)]
    asked = iter([False, True])
    events = [*run_group(jobs, lambda: next(asked))]
    assert [event.number for event in events if isinstance(event, Stopped)] == [0, 1, 2]
    assert [checkpoints_of(events, n)[0].checkpoint.epoch for n in range(3)] == [2, 2, 2]
    assert not outcomes_of(events)
    resumed = epochs_of(run_group([after(job, events, 2) for job in jobs]))
    assert resumed == {number: epochs[2:] for number, epochs in epochs_of(run_group(jobs)).items()}


def test_a_damaged_checkpoint_is_noted_and_skipped(tmp_path: Path) -> None:
    job = job_of(0, checkpoints_path=str(tmp_path), checkpoints=(Checkpoint("gone", "0" * 64, 2),))
    first, *_ = run_group([job, job_of(1)])
    assert isinstance(first, Started)
    assert first.note == "checkpoint of epoch 2 is missing; began from the start"


def test_a_trial_that_cannot_be_built_fails_alone() -> None:
    broken = job_of(0, {"model": {"name": "cnn", "channels": [4]}})
    outcomes = outcomes_of(run_group([broken, job_of(1)]))
    assert outcomes[0].state is State.FAILED
    assert outcomes[1].state is State.COMPLETE


def test_each_trial_of_a_failed_group_runs_alone_without_repeated_events() -> None:
    jobs = [job_of(number, LONG) for number in range(3)]
    fails = iter([False, True])

    def ask() -> bool:
        if next(fails, False):
            raise torch.OutOfMemoryError("no room for so many")
        return False

    events = [*run_group(jobs, ask)]
    for job in jobs:
        own = [event for event in events if event.number == job.number]
        assert isinstance(own[0], Started)
        assert [event.epoch for event in own[1:-1] if isinstance(event, EpochEnded)] == [*range(1, 9)]
        told = [event.metrics for event in own if isinstance(event, EpochEnded)]
        assert told == epochs_of(run_group([job]))[job.number]
        assert isinstance(own[-1], Ended)
        assert own[-1].outcome.state is State.COMPLETE


def test_a_trial_that_fails_alone_reports_its_cause() -> None:
    def ask() -> bool:
        raise torch.OutOfMemoryError("no room at all")

    outcomes = outcomes_of(run_group([job_of(0), job_of(1)], ask))
    for outcome in outcomes.values():
        assert outcome.failure is not None
        assert (outcome.failure.kind, outcome.epochs) == (FailureKind.OOM, 1)


def test_torchs_global_generator_is_untouched_even_between_epochs() -> None:
    before = torch.get_rng_state()
    for _ in run_group([job_of(number, LONG) for number in range(2)]):
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("source", ["iris", "wine", "breast_cancer", "digits"])
@pytest.mark.parametrize("place", range(4))
def test_a_model_with_nan_outputs_diverges_without_changing_its_neighbours(source: str, place: int) -> None:
    one_step = {
        "data": {"source": source},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "training": {"epochs": 3, "batch_size": "full"},
    }
    jobs = [job_of(number, one_step) for number in range(4)]
    jobs[place] = job_of(place, {**one_step, "optimizer": {"name": "sgd", "lr": 1e30}})
    events = [*run_group(jobs)]
    outcomes = outcomes_of(events)
    failure = outcomes[place].failure
    assert failure is not None and failure.kind is FailureKind.DIVERGED
    assert not [event for event in events if isinstance(event, EpochEnded) and event.number == place]
    for job in jobs:
        if job.number != place:
            told = [
                event.metrics
                for event in events
                if isinstance(event, EpochEnded) and event.number == job.number
            ]
            assert told == epochs_of(run_group([job]))[job.number]
            assert all(0.0 <= told[-1][name] <= 1.0 for name in told[-1] if not name.endswith("loss"))


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("metric", ["val_accuracy", "val_auroc", "val_f1", "train_loss"])
def test_a_model_with_nan_outputs_has_no_score_for_any_objective(metric: str, is_fused: bool) -> None:
    broken = {"optimizer": {"name": "sgd", "lr": 1e30}, "training": {"epochs": 1, "batch_size": "full"}}
    job = job_of(0, broken, Objective(metric, metric != "train_loss"))
    outcome = outcomes_of(run_group([job]) if is_fused else run(job))[0]
    assert outcome.failure is not None and outcome.failure.kind is FailureKind.DIVERGED
    assert outcome.score is None
