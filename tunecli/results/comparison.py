"""Comparison of two runs of one trial: their verdict, and their largest differences.

Owns the definition of "the same": identical to the last bit, within a relative tolerance, or not reproduced. Only this
module states the tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from tunecli.config.metrics import LEARNING_RATE
from tunecli.messages import EpochEnded
from tunecli.trial import Outcome, State

RELATIVE_TOLERANCE = 1e-6
_Pair = tuple[int, Mapping[str, float], Mapping[str, float]]


class Verdict(StrEnum):
    """The result of running a recorded trial again."""

    IDENTICAL = "bit-identical"
    WITHIN_TOLERANCE = "within tolerance"
    FAILED_AGAIN = "failed again"
    NOT_REPRODUCED = "not reproduced"
    NOT_REPEATABLE = "not repeatable"  # a clock or a person ended the trial before its first epoch


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a trial: its epochs in order, and its outcome."""

    epochs: Sequence[EpochEnded]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric that differs between the two runs.

    Attributes:
        metric: its name; ``score`` for the trial's score.
        epoch: counts from 1; 0: the metrics and the score of the trial's outcome.
        recorded: its value on record.
        again: its value in the second run.
    """

    metric: str
    epoch: int
    recorded: float
    again: float

    @property
    def absolute(self) -> float:
        """The absolute difference, at least 0; infinite if one of the values is not finite."""
        return abs(self.recorded - self.again) if self._is_finite else math.inf

    @property
    def relative(self) -> float:
        """The absolute difference over the larger magnitude, as in ``math.isclose``: in [0, 2], or infinite."""
        if not self._is_finite:
            return math.inf
        return self.absolute / (max(abs(self.recorded), abs(self.again)) or 1.0)

    @property
    def _is_finite(self) -> bool:
        return math.isfinite(self.recorded) and math.isfinite(self.again)


_ADDED_LATER = frozenset({LEARNING_RATE})  # metrics that an earlier tunecli did not record


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two runs of a trial.

    Attributes:
        verdict: the result.
        reason: a difference that no tolerance covers, such as another state, in a few words; empty: there is none.
        absolute: the metric with the largest absolute difference; None: no metric differs.
        relative: the metric with the largest relative difference; None: no metric differs.
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
    """Compare a second run of a trial with its record: every metric of every epoch, and the score.

    A failure is reproduced if the second run fails with the same kind. For a pruned trial only the epochs are compared.

    Args:
        recorded: the run on record.
        again: the second run of the same trial.
        tolerance: the largest relative difference that counts as within tolerance, at least 0.
        uncounted: metrics that may differ, possibly ``score``: a clock never gives the same value twice.
    """
    reason = _mismatch(recorded, again)
    if recorded.outcome.state is State.FAILED and not reason:
        return Comparison(Verdict.FAILED_AGAIN)
    differences = [
        difference
        for pair in _pairs(recorded, again)
        for difference in _differences(pair)
        if difference.metric not in uncounted
    ]
    if not differences:
        return Comparison(Verdict.NOT_REPRODUCED if reason else Verdict.IDENTICAL, reason)
    absolute = max(differences, key=lambda difference: difference.absolute)
    relative = max(differences, key=lambda difference: difference.relative)
    is_near = not reason and relative.relative <= tolerance
    verdict = Verdict.WITHIN_TOLERANCE if is_near else Verdict.NOT_REPRODUCED
    return Comparison(verdict, reason, absolute, relative)


def _mismatch(recorded: RunRecord, again: RunRecord) -> str:
    """The first difference that no tolerance covers, in a few words; empty: there is none."""
    then, now = recorded.outcome, again.outcome
    if _kind(then) != _kind(now):
        why = f" ({now.failure.cause})" if now.failure else ""
        return f"it is {_kind(now)}{why}, but the record says {_kind(then)}"
    if then.state is State.FAILED:
        return ""
    counts = [
        ("epochs trained", then.epochs, now.epochs),
        ("epochs reported", len(recorded.epochs), len(again.epochs)),
    ]
    if then.state is State.COMPLETE:
        counts.append(("kept epoch", then.kept_epoch, now.kept_epoch))
    for label, before, after in counts:
        if before != after:
            return f"{label}: {after}, but the record says {before}"
    for epoch, metrics, metrics_again in _pairs(recorded, again):
        different = metrics.keys() ^ metrics_again.keys()
        if different - (_ADDED_LATER - metrics.keys()):
            names = ", ".join(sorted(different))
            return f"{names}: measured in only one of the two runs{f', in epoch {epoch}' if epoch else ''}"
    return ""


def _kind(outcome: Outcome) -> str:
    return f"failed: {outcome.failure.kind.value}" if outcome.failure else outcome.state.shown.value


def _pairs(recorded: RunRecord, again: RunRecord) -> Iterator[_Pair]:
    """The metrics of both runs for every epoch that both have, then the metrics of both outcomes, as epoch 0."""
    metrics_again = {event.epoch: event.metrics for event in again.epochs}
    for event in recorded.epochs:
        if event.epoch in metrics_again:
            yield event.epoch, event.metrics, metrics_again[event.epoch]
    if recorded.outcome.state is again.outcome.state is State.COMPLETE:
        yield 0, _final(recorded.outcome), _final(again.outcome)


def _final(outcome: Outcome) -> Mapping[str, float]:
    return {**outcome.metrics, **({} if outcome.score is None else {"score": outcome.score})}


def _differences(pair: _Pair) -> Iterator[Difference]:
    epoch, recorded, again = pair
    for metric, value in recorded.items():
        # Hexadecimal text distinguishes -0.0 from 0.0, and a NaN equals itself.
        if metric in again and float(value).hex() != float(again[metric]).hex():
            yield Difference(metric, epoch, value, again[metric])
