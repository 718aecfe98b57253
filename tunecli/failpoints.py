"""Failpoints: hooks at every durable step, where a test can kill the process or make the step fail.

Each commit, rename, dispatch and checkpoint calls `reach`, which does nothing unless a test arms it. Then all processes
of a study count their points together in a file. At the n-th point the process is killed, or the step raises like a
failing disk. So tests can produce every crash between two durable steps, one after another.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

VARIABLE = "TUNECLI_FAILPOINT"
"""The environment variable that arms every process that inherits it, for example ``kill:7:/path/of/the/count``."""

Mode = Literal["count", "kill", "raise"]


@dataclass(frozen=True, slots=True)
class _Armed:
    mode: str
    at: int
    path: Path


_armed: _Armed | None = None


def arm(mode: Mode, at: int, path: Path) -> None:
    """Arm this process and all processes that it starts later.

    Args:
        mode: ``count`` only counts the points; ``kill`` kills the process that reaches point ``at`` with SIGKILL;
            ``raise`` raises OSError with EIO there.
        at: the point, counted from 1.
        path: the file in which all processes count together, one line for each point.
    """
    global _armed
    _armed = _Armed(mode, at, path)
    os.environ[VARIABLE] = f"{mode}:{at}:{path}"


def reach(name: str) -> None:
    """Mark a point before or after a durable step.

    Args:
        name: the point's name, such as ``commit begins``.

    Raises:
        OSError: the point is armed to raise.
    """
    if _armed is None:
        return
    if _count(name) != _armed.at:
        return
    if _armed.mode == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if _armed.mode == "raise":
        raise OSError(errno.EIO, f"{os.strerror(errno.EIO)} (failpoint {_armed.at}, {name})")


def _count(name: str) -> int:
    """Count the point ``name``, and return its number over all processes."""
    assert _armed is not None
    with _armed.path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{name}\n")
        file.flush()
        file.seek(0)
        return sum(1 for _ in file)


def _from_environment() -> None:
    mode, _, rest = os.environ.get(VARIABLE, "").partition(":")
    at, _, path = rest.partition(":")
    if mode in ("count", "kill", "raise") and at.isdigit():
        arm(mode, int(at), Path(path))  # type: ignore[arg-type]  # one of the three, by the condition


_from_environment()
