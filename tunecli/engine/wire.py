"""Serialization of jobs and events as JSON bytes, the only form in which they leave a process.

Nothing is pickled, so a worker can run in another process, on another machine or in another version of Python.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from tunecli.errors import DiskFull, StoreFailed
from tunecli.messages import (
    Checkpointed,
    Ended,
    EpochEnded,
    Event,
    Execution,
    Files,
    Job,
    Limits,
    Paused,
    ResumePoint,
    Started,
    Stopped,
    Surroundings,
    Task,
)
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
_STORAGE_ERRORS: dict[str, type[DiskFull | StoreFailed]] = {
    "DiskFull": DiskFull,
    "StoreFailed": StoreFailed,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def pack_jobs(jobs: Sequence[Job]) -> bytes:
    """The jobs as JSON."""
    return json.dumps([*jobs], default=_fields_of).encode()


def unpack_jobs(data: bytes) -> list[Job]:
    """The inverse of :func:`pack_jobs`."""
    return jobs_of(json.loads(data))


def jobs_of(bodies: Sequence[dict[str, Any]]) -> list[Job]:
    """The jobs whose JSON was read already."""
    return [_job(body) for body in bodies]


def _fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, without copying their values; `asdict` takes ten times as long."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _job(body: dict[str, Any]) -> Job:
    task, resume = body["task"], body["resume"]
    parts = {
        "objective": _objective(task["objective"]),
        "surroundings": Surroundings(**_with_tuples(task["surroundings"])),
    }
    return Job(
        body["number"],
        body["attempt"],
        Task(**{**task, **parts}),
        Files(**body["files"]),
        Limits(**_with_tuples(body["limits"])),
        ResumePoint(
            tuple(Checkpoint(**checkpoint) for checkpoint in resume["checkpoints"]),
            tuple((epoch, metrics) for epoch, metrics in resume["recorded"]),
            resume["epoch_offset"],
        ),
        Execution(**_with_tuples(body["execution"])),
    )


def _with_tuples(body: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}


def _objective(body: dict[str, Any]) -> Objective:
    further = tuple(_objective(objective) for objective in body["further_objectives"])
    constraints = tuple(Constraint(**constraint) for constraint in body["constraints"])
    also = tuple(body["also"])
    return Objective(**{**body, "further_objectives": further, "constraints": constraints, "also": also})


def pack_event(event: Event) -> bytes:
    """The event as JSON."""
    return json.dumps({"kind": _NAMES[type(event)], **_fields_of(event)}, default=_fields_of).encode()


def pack_storage_error(error: DiskFull | StoreFailed) -> bytes:
    """An error that ends the whole sweep, not one trial, as JSON; sent in place of an event."""
    return json.dumps({"kind": type(error).__name__, "message": error.message, "hint": error.hint}).encode()


def unpack_event(data: bytes) -> Event:
    """The inverse of :func:`pack_event`.

    Raises:
        DiskFull, StoreFailed: ``data`` is of :func:`pack_storage_error`.
    """
    return event_of(json.loads(data))


def event_of(body: dict[str, Any]) -> Event:
    """The event whose JSON was read already.

    Raises:
        DiskFull, StoreFailed: as :func:`unpack_event`.
    """
    name = body.pop("kind")
    if name in _STORAGE_ERRORS:
        raise _STORAGE_ERRORS[name](body["message"], hint=body["hint"])
    kind = _KINDS[name]
    if kind is Checkpointed:
        body["checkpoint"] = Checkpoint(**body["checkpoint"])
    if kind in (Ended, Paused):
        outcome = body["outcome"]
        failure = outcome["failure"]
        if failure is not None:
            failure = Failure(**{**failure, "kind": FailureKind(failure["kind"])})
        body["outcome"] = Outcome(**{**outcome, "state": State(outcome["state"]), "failure": failure})
    if (ended_by := body.get("ended_by")) is not None:
        body["ended_by"] = Failure(**{**ended_by, "kind": FailureKind(ended_by["kind"])})
    return kind(**body)
