"""How an exception that ended a trial becomes data (law 6)."""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
import sysconfig
import traceback
from pathlib import Path

from tunecli.errors import TunecliError
from tunecli.trial import Failure, FailureKind

USER_CODE_ERRORS = (Exception, SystemExit, KeyboardInterrupt)
"""What ends a trial as failed. User code may raise all of them; a signal for this process raises none of them."""

MOST_CAUSE = 1000
"""Characters of a failure's cause that are kept."""
MOST_TRACEBACK = 65536
"""Characters of its traceback that are kept."""

_NOT_OWN = (str(Path(__file__).parents[1]) + os.sep, sysconfig.get_path("stdlib") + os.sep)
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_FULL = re.compile(r"can't allocate memory|out of (device )?memory|\balloc failed", re.IGNORECASE)
_LOST = re.compile(r"\b(cuda|hip) error\b|device-side assert|\bdevice lost\b", re.IGNORECASE)


def failure_of(error: BaseException) -> Failure:
    """A failure as data.

    The frames that the error came through let go of what they held, which may be most of a device's memory.
    """
    text = _text(error)
    first_line = (text.strip().splitlines() or [""])[0]
    if isinstance(error, TunecliError):
        cause = f"{first_line} ({error.hint})" if error.hint else first_line
    else:
        cause = f"{type(error).__name__}: {first_line}".rstrip(": ")
        place = _own_place(error)
        cause = f"{_cut(cause, MOST_CAUSE - len(place) - 3)} ({place})" if place else cause
    failure = Failure(_kind(error, text), cause, "".join(traceback.format_exception(error)))
    _clear(error)
    return failure


def bounded(failure: Failure) -> Failure:
    """The same failure, its cause in one line of 1,000 characters and its traceback of 65,536, as far as they go.

    What is beyond goes from their middles: the record, the table and the screen have to bear any text.
    """
    cause = " ".join(failure.cause.splitlines()) if len(failure.cause.splitlines()) > 1 else failure.cause
    cause, found = _cut(cause, MOST_CAUSE), _cut(failure.traceback, MOST_TRACEBACK)
    if (cause, found) == (failure.cause, failure.traceback):
        return failure
    return Failure(failure.kind, cause, found)


def _cut(text: str, most: int) -> str:
    """The text without its middle, where it has more characters than ``most``; its head and its tail stay."""
    if len(text) <= most:
        return text
    said = f" … {len(text) - most:,} characters … "
    head = (most - len(said)) * 3 // 4
    return f"{text[:head]}{said}{text[len(text) - (most - len(said) - head) :]}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # the user's own class may do anything, and end the process too
        return "its text cannot be had"


def _own_place(error: BaseException) -> str:
    """File and line of the innermost frame of the user's code that raised the error; empty if no such frame exists."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = frame.f_code.co_filename
        if not path.startswith(_NOT_OWN) and not _INSTALLED.search(path) and Path(path).is_absolute():
            place = f"{Path(path).name}:{line}"
    return place


def release_memory(device: str) -> None:
    """Let go of what only cycles of references hold, and give what torch keeps cached on an accelerator back to it."""
    gc.collect()
    if device != "cpu":
        import torch

        torch.accelerator.empty_cache()


def _kind(error: BaseException, text: str) -> FailureKind:
    """torch reports a full CPU, and much that a driver says, as a RuntimeError, told apart by its words alone."""
    has_no_room = isinstance(error, OSError) and error.errno == errno.ENOMEM  # a fork, or a map of memory
    if isinstance(error, MemoryError) or has_no_room or _is_torch_s(error, "OutOfMemoryError"):
        return FailureKind.OOM
    if not isinstance(error, RuntimeError):
        return FailureKind.ERROR
    words = text.replace("_", " ")  # UR_RESULT_ERROR_DEVICE_LOST, CUBLAS_STATUS_ALLOC_FAILED
    if _FULL.search(words):
        return FailureKind.OOM
    is_lost = _is_torch_s(error, "AcceleratorError") or _LOST.search(words)
    return FailureKind.LOST if is_lost else FailureKind.ERROR


def _is_torch_s(error: BaseException, name: str) -> bool:
    """Whether an error is of a class of torch's, which only raises it where it is loaded."""
    kind = getattr(sys.modules.get("torch"), name, None)
    return kind is not None and isinstance(error, kind)


def _clear(error: BaseException) -> None:
    """Clear the locals of all frames that an error, its causes and what it came up beside were raised through."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
