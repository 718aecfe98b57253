"""What this machine has, found without loading torch where that is possible: accelerators, memory, a C++ compiler.

A GPU is one accelerator. A process that works on one of several GPUs sees only that one, as ``cuda:0``. Each instance
of a partitioned GPU (MIG) is an accelerator, too; a process sees at most one: "CUDA can only enumerate a single
compute instance", whichever it finds first, and no whole GPU beside it (NVIDIA, Multi-Instance GPU User Guide, "CUDA
Device Enumeration"). So each process that works on an instance has to name it in CUDA_VISIBLE_DEVICES before CUDA is
initialised, which reads that variable once; and only the driver's own listing shows which instances there are. Torch is
loaded only where an accelerator may be present.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tunecli.errors import DataError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_LISTING_S = 30.0  # a driver in trouble may never answer
_GPU = re.compile(r"GPU (?P<number>\d+): (?P<what>.+) \(UUID: (?P<uuid>GPU-[^)]+)\)")
_INSTANCE = re.compile(r"\s+MIG (?P<what>\S+)\s+Device\s+\d+: \(UUID: (?P<uuid>MIG-[^)]+)\)")


@dataclass(frozen=True, slots=True)
class Place:
    """An accelerator, or a part of one that is as good as one.

    Attributes:
        name: as ``--device`` takes it and the record has it: ``cuda:0``, …
        local: its name within a process that is bound to it.
        visible: what CUDA_VISIBLE_DEVICES has to be in such a process; empty: as it is.
        description: its maker's words, where they were read.
        needs_binding: whether no process can use it that is not bound to it, as where a GPU is partitioned.
    """

    name: str
    local: str
    visible: str = ""
    description: str = ""
    needs_binding: bool = False


def places(device: str) -> tuple[Place, ...]:
    """The places that a device's name means on this machine; none where it means the CPU, or nothing that is here.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, …
    """
    if device.partition(":")[0] == "cpu" or (device == "auto" and not may_be_here()):
        return ()
    return _places(device, os.environ.get(VISIBLE))


def resolved(device: str, slot: int = 0, avoid: Collection[str] = ()) -> str:
    """The name of the one device that a device's name means, as `devices.resolve` has it, and its errors."""
    if is_cpu(device) and "cpu" not in avoid:
        return "cpu"
    from tunecli.train import devices

    return str(devices.resolve(device, slot, avoid))


def meant_by(device: str, here: Sequence[Place]) -> tuple[Place, ...]:
    """Those of the places that are here that a device's name means; see `places`."""
    if device == "auto":
        return tuple(here)
    kind, colon, number = device.partition(":")
    return tuple(
        place
        for place in here
        if (place.name == f"{kind}:{int(number)}" if colon else place.name.startswith(f"{kind}:"))
    )


def instances(listing: str, visible: str | None) -> tuple[Place, ...]:
    """The places of a machine of which a GPU is partitioned; none where no part of one may be seen.

    Args:
        listing: what ``nvidia-smi -L`` prints.
        visible: CUDA_VISIBLE_DEVICES: numbers or UUIDs, which may be cut short as long as they tell. As CUDA reads it,
            one that names nothing hides all behind it, and an empty one everything. None: it is not set.
    """
    gpus = _read(listing)
    chosen: list[Place] = []
    if visible is None:
        chosen = [each for parts in gpus.values() for each in parts]
    for word in [] if visible is None else visible.split(","):
        named = _named(word.strip(), gpus)
        if not named:
            break
        chosen += named
    if not any(each.visible.startswith("MIG-") for each in chosen):
        return ()
    return tuple(
        replace(each, name=f"cuda:{number}", needs_binding=True)
        for number, each in enumerate(dict.fromkeys(chosen))
    )


def _read(listing: str) -> dict[str, list[Place]]:
    """By the UUID of each GPU, its instances, or itself where it has none; their names are not settled."""
    gpus: dict[str, list[Place]] = {}
    whole = Place("", "cuda:0")
    for line in listing.splitlines():
        if found := _GPU.match(line):
            whole = Place("", "cuda:0", found["uuid"], found["what"])
            gpus[whole.visible] = [whole]
        elif gpus and (found := _INSTANCE.match(line)):
            part = Place("", "cuda:0", found["uuid"], f"{whole.description} MIG {found['what']}")
            gpus[whole.visible] = [each for each in gpus[whole.visible] if each is not whole] + [part]
    return gpus


def _named(word: str, gpus: Mapping[str, Sequence[Place]]) -> list[Place]:
    """What one entry of CUDA_VISIBLE_DEVICES names; of a GPU that is partitioned, all its instances."""
    every = [*gpus.values()]
    if word.isdecimal():
        # in the order of the bus, as the listing has them; CUDA's own may be another where the GPUs differ
        return [*every[int(word)]] if int(word) < len(every) else []
    if word.startswith("MIG-GPU-"):  # of drivers before R470: MIG-GPU-<UUID>/<instance>/<part>
        return [Place("", "cuda:0", word, "MIG")]
    found = [parts for uuid, parts in gpus.items() if word and uuid.startswith(word)]
    found += [
        [each]
        for parts in every
        for each in parts
        if word.startswith("MIG-") and each.visible.startswith(word)
    ]
    return [*found[0]] if len(found) == 1 else []


@cache
def _places(device: str, visible: str | None) -> tuple[Place, ...]:
    parts = instances(_listing(), visible)
    if parts:
        return meant_by(device, parts)
    from tunecli.train import devices

    return meant_by(device, whole_places(devices.names()[1:], visible))


def whole_places(names: Sequence[str], visible: str | None) -> list[Place]:
    """The places of accelerators that are not partitioned.

    With several CUDA devices, each place names its device for CUDA_VISIBLE_DEVICES: most programs compute on the first
    device that they see.

    Args:
        names: of all that are here: ``cuda:0``, …
        visible: CUDA_VISIBLE_DEVICES, whose entries they are in turn; None: it is not set, and they are all.
    """
    if len(names) < 2 or not names[0].startswith("cuda:"):
        return [Place(name, name) for name in names]
    words = [str(number) for number in range(len(names))] if visible is None else visible.split(",")
    if len(words) < len(names):  # what it says is not what is here
        return [Place(name, name) for name in names]
    return [Place(name, "cuda:0", words[number].strip()) for number, name in enumerate(names)]


def _listing() -> str:
    """What ``nvidia-smi -L`` prints; nothing where it cannot be asked."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_LISTING_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


_DRIVERS = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg", "/dev/kfd")
_DRIVERS_OF_XPU = ("/dev/dri",)
_OF_BUILDS = {"cpu": (), "xpu": _DRIVERS_OF_XPU, "": _DRIVERS, "cu": _DRIVERS, "rocm": _DRIVERS}
"""What a build of torch can use, by what its version says that it was built for, without the numbers."""


def may_be_here() -> bool:
    """Whether torch's build and the drivers leave it possible that torch finds an accelerator."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64" and _build() != "cpu"
    here = {driver for driver in (*_DRIVERS, *_DRIVERS_OF_XPU) if Path(driver).exists()}
    # asked last, since it takes longer; one who built torch may have built it for anything
    return bool(here) and not here.isdisjoint(_OF_BUILDS.get(_build(), (*_DRIVERS, *_DRIVERS_OF_XPU)))


def is_cpu(device: str) -> bool:
    """Whether a device's name can mean nothing but the CPU, whatever torch would find."""
    return device in ("cpu", "cpu:0") or (device == "auto" and not may_be_here())


def _build() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        local = version("torch").partition("+")[2]
    except PackageNotFoundError:
        return ""
    return local.partition(".")[0].rstrip("0123456789")


def missing_compiler() -> str:
    """The compiler that was looked for and is not here; empty where there is one.

    ``CXX`` names it, as it does for torch; else it is g++ or clang++.
    """
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return "" if any(shutil.which(name) for name in wanted) else " or ".join(wanted)


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
