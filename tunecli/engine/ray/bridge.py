"""The child process that alone imports Ray, between the coordinator and the cluster.

Ray ends a process that cannot reach the cluster's head for a minute. It also installs signal handlers and starts
threads. All of that happens to this process, which the coordinator can replace; the coordinator holds the record.

Four threads share the work. The main thread reads frames and passes calls on. One obeys orders that may wait for the
cluster's head, such as the start of an actor. One sends answers: those that come together travel in one frame. One
keeps agents alive, and finds out whether those that the cluster reports as dead are gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import queue
import re
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import exceptions
from ray._private import state
from ray.util import list_named_actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tunecli.engine.cluster.protocol import BEAT_S
from tunecli.engine.ray import actor
from tunecli.engine.ray.frames import Frame, FrameReader, pack_frame
from tunecli.engine.ray.liveness import Place, living

NAMESPACE = "tunecli"
"""Ray's namespace of all actors of tunecli."""
_ACTOR_THREADS = 8  # a poll waits in one of them; orders and the end need another
_END_WAIT_S = 2.0  # for agents to end their workers and remove their files, before their processes are killed
_FORMER_WAIT_S = 5.0  # for former agents to be gone
_DEATH_WAIT_S = 10.0  # for a reported death to become certain; orphans of a raylet live up to 4 s
_BEAT_LOOK_S = 1.0
_START_AGAIN_S = 1.0
_NEVER_RAN = "The actor never ran"
_LOOK_AGAIN_S = 0.05
_MOST_BYTES = 64 << 20  # of the blobs in one frame of answers; more would only take memory


def main() -> None:
    """Serve the coordinator until it closes the socket, which is stdin."""
    channel = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.argv = ["tunecli"]
    code = 1
    try:
        _Bridge(channel).serve()
        code = 0
    finally:
        # Threads of Ray and open calls would delay an ordinary exit.
        sys.stderr.flush()
        os._exit(code)


class _Bridge:
    """Obeys the frames of one coordinator."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._agents: dict[str, Any] = {}
        self._places: dict[str, Place] = {}
        self._called_s: dict[str, float] = {}  # when each agent that has said hello was called last
        self._deaths: queue.SimpleQueue[_Death] = queue.SimpleQueue()
        self._shared: list[Any] = []
        self._folder = ""  # of a cluster that it starts
        self._kind = ray.remote(actor.Actor)

    def serve(self) -> None:
        """Obey frames until the coordinator closes its end; then end the agents and the connection."""
        for target in (self._send_answers, self._obey_orders, self._watch):
            threading.Thread(target=target, daemon=True).start()
        reader = FrameReader(self._channel)
        with contextlib.suppress(EOFError):
            while True:
                for frame in reader.wait():
                    if frame.header["do"] == "connect":
                        self._connect(frame.header)
                    elif frame.header["do"] == "call" and frame.header["agent"] in self._agents:
                        self._call(frame)
                    else:
                        if (
                            frame.header["do"] == "dismiss"
                        ):  # no beat from now on; the order may wait for the head
                            self._called_s.pop(frame.header["agent"], None)
                        self._orders.put(frame)
        self._end()

    def _connect(self, header: Mapping[str, Any]) -> None:
        """Connect to a cluster, or start one on this machine if the address is empty."""
        self._folder = header["folder"]
        options: dict[str, Any] = (
            {"address": "local", "_temp_dir": self._folder, "include_dashboard": False}
            if self._folder
            else {"address": header["address"]}
        )
        try:
            ray.init(
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                configure_logging=True,
                **options,
            )
        except Exception as error:
            self._answers.put(({"is": "refused", "cause": f"{type(error).__name__}: {error}"}, ()))
            return
        ray.cloudpickle.register_pickle_by_value(actor)
        # Ray's handlers end the process. Only the coordinator decides when this one ends; it closes the socket.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        versions = {"ray": ray.__version__, "python": platform.python_version()}
        self._answers.put(({"is": "connected", "versions": versions}, ()))

    def _obey_orders(self) -> None:
        while True:
            frame = self._orders.get()
            header = frame.header
            try:
                match header["do"]:
                    case "call":
                        self._call(frame)
                    case "hire":
                        self._hire(header)
                    case "dismiss":
                        self._dismiss(header["agent"])
                    case "forget_shared":
                        self._shared.clear()
                    case "share":
                        self._shared += [ray.put(blob) for blob in frame.blobs]
                    case "nodes":
                        found = {"is": "nodes", "nodes": _nodes(), "can_grow": _can_grow()}
                        self._answers.put((found, ()))
                    case "end_former":
                        n_ended, left = self._end_former(header["study"])
                        self._answers.put(({"is": "former", "n_ended": n_ended, "left": left}, ()))
                    case "greet":
                        self._called_s[header["agent"]] = time.monotonic()
                        if place := _place_of(self._agents.get(header["agent"])):
                            self._places[header["agent"]] = place
                        self._answers.put((header["agent"], header["call"], header["future"].result(), place))
            except Exception as error:
                if "call" in header:
                    self._answers.put((header["agent"], header["call"], error))
                else:
                    cause = f"{type(error).__name__}: {error}"
                    self._answers.put(({"is": "failed", "do": header["do"], "cause": cause}, ()))

    def _hire(self, header: Mapping[str, Any]) -> None:
        if header["name"].endswith("+") and header["agent"] not in self._agents:  # dismissed meanwhile
            raise exceptions.ActorDiedError
        name, options = header["agent"], dict(header["options"])
        if header["node"]:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(
                header["node"], soft=True, _spill_on_unavailable=True
            )
        start = self._kind.options(
            name=header["name"],
            max_concurrency=_ACTOR_THREADS,
            max_restarts=0,
            max_task_retries=0,
            **options,
        )
        handle = start.remote(
            header["kind"], header["version"], header["n_slots"], header["setup"], *self._shared
        )
        self._agents[name] = handle
        hello = handle.call.remote("hello", b"{}").future()
        hello.add_done_callback(lambda future: self._greet(header, future))

    def _greet(self, header: Mapping[str, Any], future: Any) -> None:
        """Find out where an agent listens before it gets calls; start it again if its node died before it ran."""
        agent, call, error = header["agent"], header["call"], future.exception()
        if error is None:
            self._orders.put(Frame({"do": "greet", "agent": agent, "call": call, "future": future}, []))
        elif (
            isinstance(error, exceptions.ActorDiedError)
            and _NEVER_RAN in str(error)
            and agent in self._agents
        ):
            # The head takes a dead node for a living one for a while. Its actors never ran, and no node is to blame.
            again = Frame({**header, "node": "", "name": f"{header['name']}+"}, [])
            threading.Timer(_START_AGAIN_S, self._orders.put, (again,)).start()
        else:
            self._answer(agent, call, future)

    def _call(self, frame: Frame) -> None:
        header, agent = frame.header, frame.header["agent"]
        handle = self._agents.get(agent)
        if handle is None:
            raise exceptions.ActorDiedError
        if agent in self._called_s:
            self._called_s[agent] = time.monotonic()
        answer = handle.call.remote(header["method"], *frame.blobs).future()
        answer.add_done_callback(lambda future: self._answer(agent, header["call"], future))

    def _answer(self, agent: str, call: int, future: Any) -> None:
        """Pass an answer on; a report of the agent's death only when it is certain, or cannot become so."""
        error = future.exception()
        if isinstance(error, (exceptions.RayActorError, *_DEATHS)) and agent in self._places:
            # An actor may come back that Ray cannot reach: the coordinator asks again soon.
            wait_s = _DEATH_WAIT_S if isinstance(error, _DEATHS) else 0.0
            self._deaths.put(_Death(agent, call, error, time.monotonic() + wait_s))
        else:
            self._answers.put((agent, call, error or future.result()))

    def _dismiss(self, agent: str) -> None:
        handle = self._agents.pop(agent, None)
        self._called_s.pop(agent, None)
        if handle is not None:
            ray.kill(handle)

    def _watch(self) -> None:
        """Keep agents alive, and confirm deaths."""
        dying: list[_Death] = []
        while True:
            with contextlib.suppress(queue.Empty):
                dying.append(self._deaths.get(timeout=_LOOK_AGAIN_S if dying else _BEAT_LOOK_S))
                while True:
                    dying.append(self._deaths.get_nowait())
            if dying:
                dying = self._confirm(dying)
            now = time.monotonic()
            for agent, called_s in [*self._called_s.items()]:
                if now - called_s > BEAT_S - _BEAT_LOOK_S and agent in self._called_s:
                    self._called_s[agent] = now
                    with contextlib.suppress(KeyError):  # it was dismissed
                        self._agents[agent].call.remote("beat", b"{}")

    def _confirm(self, dying: list[_Death]) -> list[_Death]:
        """Report the deaths that are certain now, and those that were not for too long; return the others."""
        alive = living(self._places[death.agent] for death in dying)
        left = []
        for death in dying:
            is_gone = self._places[death.agent] not in alive
            if is_gone or time.monotonic() > death.until_s:
                if is_gone:  # another one needs beats still
                    self._called_s.pop(death.agent, None)
                self._answers.put((death.agent, death.call, death.error, is_gone))
            else:
                left.append(death)
        return left

    def _end_former(self, study: str) -> tuple[int, list[Place]]:
        """End the named actors of a study that are not this bridge's, and wait for the end of their processes.

        Returns:
            How many there were, and the places of those that are not gone for certain.
        """
        own = {handle._actor_id for handle in self._agents.values()}
        handles = []
        for name in list_named_actors():
            if name.startswith(f"{study}/"):
                with contextlib.suppress(ValueError):  # it is gone already
                    handles.append(ray.get_actor(name))
        handles = [handle for handle in handles if handle._actor_id not in own]
        places = [place for handle in handles if (place := _place_of(handle))]
        until_s = time.monotonic() + _FORMER_WAIT_S
        _end_all(handles)
        while (left := living(places)) and time.monotonic() < until_s:
            time.sleep(_LOOK_AGAIN_S)
        return len(handles), list(left)

    def _send_answers(self) -> None:
        while True:
            waiting, size = [self._answers.get()], 0
            items: list[Any] = []
            blobs: list[bytes] = []
            while waiting:
                answer = waiting.pop()
                if isinstance(answer[0], dict):  # not of a call
                    self._send(*answer)
                else:
                    item, contents = _item(*answer)
                    items.append(item)
                    blobs += contents
                    size += sum(map(len, contents))
                if size < _MOST_BYTES:
                    with contextlib.suppress(queue.Empty):
                        waiting.append(self._answers.get_nowait())
            if items:
                self._send({"is": "answers", "items": items}, blobs)

    def _send(self, header: Mapping[str, Any], blobs: Sequence[bytes]) -> None:
        try:
            for piece in pack_frame(header, blobs):
                self._channel.sendall(piece)
        except OSError:  # the coordinator is gone; the main thread meets that as well
            threading.Event().wait()

    def _end(self) -> None:
        agents, self._agents = self._agents, {}
        _end_all(agents.values())
        ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)  # the coordinator may be dead


def _end_all(handles: Any) -> None:
    """Let agents end in order for a while, then kill their processes."""
    handles = list(handles)
    if not handles:
        return
    ending = [handle.end.remote() for handle in handles]
    ray.wait(ending, num_returns=len(ending), timeout=_END_WAIT_S)
    for handle in handles:
        ray.kill(handle)


def _place_of(handle: Any) -> Place | None:
    """Return where an actor's process listens; None if it has none, or the head does not know it."""
    if handle is None:
        return None
    address = state.actors(handle._actor_id.hex()).get("Address", {})
    return Place(address["IPAddress"], address["Port"]) if address.get("Port", 0) > 0 else None


@dataclass(frozen=True, slots=True)
class _Death:
    """A failed call of an agent that Ray reports as dead; ``until_s`` ends the wait for a certain death."""

    agent: str
    call: int
    error: Exception
    until_s: float


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_DEATHS = (
    exceptions.ActorDiedError,
    exceptions.ActorUnschedulableError,
    exceptions.NodeDiedError,
    exceptions.OutOfMemoryError,
    exceptions.RuntimeEnvSetupError,
    exceptions.WorkerCrashedError,
)


def _item(agent: str, call: int, found: Any, more: Any = None) -> tuple[dict[str, Any], list[bytes]]:
    """Return the answer to a call as a part of a frame.

    ``more`` is, after an error, whether the agent is certainly dead; with the answer to ``hello``, where it listens.
    """
    item = {"agent": agent, "call": call}
    if isinstance(found, Exception):
        failed = _failure(found)
        return {**item, "failed": failed if more is None else {**failed, "is_gone": more}}, []
    return {**item, "n_blobs": len(found), **({"place": more} if more else {})}, found


def _failure(error: Exception) -> dict[str, Any]:
    """Return the fields of a `CallFailed`."""
    is_bug = isinstance(error, exceptions.RayTaskError) or (
        isinstance(error, exceptions.RayActorError) and error.actor_init_failed
    )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if is_bug:
        cause = _COLOURS.sub("", str(error))
    elif getattr(error, "preempted", False):
        cause = "the cluster took its node away"
    else:
        cause = f"{type(error).__name__}: {lines[-1].rstrip('.') if lines else 'Ray gives no reason'}"
    return {"cause": cause, "is_gone": isinstance(error, _DEATHS), "is_bug": is_bug}


def _nodes() -> list[dict[str, Any]]:
    """Return the living nodes with their resources: all of them, and those that are free."""
    free = state.available_resources_per_node()
    return [
        {
            "id": node["NodeID"],
            "host": node["NodeManagerHostname"],
            "total": node["Resources"],
            "free": free.get(node["NodeID"], {}),
        }
        for node in ray.nodes()
        if node["Alive"]
    ]


def _can_grow() -> bool:
    """Whether an autoscaler may add nodes, as far as it has told the head."""
    described = state.state.get_cluster_config()
    return described is not None and any(group.max_count for group in described.node_group_configs)
