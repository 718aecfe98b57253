"""Where a process may be made to die: one hook at every durable step, which does nothing unless a test arms it.

A commit, a rename, a dispatch, a checkpoint each call `reach`. Armed, all processes of a study count together, in a
file; at the n-th point the one that reaches it is killed, or the step raises as a failing disk would. So every crash
that can happen between two durable steps can be made to happen, each once. Knows nothing of what the steps do.
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
"""The environment variable that arms every process which inherits it: ``kill:7:/path/of/the/count``."""

Mode = Literal["count", "kill", "raise"]


@dataclass(frozen=True, slots=True)
class _Armed:
    mode: str
    at: int
    path: Path


_armed: _Armed | None = None


def arm(mode: Mode, at: int, path: Path) -> None:
    """Arm this process and all that it starts from now on.

    Args:
        mode: ``count`` only notes each point; ``kill`` ends whoever reaches point ``at`` by SIGKILL; ``raise`` raises
            OSError with EIO there.
        at: counted from 1.
        path: the file in which all processes count together; one line a point.
    """
    global _armed
    _armed = _Armed(mode, at, path)
    os.environ[VARIABLE] = f"{mode}:{at}:{path}"


def reach(name: str) -> None:
    """A durable step is about to be taken, or was just taken, as ``name`` says.

    Raises:
        OSError: armed so.
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
    """Which point this is, over all processes."""
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
        arm(mode, int(at), Path(path))  # type: ignore[arg-type]  # one of the three, as just asked


_from_environment()
