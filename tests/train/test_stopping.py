"""One rule says when a trial is worse than it may be."""

from __future__ import annotations

import math

import pytest

from tunecli.train.stopping import is_pruned, never


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
        ((None, 1.0, None), 1, 3, 5.0, True),  # an epoch that was never told
        ((1.0, None, None), 1, 3, 5.0, False),
    ],
)
def test_a_trial_is_pruned_above_its_bound_and_not_on_it(
    stop_above: tuple[float | None, ...], last: int, epoch: int, least: float, is_over: bool
) -> None:
    assert is_pruned(stop_above, last, epoch, least) is is_over


def test_nobody_asks_to_stop() -> None:
    assert not never()
