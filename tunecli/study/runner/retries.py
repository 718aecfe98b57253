"""What follows from a failure, and from what was spent: which trial is tried again, and when no more is begun; and
whose weights are worth keeping.

Pure functions of the record (law 1).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from tunecli.config.run import Limit, OnFailure
from tunecli.objective import Objective
from tunecli.trial import FailedAttempt, Failure, FailureKind, Trial

FAILED_ALIKE = 5
"""If the first trials all fail with one message, this many of them end the sweep."""
_NUMBERS = re.compile(
    r"0x[0-9a-f]+"  # an address
    r"|(?<![a-z0-9])(?=[a-f-]*[0-9])[0-9a-f]{8,}(-[0-9a-f]{4,12})*(?![a-z0-9])"  # a hash, a UUID
    r"|(?<![a-z0-9])tmp[a-z0-9_]{8}(?![a-z0-9_])"  # a temporary file's name
    r"|[-+]?[0-9][0-9.]*(e[-+]?[0-9]+)?",
    re.IGNORECASE,
)
_MOST_PARTS = 64  # of a batch; with parts this small, what is too large is the model


def is_tried_again(
    policy: OnFailure, failure: Failure, setbacks: Sequence[FailedAttempt], *, can_split: bool
) -> bool:
    """Whether the attempt that failed is a setback, and not the trial's end.

    Args:
        policy: what the file says of each kind.
        failure: how the attempt ended.
        setbacks: of the trial's earlier attempts.
        can_split: whether the trial's batches can be split: our own loop trains it.
    """
    said = policy.of(failure.kind)
    if said == "split":
        return can_split and micro_batches(policy, setbacks) < _MOST_PARTS
    return said == "retry" and not any(setback.failure.kind is failure.kind for setback in setbacks)


def micro_batches(policy: OnFailure, setbacks: Sequence[FailedAttempt]) -> int:
    """Into how many parts the next attempt splits each batch: twice as many after every lack of memory."""
    if policy.oom != "split":
        return 1
    n_full = sum(setback.failure.kind is FailureKind.OOM for setback in setbacks)
    return int(2**n_full)


def spent_by(limit: Limit, n_epochs: int, n_failed: int) -> str:
    """Which total so many epochs and failures spend; empty where they spend none."""
    if limit.epochs is not None and n_epochs >= limit.epochs:
        return "epochs"
    return "failures" if limit.failures and n_failed >= limit.failures else ""


def fail_alike(limit: Limit, ends: Iterable[Failure | None]) -> bool:
    """Whether all visible trials failed with the same message, and they are at least `FAILED_ALIKE`.

    A wrong name or a missing package fails every trial, and the rest of the sweep would only repeat it.

    Args:
        limit: what the file says; with any number of failures, 0 included, that alone counts.
        ends: of the trials that may be seen, in order: how each failed; None: it did not.
    """
    if limit.failures is not None:
        return False
    first, n_alike = None, 0
    for failure in ends:
        if failure is None or (first is not None and _without_digits(failure) != first):
            return False
        first, n_alike = _without_digits(failure), n_alike + 1
    return n_alike >= FAILED_ALIKE


def _without_digits(failure: Failure) -> tuple[FailureKind, str]:
    return failure.kind, _NUMBERS.sub("0", failure.cause)


def keep_below(leaders: Sequence[Trial], objective: Objective) -> float | None:
    """The loss that a trial's must be below for its weights to be worth keeping; None: they are, whatever it is.

    So they are where constraints or further goals say more than the loss does; then others' go once it has ended.
    """
    if objective.further_objectives or objective.constraints or not leaders:
        return None
    outcome = leaders[0].outcome
    if outcome is None or outcome.score is None:
        return None
    # A tie is kept too: of two equal trials the one with the lower number may end last.
    return math.nextafter(objective.sign * outcome.score, math.inf)
