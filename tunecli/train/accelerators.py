"""Which accelerators a study's jobs may be on, each a place for so many of them, and how a process is bound to one.

A GPU is a place, and a process that works on one of several sees it alone, as ``cuda:0``. So is each instance of one
that is partitioned (MIG). Of those a process sees one in any case: "CUDA can
only enumerate a single compute instance", whichever it finds first, and no whole GPU beside it (NVIDIA, Multi-Instance
GPU User Guide, "CUDA Device Enumeration"). So each process that works on one has to name it in CUDA_VISIBLE_DEVICES
before CUDA is initialised, which reads that once; and what there is, only the driver's own listing tells. Loads torch
where an accelerator may be here, and only then.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from tunecli.train.driver_detection import is_cpu, may_be_here

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
