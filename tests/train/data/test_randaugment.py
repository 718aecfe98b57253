"""RandAugment draws operations as the paper says, with the ranges of torchvision."""

from __future__ import annotations

import math

import pytest
import torch

from tunecli.config.schema.augmentations import RandAugment
from tunecli.train.data.augmentation import augment
from tunecli.train.data.image_operations import ChannelRange
from tunecli.train.data.randaugment import OPERATIONS
from tunecli.train.torch_state import cpu_generator

IMAGES = torch.randn(600, 3, 8, 8, generator=torch.Generator().manual_seed(0))
OF_VALUES = [name for name, (_, is_of_values) in OPERATIONS.items() if is_of_values]


def test_every_operation_is_drawn_about_equally_often_and_acts_in_its_range() -> None:
    made = augment([RandAugment(operations=1, magnitude=30)], IMAGES, cpu_generator(3))
    is_same = (made == IMAGES).flatten(1).all(1).float().mean().item()
    assert is_same == pytest.approx(1 / 14, abs=0.03)
    channels = ChannelRange.of(IMAGES)
    low, high = channels.low, channels.low + channels.width
    assert ((made >= low - 1e-4) & (made <= high + 1e-4)).all()


def test_two_operations_change_more_images_than_one() -> None:
    one, two = (augment([RandAugment(operations=n)], IMAGES, cpu_generator(3)) for n in (1, 4))
    assert (two == IMAGES).sum() < (one == IMAGES).sum()


def test_operations_of_values_do_not_depend_on_the_normalisation() -> None:
    scale, shift = torch.tensor([2.0, 0.5, 9.0])[:, None, None], torch.tensor([7.0, -1.0, 0.0])[:, None, None]
    other = IMAGES * scale + shift
    for name in OF_VALUES:
        if name in ("equalize", "posterize"):
            continue  # rounding can move a value to the next level
        operation, _ = OPERATIONS[name]
        sign = torch.ones(len(IMAGES))
        for images in (IMAGES, other):
            unit = ChannelRange.of(images).to_unit(images)
            torch.testing.assert_close(
                operation(unit, sign, 0.5),
                operation(ChannelRange.of(IMAGES).to_unit(IMAGES), sign, 0.5),
                atol=1e-4,
                rtol=0.0,
            )


@pytest.mark.parametrize(
    ("name", "magnitude", "expected"),
    [
        ("brightness", 30, lambda x: (1.9 * x).clamp_max(1.0)),
        ("brightness", 10, lambda x: (1.3 * x).clamp_max(1.0)),
        ("solarize", 10, lambda x: torch.where(x >= 2 / 3, 1 - x, x)),
        ("posterize", 30, lambda x: (x * 255).round().div(16, rounding_mode="floor") * 16 / 255),
        ("identity", 30, lambda x: x),
        ("translate_x", 30, lambda x: torch.nn.functional.pad(x, (3, 0))[..., :8]),  # 150 / 331 of 8 is 3.6
        ("translate_y", 30, lambda x: torch.nn.functional.pad(x, (0, 0, 3, 0))[..., :8, :]),
    ],
)
def test_the_magnitude_has_torchvisions_range(name: str, magnitude: int, expected: object) -> None:
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    operation, _ = OPERATIONS[name]
    found = operation(images, torch.ones(2), magnitude / 30)
    assert callable(expected)
    torch.testing.assert_close(found, expected(images), atol=1e-5, rtol=0.0)


def test_a_shear_moves_a_row_by_its_distance_to_the_upper_edge() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    operation, _ = OPERATIONS["shear_x"]
    found = operation(ramp, torch.ones(1), 1.0)
    for row in range(8):
        for column in range(6):
            place = column + 0.3 * (row + 0.5)
            if place <= 7:
                assert math.isclose(found[0, 0, row, column].item(), place, abs_tol=1e-4)
