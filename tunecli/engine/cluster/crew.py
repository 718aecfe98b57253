"""The agents of an engine: hired, asked again where an answer was lost, given up, and replaced.

It knows agents and their answers, and no events. An agent whose fate is unknown keeps its jobs until it is certainly
dead or must have ended itself, so no attempt ever runs on two agents (fencing).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count

from tunecli.engine.cluster.agenda import Agenda
from tunecli.engine.cluster.link import Link
from tunecli.engine.cluster.protocol import AgentSetup, CallFailed, Patience, Reply, Resources, Transport
from tunecli.engine.cluster.seat import Came, Joined, Lost, News, Seat
from tunecli.engine.cluster.wire import pack_poll, unpack_batch, unpack_facts
from tunecli.engine.protocol import Host
from tunecli.engine.versions import unlike_versions
from tunecli.errors import ClusterGone, UsageError
from tunecli.text import counted

_MOST_PAUSE_S = 30.0  # between the deaths of agents that never answered
_MOST_FAILED_STARTS = 3  # in a row, before slots are given up
_FENCE_MARGIN = (
    1.1  # clocks of two machines run at different speeds, and a killed process ends a little later
)


class Crew:
    """The agents of one session.

    Attributes:
        n_slots: number of slots that are wanted.
        n_there: number of slots of the agents that can take jobs.
        left_out: why a node is not used, by its name.
    """

    def __init__(self, transport: Transport, setup: AgentSetup, slot: Resources, patience: Patience) -> None:
        """Make a crew without agents.

        Args:
            transport: starts the agents.
            setup: the settings of each, but for the number of slots.
            slot: the share of a node that a slot needs.
            patience: how long to wait.
        """
        self._transport, self._setup, self._slot, self._patience = transport, setup, slot, patience
        self.n_slots = self.n_there = 0
        self.left_out: dict[str, str] = {}
        self.joined_s = time.monotonic()
        self._seats: dict[str, Seat] = {}
        self._calls: dict[
            int, tuple[Seat, str, int]
        ] = {}  # with the number of the order that it carries, or 0
        self._polls_due: dict[str, Seat] = {}
        self._news: deque[News | Exception] = deque()
        self._agenda = Agenda()
        self._numbers = count(1)
        self._n_failed_starts = self._n_deaths = 0
        self._contents: Callable[[], Sequence[bytes]] = lambda: ()
        self._link = Link(transport, patience, self._lose_all)
        self._try = self._link.attempt
        self._listened_s = self._listens_since_s = time.monotonic()

    def begin(self, n_slots: int, contents: Callable[[], Sequence[bytes]]) -> None:
        """End the agents of former sessions, and hire agents.

        Args:
            n_slots: number of slots of all agents.
            contents: reads the contents of the user's files.
        """
        self._contents = contents
        self._transport.end_former(self._setup.study)
        self._transport.share(contents())
        self.n_slots = n_slots
        self._hire(n_slots)

    @property
    def is_gone(self) -> bool:
        """Whether the cluster cannot be reached now."""
        return self._link.gone is not None

    def order(self, seat: Seat, number: int, *, is_apart: bool = False) -> None:
        """Send an order of a seat, with the next poll if one is due.

        Args:
            seat: the seat.
            number: the order's number.
            is_apart: send it by itself. It is answered at once then, and a poll only when an event follows.
        """
        if number not in seat.sent:
            return
        message, blobs = seat.sent[number]
        if not is_apart and self._polls_due.pop(seat.name, None) is not None:
            self._poll(seat, message, blobs, number)
        else:
            self._call(seat, "order", message, blobs, number)

    def acknowledge(self, seat: Seat, batch: int) -> None:
        """Ask for the next batch after ``batch`` soon; an earlier one that is named again is sent again.

        The poll waits for the next order to its agent, or for the next call of `news`: one call for both costs half.
        """
        seat.last_batch = batch
        self._polls_due[seat.name] = seat

    def news(self, wait_s: float, *, is_needed: bool) -> Iterator[News]:
        """Yield what happened to agents; wait up to ``wait_s`` seconds for the first.

        Args:
            wait_s: the longest time to wait.
            is_needed: whether jobs wait for an agent. Only then a lost cluster is tried again.

        Raises:
            ClusterGone: the cluster did not come back in time.
            UsageError: no agent can run the study's trials.
            RuntimeError: an agent's own code raised.
        """
        while self._polls_due:
            self._poll(self._polls_due.popitem()[1])
        if not self._news and self._link.gone is not None:
            if self._link.reconnect(wait_s, is_needed=is_needed):
                self._try(lambda: self._transport.share(self._contents()))
                self._try(lambda: self._hire(self.n_slots))
        elif not self._news:
            now_s = time.monotonic()
            if now_s - self._listened_s >= self._patience.unsure_s:  # the caller computed meanwhile
                self._listens_since_s = now_s
            wait_s = self._agenda.wait_s(wait_s)
            self._try(lambda: [*map(self._handle, self._transport.replies(wait_s))])
            self._listened_s = time.monotonic()
            for action in self._agenda.due():
                self._try(action)
        while self._news:
            news = self._news.popleft()
            if isinstance(news, Exception):
                raise news
            yield news

    def leave_out(self, seat: Seat, why: str) -> None:
        """End an agent on whose node no trial can run; another one does not replace it."""
        self.left_out[seat.host] = why
        self._remove(seat)
        self._try(lambda: self._transport.dismiss(seat.name))
        self._news.append(Lost(seat, f"{seat.host} is left out: {why}", is_suspicious=False))
        self._reduce(seat.n_slots)

    def close(self) -> None:
        """End all agents."""
        self._seats.clear()
        self._calls.clear()
        self._polls_due.clear()
        self._transport.close()

    def _hire(self, n_slots: int) -> None:
        sizes = self._transport.divide(n_slots, self._slot)
        for size in sizes:
            seat = Seat(f"{self._setup.session}-{next(self._numbers)}", size)
            setup = replace(self._setup, n_slots=size)
            call = self._transport.hire(seat.name, setup, _times(self._slot, size))
            self._seats[seat.name] = seat
            self._calls[call] = (seat, "hello", 0)

    def _call(
        self, seat: Seat, method: str, message: bytes, blobs: Sequence[bytes] = (), number: int = 0
    ) -> None:
        def call() -> None:
            if seat.name in self._seats and seat.fenced_until_s is None:
                made = self._transport.call(seat.name, method, message, blobs)
                self._calls[made] = (seat, method, number)
                if method == "poll":
                    self._agenda.add(
                        self._patience.poll_s + self._patience.unsure_s, lambda: self._if_silent(seat, made)
                    )

        self._try(call)

    def _poll(self, seat: Seat, order: bytes = b"", blobs: Sequence[bytes] = (), number: int = 0) -> None:
        message = pack_poll(seat.last_batch, self._patience.poll_s, order)
        self._call(seat, "poll", message, blobs, number)

    def _handle(self, answer: Reply | CallFailed) -> None:
        known = self._calls.pop(answer.call, None)
        if known is None or known[0].name not in self._seats:  # of an agent that is gone or left out
            return
        seat, method, number = known
        if isinstance(answer, CallFailed):
            self._failed(seat, method, number, answer)
            return
        if seat.fenced_until_s is not None:
            return
        seat.unsure_since_s = None
        seat.sent.pop(number, None)
        seat.accepted = max(seat.accepted, number)
        match method:
            case "hello":
                self._join(seat, answer)
            case "poll":
                batch = unpack_batch(answer.message)
                if batch.problem or batch.number > seat.last_batch:
                    self._news.append(Came(seat, batch, answer.blobs))
                else:  # nothing is new, or it came before
                    self._poll(seat)

    def _join(self, seat: Seat, answer: Reply) -> None:
        facts = unpack_facts(answer.message)
        seat.facts, self._n_failed_starts, self._n_deaths = facts, 0, 0
        if why := facts.problem or unlike_versions(self._setup.versions, facts.versions):
            self.leave_out(seat, why)
            return
        self.n_slots += facts.n_slots - seat.n_slots
        seat.n_slots = facts.n_slots
        seat.has_joined = True
        self.n_there += seat.n_slots
        self.joined_s = time.monotonic()
        self._news.append(Joined(seat))
        self._poll(seat)

    def _failed(self, seat: Seat, method: str, number: int, failed: CallFailed) -> None:
        if failed.is_gone and seat.facts is not None:
            self._lose(seat, failed.cause, is_suspicious=not failed.is_planned)
        elif failed.is_gone and not failed.is_bug:
            self._hire_later(seat)
        elif seat.fenced_until_s is not None:
            return
        elif failed.is_bug and seat.facts is not None:
            self._news.append(RuntimeError(failed.cause))
        elif failed.is_bug:
            self._failed_start(seat, failed.cause.strip().rpartition("\n")[2])
        else:
            now_s = time.monotonic()
            seat.unsure_since_s = now_s if seat.unsure_since_s is None else seat.unsure_since_s
            if now_s - seat.unsure_since_s >= self._patience.unsure_s:
                self._give_up(seat, failed.cause)
            elif method == "order":
                self._agenda.add(self._patience.retry_s, lambda: self.order(seat, number))
            elif method == "poll":
                self._agenda.add(self._patience.retry_s, lambda: self._poll(seat))
                self._agenda.add(self._patience.retry_s, lambda: self.order(seat, number))
            else:
                self._agenda.add(self._patience.retry_s, lambda: self._call(seat, "hello", b""))

    def _if_silent(self, seat: Seat, call: int) -> None:
        """Give an agent up whose poll has no answer although its time is over."""
        if call not in self._calls or seat.name not in self._seats or seat.fenced_until_s is not None:
            return
        # The engine was busy elsewhere, and the answer may wait behind those of other agents.
        left_s = self._listens_since_s + self._patience.unsure_s - time.monotonic()
        if left_s > 0.0:
            self._agenda.add(left_s, lambda: self._if_silent(seat, call))
        else:
            self._give_up(seat, "it does not answer")

    def _give_up(self, seat: Seat, cause: str) -> None:
        """End an agent that does not answer. Its jobs are given to others once it is certainly dead."""
        if seat.fenced_until_s is not None or seat.name not in self._seats:
            return
        if seat.facts is None:
            self._transport.dismiss(seat.name)
            self._failed_start(seat, cause)
            return
        fence_s = self._patience.orphan_s * _FENCE_MARGIN
        seat.fenced_until_s, seat.cause = time.monotonic() + fence_s, cause
        self.n_there -= seat.n_slots
        self._transport.dismiss(seat.name)
        self._agenda.add(fence_s, lambda: self._lose(seat, cause))
        self._hire(seat.n_slots)

    def _lose(self, seat: Seat, cause: str, *, is_suspicious: bool = True) -> None:
        """Report that an agent is certainly dead, and hire another one in its place."""
        if seat.name not in self._seats:
            return
        was_given_up = seat.fenced_until_s is not None
        self._remove(seat)
        self._news.append(
            Lost(seat, f"{seat.host} was lost: {seat.cause or cause}", is_suspicious=is_suspicious)
        )
        if not was_given_up:
            self._hire(seat.n_slots)

    def _failed_start(self, seat: Seat, cause: str) -> None:
        self._remove(seat)
        self._n_failed_starts += 1
        if self._n_failed_starts < _MOST_FAILED_STARTS:
            self._agenda.add(self._patience.retry_s * self._n_failed_starts, lambda: self._hire(seat.n_slots))
            return
        self._n_failed_starts = 0
        self.left_out["a node"] = cause
        self._reduce(seat.n_slots)

    def _hire_later(self, seat: Seat) -> None:
        """Replace an agent that died before it answered, perhaps with its node: no node is to blame."""
        self._remove(seat)
        self._n_deaths += 1
        pause_s = min(self._patience.retry_s * self._n_deaths, _MOST_PAUSE_S)
        self._agenda.add(pause_s, lambda: self._hire(seat.n_slots))

    def _remove(self, seat: Seat) -> None:
        if self._seats.pop(seat.name, None) is not None and seat.has_joined and seat.fenced_until_s is None:
            self.n_there -= seat.n_slots

    def _reduce(self, n_slots: int) -> None:
        self.n_slots -= n_slots
        if self.n_slots <= 0:
            reasons = "; ".join(f"{host}: {why}" for host, why in self.left_out.items())
            self._news.append(UsageError(f"no node of the cluster can run the trials: {reasons}"))

    def _lose_all(self, error: ClusterGone) -> None:
        """The cluster is gone with all agents."""
        seats = list(self._seats.values())
        self._seats.clear()
        self._calls.clear()
        self._polls_due.clear()
        self._agenda.clear()
        self.n_there = 0
        self._news.extend(Lost(seat, error.message, is_suspicious=False) for seat in seats)

    def hosts(self) -> list[Host]:
        """The machines of the agents that can take jobs, each once, with its slots, devices and versions."""
        found: dict[str, Host] = {}
        for seat in self._seats.values():
            if (facts := seat.facts) is None or not seat.has_joined:
                continue
            n_slots = seat.n_slots + (found[facts.host].n_slots if facts.host in found else 0)
            found[facts.host] = Host(facts.host, n_slots, facts.devices, facts.versions)
        return list(found.values())

    def notices(self, *, is_needed: bool) -> list[str]:
        """A sentence for each thing that the engine waits for."""
        said = [f"{host} is left out: {why}" for host, why in self.left_out.items()]
        if (gone := self._link.gone) is not None:
            return [
                *said,
                f"trying for {self._patience.reconnect_s:.0f} s to reach the cluster again: {gone.message}",
            ]
        if is_needed and self.n_there < self.n_slots:
            said.append(f"the cluster has started {self.n_there} of {counted(self.n_slots, 'worker')} so far")
        return said


def _times(slot: Resources, n: int) -> Resources:
    """The resources of ``n`` slots."""
    other = {name: amount * n for name, amount in slot.other.items()}
    return Resources(slot.cpus * n, slot.gpus * n, slot.memory_bytes * n, other)
