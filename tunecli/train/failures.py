"""How an exception that ended a trial becomes data (law 6)."""

from __future__ import annotations

import gc
import re
import sys
import traceback

from tunecli.errors import TunecliError
from tunecli.trial import Failure, FailureKind

_FULL = re.compile(r"can't allocate memory|out of (device )?memory|\balloc failed", re.IGNORECASE)
_LOST = re.compile(r"\b(cuda|hip) error\b|device-side assert|\bdevice lost\b", re.IGNORECASE)


def failure_of(error: BaseException) -> Failure:
    """A failure as data.

    The frames that the error came through let go of what they held, which may be most of a device's memory.
    """
    first_line = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, TunecliError):
        cause = f"{first_line} ({error.hint})" if error.hint else first_line
    else:
        cause = f"{type(error).__name__}: {first_line}".rstrip(": ")
    failure = Failure(_kind(error), cause, "".join(traceback.format_exception(error)))
    _clear(error)
    return failure


def release_memory(device: str) -> None:
    """Let go of what only cycles of references hold, and give what torch keeps cached on an accelerator back to it."""
    gc.collect()
    if device != "cpu":
        import torch

        torch.accelerator.empty_cache()


def _kind(error: BaseException) -> FailureKind:
    """torch reports a full CPU, and much that a driver says, as a RuntimeError, told apart by its words alone."""
    if isinstance(error, MemoryError) or _is_torch_s(error, "OutOfMemoryError"):
        return FailureKind.OOM
    if not isinstance(error, RuntimeError):
        return FailureKind.ERROR
    words = str(error).replace("_", " ")  # UR_RESULT_ERROR_DEVICE_LOST, CUBLAS_STATUS_ALLOC_FAILED
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
