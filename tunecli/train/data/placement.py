"""Whether a trial's data lie on its device, whole, or stay on the host and come to it in chunks, epoch by epoch.

The decision is by memory alone and changes no bit of what is trained on. On the CPU there is nothing to decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

SHARE = 0.5
"""Of a device's free memory, what data may take; the rest is for weights, their states and activations."""

_CHUNK_SHARE = 1 / 16
_MOST_BYTES = 256 << 20  # beyond, a copy is no faster
_LEAST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Placement:
    """Where data lie; ``chunk_bytes`` is how much of them comes to the device at a time, 0 where all lies there."""

    device: torch.device
    chunk_bytes: int = 0

    @property
    def home(self) -> torch.device:
        """The device that the data lie on."""
        return torch.device("cpu") if self.chunk_bytes else self.device


def placed(device: torch.device, n_bytes: int, n_epoch_bytes: int, free_bytes: int | None) -> Placement:
    """Where data lie that a device is to train on.

    Args:
        device: where they are used.
        n_bytes: all of them.
        n_epoch_bytes: those that train, of which an epoch makes a copy in its own order.
        free_bytes: the device's free memory; None: it has no limit of its own.
    """
    if free_bytes is None or n_bytes + n_epoch_bytes <= SHARE * free_bytes:
        return Placement(device)
    return Placement(device, max(_LEAST_BYTES, min(_MOST_BYTES, int(_CHUNK_SHARE * free_bytes))))


def free_bytes_of(device: torch.device) -> int | None:
    """A device's free memory, for this process; None where it is the host's or nobody tells."""
    if device.type == "cpu":
        return None
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    free_bytes, _ = torch.get_device_module(device).mem_get_info(device)
    return int(free_bytes)
