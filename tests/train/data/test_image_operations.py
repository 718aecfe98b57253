"""Changes of values equal those of Pillow; changes of places equal plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tunecli.train.data import image_operations as operations
from tunecli.train.data.image_operations import ChannelRange, rotated, warped

Image = pytest.importorskip("PIL.Image")
ImageEnhance, ImageOps = pytest.importorskip("PIL.ImageEnhance"), pytest.importorskip("PIL.ImageOps")

LEVELS = np.random.default_rng(0).integers(20, 240, (3, 24, 20, 3)).astype(np.uint8)
LEVELS[0, :, :, 0] = 77  # a channel of one value
IMAGES = torch.from_numpy(LEVELS).permute(0, 3, 1, 2).float() / 255.0
FACTORS = (0.1, 0.7, 1.0, 1.6)


def of_pillow(change: Callable[[object], object]) -> Tensor:
    arrays = [np.asarray(change(Image.fromarray(levels))) for levels in LEVELS]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255.0


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (operations.brightness, "Brightness"),
        (operations.contrast, "Contrast"),
        (operations.saturation, "Color"),
        (operations.sharpness, "Sharpness"),
    ],
)
def test_an_operation_with_a_factor_equals_pillows(
    operation: Callable[[Tensor, Tensor], Tensor], name: str, factor: float
) -> None:
    expected = of_pillow(lambda image: getattr(ImageEnhance, name)(image).enhance(factor))
    found = operation(IMAGES, torch.full((3,), factor))
    assert (found - expected).abs().max() < 2.1 / 255  # Pillow rounds the mean and the result to whole levels


@pytest.mark.parametrize(
    ("found", "change"),
    [
        *(
            (operations.posterize(IMAGES, n), lambda image, n=n: ImageOps.posterize(image, n))
            for n in (4, 6, 8)
        ),
        *(
            (operations.solarize(IMAGES, n / 255), lambda image, n=n: ImageOps.solarize(image, n))
            for n in (0, 100, 255)
        ),
        (operations.autocontrast(IMAGES), ImageOps.autocontrast),
        (operations.equalize(IMAGES), ImageOps.equalize),
    ],
)
def test_an_operation_without_a_factor_equals_pillows(found: Tensor, change: Callable[..., object]) -> None:
    assert (found - of_pillow(change)).abs().max() < 1.01 / 255


def test_grey_images_keep_their_saturation_and_have_their_own_contrast() -> None:
    grey = IMAGES[:, :1]
    assert operations.saturation(grey, torch.zeros(3)) is grey
    flat = operations.contrast(grey, torch.zeros(3))
    torch.testing.assert_close(flat, grey.mean((1, 2, 3), keepdim=True).expand_as(grey))


def test_a_warp_reads_each_pixel_where_its_map_says_with_linear_interpolation() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 2, 5, 7, generator=generator)
    maps = torch.eye(2, 3).repeat(2, 1, 1) + 0.3 * torch.randn(2, 2, 3, generator=generator)
    expected = torch.zeros_like(images)
    for number in range(2):
        for row in range(5):
            for column in range(7):
                x, y = (maps[number] @ torch.tensor([column + 0.5, row + 0.5, 1.0]) - 0.5).tolist()
                for i in (math.floor(y), math.floor(y) + 1):
                    for j in (math.floor(x), math.floor(x) + 1):
                        if 0 <= i < 5 and 0 <= j < 7:
                            share = (1 - abs(y - i)) * (1 - abs(x - j))
                            expected[number, :, row, column] += share * images[number, :, i, j]
    torch.testing.assert_close(warped(images, maps), expected, atol=1e-5, rtol=1e-5)


def test_a_quarter_turn_is_anticlockwise() -> None:
    images = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    turned = warped(images, rotated(torch.tensor([90.0, -90.0, 0.0]), (6, 6)))
    expected = torch.stack([torch.rot90(images[0], 1, (1, 2)), torch.rot90(images[1], -1, (1, 2)), images[2]])
    torch.testing.assert_close(turned, expected, atol=1e-5, rtol=0.0)


def test_a_range_maps_normalised_images_to_the_unit_interval_and_back() -> None:
    images = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    images[:, 1] = 0.5
    channels = ChannelRange.of(images)
    unit = channels.to_unit(images)
    assert (unit[:, 0].min(), unit[:, 0].max()) == (0.0, 1.0)
    torch.testing.assert_close(channels.from_unit(unit), images)
    assert channels.to_unit(images + 100.0).max() == 1.0
