"""The child process that alone imports Ray, between the coordinator and the cluster.

Ray ends a process that cannot reach the cluster's head for a minute. It also installs signal handlers and starts
threads. All of that happens to this process, which the coordinator can replace; the coordinator holds the record.

The main thread reads frames and passes calls on, and the thread in which Ray has an answer sends it. One thread obeys
orders that may wait for the cluster's head, such as the start of an actor. `watch.py` has a thread for beats.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import queue
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tunecli.engine.ray import actor, head
from tunecli.engine.ray.answers import DEATHS, Answers, error_of, packed, parts_of
from tunecli.engine.ray.frames import Frame, FrameReader
from tunecli.engine.ray.outlet import Outlet
from tunecli.engine.ray.watch import Watch

NAMESPACE = "tunecli"
"""Ray's namespace of all actors of tunecli."""
_ACTOR_THREADS = 8  # a poll waits in one of them; orders and the end need another
_START_AGAIN_S = 1.0
_NEVER_RAN = "The actor never ran"


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
        self._answers = Answers(Outlet(channel))
        self._orders: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._agents: dict[str, Any] = {}
        self._watch = Watch(
            lambda agent, call, error, is_gone: self._answers.fail(agent, call, error, is_gone=is_gone)
        )
        self._shared: list[Any] = []
        self._folder = ""  # of a cluster that it starts
        self._kind = ray.remote(actor.Actor)

    def serve(self) -> None:
        """Obey frames until the coordinator closes its end; then end the agents and the connection."""
        threading.Thread(target=self._obey_orders, daemon=True).start()
        self._watch.start()
        reader = FrameReader(self._channel)
        with contextlib.suppress(EOFError):
            while True:
                for frame in reader.wait():
                    header = frame.header
                    if header["do"] == "connect":
                        self._connect(header)
                    elif header["do"] == "call" and header["agent"] in self._agents:
                        self._call(frame)
                    else:
                        if header["do"] == "dismiss":  # no beat from now on; the order may wait for the head
                            self._watch.release(header["agent"])
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
            self._answers.other({"is": "refused", "cause": f"{type(error).__name__}: {error}"})
            return
        ray.cloudpickle.register_pickle_by_value(actor)
        # Ray's handlers end the process. Only the coordinator decides when this one ends; it closes the socket.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        versions = {"ray": ray.__version__, "python": platform.python_version()}
        self._answers.other({"is": "connected", "versions": versions})

    def _obey_orders(self) -> None:
        while True:
            frame = self._orders.get()
            header = frame.header
            try:
                self._obey(frame)
            except Exception as error:
                if "call" in header:
                    self._answers.fail(header["agent"], header["call"], error)
                else:
                    cause = f"{type(error).__name__}: {error}"
                    self._answers.other({"is": "failed", "do": header["do"], "cause": cause})

    def _obey(self, frame: Frame) -> None:
        header = frame.header
        match header["do"]:
            case "call":
                self._call(frame)
            case "hire":
                self._hire(header)
            case "greet":
                self._greet(frame)
            case "dismiss":
                self._dismiss(header["agent"])
            case "forget_shared":
                self._shared.clear()
            case "share":
                self._shared += [ray.put(blob) for blob in frame.blobs]
            case "nodes":
                self._answers.other({"is": "nodes", "nodes": head.nodes(), "can_grow": head.can_grow()})
            case "end_former":
                n_ended, left = head.end_former(header["study"], self._agents.values())
                self._answers.other({"is": "former", "n_ended": n_ended, "left": left})

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
            enable_task_events=False,  # reports of each call to Ray's dashboard
            **options,
        )
        handle = start.remote(
            header["kind"], header["version"], header["n_slots"], header["setup"], *self._shared
        )
        self._agents[name] = handle
        hello = handle.call.remote(packed("hello", b"{}"))
        hello._on_completed(lambda found, hello=hello: self._hear(header, found))

    def _hear(self, header: Mapping[str, Any], found: Any) -> None:
        """Take the answer to ``hello``; start an agent again whose node died before it ran."""
        agent, call, error = header["agent"], header["call"], error_of(found)
        if error is None:
            self._orders.put(Frame({"do": "greet", "agent": agent, "call": call}, parts_of(found)))
        elif (
            isinstance(error, exceptions.ActorDiedError)
            and _NEVER_RAN in str(error)
            and agent in self._agents
        ):
            # The head takes a dead node for a living one for a while. Its actors never ran, and no node is to blame.
            again = Frame({**header, "node": "", "name": f"{header['name']}+"}, [])
            threading.Timer(_START_AGAIN_S, self._orders.put, (again,)).start()
        else:
            self._fail(agent, call, error)

    def _greet(self, frame: Frame) -> None:
        """Find out where an agent listens, and keep it alive, before it gets calls."""
        agent = frame.header["agent"]
        handle = self._agents.get(agent)
        place = head.place_of(handle)
        if handle is not None:  # it was not dismissed meanwhile
            self._watch.keep(agent, handle, place)
        self._answers.answer(agent, frame.header["call"], frame.blobs, place)

    def _call(self, frame: Frame) -> None:
        header = frame.header
        agent, call = header["agent"], header["call"]
        handle = self._agents.get(agent)
        if handle is None:
            raise exceptions.ActorDiedError
        message, *blobs = frame.blobs
        answer = handle.call.remote(packed(header["method"], message), *blobs)
        # Ray drops an answer that has no reference, so the callback keeps one.
        answer._on_completed(lambda found, answer=answer: self._answer(agent, call, found))

    def _answer(self, agent: str, call: int, found: Any) -> None:
        if (error := error_of(found)) is None:
            self._answers.answer(agent, call, parts_of(found))
        else:
            self._fail(agent, call, error)

    def _fail(self, agent: str, call: int, error: Exception) -> None:
        """Pass an error on; a report of the agent's death only when it is certain, or cannot become so."""
        if isinstance(error, (exceptions.RayActorError, *DEATHS)) and self._watch.has_place(agent):
            self._watch.confirm(agent, call, error)
        else:
            self._answers.fail(agent, call, error)

    def _dismiss(self, agent: str) -> None:
        handle = self._agents.pop(agent, None)
        self._watch.release(agent)
        if handle is not None:
            ray.kill(handle)

    def _end(self) -> None:
        agents, self._agents = [*self._agents.values()], {}
        head.end_all(agents)
        ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)  # the coordinator may be dead
