"""A cluster in this process: a transport whose agents are objects here, with faults that a test injects on the way.

The agents are real and fork real workers. Only the way to them is simulated: messages are bytes, each call has a
thread, and each node has room for a number of slots.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count

from tunecli.engine.cluster.agent import Agent
from tunecli.engine.cluster.protocol import BEAT_S, AgentSetup, CallFailed, Reply, Resources
from tunecli.engine.cluster.wire import pack_setup, unpack_setup
from tunecli.errors import ClusterGone

_IS_LOST = "the answer was lost"
_HEAD_GONE = "the cluster's head is gone"


@dataclass
class Faults:
    """The faults on the way. A test may change them at any time.

    Attributes:
        lose_each: each so many-th answer is lost; 0: none.
        repeat_each: each so many-th call reaches its agent twice; 0: none.
        damage: changes the blobs of an answer, by its method.
        delay_s: every answer comes so much later.
        setups: changes the settings that an agent gets.
        is_head_gone: no method works.
        comes_back: whether `InProcessTransport.reconnect` succeeds.
    """

    lose_each: int = 0
    repeat_each: int = 0
    damage: Callable[[str, Sequence[bytes]], Sequence[bytes]] = lambda method, blobs: blobs
    delay_s: float = 0.0
    setups: Callable[[AgentSetup], AgentSetup] = lambda setup: setup
    is_head_gone: bool = False
    comes_back: bool = True


@dataclass
class _Hired:
    """An agent that was hired: it waits for room, lives or has ended.

    Attributes:
        node: the node that it is on; empty: it waits for one.
        calls: the calls without an answer.
        is_reachable: whether calls reach it.
        clock: its answer to the last beat.
        cause: why it has ended.
    """

    setup: AgentSetup
    resources: Resources
    node: str = ""
    agent: Agent | None = None
    calls: dict[int, tuple[str, bytes, Sequence[bytes]]] = field(default_factory=dict)
    is_reachable: bool = True
    clock: bytes = b""
    cause: str = "the agent is dead"
    is_gone: bool = False
    is_dismissed: bool = False


class InProcessTransport:
    """A `Transport` to agents in this process.

    Attributes:
        faults: the faults on the way.
        n_hired: number of agents that were hired.
    """

    def __init__(
        self,
        nodes: Mapping[str, int] | None = None,
        *,
        sees_run_folder: bool = True,
        faults: Faults | None = None,
    ) -> None:
        """Make a cluster.

        Args:
            nodes: the number of CPUs of each node, by its name; None: one node with room for everything.
            sees_run_folder: whether the nodes see the coordinator's files.
            faults: the faults on the way; None: there are none.
        """
        self._nodes = dict(nodes) if nodes is not None else {"here": 1 << 20}
        self._sees_run_folder = sees_run_folder
        self.faults = faults or Faults()
        self.n_hired = 0
        self._hired: dict[str, _Hired] = {}
        self._blobs: Sequence[bytes] = ()
        self._answers: queue.SimpleQueue[Reply | CallFailed] = queue.SimpleQueue()
        self._numbers, self._n_answers, self._n_calls = count(1), count(1), count(1)
        self._lock = threading.RLock()
        self._is_closed = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    # The protocol

    def share(self, blobs: Sequence[bytes]) -> None:
        """Keep the blobs for agents."""
        self._require_head()
        self._blobs = [bytes(blob) for blob in blobs]

    def end_former(self, study: str) -> int:
        """Return 0: agents of another session end with their transport."""
        self._require_head()
        return 0

    def divide(self, n_slots: int, slot: Resources) -> Sequence[int]:
        """Fill one node after the other; slots without room become an agent each."""
        self._require_head()
        sizes = []
        for name, n_cpus in self._nodes.items():
            size = min(n_slots, max(0, int((n_cpus - self._n_used(name)) / slot.cpus)))
            if size:
                sizes.append(size)
                n_slots -= size
        return [*sizes, *[1] * n_slots]

    def hire(self, agent: str, setup: AgentSetup, resources: Resources) -> int:
        """Start an agent as soon as a node has room."""
        self._require_head()
        setup = unpack_setup(pack_setup(setup))
        if not self._sees_run_folder:
            setup = replace(setup, probe_path="", base_path="")
        with self._lock:
            self.n_hired += 1
            self._hired[agent] = _Hired(self.faults.setups(setup), resources)
            number = self._call(agent, "hello", b"", ())
            self._place()
        return number

    def call(self, agent: str, method: str, message: bytes, blobs: Sequence[bytes] = ()) -> int:
        """Call an agent in a thread of its own."""
        self._require_head()
        with self._lock:
            return self._call(agent, method, message, blobs)

    def replies(self, wait_s: float) -> Iterator[Reply | CallFailed]:
        """Yield the answers."""
        until_s = time.monotonic() + wait_s
        while True:
            self._require_head()
            left_s = until_s - time.monotonic()
            try:
                answer = self._answers.get(timeout=min(0.02, max(0.0, left_s)))
            except queue.Empty:
                if left_s <= 0.0:
                    return
                continue
            yield answer
            with suppress(queue.Empty):
                while True:
                    yield self._answers.get_nowait()
            return

    def dismiss(self, agent: str) -> None:
        """End an agent, unless it cannot be reached: then it goes on until it ends itself."""
        self._require_head()
        with self._lock:
            hired = self._hired.get(agent)
            if hired is None:
                return
            hired.is_dismissed = True
            if hired.is_reachable:
                self._end(agent, "it was dismissed", is_abrupt=True)

    def reconnect(self) -> bool:
        """Return whether the head is back; the former agents are ended then."""
        if not self.faults.comes_back:
            return False
        self.faults.is_head_gone = False
        with self._lock:
            for name in list(self._hired):
                self._end(name, _HEAD_GONE, is_abrupt=True)
            self._answers = queue.SimpleQueue()
        return True

    def close(self) -> None:
        """End all agents."""
        self._is_closed.set()
        with self._lock:
            for name in list(self._hired):
                self._end(name, "the session is over", is_abrupt=False)

    # For tests

    @property
    def agents(self) -> list[str]:
        """The names of the agents that live on a node, in the order in which they were hired."""
        return [name for name, hired in self._hired.items() if hired.agent is not None and not hired.is_gone]

    def spool(self, agent: str) -> str:
        """The folder of an agent's own files; empty if it has not begun."""
        started = self._hired[agent].agent
        return "" if started is None else str(started.spool)

    def kill(self, agent: str) -> None:
        """End an agent as SIGKILL does, with its workers; its files stay."""
        with self._lock:
            self._end(agent, "the agent was killed by SIGKILL", is_abrupt=True)

    def cut_off(self, agent: str) -> None:
        """Let no call reach an agent from now on; it goes on training."""
        with self._lock:
            hired = self._hired[agent]
            hired.is_reachable = False
            for number in list(hired.calls):
                self._fail(agent, number, _IS_LOST, is_gone=False)

    def reach_again(self, agent: str) -> None:
        """Let calls reach an agent again."""
        self._hired[agent].is_reachable = True

    def add_node(self, name: str, n_cpus: int) -> None:
        """Add a node; agents that wait begin on it."""
        with self._lock:
            self._nodes[name] = n_cpus
            self._place()

    def remove_node(self, name: str) -> None:
        """Remove a node; its agents are killed."""
        with self._lock:
            del self._nodes[name]
            for agent in [agent for agent, hired in self._hired.items() if hired.node == name]:
                self._end(agent, "the node has died", is_abrupt=True)

    # How it works

    def _require_head(self) -> None:
        if self.faults.is_head_gone:
            raise ClusterGone(_HEAD_GONE)

    def _n_used(self, node: str) -> float:
        return sum(
            hired.resources.cpus for hired in self._hired.values() if hired.node == node and not hired.is_gone
        )

    def _place(self) -> None:
        """Start the agents that wait, as far as there is room."""
        for name, hired in list(self._hired.items()):
            if hired.node or hired.is_gone:
                continue
            for node, n_cpus in self._nodes.items():
                if n_cpus - self._n_used(node) >= hired.resources.cpus:
                    hired.node = node
                    threading.Thread(target=self._start, args=(name, hired), daemon=True).start()
                    break

    def _start(self, name: str, hired: _Hired) -> None:
        try:
            agent = Agent(hired.setup, self._blobs, hired.node, lambda: self._has_ended(name))
        except Exception as error:
            with self._lock:
                for number in list(hired.calls):
                    self._fail(name, number, repr(error), is_gone=True, is_bug=True)
            return
        with self._lock:
            hired.agent = agent
            if hired.is_gone:
                agent.close(is_abrupt=True)
                return
            for number, (method, message, blobs) in list(hired.calls.items()):
                self._run(name, number, method, message, blobs)

    def _has_ended(self, name: str) -> None:
        with self._lock:
            self._hired[name].is_gone = True
            for number in list(self._hired[name].calls):
                self._fail(name, number, "the agent has ended itself", is_gone=True)

    def _call(self, agent: str, method: str, message: bytes, blobs: Sequence[bytes]) -> int:
        number = next(self._numbers)
        hired = self._hired[agent]
        hired.calls[number] = (method, message, [bytes(blob) for blob in blobs])
        if hired.is_gone:
            self._fail(agent, number, hired.cause, is_gone=True)
        elif not hired.is_reachable:
            self._fail(agent, number, "the agent is unavailable", is_gone=False)
        elif hired.agent is not None:
            self._run(agent, number, method, message, blobs)
        return number

    def _run(self, name: str, number: int, method: str, message: bytes, blobs: Sequence[bytes]) -> None:
        threading.Thread(
            target=self._answer, args=(name, number, method, message, blobs), daemon=True
        ).start()

    def _answer(self, name: str, number: int, method: str, message: bytes, blobs: Sequence[bytes]) -> None:
        hired, faults = self._hired[name], self.faults
        agent = hired.agent
        assert agent is not None
        try:
            if faults.repeat_each and next(self._n_calls) % faults.repeat_each == 0:
                agent.call(method, message, blobs)
            answered, contents = agent.call(method, message, faults.damage(f"to {method}", blobs))
        except Exception as error:
            self._fail(name, number, repr(error), is_gone=hired.is_gone, is_bug=not hired.is_gone)
            return
        if faults.delay_s:
            self._is_closed.wait(faults.delay_s)
        if faults.lose_each and next(self._n_answers) % faults.lose_each == 0:
            self._fail(name, number, _IS_LOST, is_gone=False)
            return
        with self._lock:
            if hired.calls.pop(number, None) is not None:
                self._answers.put(Reply(name, number, answered, faults.damage(method, contents)))

    def _fail(self, name: str, number: int, cause: str, *, is_gone: bool, is_bug: bool = False) -> None:
        with self._lock:
            if self._hired[name].calls.pop(number, None) is not None:
                self._answers.put(CallFailed(name, number, cause, is_gone, is_bug))

    def _end(self, name: str, cause: str, *, is_abrupt: bool) -> None:
        hired = self._hired[name]
        if hired.is_gone:
            return
        hired.is_gone, hired.cause = True, cause
        for number in list(hired.calls):
            self._fail(name, number, cause, is_gone=True)
        if hired.agent is not None:
            hired.agent.close(is_abrupt=is_abrupt)
        self._place()

    def _beat(self) -> None:
        """Keep the agents alive that were not dismissed and can be reached."""
        while not self._is_closed.wait(BEAT_S / 100):
            for hired in list(self._hired.values()):
                is_meant = hired.is_reachable and not hired.is_dismissed and not self.faults.is_head_gone
                if hired.agent is not None and not hired.is_gone and is_meant:
                    hired.clock, _ = hired.agent.call("beat", hired.clock)
