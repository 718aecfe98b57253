"""Operations on images, of which augmentations are made: changes of values, and of places.

Changes of values take images in [0, 1] and give such images. They are those of Pillow (`ImageEnhance`, `ImageOps`),
without its rounding to whole levels; a test compares them. `ChannelRange` maps normalised images to [0, 1] and back.

Axes: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor

_LEVELS = 256
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow
_MOST_NUMBERS = 2**24  # of the images that are warped at once: the places that they read take as much memory


@dataclass(frozen=True, eq=False)
class ChannelRange:
    """The smallest value of each channel, and the difference to the largest, both of shape (C, 1, 1)."""

    low: Tensor
    width: Tensor

    @staticmethod
    def of(x_NCHW: Tensor) -> ChannelRange:
        """The range of the values of these images. A channel of one value has the width 1."""
        low = x_NCHW.amin((0, 2, 3))[:, None, None]
        width = x_NCHW.amax((0, 2, 3))[:, None, None] - low
        return ChannelRange(low, torch.where(width > 0, width, 1.0))

    def to_unit(self, x_NCHW: Tensor) -> Tensor:
        """Map the range to [0, 1]; values outside of it, which other augmentations make, to its ends."""
        low, width = self.low.to(x_NCHW.device), self.width.to(x_NCHW.device)
        return ((x_NCHW - low) / width).clamp(0.0, 1.0)

    def from_unit(self, unit_NCHW: Tensor) -> Tensor:
        """Map [0, 1] to the range."""
        return unit_NCHW * self.width.to(unit_NCHW.device) + self.low.to(unit_NCHW.device)


def brightness(x_NCHW: Tensor, factor_N: Tensor) -> Tensor:
    """Mix with black: factor 0 is black, 1 the image."""
    return _mixed(torch.zeros_like(x_NCHW), x_NCHW, factor_N)


def contrast(x_NCHW: Tensor, factor_N: Tensor) -> Tensor:
    """Mix with the mean of the image's grey values."""
    mean_N111 = _grey(x_NCHW).mean((1, 2, 3), keepdim=True)
    return _mixed(mean_N111.expand_as(x_NCHW), x_NCHW, factor_N)


def saturation(x_NCHW: Tensor, factor_N: Tensor) -> Tensor:
    """Mix with the grey image. Images without three channels stay as they are."""
    return _mixed(_grey(x_NCHW).expand_as(x_NCHW), x_NCHW, factor_N) if x_NCHW.shape[1] == 3 else x_NCHW


def sharpness(x_NCHW: Tensor, factor_N: Tensor) -> Tensor:
    """Mix with the image that is smoothed over 3 × 3 pixels, whose edge stays as it is."""
    if min(x_NCHW.shape[2:]) < 3:
        return x_NCHW
    kernel_HW = torch.ones(3, 3, device=x_NCHW.device, dtype=x_NCHW.dtype)
    kernel_HW[1, 1] = 5.0
    n_channels = x_NCHW.shape[1]
    kernel = (kernel_HW / kernel_HW.sum()).expand(n_channels, 1, 3, 3)
    smooth_NCHW = x_NCHW.clone()
    smooth_NCHW[:, :, 1:-1, 1:-1] = fn.conv2d(x_NCHW, kernel, groups=n_channels)
    return _mixed(smooth_NCHW, x_NCHW, factor_N)


def posterize(x_NCHW: Tensor, n_bits: int) -> Tensor:
    """Keep the first bits of each of the 8 bits of a level."""
    size = 1 << (8 - n_bits)
    kept_NCHW = torch.div(_levels(x_NCHW), size, rounding_mode="floor") * size
    return kept_NCHW.to(x_NCHW.dtype) / (_LEVELS - 1)


def solarize(x_NCHW: Tensor, threshold: float) -> Tensor:
    """Invert the values that are at least the threshold."""
    return torch.where(x_NCHW >= threshold, 1.0 - x_NCHW, x_NCHW)


def autocontrast(x_NCHW: Tensor) -> Tensor:
    """Stretch each channel of each image to [0, 1]; a channel of one value stays as it is."""
    low_NC11 = x_NCHW.amin((2, 3), keepdim=True)
    width_NC11 = x_NCHW.amax((2, 3), keepdim=True) - low_NC11
    stretched = (x_NCHW - low_NC11) / torch.where(width_NC11 > 0, width_NC11, 1.0)
    return torch.where(width_NC11 > 0, stretched, x_NCHW)


def equalize(x_NCHW: Tensor) -> Tensor:
    """Make the levels of each channel of each image about equally frequent, by Pillow's formula."""
    n, n_channels = x_NCHW.shape[:2]
    level_RP = _levels(x_NCHW).flatten(0, 1).flatten(1)  # R = N · C histograms over P pixels
    row_R1 = torch.arange(len(level_RP), device=x_NCHW.device)[:, None]
    counts_RL = torch.bincount((level_RP + _LEVELS * row_R1).flatten(), minlength=len(level_RP) * _LEVELS)
    counts_RL = counts_RL.view(-1, _LEVELS)
    level_L = torch.arange(_LEVELS, device=x_NCHW.device)
    last_R1 = torch.where(counts_RL > 0, level_L, 0).amax(1, keepdim=True)
    step_R1 = (counts_RL.sum(1, keepdim=True) - counts_RL.gather(1, last_R1)) // (_LEVELS - 1)
    before_RL = counts_RL.cumsum(1) - counts_RL
    table_RL = ((step_R1 // 2 + before_RL) // step_R1.clamp_min(1)).clamp_max(_LEVELS - 1)
    table_RL = torch.where(step_R1 > 0, table_RL, level_L)
    equal_RP = table_RL.gather(1, level_RP).to(x_NCHW.dtype) / (_LEVELS - 1)
    return equal_RP.view(n, n_channels, *x_NCHW.shape[2:])


def rotated(degrees_N: Tensor, size: Sequence[int]) -> Tensor:
    """The maps (N, 2, 3), float64 on the CPU, of an anticlockwise rotation about the centre of the image.

    Args:
        degrees_N: the angle of each image.
        size: rows and columns.
    """
    angle_N = torch.deg2rad(degrees_N.cpu().double())
    cos_N, sin_N = angle_N.cos(), angle_N.sin()
    row, column = size[0] / 2, size[1] / 2
    to_column = torch.stack([cos_N, -sin_N, column - cos_N * column + sin_N * row], 1)
    to_row = torch.stack([sin_N, cos_N, row - sin_N * column - cos_N * row], 1)
    return torch.stack([to_column, to_row], 1)


def warped(x_NCHW: Tensor, map_N23: Tensor) -> Tensor:
    """Read each pixel at another place, with linear interpolation and zeros outside the image.

    Args:
        x_NCHW: the images.
        map_N23: by image, the matrix from (column, row, 1) of a pixel to the column and row that it reads. Places are
            in pixels from the upper left corner, so the first pixel is at (0.5, 0.5).

    Returns:
        The new images.
    """
    n, n_channels, rows, columns = x_NCHW.shape
    device = x_NCHW.device
    row_HW, column_HW = torch.meshgrid(
        torch.arange(rows, device=device) + 0.5, torch.arange(columns, device=device) + 0.5, indexing="ij"
    )
    place_HW3 = torch.stack([column_HW, row_HW, torch.ones_like(row_HW)], 2).to(x_NCHW.dtype)
    scale_2 = 2.0 / torch.tensor([columns, rows], device=device, dtype=x_NCHW.dtype)
    n_at_once = max(1, _MOST_NUMBERS // (n_channels * rows * columns))
    parts = []
    for images, maps in zip(torch.split(x_NCHW, n_at_once), torch.split(map_N23, n_at_once), strict=True):
        read_NHW2 = torch.einsum("hwk,njk->nhwj", place_HW3, maps.to(place_HW3))
        grid = read_NHW2 * scale_2 - 1.0
        parts.append(fn.grid_sample(images, grid, "bilinear", "zeros", align_corners=False))
    return torch.cat(parts) if n else x_NCHW


def _mixed(other_NCHW: Tensor, x_NCHW: Tensor, factor_N: Tensor) -> Tensor:
    """``other + factor · (x - other)``, bounded to [0, 1]."""
    factor_N111 = factor_N.to(x_NCHW)[:, None, None, None]
    return (other_NCHW + factor_N111 * (x_NCHW - other_NCHW)).clamp(0.0, 1.0)


def _grey(x_NCHW: Tensor) -> Tensor:
    """The grey image (N, 1, H, W); without three channels, the mean of the channels."""
    if x_NCHW.shape[1] != 3:
        return x_NCHW.mean(1, keepdim=True)
    red, green, blue = (share * x_NCHW[:, [channel]] for channel, share in enumerate(_GREY))
    return red + green + blue


def _levels(x_NCHW: Tensor) -> Tensor:
    """The nearest of 256 levels, int64."""
    return (x_NCHW * (_LEVELS - 1)).round().long()
