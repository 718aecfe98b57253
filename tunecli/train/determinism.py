"""Torch's global state, set for a block and restored after it: random generators and options.

With `scoped_plain_seeds` of user_code/code.py, the only place that seeds a global generator (seeds-by-name). It is
needed because dropout and torch's own initialisation draw from torch's global generator and take no other.
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
    """Seed the generators of the CPU and the device for a block, and restore them at its end.

    Args:
        seed: at least 0, from `tunecli.seeding.seed_for`.
        device: the device that the block computes on.
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
    """Restore torch's global settings after a block that may change them.

    The settings are the default dtype and device, deterministic algorithms, the precision of float32 products, the
    number of threads, and whether gradients are recorded.

    Args:
        wanted: settings for the block, as `settings` gives them; the others stay as they are.
    """
    before = settings()
    try:
        _set(wanted)
        yield
    finally:
        _set(before)


def settings() -> dict[str, Any]:
    """Torch's current global settings, by the names in `_SETTINGS`."""
    return {name: get() for name, (get, _) in _SETTINGS.items()}


def _set(wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        get, put = _SETTINGS[name]
        if get() != value:
            put(value)


def cpu_generator(seed: int) -> torch.Generator:
    """A new generator on the CPU, so that its draws are the same on every device."""
    return torch.Generator().manual_seed(seed)


def _set_default_device(device: torch.device) -> None:
    # a default device, even the CPU, makes every call of torch slower
    torch.set_default_device(None if device.type == "cpu" else device)


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "device": (torch.get_default_device, _set_default_device),
    "deterministic": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
}
"""Torch's global settings: the getter and setter of each."""
