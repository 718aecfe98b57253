"""Messages between the engine and its agents as JSON, with the names of the files whose contents are their blobs.

An `Order` goes to an agent, a `Batch` comes back. Each blob carries the content of one `SentAlong`, in their order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from tunecli.engine.cluster.protocol import AgentFacts, AgentSetup, SentFile
from tunecli.engine.wire import event_of, jobs_of, pack_event, pack_jobs, pack_storage_error
from tunecli.errors import DiskFull, StoreFailed
from tunecli.messages import Event, Job


class Role(StrEnum):
    """The purpose of a file that travels with a job or an event."""

    CHECKPOINT = "checkpoint"
    WEIGHTS = "weights"
    LOG = "log"
    REPORTS = "reports"
    OWN = "own"  # a file in the folder of the user's own checkpoints
    TRIAL = "trial"  # a file in the trial's own working folder


@dataclass(frozen=True, slots=True)
class SentAlong:
    """A file that travels with an order or an event.

    Attributes:
        role: its purpose.
        number: the trial that it belongs to.
        name: its name; of a file in a folder of the user's trial, the path in that folder.
        sha256: of its content.
    """

    role: Role
    number: int
    name: str
    sha256: str


class Kind(StrEnum):
    """The kinds of orders."""

    SUBMIT = "submit"
    STOP = "stop"
    END = "end"


@dataclass(frozen=True, slots=True)
class Order:
    """An order to an agent.

    Attributes:
        number: counts the orders to this agent, from 1.
        kind: run jobs, stop all jobs at their epochs' ends, or end one job.
        jobs: of `Kind.SUBMIT`, the job or the jobs to train together.
        target: of `Kind.END`, the trial's number.
        files: the files that come with it, in the order of the blobs.
    """

    number: int
    kind: Kind
    jobs: Sequence[Job] = ()
    target: int = -1
    files: Sequence[SentAlong] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """An event with its files; None in place of an event: the files alone are new.

    A `DiskFull` or `StoreFailed` in place of an event ends the sweep: the run folder's disk refused a worker. The note
    is for the user.
    """

    event: Event | DiskFull | StoreFailed | None
    files: Sequence[SentAlong] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """The events of one reply to ``poll``.

    Attributes:
        number: counts the batches of this agent, from 1; 0: nothing is new.
        items: the events.
        problem: why the agent cannot go on, for example a full disk; its jobs are lost. Empty: it can.
    """

    number: int = 0
    items: Sequence[Item] = ()
    problem: str = ""


def pack_order(order: Order) -> bytes:
    """The order as JSON."""
    head = {"number": order.number, "kind": order.kind, "target": order.target}
    files = json.dumps([asdict(file) for file in order.files]).encode()
    return b'{"head": %s, "jobs": %s, "files": %s}' % (
        json.dumps(head).encode(),
        pack_jobs(order.jobs),
        files,
    )


def unpack_order(message: bytes) -> Order:
    """The inverse of :func:`pack_order`."""
    return _order(json.loads(message))


def _order(body: dict[str, Any]) -> Order:
    head = body["head"]
    return Order(
        head["number"], Kind(head["kind"]), jobs_of(body["jobs"]), head["target"], _files(body["files"])
    )


def pack_batch(batch: Batch) -> bytes:
    """The batch as JSON."""
    head = json.dumps({"number": batch.number, "problem": batch.problem}).encode()
    return b'{"head": %s, "items": [%s]}' % (head, b", ".join(map(_pack_item, batch.items)))


def unpack_batch(message: bytes) -> Batch:
    """The inverse of :func:`pack_batch`."""
    body: dict[str, Any] = json.loads(message)
    head = body["head"]
    return Batch(head["number"], [_item(*parts) for parts in body["items"]], head["problem"])


def _pack_item(item: Item) -> bytes:
    match item.event:
        case None:
            event = b"null"
        case DiskFull() | StoreFailed() as error:
            event = pack_storage_error(error)
        case event_:
            event = pack_event(event_)
    if not item.files and not item.note:
        return b'[%s, [], ""]' % event
    files = json.dumps([asdict(file) for file in item.files]).encode()
    return b"[%s, %s, %s]" % (event, files, json.dumps(item.note).encode())


def _item(event: dict[str, Any] | None, files: list[dict[str, Any]], note: str) -> Item:
    if event is None:
        return Item(None, _files(files), note)
    try:
        return Item(event_of(event), _files(files), note)
    except (DiskFull, StoreFailed) as error:
        return Item(error, _files(files), note)


def _files(bodies: Sequence[dict[str, Any]]) -> list[SentAlong]:
    return [SentAlong(**{**body, "role": Role(body["role"])}) for body in bodies]


@dataclass(frozen=True, slots=True)
class Poll:
    """A request for events.

    Attributes:
        acknowledged: the number of the last batch that arrived.
        wait_s: how long to wait for the next one.
        order: to obey before; None: there is none. The blobs of the call are its files' contents.
    """

    acknowledged: int
    wait_s: float
    order: Order | None = None


def pack_poll(acknowledged: int, wait_s: float, packed_order: bytes = b"") -> bytes:
    """A `Poll` as JSON; ``packed_order`` is the result of :func:`pack_order`, or empty."""
    return b"[%d, %s, %s]" % (acknowledged, json.dumps(wait_s).encode(), packed_order or b"null")


def unpack_poll(message: bytes) -> Poll:
    """The inverse of :func:`pack_poll`."""
    acknowledged, wait_s, order = json.loads(message)
    return Poll(int(acknowledged), float(wait_s), None if order is None else _order(order))


def pack_setup(setup: AgentSetup) -> bytes:
    """The settings of an agent as JSON."""
    return json.dumps(asdict(setup)).encode()


def unpack_setup(message: bytes) -> AgentSetup:
    """The inverse of :func:`pack_setup`."""
    body: dict[str, Any] = json.loads(message)
    return AgentSetup(**{**body, "files": tuple(SentFile(**file) for file in body["files"])})


def pack_facts(facts: AgentFacts) -> bytes:
    """The facts of an agent as JSON."""
    return json.dumps(asdict(facts)).encode()


def unpack_facts(message: bytes) -> AgentFacts:
    """The inverse of :func:`pack_facts`."""
    return AgentFacts(**json.loads(message))
