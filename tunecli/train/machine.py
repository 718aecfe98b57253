"""The accelerators and the C++ compiler of this machine, found without loading torch where that is possible.

A GPU is one accelerator. A process that works on one GPU sees only that one, as ``cuda:0``. Each instance
of a partitioned GPU (MIG) is an accelerator, too; a process sees at most one: "CUDA can only enumerate a single
compute instance", the first that it finds, and no whole GPU beside it (NVIDIA, Multi-Instance GPU User Guide, "CUDA
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

VISIBLE, HIP_VISIBLE, XPU_VISIBLE = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"
_LISTING_S = 30.0  # a faulty driver may never answer
_GPU = re.compile(r"GPU (?P<number>\d+): (?P<what>.+) \(UUID: (?P<uuid>GPU-[^)]+)\)")
_INSTANCE = re.compile(r"\s+MIG (?P<what>\S+)\s+Device\s+\d+: \(UUID: (?P<uuid>MIG-[^)]+)\)")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """An accelerator, or an instance of a partitioned one.

    Attributes:
        name: its name for ``--device`` and in the record: ``cuda:0``, …
        local: its name within a process that is bound to it.
        visible: the value of the variables of `visibility_variables` in such a process; empty: unchanged.
        description: the name that its maker gives it; empty if it was not read.
        needs_binding: whether a process has to be bound to it to use it, as with instances of a partitioned GPU.
        n_devices: number of devices in a group that one trial uses; 1 for a single device.
    """

    name: str
    local: str
    visible: str = ""
    description: str = ""
    needs_binding: bool = False
    n_devices: int = 1

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make it the only accelerator that a process sees; empty: the process sees all."""
        names = visibility_variables(self.name) if self.visible else ()
        return dict.fromkeys(names, self.visible)


def accelerators(device: str) -> tuple[Accelerator, ...]:
    """The accelerators of this machine that a device's name selects; empty for the CPU and for unknown devices.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, …
    """
    if device.partition(":")[0] == "cpu" or (device == "auto" and not may_have_accelerator()):
        return ()
    return _accelerators(device, *map(os.environ.get, (VISIBLE, HIP_VISIBLE, XPU_VISIBLE)))


def device_name(device: str, slot: int = 0, avoid: Collection[str] = ()) -> str:
    """The name of the one device that a name selects: `devices.resolve`, without torch for the CPU.

    Raises:
        UsageError: as `devices.resolve`.
    """
    if is_cpu(device) and "cpu" not in avoid:
        return "cpu"
    from tunecli.train import devices

    return str(devices.resolve(device, slot, avoid))


def visibility_variables(device: str) -> tuple[str, ...]:
    """The environment variables that choose the devices of a kind that a process sees; empty if there are none.

    On ROCm, ROCR_VISIBLE_DEVICES stays as it is: the runtime counts the entries of HIP_VISIBLE_DEVICES among the
    devices that it leaves (AMD, "GPU isolation techniques"). torch names those devices ``cuda``, too.
    """
    kind = device.partition(":")[0]
    if kind == "cuda":
        return (HIP_VISIBLE, VISIBLE) if _build() == "rocm" else (VISIBLE,)
    return (XPU_VISIBLE,) if kind == "xpu" else ()


def device_index(device: str, n_devices: int = 1) -> str:
    """The indices of a trial's devices among those that its process sees, as ``0`` or ``0,1``; -1 for the CPU."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return "-1"
    return ",".join(str(int(number or 0) + place) for place in range(n_devices))


def visible_devices(device: str) -> str:
    """The value of the variable that chooses the devices that this process sees; empty for the CPU, and if unset."""
    names = visibility_variables(device)
    return next((os.environ[name] for name in names if name in os.environ), "")


def grouped(accelerators: Sequence[Accelerator], n_devices: int) -> tuple[Accelerator, ...]:
    """The accelerators in groups for trials that use several, in their order; a rest that is too small is left out.

    A process that sees several devices cannot use instances of partitioned GPUs, so those make no group.

    Args:
        accelerators: single accelerators of one kind.
        n_devices: number of devices of a trial.
    """
    if n_devices == 1:
        return tuple(accelerators)
    usable = [one for one in accelerators if one.visible and not one.needs_binding]
    starts = range(0, len(usable) - n_devices + 1, n_devices)
    return tuple(_group(usable[start : start + n_devices]) for start in starts)


def _group(members: Sequence[Accelerator]) -> Accelerator:
    first, numbers = members[0], [one.name.partition(":")[2] for one in members]
    return replace(
        first,
        name=f"{first.name.partition(':')[0]}:{'+'.join(numbers)}",
        visible=",".join(one.visible for one in members),
        n_devices=len(members),
    )


def without_group(device: str) -> str:
    """The kind of the devices of a group, as ``cuda`` for ``cuda:0+1``; any other device as it is."""
    return device.partition(":")[0] if "+" in device else device


def selected_by(device: str, here: Sequence[Accelerator]) -> tuple[Accelerator, ...]:
    """Those of some accelerators that a device's name selects; see `accelerators`."""
    if device == "auto":
        return tuple(here)
    kind, colon, number = device.partition(":")
    return tuple(
        one
        for one in here
        if (one.name == f"{kind}:{int(number)}" if colon else one.name.startswith(f"{kind}:"))
    )


def mig_instances(listing: str, visible: str | None) -> tuple[Accelerator, ...]:
    """The accelerators of a machine with a partitioned GPU; empty if no instance is visible.

    Args:
        listing: the output of ``nvidia-smi -L``.
        visible: CUDA_VISIBLE_DEVICES: numbers or UUIDs, or unambiguous prefixes of UUIDs. As in CUDA, an entry that
            names nothing hides all entries after it, and an empty value hides everything. None: the variable is unset.
    """
    gpus = _read(listing)
    chosen: list[Accelerator] = []
    if visible is None:
        chosen = [one for parts in gpus.values() for one in parts]
    for word in [] if visible is None else visible.split(","):
        named = _named(word.strip(), gpus)
        if not named:
            break
        chosen += named
    if not any(one.visible.startswith("MIG-") for one in chosen):
        return ()
    return tuple(
        replace(one, name=f"cuda:{number}", needs_binding=True)
        for number, one in enumerate(dict.fromkeys(chosen))
    )


def _read(listing: str) -> dict[str, list[Accelerator]]:
    """The instances of each GPU, or the GPU itself if it has none, by the GPU's UUID; their names are still empty."""
    gpus: dict[str, list[Accelerator]] = {}
    whole = Accelerator("", "cuda:0")
    for line in listing.splitlines():
        if match := _GPU.match(line):
            whole = Accelerator("", "cuda:0", match["uuid"], match["what"])
            gpus[whole.visible] = [whole]
        elif gpus and (match := _INSTANCE.match(line)):
            part = Accelerator("", "cuda:0", match["uuid"], f"{whole.description} MIG {match['what']}")
            gpus[whole.visible] = [one for one in gpus[whole.visible] if one is not whole] + [part]
    return gpus


def _named(word: str, gpus: Mapping[str, Sequence[Accelerator]]) -> list[Accelerator]:
    """The accelerators that one entry of CUDA_VISIBLE_DEVICES names; for a partitioned GPU, all its instances."""
    every = [*gpus.values()]
    if word.isdecimal():
        # the listing is in bus order; CUDA's own order may be another if the GPUs differ
        return [*every[int(word)]] if int(word) < len(every) else []
    if word.startswith("MIG-GPU-"):  # of drivers before R470: MIG-GPU-<UUID>/<instance>/<part>
        return [Accelerator("", "cuda:0", word, "MIG")]
    named = [parts for uuid, parts in gpus.items() if word and uuid.startswith(word)]
    named += [
        [one] for parts in every for one in parts if word.startswith("MIG-") and one.visible.startswith(word)
    ]
    return [*named[0]] if len(named) == 1 else []


@cache
def _accelerators(
    device: str, visible: str | None, hip_visible: str | None, xpu_visible: str | None
) -> tuple[Accelerator, ...]:
    """The accelerators, as the values of the three variables leave them."""
    parts = mig_instances(_listing(), visible)
    if parts:
        return selected_by(device, parts)
    from tunecli.train import devices

    names = devices.names()[1:]
    values = {VISIBLE: visible, HIP_VISIBLE: hip_visible, XPU_VISIBLE: xpu_visible}
    wanted = (values[name] for name in (visibility_variables(names[0]) if names else ()))
    return selected_by(
        device, whole_accelerators(names, next((value for value in wanted if value is not None), None))
    )


def whole_accelerators(names: Sequence[str], visible: str | None) -> list[Accelerator]:
    """The accelerators of a machine without a partitioned GPU.

    Each names itself in ``visible``, because most programs use the first device they see.

    Args:
        names: the names of all accelerators: ``cuda:0``, …
        visible: the variable of `visibility_variables`, whose entries are these devices in order; None: it is unset.
    """
    kind = names[0].partition(":")[0] if names else ""
    words = [str(number) for number in range(len(names))] if visible is None else visible.split(",")
    # the variable may not match the devices
    if not visibility_variables(kind) or len(words) < len(names):
        return [Accelerator(name, name) for name in names]
    return [Accelerator(name, f"{kind}:0", words[number].strip()) for number, name in enumerate(names)]


def _listing() -> str:
    """The output of ``nvidia-smi -L``; empty if it fails."""
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
"""The driver files of the accelerators that a build of torch can use, by the build's name without its numbers."""


def may_have_accelerator() -> bool:
    """Whether torch may find an accelerator, judged by torch's build and the drivers, without loading torch."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64" and _build() != "cpu"
    here = {driver for driver in (*_DRIVERS, *_DRIVERS_OF_XPU) if Path(driver).exists()}
    # the build is read last, because that takes longer; an unknown build may support any accelerator
    return bool(here) and not here.isdisjoint(_OF_BUILDS.get(_build(), (*_DRIVERS, *_DRIVERS_OF_XPU)))


def is_cpu(device: str) -> bool:
    """Whether a device's name certainly selects the CPU."""
    return device in ("cpu", "cpu:0") or (device == "auto" and not may_have_accelerator())


def _build() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        local = version("torch").partition("+")[2]
    except PackageNotFoundError:
        return ""
    return local.partition(".")[0].rstrip("0123456789")


def missing_compiler() -> str:
    """The name of the C++ compiler that is missing; empty if there is one.

    The compiler is that of the variable ``CXX``, as for torch, or g++ or clang++.
    """
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return "" if any(shutil.which(name) for name in wanted) else " or ".join(wanted)
