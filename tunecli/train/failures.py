"""How an exception that ended a trial becomes data (law 6)."""

from __future__ import annotations

import traceback

import torch

from tunecli.errors import TunecliError
from tunecli.trial import Failure, FailureKind


def failure_of(error: BaseException) -> Failure:
    """A failure as data. torch reports a full CPU as a RuntimeError, told apart by its words alone."""
    is_full = isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
    first_line = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, TunecliError):
        cause = f"{first_line} ({error.hint})" if error.hint else first_line
    else:
        cause = f"{type(error).__name__}: {first_line}".rstrip(": ")
    kind = FailureKind.OOM if is_full else FailureKind.ERROR
    return Failure(kind, cause, "".join(traceback.format_exception(error)))
