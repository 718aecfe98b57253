"""The training subset of a long record."""

from __future__ import annotations

from tunecli.search.bo.training_subset import ScoredTrial, training_subset
from tunecli.trial import Observation, State


def scored(n: int) -> list[ScoredTrial]:
    return [(Observation(i, {}, State.COMPLETE, float(i * 7 % n)), float(i * 7 % n)) for i in range(n)]


def failed(n: int) -> list[Observation]:
    return [Observation(1000 + i, {}, State.FAILED) for i in range(n)]


def test_a_short_record_is_used_whole() -> None:
    assert training_subset(scored(60), failed(40), 100) == (scored(60), failed(40))


def test_a_long_record_keeps_the_best_half_and_a_spread_of_the_others() -> None:
    kept, none = training_subset(scored(1000), [], 100)
    losses = sorted(loss for _, loss in kept)
    assert none == []
    assert losses[:50] == [float(i) for i in range(50)]
    assert losses[50:] == [float(50 + i * 19) for i in range(50)]
    assert [o.number for o, _ in kept] == sorted(o.number for o, _ in kept)


def test_the_latest_failures_are_kept_and_never_displace_the_losses() -> None:
    kept, latest = training_subset(scored(1000), failed(500), 100)
    assert (len(kept), latest) == (75, failed(500)[-25:])
    kept, latest = training_subset(scored(3), failed(500), 100)
    assert (len(kept), latest) == (3, failed(500)[-97:])
