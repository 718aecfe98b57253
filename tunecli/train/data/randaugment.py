"""RandAugment (Cubuk et al. 2020, figure 2): each image gets a few operations out of 14, all of one magnitude.

The operations and their ranges are those of `torchvision.transforms.RandAugment` with 31 magnitudes. Two things differ:
places are read with linear interpolation, and what lies outside the image is 0, the mean of the training images after
normalisation. Operations on values act in the range of each channel, so that they do not depend on the normalisation.

Axes: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tunecli.config.schema.augmentations import RandAugment
from tunecli.train.data import image_operations as operations
from tunecli.train.data.image_operations import ChannelRange, rotated, warped

MOST = 30
"""The largest magnitude."""

_MOST_CHANGE = 0.9
_MOST_DEGREES = 30.0
_MOST_SHEAR = 0.3
_MOST_SHIFT = 150.0 / 331.0  # of the image's side

Operation = Callable[[Tensor, Tensor, float], Tensor]
"""(images, sign of each image (N,), magnitude as a fraction) → new images."""


def randaugment(
    knob: RandAugment, x_NCHW: Tensor, generator: torch.Generator, channels: ChannelRange
) -> Tensor:
    """Apply operations to each image, drawn with replacement and with equal probabilities.

    Args:
        knob: the number of operations, and their magnitude.
        x_NCHW: the images, normalised.
        generator: a generator on the CPU.
        channels: the range of the values of each channel.

    Returns:
        New images.
    """
    shape = (knob.operations, len(x_NCHW))
    chosen_ON = torch.randint(len(OPERATIONS), shape, generator=generator)
    sign_ON = 2.0 * torch.randint(2, shape, generator=generator) - 1.0
    x_NCHW = x_NCHW.clone()
    for chosen_N, sign_N in zip(chosen_ON, sign_ON, strict=True):
        for number, (operation, is_of_values) in enumerate(OPERATIONS.values()):
            where = (chosen_N == number).nonzero()[:, 0]
            if not len(where):
                continue
            place, sign = where.to(x_NCHW.device), sign_N[where].to(x_NCHW.device)
            images = x_NCHW[place]
            if is_of_values:
                unit = operation(channels.to_unit(images), sign, knob.magnitude / MOST)
                x_NCHW[place] = channels.from_unit(unit)
            else:
                x_NCHW[place] = operation(images, sign, knob.magnitude / MOST)
    return x_NCHW


def _sheared(x_NCHW: Tensor, shear_N: Tensor, *, along_rows: bool) -> Tensor:
    """Shift each row by a part of its distance to the upper edge; or each column, of its distance to the left one."""
    map_N23 = _unchanged(len(x_NCHW))
    map_N23[:, int(not along_rows), int(along_rows)] = shear_N.cpu().double()
    return warped(x_NCHW, map_N23)


def _shifted(x_NCHW: Tensor, share_N: Tensor, *, along_rows: bool) -> Tensor:
    """Shift by whole pixels: the given share of the image's side, rounded towards 0."""
    side = x_NCHW.shape[3 if along_rows else 2]
    map_N23 = _unchanged(len(x_NCHW))
    map_N23[:, int(not along_rows), 2] = -(share_N.cpu().double() * side).trunc()
    return warped(x_NCHW, map_N23)


def _unchanged(n: int) -> Tensor:
    return torch.eye(2, 3, dtype=torch.float64).repeat(n, 1, 1)


def _mixing(operation: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    """An operation with a factor around 1."""
    return lambda x, sign, fraction: operation(x, 1.0 + _MOST_CHANGE * fraction * sign)


def _n_bits(fraction: float) -> int:
    return 8 - round(4.0 * fraction)


OPERATIONS: dict[str, tuple[Operation, bool]] = {
    "identity": (lambda x, sign, fraction: x, False),
    "shear_x": (lambda x, sign, fraction: _sheared(x, _MOST_SHEAR * fraction * sign, along_rows=True), False),
    "shear_y": (
        lambda x, sign, fraction: _sheared(x, _MOST_SHEAR * fraction * sign, along_rows=False),
        False,
    ),
    "translate_x": (
        lambda x, sign, fraction: _shifted(x, _MOST_SHIFT * fraction * sign, along_rows=True),
        False,
    ),
    "translate_y": (
        lambda x, sign, fraction: _shifted(x, _MOST_SHIFT * fraction * sign, along_rows=False),
        False,
    ),
    "rotate": (
        lambda x, sign, fraction: warped(x, rotated(_MOST_DEGREES * fraction * sign, x.shape[2:])),
        False,
    ),
    "brightness": (_mixing(operations.brightness), True),
    "color": (_mixing(operations.saturation), True),
    "contrast": (_mixing(operations.contrast), True),
    "sharpness": (_mixing(operations.sharpness), True),
    "posterize": (lambda x, sign, fraction: operations.posterize(x, _n_bits(fraction)), True),
    "solarize": (lambda x, sign, fraction: operations.solarize(x, 1.0 - fraction), True),
    "autocontrast": (lambda x, sign, fraction: operations.autocontrast(x), True),
    "equalize": (lambda x, sign, fraction: operations.equalize(x), True),
}
"""Each operation, and whether it changes values, and so takes images in [0, 1]."""
