"""The transport to a Ray cluster: agents are actors, and calls travel through the bridge."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunecli.engine.cluster.protocol import ORPHAN_S, AgentSetup, CallFailed, Reply, Resources
from tunecli.engine.cluster.wire import pack_setup
from tunecli.engine.ray import address as addresses
from tunecli.engine.ray.frames import Frame
from tunecli.engine.ray.liveness import Place, living
from tunecli.engine.ray.placement import AgentSize, Node, Share, amounts, divide, node_of
from tunecli.engine.ray.process import BridgeProcess
from tunecli.errors import ClusterGone, UsageError

_AGENT = "tunecli.engine.cluster.agent:Agent"
_CONNECT_S = 60.0  # to a cluster that answers; 2 s are usual, and 30 s were measured at a load of 20
_START_S = 180.0  # of a cluster on this machine; 2.4 s on an idle one, 22 s were measured at a load of 20
_ORPHANED_S = ORPHAN_S + 10.0  # after which an agent without calls has ended itself
_PAUSE_S = 0.5
_ANSWER_S = 30.0  # of the cluster's head to a question


class Connection:
    """A connection to a cluster through a bridge.

    Attributes:
        address: ``run.ray.address``.
        resolved: ``host:port``; empty: the cluster was started for this connection, and ends with it.
        bridge: the process.
    """

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            UsageError: no cluster answers, or it has other versions of Ray or Python.
        """
        self.address, self.resolved = address, addresses.resolve(address)
        *earlier, last = addresses.token_variables(self.resolved)
        for environment in earlier:
            with contextlib.suppress(UsageError):
                self._connect(environment)
                return
        self._connect(last)

    def _connect(self, environment: Mapping[str, str]) -> None:
        """Connect through a new bridge with further environment variables."""
        self.bridge = BridgeProcess(environment)
        wait_s = _CONNECT_S if self.resolved else _START_S
        try:
            answer = self.bridge.connect(self.resolved, wait_s)
        except ClusterGone as error:
            raise UsageError(f"cannot connect to the Ray cluster {self.name}: {error.message}") from error
        if answer is None:
            self.bridge.close(at_once=True)
            raise UsageError(
                f"no Ray cluster answers {self.name} ({wait_s:g} s)",
                hint="run `ray status` there; the port must be that of the cluster's head, by default 6379",
            )
        if answer.header["is"] == "refused":
            self.bridge.close()
            raise _refusal(self.name, answer.header["cause"])

    @property
    def name(self) -> str:
        """Where the cluster is, for a sentence."""
        return f"at {self.resolved}" if self.resolved else "of this machine"


def _refusal(where: str, cause: str) -> UsageError:
    """Return the error for the text of Ray's exception."""
    versions = re.findall(r"(Ray|Python): (\S+)", cause)
    if "Version mismatch" in cause and len(versions) == 4:
        theirs, ours = (f"Ray {versions[i][1]} and Python {versions[i + 1][1]}" for i in (0, 2))
        return UsageError(
            f"the cluster {where} runs {theirs}, here are {ours}",
            hint="install the same versions of both; with RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL=minor "
            "Ray accepts another patch level of Python",
        )
    lines = [line for line in cause.splitlines() if line.strip()]
    return UsageError(
        f"cannot connect to the Ray cluster {where}: {lines[0] if lines else 'no reason given'}",
        hint="run `ray status` there; a cluster that wants a token needs RAY_AUTH_MODE=token here as well",
    )


class RayTransport:
    """Implements `Transport` on a Ray cluster."""

    def __init__(
        self,
        connection: Connection,
        *,
        size: AgentSize = "node",
        is_apart: bool = False,
        agent: str = _AGENT,
    ) -> None:
        """Use a connection, and close it in the end.

        Args:
            connection: to the cluster.
            size: how many slots an agent has.
            is_apart: whether agents take no folder for one that they share with this machine, so that all files travel.
            agent: ``module:attribute`` of the agents' class.
        """
        self._connection = connection
        self._size, self._is_apart, self._agent = size, is_apart, agent
        self._n_calls = 0
        self._places: dict[str, Place] = {}  # where agents listen that may live
        self._came: list[Reply | CallFailed] = []
        self._gone_s: float | None = None  # when the cluster was found to be gone
        self._planned: list[Share] = []  # agents that `divide` found a node for, and that are not hired yet

    @property
    def bridge(self) -> BridgeProcess:
        """The bridge."""
        return self._connection.bridge

    def nodes(self) -> list[Node]:
        """Return the living nodes of the cluster."""
        return self.overview()[0]

    def overview(self) -> tuple[list[Node], bool]:
        """Return the living nodes, and whether an autoscaler may add others."""
        answer = self._ask({"do": "nodes"}, "nodes", _ANSWER_S)
        return [node_of(each) for each in answer.header["nodes"]], answer.header["can_grow"]

    def share(self, blobs: Sequence[bytes]) -> None:
        """Give the cluster the blobs that every agent started later gets with its setup."""
        self.bridge.send({"do": "forget_shared"})
        for blob in blobs:  # one by one: together they may have 1 GiB
            self.bridge.send({"do": "share"}, [blob])

    def end_former(self, study: str) -> int:
        """End all agents of a study that other sessions started, and return their number.

        An agent on a node that the network has cut off is waited for until it must have ended itself.
        """
        answer = self._ask({"do": "end_former", "study": study}, "former", _ANSWER_S)
        until_s = time.monotonic() + _ORPHANED_S
        left = {Place(*place) for place in answer.header["left"]}
        while (left := living(left)) and time.monotonic() < until_s:
            time.sleep(_PAUSE_S)
        n_ended: int = answer.header["n_ended"]
        return n_ended

    def divide(self, n_slots: int, slot: Resources) -> Sequence[int]:
        """Divide slots among agents, by the room that the cluster's nodes have now."""
        self._planned = divide(n_slots, slot, self.nodes(), self._size)
        return [share.n_slots for share in self._planned]

    def plan(self, nodes: Sequence[Node]) -> None:
        """Let the next agents of one slot start on these nodes, one on each."""
        self._planned = [Share(1, node.id) for node in nodes]

    def hire(self, agent: str, setup: AgentSetup, resources: Resources) -> int:
        """Start an agent on a node with room for it, and call its ``hello``."""
        if self._is_apart:
            setup = replace(setup, probe_path="", base_path="")
        named = amounts(resources)
        options: dict[str, Any] = {"num_cpus": named.pop("CPU", 0), "num_gpus": named.pop("GPU", 0)}
        if "memory" in named:
            options["memory"] = named.pop("memory")
        if named:
            options["resources"] = named
        call = self._next_call()
        self.bridge.send(
            {
                "do": "hire",
                "agent": agent,
                "call": call,
                "name": f"{setup.study}/{setup.session}/{agent}",
                "node": self._planned_node(setup.n_slots),
                "kind": self._agent,
                "n_slots": setup.n_slots,
                "setup": pack_setup(setup).decode(),
                "version": sys.modules["tunecli"].__version__,
                "options": options,
            }
        )
        return call

    def _planned_node(self, n_slots: int) -> str:
        """Return the node that `divide` found for an agent of that size; empty: none."""
        for share in self._planned:
            if share.n_slots == n_slots:
                self._planned.remove(share)
                return share.node
        return ""

    def call(self, agent: str, method: str, message: bytes, blobs: Sequence[bytes] = ()) -> int:
        """Call a method of an agent."""
        call = self._next_call()
        header = {"do": "call", "agent": agent, "call": call, "method": method}
        self.bridge.send(header, [message, *blobs])
        return call

    def _next_call(self) -> int:
        self._n_calls += 1
        return self._n_calls

    def replies(self, wait_s: float) -> Iterator[Reply | CallFailed]:
        """Yield the answers that have come; wait up to ``wait_s`` seconds for the first."""
        until = time.monotonic() + wait_s
        while not self._came:
            for frame in self.bridge.frames(max(0.0, until - time.monotonic())):
                self._take(frame)
            if time.monotonic() >= until:
                break
        came, self._came = self._came, []
        yield from came

    def _take(self, frame: Frame) -> None:
        """Keep the answer of a frame."""
        header = frame.header
        match header["is"]:
            case "answer":
                if "place" in header:
                    self._places[header["agent"]] = Place(*header["place"])
                self._came.append(Reply(header["agent"], header["call"], frame.blobs[0], frame.blobs[1:]))
            case "failure":
                if header["failed"]["is_gone"]:
                    self._places.pop(header["agent"], None)
                self._came.append(CallFailed(header["agent"], header["call"], **header["failed"]))
            case "failed":
                raise ClusterGone(f"the Ray cluster cannot {header['do']}: {header['cause']}")

    def _ask(self, header: dict[str, Any], answer: str, wait_s: float) -> Frame:
        """Send a question to the head, and return the answer; keep other frames."""
        self.bridge.send(header)
        until = time.monotonic() + wait_s
        found = None
        while found is None:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise ClusterGone(f"the head of the Ray cluster {self._connection.name} does not answer")
            for frame in self.bridge.frames(left_s):
                if frame.header["is"] == answer:
                    found = frame
                else:
                    self._take(frame)
        return found

    def dismiss(self, agent: str) -> None:
        """End an agent at once with its workers."""
        self.bridge.send({"do": "dismiss", "agent": agent})

    def reconnect(self) -> bool:
        """Try once to reach the cluster again, through a new bridge.

        Returns:
            Whether the cluster answers, and no agent of this session lives any more for certain, or can live still:
            an agent without calls ends itself.
        """
        if self._gone_s is None:
            self.bridge.close(at_once=True)
            self._gone_s = time.monotonic()
            self._came.clear()
            self._planned.clear()
        if time.monotonic() - self._gone_s < _ORPHANED_S:
            alive = living(self._places.values())
            self._places = {agent: place for agent, place in self._places.items() if place in alive}
            if alive:
                time.sleep(_PAUSE_S)
                return False
        try:
            self._connection = Connection(self._connection.address)
        except (ClusterGone, UsageError):
            return False
        self._gone_s = None
        self._places.clear()
        return True

    def close(self) -> None:
        """End all agents of this session, and the connection."""
        with contextlib.suppress(ClusterGone):
            self.bridge.close()
