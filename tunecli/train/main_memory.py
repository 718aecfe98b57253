"""The main memory of this machine: the free part, and whether a program ended because it ran out. Loads no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tunecli.errors import DataError
from tunecli.text import shown_bytes

_CGROUPS = Path("/sys/fs/cgroup")
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_OUT_OF_MEMORY = re.compile(
    r"MemoryError\b|std::bad_alloc|can.?t allocate memory|cannot allocate memory"
    r"|out of (device )?memory|\balloc failed|resource_?exhausted|oom when allocating|cannot allocate vector of size"
    r"|memory allocation of \d+ bytes failed|detected \d+ oom.kill",
    re.IGNORECASE,
)


def is_out_of_memory(text: str) -> bool:
    """Whether the last output of a program says that memory ran out."""
    return _OUT_OF_MEMORY.search(text) is not None


def n_killed_for_memory(root: Path = Path("/")) -> int:
    """Number of processes that the kernel has killed so far to free memory: in this control group, or in all.

    Args:
        root: the folder that holds ``proc`` and ``sys``.

    Returns:
        The count; 0 if the system gives none.
    """
    for path in (*_of_this_group(root), root / "proc/vmstat"):
        try:
            count = _COUNT.search(path.read_text())
        except OSError:
            continue
        if count:
            return int(count[1])
    return 0


def _of_this_group(root: Path) -> list[Path]:
    """The files with the counts of this process's control group; cgroup v2 has one hierarchy, v1 one for memory."""
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
_USABLE_FRACTION = 0.9


def require_memory(n_bytes: int, what: str, parameter: str) -> None:
    """Make sure that data fit into memory before any of it is allocated.

    Args:
        n_bytes: total size to allocate.
        what: the name of the data in the message: ``photos``.
        parameter: the key at fault.

    Raises:
        DataError: too little memory is free.
    """
    free_bytes = available_bytes()
    if free_bytes is not None and n_bytes > _USABLE_FRACTION * free_bytes:
        message = f"{what} takes {shown_bytes(n_bytes)} of memory, and {shown_bytes(free_bytes)} are free"
        hint = "use fewer examples or smaller ones, or a machine with more memory"
        raise DataError(message, hint=hint, parameter=parameter)


def available_bytes() -> int | None:
    """Memory available without swapping, in bytes: the machine's, or this container's limit; None if unknown."""
    known = [n_bytes for n_bytes in (_machine_bytes(), _container_bytes()) if n_bytes is not None]
    return min(known) if known else None


def _machine_bytes() -> int | None:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # unknown on this system
        return None


def _container_bytes() -> int | None:
    """The memory limit of the control group, v1 or v2. Its current use is ignored, because it includes caches."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return int((_CGROUPS / name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None
