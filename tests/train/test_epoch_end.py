"""The rules for an epoch's end: failure, the kept epoch, pruning, early stopping and the last epoch."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.jobs import change_job, make_job
from tests.support.pruning import decide
from tunecli.config.schema.training import EarlyStop
from tunecli.messages import Job
from tunecli.objective import Objective
from tunecli.search.protocols import Bounds
from tunecli.train.epoch_end import TrialProgress, end_epoch, end_training, is_pruned, never
from tunecli.trial import Failure, FailureKind, State


def job_of(stop_above: tuple[float | None, ...], stop_epochs: tuple[int, ...] = ()) -> Job:
    return make_job(0, {}, Objective("val_loss", False), 1, 1, stop_above=stop_above, stop_epochs=stop_epochs)


@pytest.mark.parametrize(
    ("stop_above", "last", "epoch", "least", "is_over"),
    [
        ((), 0, 1, math.inf, False),
        ((None, 1.0), 0, 1, 5.0, False),
        ((None, 1.0), 1, 2, 1.0, False),
        ((None, 1.0), 1, 2, math.nextafter(1.0, 2.0), True),
        ((None, -0.9), 1, 2, -0.95, False),
        ((1.0, None), 1, 2, 5.0, False),
        ((None, 1.0), 2, 3, 5.0, False),
        ((None, 1.0, None), 1, 3, 5.0, False),  # the trial's loss at epoch 2 is unknown
        ((None, 1.0, 6.0), 1, 3, 5.0, False),
        ((1.0, None, None), 1, 3, 5.0, False),
        ((None, 1.0), 1, 9, 5.0, True),  # the first report past the last bound
        ((None, 1.0), 2, 9, 5.0, False),
    ],
)
def test_a_trial_is_pruned_above_the_bound_of_its_epoch_and_not_on_it(
    stop_above: tuple[float | None, ...], last: int, epoch: int, least: float, is_over: bool
) -> None:
    assert is_pruned(job_of(stop_above), last, epoch, least) is is_over
    epochs = tuple(range(1, len(stop_above) + 1))
    assert is_pruned(job_of(stop_above, epochs), last, epoch, least) is is_over


@pytest.mark.parametrize(
    ("last", "epoch", "is_over"),
    [
        (0, 9, False),
        (0, 10, True),
        (0, 19, True),
        (0, 20, False),
        (20, 29, False),
        (0, 30, True),
        (10, 99, True),
    ],
)
def test_a_bound_holds_from_its_epoch_to_the_next_bound(last: int, epoch: int, is_over: bool) -> None:
    assert is_pruned(job_of((1.0, 7.0, 2.0), (10, 20, 30)), last, epoch, 5.0) is is_over


some_bounds = st.dictionaries(st.integers(1, 30), st.none() | st.floats(-3, 3), max_size=6)
some_curves = st.dictionaries(st.integers(1, 40), st.floats(-3, 3), min_size=1, max_size=8)


@given(some_bounds, some_curves)
def test_training_prunes_a_trial_at_the_epoch_that_the_pruner_decides(
    bounds: dict[int, float | None], curve: dict[int, float]
) -> None:
    epochs = tuple(sorted(bounds))
    losses = tuple(bounds[epoch] for epoch in epochs)
    told = sorted(curve.items())
    job, least, last = job_of(losses, epochs), math.inf, 0
    for n, (epoch, loss) in enumerate(told, start=1):
        least = min(least, loss)
        assert is_pruned(job, last, epoch, least) is decide(Bounds(epochs, losses), told[:n])
        last = epoch


def test_the_default_stop_request_is_false() -> None:
    assert not never()


def losses_of(*val_losses: float) -> list[dict[str, float]]:
    return [{"train_loss": 1.0, "val_loss": loss} for loss in val_losses]


def test_a_trial_is_complete_after_its_planned_epochs() -> None:
    job, progress = job_of(()), TrialProgress()
    endings = [end_epoch(job, progress, each, None, 3).ending for each in losses_of(3.0, 1.0, 2.0)]
    assert endings == [None, None, State.COMPLETE]
    assert (progress.epochs, progress.kept_epoch, progress.kept_loss, progress.least_loss) == (3, 3, 2.0, 1.0)


def test_early_stopping_keeps_the_best_epoch_and_ends_when_patience_runs_out() -> None:
    job, progress, early_stop = job_of(()), TrialProgress(), EarlyStop(patience=2)
    endings = [end_epoch(job, progress, each, early_stop, 9).ending for each in losses_of(3.0, 1.0, 2.0, 2.0)]
    assert endings == [None, None, None, State.COMPLETE]
    assert (progress.kept_epoch, progress.kept_loss) == (2, 1.0)


def test_a_bound_prunes_a_trial_before_its_patience_is_counted() -> None:
    progress = TrialProgress()
    end = end_epoch(job_of((1.0,)), progress, losses_of(2.0)[0], EarlyStop(patience=1), 9)
    assert end.ending is State.PRUNED
    assert progress.stale_epochs == 0


def test_weights_are_copied_only_after_an_epoch_that_may_be_the_result() -> None:
    job, progress = change_job(job_of(()), weights_path="w", keep_below=2.5), TrialProgress()
    copies = [end_epoch(job, progress, each, None, 2).keeps_weights for each in losses_of(1.0, 2.0)]
    assert copies == [False, True]
    assert not end_epoch(job, TrialProgress(), losses_of(3.0)[0], None, 1).keeps_weights


@pytest.mark.parametrize(
    ("metrics", "kind"),
    [
        ({}, FailureKind.DIVERGED),
        ({"train_loss": 1.0}, FailureKind.DIVERGED),
        ({"val_loss": 1.0}, FailureKind.DIVERGED),
    ],
)
def test_a_loss_that_is_not_finite_is_a_divergence(metrics: dict[str, float], kind: FailureKind) -> None:
    failure = end_epoch(job_of(()), TrialProgress(), metrics, None, 9).ending
    assert isinstance(failure, Failure)
    assert failure.kind is kind


def test_a_complete_trial_without_a_value_for_an_objective_has_failed() -> None:
    progress = TrialProgress(metrics={"train_loss": 1.0})
    failure = end_training(job_of(()), progress, dict)
    assert isinstance(failure, Failure)
    assert failure.cause.startswith("val_loss has no value")
