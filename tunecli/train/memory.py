"""Memory of the machine: how much is free, and whether a process ended because it ran out. Loads no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tunecli.errors import DataError

_CGROUPS = Path("/sys/fs/cgroup")
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_WORDS = re.compile(
    r"MemoryError\b|std::bad_alloc|can.?t allocate memory|cannot allocate memory"
    r"|out of (device )?memory|\balloc failed|resource_?exhausted|oom when allocating|cannot allocate vector of size"
    r"|memory allocation of \d+ bytes failed|detected \d+ oom.kill",
    re.IGNORECASE,
)


def tells_of_memory(words: str) -> bool:
    """Whether a program's last words are those of one that memory was not enough for."""
    return _WORDS.search(words) is not None


def n_killed_for_memory(root: Path = Path("/")) -> int:
    """How many processes the kernel has killed so far to get memory back: in this control group, or in all.

    Args:
        root: where the kernel's files are looked for.

    Returns:
        The count; 0 where the system tells of none.
    """
    for path in (*_of_this_group(root), root / "proc/vmstat"):
        try:
            found = _COUNT.search(path.read_text())
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _of_this_group(root: Path) -> list[Path]:
    """The files of this process's control group that count; cgroup v2 has one hierarchy, v1 one for memory."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    files, base = [], root / _CGROUPS.relative_to("/")
    for line in lines:
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            # in a container, the group's own folder is the visible root
            files += [base / group.lstrip("/") / "memory.events", base / "memory.events"]
        elif "memory" in controllers.split(","):
            files += [
                base / "memory" / group.lstrip("/") / "memory.oom_control",
                base / "memory/memory.oom_control",
            ]
    return files


_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_FRACTION = 0.9


def require_memory(n_bytes: int, what: str, parameter: str) -> None:
    """Make sure that data fit into memory before any of it is allocated.

    Args:
        n_bytes: what is about to be allocated in all.
        what: what takes them, for messages: ``photos``.
        parameter: the key to blame.

    Raises:
        DataError: less than that is free.
    """
    free_bytes = available_bytes()
    if free_bytes is not None and n_bytes > _FRACTION * free_bytes:
        message = f"{what} takes {_shown(n_bytes)} of memory, and {_shown(free_bytes)} are free"
        hint = "use fewer examples or smaller ones, or a machine with more memory"
        raise DataError(message, hint=hint, parameter=parameter)


def available_bytes() -> int | None:
    """Memory that can be had without swapping: the machine's, or this container's limit; None if unknown."""
    found = [each for each in (_of_machine(), _of_container()) if each is not None]
    return min(found) if found else None


def _of_machine() -> int | None:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not told on this system
        return None


def _of_container() -> int | None:
    """The limit of the control group, of either version. What it uses is not counted: caches are part of that."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return int((_CGROUP / name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None


def _shown(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
