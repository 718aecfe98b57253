"""The answers of agents as frames to the coordinator, and Ray's errors in the words of the protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ray import exceptions

from tunecli.engine.ray.liveness import Place
from tunecli.engine.ray.outlet import Outlet

DEATHS = (
    exceptions.ActorDiedError,
    exceptions.ActorUnschedulableError,
    exceptions.NodeDiedError,
    exceptions.OutOfMemoryError,
    exceptions.RuntimeEnvSetupError,
    exceptions.WorkerCrashedError,
)
"""Errors with which Ray reports that an actor is dead."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def error_of(found: Any) -> Exception | None:
    """Return the error of a call's result as Ray gives it to a callback; None: it is an answer."""
    if isinstance(found, exceptions.RayTaskError):
        cause: Exception = found.as_instanceof_cause()
        return cause
    return found if isinstance(found, Exception) else None


def packed(method: str, message: bytes) -> bytes:
    """Return a call as the actor takes it."""
    return b"%s\n%s" % (method.encode(), message)


def parts_of(found: bytes | list[bytes]) -> list[bytes]:
    """Return the message and the blobs of an answer."""
    return found if isinstance(found, list) else [found]


class Answers:
    """Sends the answers to calls."""

    def __init__(self, outlet: Outlet) -> None:
        """Send them through ``outlet``."""
        self._outlet = outlet

    def answer(self, agent: str, call: int, contents: list[bytes], place: Place | None = None) -> None:
        """Send the message and the blobs of an answer; with that to ``hello``, where the agent listens."""
        header: dict[str, Any] = {"is": "answer", "agent": agent, "call": call}
        self._outlet.send({**header, "place": place} if place else header, contents)

    def fail(self, agent: str, call: int, error: Exception, *, is_gone: bool | None = None) -> None:
        """Send an error.

        Args:
            agent: the agent's name.
            call: the call's number.
            error: Ray's, or one of the agent's own code.
            is_gone: whether the agent is certainly dead; None: as Ray reports it.
        """
        failed = _failure(error)
        if is_gone is not None:
            failed["is_gone"] = is_gone
        self._outlet.send({"is": "failure", "agent": agent, "call": call, "failed": failed})

    def other(self, header: Mapping[str, Any]) -> None:
        """Send a frame that is no answer of an agent."""
        self._outlet.send(header)


def _failure(error: Exception) -> dict[str, Any]:
    """Return the fields of a `CallFailed`."""
    is_bug = isinstance(error, exceptions.RayTaskError) or (
        isinstance(error, exceptions.RayActorError) and error.actor_init_failed
    )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    is_planned = bool(getattr(error, "preempted", False))
    if is_bug:
        cause = _COLOURS.sub("", str(error))
    elif is_planned:
        cause = "the cluster took its node away"
    else:
        cause = f"{type(error).__name__}: {lines[-1].rstrip('.') if lines else 'Ray gives no reason'}"
    return {
        "cause": cause,
        "is_gone": isinstance(error, DEATHS),
        "is_bug": is_bug,
        "is_planned": is_planned,
    }
