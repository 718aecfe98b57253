"""An agent: a process on a node that holds a `LocalEngine` and takes its orders from a coordinator elsewhere.

It trains nothing itself. So a crash, a hang, a limit, a lost device or a frozen worker is handled on its node as by
`run.engine: local`. One thread of the agent owns the engine. Calls from the cluster come in other threads: they put
orders in and take events out.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path

from tunecli.engine.cluster.lease import Lease
from tunecli.engine.cluster.node_files import LOG_S, NodeFiles
from tunecli.engine.cluster.outbox import Content, Outbox
from tunecli.engine.cluster.protocol import AgentFacts, AgentSetup
from tunecli.engine.cluster.sender import Sender
from tunecli.engine.cluster.wire import (
    Item,
    Kind,
    Order,
    pack_batch,
    pack_facts,
    unpack_order,
    unpack_poll,
)
from tunecli.engine.failures import ended_by_hand
from tunecli.engine.local import LocalEngine
from tunecli.engine.protocol import EngineOptions
from tunecli.engine.versions import software_versions
from tunecli.errors import DiskFull, StoreFailed, os_reason
from tunecli.messages import Ended, Event, Job, Paused, Started, Stopped
from tunecli.train import machine

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "PYTHONHASHSEED",
)
"""Variables that change the bits of a training. A cluster may set them for its own processes."""

_LOOK_S = 0.2
_CLOSE_S = 10.0
_engines = threading.RLock()
"""Agents of one process, as in tests, share its fork server."""


class Agent:
    """Runs jobs on a node. Its methods may be called from several threads."""

    def __init__(
        self,
        setup: AgentSetup,
        blobs: Sequence[bytes] = (),
        node: str = "",
        on_orphaned: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the user's files and start the fork server; workers are forked when jobs need them.

        Args:
            setup: the agent's settings.
            blobs: the contents of the user's files.
            node: the cluster's identifier of the node.
            on_orphaned: called when the agent has ended itself, because its beats ceased; ends the process.
        """
        self._setup, self._node, self._on_orphaned = setup, node, on_orphaned
        self._lease = Lease(setup.orphan_s)
        self._inbox: dict[int, tuple[Order, Sequence[bytes]]] = {}
        self._next_order = 1
        self._outbox = Outbox()
        self._waiting: deque[list[Job]] = deque()
        self._is_ending = self._is_broken = self._is_abrupt = False
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        _take_environment(setup)
        self._files = NodeFiles(setup, blobs)
        has_storage = bool(setup.storage) and not self._files.is_shared
        self._sender = Sender(self._files, self._outbox.add, self._outbox.fail) if has_storage else None
        self._host = socket.gethostname()
        with _engines:
            self._engine = LocalEngine(
                EngineOptions(
                    n_workers=setup.n_slots,
                    threads=setup.threads,
                    needs_torch=setup.needs_torch,
                    workers_lock=Path(setup.workers_lock)
                    if setup.workers_lock and self._files.is_shared
                    else None,
                    per_device=setup.per_device,
                ),
                folder=self._working_folder(),
            )
        self._lease.begin()  # the start may have taken longer than an agent lives without a beat
        self._thread = threading.Thread(target=self._run, name="tunecli-agent", daemon=True)
        self._thread.start()

    def call(
        self, method: str, message: bytes = b"", blobs: Sequence[bytes] = ()
    ) -> tuple[bytes, Sequence[bytes]]:
        """Answer a call of the protocol.

        Args:
            method: ``hello``, ``order``, ``poll``, ``beat`` or ``close``.
            message: JSON, as `tunecli.engine.cluster.wire` packs it.
            blobs: the contents of the files of an order, which may come with a poll.

        Returns:
            The message and the blobs of the answer.

        Raises:
            ValueError: there is no such method.
            Exception: an error of the agent's own code, in this call or an earlier one.
        """
        match method:
            case "hello":
                return pack_facts(self._facts()), ()
            case "order":
                self._take(unpack_order(message), blobs)
                return b"{}", ()
            case "poll":
                poll = unpack_poll(message)
                if poll.order is not None:
                    self._take(poll.order, blobs)
                batch, contents = self._outbox.take(poll.acknowledged, poll.wait_s)
                return pack_batch(batch), contents
            case "beat":
                return self._lease.renew(message), ()
            case "close":
                self.close()
                return b"{}", ()
        raise ValueError(f"an agent has no method {method!r}")

    def close(self, *, is_abrupt: bool = False) -> None:
        """End the workers, and remove the files of this agent.

        Args:
            is_abrupt: leave the files, as an agent does that is killed.
        """
        self._is_abrupt = self._is_abrupt or is_abrupt
        self._is_ending = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_S)

    @property
    def spool(self) -> Path:
        """The folder of the agent's own files."""
        return self._files.spool

    def _facts(self) -> AgentFacts:
        return AgentFacts(
            host=self._host,
            node=self._node,
            process_id=os.getpid(),
            n_slots=self._setup.n_slots,
            devices=tuple(accelerator.name for accelerator in machine.accelerators("auto")),
            is_shared=self._files.is_shared,
            versions=dict(software_versions()),
            problem=self._files.problem,
        )

    def _take(self, order: Order, blobs: Sequence[bytes]) -> None:
        """Keep an order until those before it have come; drop it if it was obeyed already."""
        if order.number >= self._next_order:
            self._inbox.setdefault(order.number, (order, blobs))
            self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # it is full, which wakes as well
            os.write(self._wake_write, b"x")

    def _working_folder(self) -> Path | None:
        """The coordinator's working folder if this node shares its files, else the folder of the user's files."""
        if self._files.is_shared:
            folder = Path(self._setup.folder)
            return folder if self._setup.folder and folder.is_dir() else None
        return self._files.base_path

    # The thread that owns the engine

    def _run(self) -> None:
        while not self._is_ending and self._lease.left_s >= 0.0:
            try:
                self._wait()
                if not self._is_broken:
                    self._work()
            except Exception as error:  # an error of ours: the coordinator raises it
                self._is_broken = True
                self._outbox.fail(error)
                with _engines:
                    self._engine.close()
        is_orphaned = not self._is_ending
        with _engines:
            self._engine.close()
        if self._sender is not None:  # the coordinator removes all objects when its agents have ended
            self._sender.close(is_waiting=not self._is_abrupt)
        if not is_orphaned:  # else a late call ends with the process, so that the coordinator sees a death
            self._outbox.fail(RuntimeError("the agent has ended"))
        self._files.close(is_kept=self._is_abrupt)
        if is_orphaned:
            self._on_orphaned()

    def _wait(self) -> None:
        """Wait for an order, for news of a worker, or for the time of the next look at limits."""
        left_s = self._lease.left_s
        if self._engine.needs_looks:
            left_s = min(left_s, _LOOK_S)
        if self._files.has_logs:
            left_s = min(left_s, LOG_S)
        sources = [] if self._is_broken else self._engine.sources()
        if self._wake_read in connection.wait([self._wake_read, *sources], max(0.0, left_s)):
            with suppress(BlockingIOError):
                os.read(self._wake_read, 4096)

    def _work(self) -> None:
        """Obey the orders that have come, and pass on the events; report a disk of the node that refuses."""
        try:
            with _engines:
                self._obey()
                self._pass_on(self._engine.events(0.0))
                self._give()  # an end has made room
            self._outbox.add(self._files.changed_logs(time.monotonic()))
        except (DiskFull, StoreFailed) as error:
            if self._files.is_shared:  # it is the run folder's disk: the sweep ends, as with local workers
                self._outbox.add([(Item(error), ())])
            self._break_off(error.message)
        except OSError as error:
            self._break_off(f"a worker cannot be started: {os_reason(error)}")

    def _break_off(self, problem: str) -> None:
        """End all jobs without events, because nothing can be run here any more: the coordinator gives them back."""
        self._is_broken = True
        with _engines:
            self._engine.close()
        self._outbox.report(problem)

    def _obey(self) -> None:
        while (taken := self._inbox.pop(self._next_order, None)) is not None:
            self._next_order += 1
            order, blobs = taken
            match order.kind:
                case Kind.SUBMIT:
                    jobs = [self._files.localized(job, order.files, blobs) for job in order.jobs]
                    self._waiting.append(jobs)
                case Kind.STOP:
                    waiting, self._waiting = self._waiting, deque()
                    self._pass_on(Stopped(job.number, job.attempt) for jobs in waiting for job in jobs)
                    self._engine.stop()
                case Kind.END:
                    self._end(order.target)
        self._give()

    def _give(self) -> None:
        """Give jobs that wait to idle workers. Jobs wait if the node has fewer accelerators than slots."""
        while self._waiting and self._engine.n_idle:
            self._engine.submit(*self._waiting.popleft())

    def _end(self, number: int) -> None:
        for jobs in self._waiting:
            for job in jobs:
                if job.number == number:
                    jobs.remove(job)
                    self._pass_on([ended_by_hand(job, 0.0, "")])
                    self._waiting = deque(filter(None, self._waiting))
                    return
        self._engine.end(number)

    def _pass_on(self, events: Iterable[Event]) -> None:
        items: list[tuple[Item, Sequence[Content]]] = []
        try:
            for event in events:
                named = replace(event, host=self._host) if isinstance(event, Started) else event
                if isinstance(event, Ended | Paused | Stopped):
                    self._files.unfollow_log(event.number)
                if self._sender is None:
                    items.append(self._files.item(named))
                else:
                    self._sender.send(named)
        finally:  # the events before an error remain valid
            self._outbox.add(items)


def _take_environment(setup: AgentSetup) -> None:
    """Set the variables of the setup, and remove those that the cluster set and that change a training's bits."""
    for name in THREAD_VARIABLES:
        if name not in setup.environment:
            os.environ.pop(name, None)
    for name, value in setup.environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
