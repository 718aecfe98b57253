"""The failure of a trial, as data, from the exception that ended it (failure-is-data)."""

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
"""The exceptions that end a trial as failed. User code may raise them; a signal to this process does not."""

MOST_CAUSE = 1000
"""Longest recorded cause of a failure, in characters."""
MOST_TRACEBACK = 65536
"""Longest recorded traceback, in characters."""

_NOT_OWN = (str(Path(__file__).parents[1]) + os.sep, sysconfig.get_path("stdlib") + os.sep)
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_FULL = re.compile(r"can't allocate memory|out of (device )?memory|\balloc failed", re.IGNORECASE)
_LOST = re.compile(r"\b(cuda|hip) error\b|device-side assert|\bdevice lost\b", re.IGNORECASE)


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception means.

    The local variables of all frames in the exception's traceback are cleared: they may hold most of a device's memory.
    """
    text = _text(error)
    first_line = (text.strip().splitlines() or [""])[0]
    if isinstance(error, TunecliError):
        cause = f"{first_line} ({error.hint})" if error.hint else first_line
    else:
        cause = f"{type(error).__name__}: {first_line}".rstrip(": ")
        line = _user_line(error)
        cause = f"{_cut(cause, MOST_CAUSE - len(line) - 3)} ({line})" if line else cause
    failure = Failure(_kind(error, text), cause, "".join(traceback.format_exception(error)))
    _clear(error)
    return failure


def bounded(failure: Failure) -> Failure:
    """The same failure, with its cause in one line of at most 1,000 characters and its traceback of at most 65,536.

    Longer texts lose their middle, so that the record, the table and the screen can hold any failure.
    """
    cause = " ".join(failure.cause.splitlines()) if len(failure.cause.splitlines()) > 1 else failure.cause
    cause, trace = _cut(cause, MOST_CAUSE), _cut(failure.traceback, MOST_TRACEBACK)
    if (cause, trace) == (failure.cause, failure.traceback):
        return failure
    return Failure(failure.kind, cause, trace)


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
    except BaseException:  # the user's own class may do anything, even exit
        return "the error has no readable text"


def _user_line(error: BaseException) -> str:
    """File and line of the innermost frame of the user's code that raised the error; empty if no such frame exists."""
    file_and_line = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = frame.f_code.co_filename
        if not path.startswith(_NOT_OWN) and not _INSTALLED.search(path) and Path(path).is_absolute():
            file_and_line = f"{Path(path).name}:{line}"
    return file_and_line


def release_memory(device: str) -> None:
    """Free objects in reference cycles, and the memory of an accelerator that torch keeps cached."""
    gc.collect()
    if device != "cpu":
        import torch

        torch.accelerator.empty_cache()


def _kind(error: BaseException, text: str) -> FailureKind:
    """The kind of an error. torch raises a plain RuntimeError for many causes, which only its text distinguishes."""
    has_no_room = isinstance(error, OSError) and error.errno == errno.ENOMEM  # a fork, or a map of memory
    if isinstance(error, MemoryError) or has_no_room or _is_torch_error(error, "OutOfMemoryError"):
        return FailureKind.OOM
    if not isinstance(error, RuntimeError):
        return FailureKind.ERROR
    words = text.replace("_", " ")  # UR_RESULT_ERROR_DEVICE_LOST, CUBLAS_STATUS_ALLOC_FAILED
    if _FULL.search(words):
        return FailureKind.OOM
    is_lost = _is_torch_error(error, "AcceleratorError") or _LOST.search(words)
    return FailureKind.LOST if is_lost else FailureKind.ERROR


def _is_torch_error(error: BaseException, name: str) -> bool:
    """Whether an error is of a class of torch; False while torch is not loaded."""
    kind = getattr(sys.modules.get("torch"), name, None)
    return kind is not None and isinstance(error, kind)


def _clear(error: BaseException) -> None:
    """Clear the local variables of all frames of an error, its causes and its contexts."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        traceback.clear_frames(current.__traceback__)
        waiting += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
