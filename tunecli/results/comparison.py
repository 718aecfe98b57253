"""A trial that was run twice: whether the second time gave what the first did, and how far off it is.

Owns what counts as the same: to the last bit, within a relative tolerance, or not. Knows neither where the two courses
come from nor why they may differ. The tolerance is stated here, once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from tunecli.messages import EpochEnded
from tunecli.trial import Outcome, State

RELATIVE_TOLERANCE = 1e-6
_Pair = tuple[int, Mapping[str, float], Mapping[str, float]]


class Verdict(StrEnum):
    """What became of a trial that was run again."""

    IDENTICAL = "bit-identical"
    WITHIN_TOLERANCE = "within tolerance"
    FAILED_AGAIN = "failed again"
    NOT_REPRODUCED = "not reproduced"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a trial gave, run once: its epochs in order, and how it ended."""

    epochs: Sequence[EpochEnded]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric that is not the same; ``epoch`` counts from 1, 0 is the trial's own metrics and its ``score``."""

    metric: str
    epoch: int
    recorded: float
    again: float

    @property
    def absolute(self) -> float:
        """At least 0; infinite where one of the two is no finite number."""
        return abs(self.recorded - self.again) if self._is_finite else math.inf

    @property
    def relative(self) -> float:
        """The absolute difference over the larger magnitude, as ``math.isclose`` has it; in [0, 2], or infinite."""
        if not self._is_finite:
            return math.inf
        return self.absolute / (max(abs(self.recorded), abs(self.again)) or 1.0)

    @property
    def _is_finite(self) -> bool:
        return math.isfinite(self.recorded) and math.isfinite(self.again)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two courses side by side.

    Attributes:
        verdict: what to call it.
        reason: what else than a number is not the same, in a few words; empty where nothing is.
        absolute: where the absolute difference is largest; None where no metric differs.
        relative: where the relative one is.
    """

    verdict: Verdict
    reason: str = ""
    absolute: Difference | None = None
    relative: Difference | None = None


def compare(
    recorded: RunRecord,
    again: RunRecord,
    *,
    tolerance: float = RELATIVE_TOLERANCE,
    uncounted: Set[str] = frozenset(),
) -> Comparison:
    """Hold what a trial gave against the record of it: every metric of every epoch, and the score.

    A failure is reproduced where it fails again with the same kind. Of a pruned trial only the epochs count.

    Args:
        recorded: the course on record.
        again: the same trial's, run once more.
        tolerance: the largest relative difference that may be called a tolerance, at least 0.
        uncounted: metrics, ``score`` among them, that need not be the same: a clock's never are.
    """
    reason = _mismatch(recorded, again)
    if recorded.outcome.state is State.FAILED and not reason:
        return Comparison(Verdict.FAILED_AGAIN)
    differences = [
        each
        for pair in _pairs(recorded, again)
        for each in _differences(pair)
        if each.metric not in uncounted
    ]
    if not differences:
        return Comparison(Verdict.NOT_REPRODUCED if reason else Verdict.IDENTICAL, reason)
    absolute = max(differences, key=lambda each: each.absolute)
    relative = max(differences, key=lambda each: each.relative)
    is_near = not reason and relative.relative <= tolerance
    verdict = Verdict.WITHIN_TOLERANCE if is_near else Verdict.NOT_REPRODUCED
    return Comparison(verdict, reason, absolute, relative)


def _mismatch(recorded: RunRecord, again: RunRecord) -> str:
    """What no tolerance covers."""
    then, now = recorded.outcome, again.outcome
    if _kind(then) != _kind(now):
        why = f" ({now.failure.cause})" if now.failure else ""
        return f"it is {_kind(now)}{why}, and {_kind(then)} on record"
    if then.state is State.FAILED:
        return ""
    counts = [
        ("epochs trained", then.epochs, now.epochs),
        ("epochs reported", len(recorded.epochs), len(again.epochs)),
    ]
    if then.state is State.COMPLETE:
        counts.append(("the epoch that is kept", then.kept_epoch, now.kept_epoch))
    for what, before, after in counts:
        if before != after:
            return f"{what}: {after}, and {before} on record"
    for epoch, metrics, found in _pairs(recorded, again):
        if metrics.keys() != found.keys():
            names = ", ".join(sorted(metrics.keys() ^ found.keys()))
            return f"{names}: measured only once{f' in epoch {epoch}' if epoch else ''}"
    return ""


def _kind(outcome: Outcome) -> str:
    return f"failed: {outcome.failure.kind.value}" if outcome.failure else outcome.state.shown.value


def _pairs(recorded: RunRecord, again: RunRecord) -> Iterator[_Pair]:
    """The metrics of every epoch that both have, then those that the trials ended with."""
    found = {event.epoch: event.metrics for event in again.epochs}
    for event in recorded.epochs:
        if event.epoch in found:
            yield event.epoch, event.metrics, found[event.epoch]
    if recorded.outcome.state is again.outcome.state is State.COMPLETE:
        yield 0, _final(recorded.outcome), _final(again.outcome)


def _final(outcome: Outcome) -> Mapping[str, float]:
    return {**outcome.metrics, **({} if outcome.score is None else {"score": outcome.score})}


def _differences(pair: _Pair) -> Iterator[Difference]:
    epoch, recorded, again = pair
    for metric, value in recorded.items():
        # The text of all bits: it tells -0.0 from 0.0, and a NaN is itself.
        if metric in again and float(value).hex() != float(again[metric]).hex():
            yield Difference(metric, epoch, value, again[metric])
