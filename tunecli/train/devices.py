"""Where a trial can run: devices by name, and their facts for a person. Knows nothing of trials."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

import torch

from tunecli.errors import UsageError

KINDS = ("cpu", "cuda", "xpu", "mps")


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A device that is here.

    Attributes:
        name: as ``--device`` takes it: ``cpu``, ``cuda:0``, …
        description: its maker's words.
        memory_bytes: of its own; 0 where it is not known.
    """

    name: str
    description: str
    memory_bytes: int


def resolve(name: str) -> torch.device:
    """The device a name means.

    Args:
        name: ``auto`` (the accelerator that is here, else the CPU), ``cpu``, ``cuda``, ``cuda:1``, …

    Raises:
        UsageError: no such device, or it is not here; the hint names what is.
    """
    accelerator = _accelerator()
    if name == "auto":
        name = accelerator or "cpu"
    kind, _, number = name.partition(":")
    here = names()
    if kind not in KINDS or not (number.isdigit() or number == "" == name[len(kind) :]):
        raise UsageError(f"`{name}` is no device", hint=f"one of auto, {', '.join(here)}")
    wanted = kind if name in ("cpu", "cpu:0") else f"{kind}:{int(number or 0)}"
    if wanted not in here:
        raise UsageError(f"there is no device `{name}` here", hint=f"here are {', '.join(here)}")
    return torch.device(wanted)


def names() -> list[str]:
    """The names of all devices that are here, the CPU first."""
    accelerator = _accelerator()
    count = torch.accelerator.device_count() if accelerator else 0
    return ["cpu", *(f"{accelerator}:{number}" for number in range(count))]


def describe() -> list[DeviceFacts]:
    """The facts of all devices that are here, the CPU first."""
    processor = platform.processor() or platform.machine()
    facts = [DeviceFacts("cpu", f"{processor}, {os.cpu_count()} threads", 0)]
    for name in names()[1:]:
        device = torch.device(name)
        if device.type == "mps":
            facts.append(DeviceFacts(name, "Apple GPU", torch.mps.recommended_max_memory()))
            continue
        properties = torch.get_device_module(device).get_device_properties(device)
        facts.append(DeviceFacts(name, str(properties.name), int(properties.total_memory)))
    return facts


def release_memory(device: torch.device) -> None:
    """Give what torch keeps cached on an accelerator back to it."""
    if device.type != "cpu":
        torch.accelerator.empty_cache()


def _accelerator() -> str | None:
    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found is not None and found.type in KINDS else None
