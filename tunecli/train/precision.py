"""The numeric precision of a model's arithmetic: mixed precision, TF32 and deterministic kernels.

Sets torch's global options for a block and restores them at its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from tunecli.config.schema.training import Training

Precision = Literal["float32", "bf16", "fp16"]
_DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


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
