"""Augmentations: pure functions of inputs and a generator, applied to all examples of an epoch at once.

They act after normalisation, so 0 is the training data's mean. Random numbers are drawn on the CPU, so that an epoch is
the same on every device (seeds-by-name).

Axes: N examples, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tunecli.config.schema.augmentations import (
    AnyAugmentation,
    Crop,
    Cutout,
    Flip,
    Jitter,
    Mask,
    Noise,
    Rotation,
)
from tunecli.errors import DataError
from tunecli.registry.implementations import implementation_of
from tunecli.train.data import image_operations as operations
from tunecli.train.data.image_operations import ChannelRange, rotated, warped


def augment(
    augmentations: Sequence[AnyAugmentation],
    x: Tensor,
    generator: torch.Generator,
    source: Tensor | None = None,
    n_numbers: int | None = None,
) -> Tensor:
    """Apply a chain of augmentations in order, except ``mixup``, which also changes targets and is applied elsewhere.

    Args:
        augmentations: the chain.
        x: (N, ...) floating point; (N, C, H, W) for those that need images.
        generator: a generator on the CPU.
        source: the examples (N, C, H, W) whose values are the range of each channel; by default ``x``.
        n_numbers: with (N, F), the number of leading features that may change; the others are codes or tokens. None:
            all.

    Returns:
        A new tensor of the same shape; ``x`` itself if the chain changes nothing.

    Raises:
        DataError: ``x`` has another type or shape. Only the data of the user's code can get this far with one.
    """
    if n_numbers is not None and x.dim() == 2 and n_numbers < x.shape[1]:
        changed_NF = augment(augmentations, x[:, :n_numbers], generator)
        return torch.cat([changed_NF, x[:, n_numbers:]], dim=1)
    for number, augmentation in enumerate(augmentations):
        if not x.is_floating_point() or (augmentation.needs_images and x.dim() != 4):
            shape = tuple(x.shape[1:])
            message = f"`{augmentation.name}` cannot augment examples of {x.dtype} and shape {shape}"
            raise DataError(message, hint="remove it from `data.augment`", parameter=f"data.augment.{number}")
        if augmentation.needs_range:
            channels = ChannelRange.of(x if source is None else source)
            x = implementation_of(augmentation)(augmentation, x, generator, channels)
        elif augmentation.implementation:
            x = implementation_of(augmentation)(augmentation, x, generator)
    return x


def noise(knob: Noise, x: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise."""
    return x + knob.std * torch.randn(x.shape, generator=generator).to(x.device)


def mask(knob: Mask, x: Tensor, generator: torch.Generator) -> Tensor:
    """Zero each input with a probability."""
    return x.masked_fill((torch.rand(x.shape, generator=generator) < knob.p).to(x.device), 0.0)


def flip(knob: Flip, x_NCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror images left to right with a probability."""
    is_flipped_N = (torch.rand(len(x_NCHW), generator=generator) < knob.p).to(x_NCHW.device)
    return torch.where(is_flipped_N[:, None, None, None], x_NCHW.flip(-1), x_NCHW)


def crop(knob: Crop, x_NCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by whole pixels, uniform in [-pixels, pixels] on both axes, with zeros at the edges."""
    n, _, rows, columns = x_NCHW.shape
    pad = knob.pixels
    shift_2N = torch.randint(0, 2 * pad + 1, (2, n), generator=generator).to(x_NCHW.device)
    padded_NCHW = torch.nn.functional.pad(x_NCHW, (pad, pad, pad, pad))
    row_NH = shift_2N[0, :, None] + torch.arange(rows, device=x_NCHW.device)
    column_NW = shift_2N[1, :, None] + torch.arange(columns, device=x_NCHW.device)
    example_N = torch.arange(n, device=x_NCHW.device)
    picked_NHWC = padded_NCHW[example_N[:, None, None], :, row_NH[:, :, None], column_NW[:, None, :]]
    return picked_NHWC.permute(0, 3, 1, 2).contiguous()


def cutout(knob: Cutout, x_NCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Set a square to 0. Its centre lies anywhere in the image, so a part may be outside (DeVries & Taylor 2017)."""
    n, _, rows, columns = x_NCHW.shape
    device = x_NCHW.device
    top_N = torch.randint(0, rows, (n,), generator=generator).to(device) - knob.size // 2
    left_N = torch.randint(0, columns, (n,), generator=generator).to(device) - knob.size // 2
    row_NH = torch.arange(rows, device=device) - top_N[:, None]
    column_NW = torch.arange(columns, device=device) - left_N[:, None]
    in_rows_NH = (row_NH >= 0) & (row_NH < knob.size)
    in_columns_NW = (column_NW >= 0) & (column_NW < knob.size)
    is_cut_NHW = in_rows_NH[:, :, None] & in_columns_NW[:, None, :]
    return x_NCHW.masked_fill(is_cut_NHW[:, None], 0.0)


def rotation(knob: Rotation, x_NCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Turn each image by an angle that is uniform in [-degrees, degrees]."""
    turn_N = 2.0 * torch.rand(len(x_NCHW), generator=generator) - 1.0
    return warped(x_NCHW, rotated(turn_N * knob.degrees, x_NCHW.shape[2:]))


def jitter(knob: Jitter, x_NCHW: Tensor, generator: torch.Generator, channels: ChannelRange) -> Tensor:
    """Change brightness, contrast and saturation, in this order, by factors that are uniform around 1."""
    draw_3N = 2.0 * torch.rand(3, len(x_NCHW), generator=generator).to(x_NCHW.device) - 1.0
    unit_NCHW = channels.to_unit(x_NCHW)
    steps = (
        (knob.brightness, operations.brightness),
        (knob.contrast, operations.contrast),
        (knob.saturation, operations.saturation),
    )
    for draw_N, (most, operation) in zip(draw_3N, steps, strict=True):
        if most > 0:
            unit_NCHW = operation(unit_NCHW, 1.0 + most * draw_N)
    return channels.from_unit(unit_NCHW)
