"""Torch's global state, seeded or left alone for the length of a block and put back after it: generators and settings.

With `generators`, the only place that seeds a global generator (law 3). Dropout and torch's own initialisation draw
from torch's and take no generator of ours, which is why this is needed at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import torch

NOTHING: Mapping[str, Any] = MappingProxyType({})


@contextmanager
def scoped_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the CPU's generator and the device's; both are as before when the block ends.

    Args:
        seed: at least 0, from `tunecli.seeding.seed_for`.
        device: where the block computes.
    """
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
        return
    with torch.random.fork_rng(devices=[device.index or 0], device_type=device.type):
        torch.manual_seed(seed)
        yield


@contextmanager
def scoped_settings(wanted: Mapping[str, Any] = NOTHING) -> Iterator[None]:
    """Put torch's global settings back after a block that may change them.

    Those are the default dtype and device, deterministic algorithms, the precision of float32 products, the threads
    and whether gradients are taken.

    Args:
        wanted: what holds as the block begins, as `settings` gives it; of what is not there nothing is changed.
    """
    before = settings()
    try:
        _set(wanted)
        yield
    finally:
        _set(before)


def settings() -> dict[str, Any]:
    """Torch's global settings as they are, by names of ours."""
    return {name: get() for name, (get, _) in _SETTINGS.items()}


def _set(wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        get, put = _SETTINGS[name]
        if get() != value:
            put(value)


def cpu_generator(seed: int) -> torch.Generator:
    """A generator of its own on the CPU, so that what it draws is the same on every device."""
    return torch.Generator().manual_seed(seed)


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(
        None if device.type == "cpu" else device
    )  # any, the CPU too, makes every call slower


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "device": (torch.get_default_device, _set_default_device),
    "deterministic": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
}
"""Torch's global settings: how each is read and set."""
