"""Torch's global state, set for a block and restored after it: random generators, options, kernels and precision.

With `scoped_plain_seeds` of user_code/code.py, the only place that seeds a global generator (seeds-by-name). It is
needed because dropout and torch's own initialisation draw from torch's global generator and take no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import Any, Literal

import torch

from tunecli.config.schema.training import Training

Precision = Literal["float32", "bf16", "fp16"]
_DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
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


def cpu_generator(seed: int) -> torch.Generator:
    """A new generator on the CPU, so that its draws are the same on every device."""
    return torch.Generator().manual_seed(seed)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A block in which forward passes compute in ``precision`` (Micikevicius et al. 2018)."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler | None:
    """The scaler that keeps small gradients above float16's smallest number; None for other precisions."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


@contextmanager
def kernels(training: Training) -> Iterator[None]:
    """A block in which torch uses only kernels that the settings allow.

    cuDNN is always restricted to algorithms that give the same bits every time. ``deterministic`` extends this to every
    operation: one without such a kernel raises RuntimeError. On CUDA that needs CUBLAS_WORKSPACE_CONFIG in the
    environment, which is set here if it is missing (cuBLAS reads it at its first use).
    """
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    was_precision = torch.get_float32_matmul_precision()
    with torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=training.tf32
    ):
        torch.set_float32_matmul_precision("high" if training.tf32 else "highest")
        if training.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(was_precision)
            if training.deterministic:  # the call loads torch's compiler
                torch.use_deterministic_algorithms(was_deterministic)


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
