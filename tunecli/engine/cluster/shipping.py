"""The files that travel between the run folder and agents that do not see it: with an order there, with an event back.

A file that came back is written whole and durable before its event is yielded (write-ahead).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tunecli import durable_files
from tunecli.engine.cluster.node_files import MOST_OWN_BYTES, own_files, path_of
from tunecli.engine.cluster.storage import Channel
from tunecli.engine.cluster.wire import Item, Role, SentAlong
from tunecli.errors import from_os_error
from tunecli.messages import Checkpointed, Ended, Event, Job, Paused
from tunecli.object_storage.pointer import pointer_of

_CHECKED = (Role.CHECKPOINT, Role.WEIGHTS)
"""The roles of files that an event names by their hashes."""


def outgoing(jobs: Sequence[Job], channel: Channel) -> tuple[list[SentAlong], list[bytes]]:
    """The files that jobs need on a node that does not see the run folder: checkpoints, logs, the user's own files.

    Args:
        jobs: the jobs of an order.
        channel: where the contents travel.

    Returns:
        The files, and the blobs of their contents. A file that cannot be read is left out: the worker says so.

    Raises:
        DiskFull, StoreFailed: the channel refuses a content.
    """
    files: list[SentAlong] = []
    blobs: list[bytes] = []
    for job in jobs:
        for file, path in _needed(job):
            try:
                content = durable_files.read_regular(path)
            except OSError:
                continue
            sha256 = file.sha256 or hashlib.sha256(content).hexdigest()
            files.append(replace(file, sha256=sha256))
            blobs.append(channel.put(content))
    return files, blobs


def _needed(job: Job) -> list[tuple[SentAlong, Path]]:
    """The files that a job needs, and their paths in the run folder; the hash of a checkpoint is the recorded one."""
    needed = [
        (file, path)
        for checkpoint in job.resume.checkpoints
        for file in [SentAlong(Role.CHECKPOINT, job.number, checkpoint.name, checkpoint.sha256)]
        if (path := path_of(job, file)) is not None
    ]
    if job.attempt > 1 or job.resume.recorded:
        log = SentAlong(Role.LOG, job.number, "", "")
        if (path := path_of(job, log)) is not None:
            needed.append((log, path))
    own, _ = own_files(job, MOST_OWN_BYTES)
    return [*needed, *((SentAlong(role, job.number, name, ""), path) for role, name, path in own)]


def is_intact(files: Sequence[SentAlong], contents: Sequence[bytes]) -> bool:
    """Whether every content is that of its file."""
    return len(files) == len(contents) and all(
        hashlib.sha256(content).hexdigest() == file.sha256
        for file, content in zip(files, contents, strict=True)
    )


def received(job: Job, item: Item, contents: Sequence[bytes]) -> tuple[Event | None, str]:
    """Write the files that came with an event.

    Args:
        job: the event's job, with the paths of the run folder.
        item: the event and its files.
        contents: the contents of the files.

    Returns:
        The event to yield, and a note for the user. A checkpoint that is damaged or missing has no event, so that the
        trial goes on from an older one. An end whose weights are damaged says that there are none. A log of a running
        trial comes without an event.

    Raises:
        DiskFull, StoreFailed: the run folder's disk refuses a file.
    """
    event = item.event
    if isinstance(event, Exception):
        return None, item.note
    intact = {
        (file.role, file.name): (file, content)
        for file, content in zip(item.files, contents, strict=False)
        if hashlib.sha256(content).hexdigest() == file.sha256
    }
    note = item.note
    if event is None:
        for file, content in intact.values():
            if file.role is Role.LOG and (path := path_of(job, file)) is not None:
                _replace(path, content)
        return None, note
    if isinstance(event, Checkpointed):
        found = intact.get((Role.CHECKPOINT, event.checkpoint.name))
        if found is None or not _is_of(event, *found) or path_of(job, found[0]) is None:
            return None, (
                f"a checkpoint of trial {event.number}, of epoch {event.checkpoint.epoch}, was damaged on its way; "
                "an older one is used"
            )
    if isinstance(event, Ended | Paused) and event.outcome.weights_sha256:
        found = intact.get((Role.WEIGHTS, ""))
        if found is None or found[0].sha256 != event.outcome.weights_sha256:
            intact.pop((Role.WEIGHTS, ""), None)
            event = replace(event, outcome=replace(event.outcome, weights_sha256=""))
            note = f"the weights of trial {event.number} were damaged on their way, and are lost"
    sent = own_files(job)[0]  # empty if they were too large to be sent
    for file, content in intact.values():
        if (path := path_of(job, file)) is not None:
            _write(path, content, file.role)
    # With a note and no files of its own, the node never had those that were sent, or kept them.
    is_whole = not item.note or any(file.role in (Role.OWN, Role.TRIAL) for file in item.files)
    if not isinstance(event, Checkpointed) and len(intact) == len(item.files) and is_whole:
        _remove_others(job, sent, item.files)
    return event, note


def _is_of(event: Checkpointed, file: SentAlong, content: bytes) -> bool:
    """Whether a content is the checkpoint of an event, or a pointer to it: its reader checks the checkpoint itself."""
    return file.sha256 == event.checkpoint.sha256 or pointer_of(content) is not None


def _write(path: Path, content: bytes, role: Role) -> None:
    try:
        durable_files.make_folder(path.parent)
        if role in _CHECKED:
            durable_files.put(path, content, steps=(f"rename {role}", f"renamed {role}"))
        else:
            durable_files.put(path, content, steps=("rename own file", "renamed own file"))
    except OSError as error:
        raise from_os_error(error, path, is_users_path=False) from error


def _replace(path: Path, content: bytes) -> None:
    """Replace a file that a reader may follow. It need not be durable: the end of the attempt brings it again."""
    temporary = durable_files.temporary_beside(path)
    try:
        durable_files.make_folder(path.parent)
        with os.fdopen(durable_files.open_new(temporary), "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        raise from_os_error(error, path, is_users_path=False) from error


def _remove_others(job: Job, sent: Sequence[tuple[Role, str, Path]], files: Sequence[SentAlong]) -> None:
    """Remove the user's own files of a trial that the node does not have any more, of those that were sent there."""
    kept = {(file.role, file.name) for file in files if file.role in (Role.OWN, Role.TRIAL)}
    for role, name, path in sent:
        if (role, name) not in kept:
            with suppress(OSError):
                path.unlink()
    for folder in filter(None, (job.files.checkpoint_dir, job.files.trial_dir)):
        if Path(folder).is_dir() and not any(path.is_file() for path in Path(folder).rglob("*")):
            shutil.rmtree(folder, ignore_errors=True)
