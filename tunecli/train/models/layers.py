"""Layers that torch lacks, and torch's norms and activations by name.

No `forward` in this folder branches on the values of a tensor, so that `torch.func.vmap` works.

Axes: B examples of a batch, T steps, D units, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunecli.config.schema.activations import AnyActivation
from tunecli.registry.implementations import implementation_of
from tunecli.train.data.table import Inputs


def build_activation(knob: AnyActivation) -> nn.Module:
    """Build a new module for each use, because some activations have parameters."""
    module: nn.Module = implementation_of(knob)(**knob.model_dump(exclude={"name"}))
    return module


class Residual(nn.Module):
    """``x + block(x)``, or ``shortcut(x) + block(x)`` (He et al. 2016, equations 1 and 2)."""

    def __init__(self, block: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.block = block
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.block(x)  # type: ignore[no-any-return]


class MeanOverImage(nn.Module):
    """Mean over rows and columns: (B, C, H, W) → (B, C).

    `nn.AdaptiveAvgPool2d` gives the same numbers, but its backward pass is not reproducible on CUDA.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW.mean((-2, -1))


def flat(inputs: Inputs) -> list[nn.Module]:
    """The layer that flattens an example to one row of numbers; empty if it is one already."""
    return [nn.Flatten()] if len(inputs.shape) > 1 else []


def dropout(p: float) -> list[nn.Module]:
    """A dropout layer; empty for probability 0, so that a model without dropout draws no random numbers."""
    return [nn.Dropout(p)] if p > 0 else []


def unit_norm(name: str, width: int) -> list[nn.Module]:
    """A norm over (B, width).

    ``batch`` is Ioffe & Szegedy 2015, ``layer`` Ba et al. 2016, ``rms`` Zhang & Sennrich 2019.
    """
    match name:
        case "batch":
            return [nn.BatchNorm1d(width)]
        case "layer":
            return [nn.LayerNorm(width)]
        case "rms":
            return [nn.RMSNorm(width)]
        case _:
            return []


def channel_norm(name: str, n_channels: int) -> list[nn.Module]:
    """A norm over (B, C, H, W): ``batch``, ``group`` or ``layer``, which is a single group (Wu & He 2018)."""
    match name:
        case "batch":
            return [nn.BatchNorm2d(n_channels)]
        case "group":
            return [nn.GroupNorm(n_groups(n_channels), n_channels)]
        case "layer":
            return [nn.GroupNorm(1, n_channels)]
        case _:
            return []


def n_groups(n_channels: int) -> int:
    """The largest number of groups that divides the channels: at most 32, with at least two channels in each.

    32 is the paper's number (Wu & He 2018, table 3). If an image has shrunk to one pixel, a group of one channel would
    contain only its own mean.
    """
    most = min(32, max(1, n_channels // 2))
    return next(groups for groups in range(most, 0, -1) if n_channels % groups == 0)


def is_read(tokens_BT: Tensor) -> Tensor:
    """Which steps (B, T) are read: tokens, but not padding, which is token 0 and follows the tokens.

    If an example has no tokens, its first padding is read, so that a mean over steps is defined.
    """
    first_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device) == 0
    return (tokens_BT != 0) | first_T


def mean_over_steps(x_BTD: Tensor, is_read_BT: Tensor | None) -> Tensor:
    """The mean (B, D) over the steps that are read, at least one an example; None: all."""
    if is_read_BT is None:
        return x_BTD.mean(1)
    share_BT = is_read_BT / is_read_BT.sum(1, keepdim=True)
    return (x_BTD * share_BT[..., None]).sum(1)
