"""A file that keeps each epoch from the moment that the user's code reports it.

The user's code may note how far it came as soon as a report returns, and may be killed before the coordinator has the
report on record. So each report is in this file first; the coordinator takes from it what its record lacks. One line
of JSON each, added by one write: a kill leaves whole lines, and a line that is not whole is no report. Loads no torch.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunecli.errors import DiskFull, StoreFailed
from tunecli.train.own.bounds import MOST_EPOCHS
from tunecli.trial import EpochEnded, Started

_ADD = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def add(path: str, event: Started | EpochEnded) -> None:
    """Add an event to the file at ``path``; an empty path keeps nothing.

    Raises:
        DiskFull: no room is left for it.
        StoreFailed: the disk refuses, or something else than a file is there.
    """
    if not path:
        return
    line = (json.dumps(_body(event)) + "\n").encode()
    try:
        descriptor = os.open(path, _ADD, 0o666)
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, "no room is left", path)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no room is left for {path}", hint="free some, then resume") from error
        raise StoreFailed(f"cannot write {path}: {error.strerror}", hint="check the disk") from error


def events_of(path: Path) -> list[Started | EpochEnded]:
    """The events in the file, in order; none if it is missing or not a regular file."""
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return []
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return list(_events(file.read()))
    finally:
        os.close(descriptor)


def _events(content: bytes) -> Iterator[Started | EpochEnded]:
    for line in content.splitlines():
        try:
            yield _event(json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue  # a power failure may leave a part of a line


def _body(event: Started | EpochEnded) -> list[Any]:
    if isinstance(event, Started):
        return ["started", event.number, event.attempt, event.device, event.process_id, event.from_epoch]
    return [
        "epoch", event.number, event.attempt, event.epoch, dict(event.metrics), event.seconds, event.epoch_offset
    ]  # fmt: skip


def _event(body: list[Any]) -> Started | EpochEnded:
    """The event, of what :func:`_body` gives.

    Raises:
        ValueError, TypeError, AttributeError: the line says something else.
    """
    kind, number, attempt, *rest = body
    if kind == "started":
        device, process_id, from_epoch = rest
        if all(map(_is_count, (number, attempt, process_id, from_epoch))) and isinstance(device, str):
            return Started(number, attempt, device, process_id, from_epoch)
    elif kind == "epoch":
        epoch, metrics, seconds, offset = rest
        numbers = (seconds, *metrics.values())
        if all(map(_is_count, (number, attempt, epoch, offset))) and all(
            isinstance(value, float) for value in numbers
        ):
            return EpochEnded(number, attempt, epoch, 0, metrics, seconds, offset)
    raise ValueError("this is no event")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= MOST_EPOCHS + 1
