"""Where a trial can run: devices by name, and their facts for a person. Knows nothing of trials."""

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
    """A device that is here.

    Attributes:
        name: as ``--device`` takes it: ``cpu``, ``cuda:0``, …
        description: its maker's words.
        memory_bytes: of its own; 0 where it is not known.
    """

    name: str
    description: str
    memory_bytes: int


def resolve(name: str, slot: int = 0, avoid: Collection[str] = ()) -> torch.device:
    """The device a name means.

    Args:
        name: ``auto`` (the accelerator that is here, else the CPU), ``cpu``, ``cuda``, ``cuda:1``, …
        slot: which of several workers asks, from 0. Where the name has no number and there are several such devices,
            they are taken in turn.
        avoid: the names of devices that are not to be used.

    Raises:
        UsageError: no such device, it is not here, or it is to be avoided; the hint names what is here.
    """
    accelerator = _accelerator()
    if name == "auto":
        name = accelerator or "cpu"
    kind, colon, number = name.partition(":")
    here = names()
    if kind not in KINDS or not (number.isdigit() or (not number and not colon)):
        raise UsageError(f"`{name}` is no device", hint=f"one of auto, {', '.join(here)}")
    if kind == "cpu" or colon:
        meant = ["cpu" if name == "cpu:0" else f"{kind}:{int(number)}" if colon else kind]
    else:
        meant = [each for each in here if each.startswith(f"{kind}:")] or [kind]
    if not set(meant) <= set(here):
        raise UsageError(f"there is no device `{name}` on this machine", hint=f"available: {', '.join(here)}")
    found = in_turn(meant, slot, avoid)
    if found is None:
        which = f"{', '.join(meant)} {'is' if len(meant) == 1 else 'are'}"
        raise UsageError(f"{which} not to be used", hint=f"here are {', '.join(here)}")
    return torch.device(found)


def in_turn(meant: Sequence[str], slot: int, avoid: Collection[str]) -> str | None:
    """The device that is a slot's turn, of those that are not avoided; None where all are."""
    usable = [each for each in meant if each not in avoid]
    return usable[slot % len(usable)] if usable else None


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


def _accelerator() -> str | None:
    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found is not None and found.type in KINDS else None
