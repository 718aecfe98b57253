"""One rule says when a trial is worse than it may be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.messages import Job
from tunecli.objective import Objective
from tunecli.search.pruners.registry import Bounds, decide
from tunecli.train.stopping import is_pruned, never


def job_of(stop_above: tuple[float | None, ...], stop_epochs: tuple[int, ...] = ()) -> Job:
    return Job(0, 1, {}, Objective("val_loss", False), 1, 1, stop_above=stop_above, stop_epochs=stop_epochs)


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
        ((None, 1.0, None), 1, 3, 5.0, False),  # what the trial's loss was at epoch 2 is not known
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
def test_a_bound_holds_from_its_epoch_on_up_to_the_next(last: int, epoch: int, is_over: bool) -> None:
    assert is_pruned(job_of((1.0, 7.0, 2.0), (10, 20, 30)), last, epoch, 5.0) is is_over


some_bounds = st.dictionaries(st.integers(1, 30), st.none() | st.floats(-3, 3), max_size=6)
some_curves = st.dictionaries(st.integers(1, 40), st.floats(-3, 3), min_size=1, max_size=8)


@given(some_bounds, some_curves)
def test_whoever_trains_ends_a_trial_where_the_pruner_says(
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


def test_nobody_asks_to_stop() -> None:
    assert not never()
