"""The devices of this machine by name, and their descriptions."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from tunecli.errors import UsageError

KINDS = ("cpu", "cuda", "xpu", "mps")


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A device of this machine.

    Attributes:
        name: as ``--device`` takes it: ``cpu``, ``cuda:0``, …
        description: the name that its maker gives it.
        memory_bytes: its own memory; 0 if unknown.
    """

    name: str
    description: str
    memory_bytes: int


def resolve(name: str, slot: int = 0, avoid: Collection[str] = ()) -> torch.device:
    """The device that a name selects.

    Args:
        name: ``auto`` (the accelerator if there is one, else the CPU), ``cpu``, ``cuda``, ``cuda:1``, …
        slot: number of the worker that asks, from 0. If the name has no number and there are several such devices,
            the workers take them in turn.
        avoid: names of devices that must not be used.

    Raises:
        UsageError: the name is invalid, this machine has no such device, or it must be avoided. The hint lists the
            devices.
    """
    accelerator = _accelerator()
    if name == "auto":
        name = accelerator or "cpu"
    kind, colon, number = name.partition(":")
    here = names()
    if kind not in KINDS or not (number.isdigit() or (not number and not colon)):
        raise UsageError(f"`{name}` is not a device", hint=f"use one of auto, {', '.join(here)}")
    if kind == "cpu" or colon:
        meant = ["cpu" if name == "cpu:0" else f"{kind}:{int(number)}" if colon else kind]
    else:
        meant = [device for device in here if device.startswith(f"{kind}:")] or [kind]
    if not set(meant) <= set(here):
        raise UsageError(f"there is no device `{name}` on this machine", hint=f"available: {', '.join(here)}")
    chosen = in_turn(meant, slot, avoid)
    if chosen is None:
        raise UsageError(f"{', '.join(meant)} must not be used", hint=f"this machine has {', '.join(here)}")
    return torch.device(chosen)


def in_turn(meant: Sequence[str], slot: int, avoid: Collection[str]) -> str | None:
    """The device of a worker slot, among those that are not avoided; None if all are."""
    usable = [device for device in meant if device not in avoid]
    return usable[slot % len(usable)] if usable else None


def names() -> list[str]:
    """The names of all devices of this machine, the CPU first."""
    accelerator = _accelerator()
    count = torch.accelerator.device_count() if accelerator else 0
    return ["cpu", *(f"{accelerator}:{number}" for number in range(count))]


def describe() -> list[DeviceFacts]:
    """The facts of all devices of this machine, the CPU first."""
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


def _accelerator() -> str | None:
    device = torch.accelerator.current_accelerator(check_available=True)
    return device.type if device is not None and device.type in KINDS else None
