"""Whether a process ended because memory ran out, as far as the system tells. Loads no torch."""

from __future__ import annotations

import re
from pathlib import Path

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
