"""Keeps agents alive, and finds out which of those that Ray reports as dead are gone for certain."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tunecli.engine.cluster.protocol import BEAT_S
from tunecli.engine.ray.answers import DEATHS, error_of, packed, parts_of
from tunecli.engine.ray.liveness import Place, living

_DEATH_WAIT_S = 10.0  # for a reported death to become certain; orphans of a raylet live up to 4 s
_BEAT_LOOK_S = 1.0
_LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class _Death:
    """A failed call of an agent that Ray reports as dead; ``until_s`` ends the wait for a certain death."""

    agent: str
    call: int
    error: Exception
    until_s: float


@dataclass(slots=True)
class _Kept:
    """An agent that is kept alive: its handle, its answer to the last beat, and when the next one is due."""

    handle: Any
    answer: bytes = b""
    due_s: float = field(default_factory=time.monotonic)


class Watch:
    """Sends beats to agents, and confirms deaths, in a thread of its own."""

    def __init__(self, fail: Callable[[str, int, Exception, bool], None]) -> None:
        """Watch no agent yet.

        Args:
            fail: takes an agent, a call, its error, and whether the agent is certainly dead.
        """
        self._fail = fail
        self._kept: dict[str, _Kept] = {}
        self._places: dict[str, Place] = {}
        self._deaths: queue.SimpleQueue[_Death] = queue.SimpleQueue()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, daemon=True).start()

    def keep(self, agent: str, handle: Any, place: Place | None) -> None:
        """Keep an agent alive that has said hello from a place; None: the place is unknown."""
        self._kept[agent] = _Kept(handle)
        if place:
            self._places[agent] = place

    def release(self, agent: str) -> None:
        """Send an agent no beat from now on."""
        self._kept.pop(agent, None)

    def is_kept(self, agent: str) -> bool:
        """Whether an agent gets beats."""
        return agent in self._kept

    def has_place(self, agent: str) -> bool:
        """Whether the death of an agent can be certain."""
        return agent in self._places

    def confirm(self, agent: str, call: int, error: Exception) -> None:
        """Report a failed call once the agent's death is certain, or cannot become so."""
        # An actor may come back that Ray cannot reach: the coordinator asks again soon.
        wait_s = _DEATH_WAIT_S if isinstance(error, DEATHS) else 0.0
        self._deaths.put(_Death(agent, call, error, time.monotonic() + wait_s))

    def _run(self) -> None:
        dying: list[_Death] = []
        while True:
            with contextlib.suppress(queue.Empty):
                dying.append(self._deaths.get(timeout=_LOOK_AGAIN_S if dying else _BEAT_LOOK_S))
                while True:
                    dying.append(self._deaths.get_nowait())
            if dying:
                dying = self.report(dying)
            self._beat(time.monotonic())

    def _beat(self, now_s: float) -> None:
        for agent, kept in [*self._kept.items()]:
            if now_s >= kept.due_s and agent in self._kept:
                kept.due_s = now_s + BEAT_S - _BEAT_LOOK_S
                ref = kept.handle.call.remote(packed("beat", kept.answer))
                ref._on_completed(lambda found, kept=kept, ref=ref: _take(kept, found))

    def report(self, dying: list[_Death]) -> list[_Death]:
        """Report the deaths that are certain now, and those that were not for too long; return the others."""
        alive = living(self._places[death.agent] for death in dying)
        left = []
        for death in dying:
            is_gone = self._places[death.agent] not in alive
            if is_gone or time.monotonic() > death.until_s:
                if is_gone:  # another one needs beats still
                    self.release(death.agent)
                self._fail(death.agent, death.call, death.error, is_gone)
            else:
                left.append(death)
        return left


def _take(kept: _Kept, found: Any) -> None:
    """Keep the answer to a beat: it goes with the next one."""
    if error_of(found) is None:
        kept.answer = parts_of(found)[0]
