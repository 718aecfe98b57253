"""Jobs and events as JSON bytes: the only form in which they cross a process boundary.

Nothing is pickled (law 1), so a worker can be of another process, another machine or another version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from tunecli.errors import DiskFull, StoreFailed
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job, Paused, Started, Stopped
from tunecli.objective import Constraint, Objective
from tunecli.trial import Checkpoint, Failure, FailureKind, Outcome, State

_KINDS: dict[str, type[Event]] = {
    "started": Started,
    "epoch": EpochEnded,
    "checkpoint": Checkpointed,
    "stopped": Stopped,
    "paused": Paused,
    "ended": Ended,
}
_FAILURES_OF_OURS: dict[str, type[DiskFull | StoreFailed]] = {
    "DiskFull": DiskFull,
    "StoreFailed": StoreFailed,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def pack_jobs(jobs: Sequence[Job]) -> bytes:
    """The jobs as JSON."""
    return json.dumps([_body(job) for job in jobs], default=asdict).encode()


def unpack_jobs(data: bytes) -> list[Job]:
    """The inverse of :func:`pack_jobs`."""
    return [_job(body) for body in json.loads(data)]


def _body(of: Job | Event) -> dict[str, Any]:
    """The fields as they are: `asdict` would copy all that is in them, which takes ten times as long."""
    return {each.name: getattr(of, each.name) for each in fields(of)}


def _job(body: dict[str, Any]) -> Job:
    body["objective"] = _objective(body["objective"])
    body["checkpoints"] = tuple(Checkpoint(**each) for each in body["checkpoints"])
    body["recorded"] = tuple((epoch, metrics) for epoch, metrics in body["recorded"])
    body |= {name: tuple(value) for name, value in body.items() if isinstance(value, list)}
    return Job(**body)


def _objective(body: dict[str, Any]) -> Objective:
    further = tuple(_objective(each) for each in body["further_objectives"])
    constraints = tuple(Constraint(**each) for each in body["constraints"])
    return Objective(**{**body, "further_objectives": further, "constraints": constraints})


def pack_event(event: Event) -> bytes:
    """The event as JSON."""
    return json.dumps({"kind": _NAMES[type(event)], **_body(event)}, default=asdict).encode()


def pack_failure_of_ours(error: DiskFull | StoreFailed) -> bytes:
    """What stops the whole sweep, and not one trial, in the place of an event."""
    return json.dumps({"kind": type(error).__name__, "message": error.message, "hint": error.hint}).encode()


def unpack_event(data: bytes) -> Event:
    """The inverse of :func:`pack_event`.

    Raises:
        DiskFull, StoreFailed: the worker sent :func:`pack_failure_of_ours`.
    """
    body: dict[str, Any] = json.loads(data)
    name = body.pop("kind")
    if name in _FAILURES_OF_OURS:
        raise _FAILURES_OF_OURS[name](body["message"], hint=body["hint"])
    kind = _KINDS[name]
    if kind is Checkpointed:
        body["checkpoint"] = Checkpoint(**body["checkpoint"])
    if kind in (Ended, Paused):
        outcome = body["outcome"]
        failure = outcome["failure"]
        if failure is not None:
            failure = Failure(**{**failure, "kind": FailureKind(failure["kind"])})
        body["outcome"] = Outcome(**{**outcome, "state": State(outcome["state"]), "failure": failure})
    return kind(**body)
