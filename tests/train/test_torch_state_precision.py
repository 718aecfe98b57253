"""Mixed precision and torch's global settings hold within a block and are restored after it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tunecli.config.schema.training import Training
from tunecli.train.torch_state import autocast, gradient_scaler, kernels

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_a_product_is_computed_in_the_set_precision(precision: str, dtype: torch.dtype) -> None:
    with autocast(precision, CPU):  # type: ignore[arg-type]
        assert nn.Linear(3, 2)(torch.ones(1, 3)).dtype is dtype


def test_only_fp16_needs_its_gradients_scaled() -> None:
    assert gradient_scaler("float32", CPU) is None
    assert gradient_scaler("bf16", CPU) is None
    assert gradient_scaler("fp16", CPU) is not None


@pytest.mark.parametrize("training", [Training(), Training(tf32=True, deterministic=True)])
def test_settings_hold_within_the_block_and_are_restored_after_an_error(training: Training) -> None:
    before = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    with pytest.raises(ZeroDivisionError), kernels(training):
        assert torch.are_deterministic_algorithms_enabled() is training.deterministic
        assert torch.get_float32_matmul_precision() == ("high" if training.tf32 else "highest")
        assert torch.backends.cudnn.allow_tf32 is training.tf32
        assert torch.backends.cudnn.deterministic
        raise ZeroDivisionError
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
    assert not torch.are_deterministic_algorithms_enabled()
