"""Each augmentation does its work, and is a function of the generator."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from pydantic import ValidationError

from tunecli.config.schema.augmentations import (
    AnyAugmentation,
    Crop,
    Cutout,
    Flip,
    Jitter,
    Mask,
    Mixup,
    Noise,
    RandAugment,
    Rotation,
)
from tunecli.errors import DataError
from tunecli.registry.implementations import implementation
from tunecli.train.data.augmentation import augment
from tunecli.train.torch_state import cpu_generator

IMAGES = torch.arange(1.0, 1 + 200 * 2 * 5 * 6).view(200, 2, 5, 6)


def test_every_augmentation_has_an_implementation() -> None:
    known = [each for each in get_args(AnyAugmentation) if each.implementation]
    assert {*known, Mixup} == set(get_args(AnyAugmentation))
    assert all(callable(implementation(each.implementation)) for each in known)


@pytest.mark.parametrize(
    "knob", [Noise(), Flip(), Crop(), Cutout(), Mask(), Rotation(), Jitter(), RandAugment()]
)
def test_same_seed_gives_same_images_and_the_input_is_unchanged(knob: AnyAugmentation) -> None:
    before = IMAGES.clone()
    first, again, other = (augment([knob], IMAGES, cpu_generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(IMAGES, before)
    assert first.shape == IMAGES.shape


def test_noise_has_the_configured_deviation() -> None:
    x = torch.zeros(200, 50)
    assert augment([Noise(std=0.3)], x, cpu_generator(0)).std().item() == pytest.approx(0.3, rel=0.02)


def test_mask_zeroes_about_p_of_the_inputs() -> None:
    x = torch.ones(200, 50)
    masked = augment([Mask(p=0.3)], x, cpu_generator(0))
    assert masked.mean().item() == pytest.approx(0.7, abs=0.02)
    assert set(masked.unique().tolist()) == {0.0, 1.0}


def test_mixup_leaves_the_inputs_unchanged() -> None:
    assert augment([Mixup()], IMAGES, cpu_generator(0)) is IMAGES


@pytest.mark.parametrize(
    ("knob", "x"),
    [
        (Flip(), torch.zeros(4, 3)),
        (Crop(), torch.zeros(4, 3, 3)),
        (Noise(), torch.zeros(4, 3, dtype=torch.int64)),
        (Mixup(), torch.zeros(4, 3, dtype=torch.int64)),
    ],
)
def test_unsuitable_inputs_are_refused(knob: AnyAugmentation, x: torch.Tensor) -> None:
    with pytest.raises(DataError, match=f"`{knob.name}` cannot augment examples of") as caught:
        augment([Noise(), knob] if x.is_floating_point() else [knob], x, cpu_generator(0))
    assert caught.value.parameter.startswith("data.augment.")


def test_flip_mirrors_about_p_of_the_images() -> None:
    flipped = augment([Flip(p=0.3)], IMAGES, cpu_generator(0))
    mirrored = [torch.equal(one, other.flip(-1)) for one, other in zip(flipped, IMAGES, strict=True)]
    kept = [torch.equal(one, other) for one, other in zip(flipped, IMAGES, strict=True)]
    assert sum(mirrored) + sum(kept) == 200
    assert 40 <= sum(mirrored) <= 80


def test_crop_shifts_each_image_and_fills_with_zeros() -> None:
    padded = torch.nn.functional.pad(IMAGES, (2, 2, 2, 2))
    seen = set()
    for number, image in enumerate(augment([Crop(pixels=2)], IMAGES, cpu_generator(0))):
        shifts = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if torch.equal(image, padded[number, :, row : row + 5, column : column + 6])
        ]
        assert len(shifts) == 1
        seen.add(shifts[0])
    assert len(seen) == 25


def test_cutout_zeroes_one_square_that_may_cross_the_edge() -> None:
    cut = augment([Cutout(size=3)], IMAGES, cpu_generator(0))
    for before, after in zip(IMAGES, cut, strict=True):
        holes = after[0] == 0
        assert torch.equal(after[0] == 0, after[1] == 0)
        rows, columns = holes.any(1).sum().item(), holes.any(0).sum().item()
        assert holes.sum() == rows * columns
        assert 2 <= rows <= 3
        assert 2 <= columns <= 3
        assert torch.equal(after[:, ~holes], before[:, ~holes])


def test_a_rotation_turns_by_at_most_its_angle_and_keeps_the_centre() -> None:
    ramp = torch.arange(9.0) - 4.0
    images = ramp.expand(300, 1, 9, 9)
    turned = augment([Rotation(degrees=30.0)], images, cpu_generator(0))
    slope = turned[:, 0, 5, 4] - turned[:, 0, 3, 4]  # a turn mixes rows into columns: 2 sin(angle)
    degrees = torch.rad2deg(torch.asin(slope / 2))
    assert degrees.abs().max() <= 30.0
    assert degrees.abs().max() > 28.0
    assert degrees.mean().abs() < 3.0
    assert turned[:, 0, 4, 4].abs().max() < 1e-5


def test_a_jitter_changes_only_what_it_names_within_its_factors() -> None:
    images = torch.rand(300, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.5
    source = torch.cat([images, torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)])
    jitter = Jitter(brightness=0.4, contrast=0.0, saturation=0.0)
    factor = augment([jitter], images, cpu_generator(0), source) / images
    torch.testing.assert_close(factor, factor[:, :1, :1, :1].expand_as(factor), atol=1e-4, rtol=1e-4)
    assert (factor.min().item(), factor.max().item()) == pytest.approx((0.6, 1.4), abs=0.02)


def test_a_jitter_that_changes_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be above 0"):
        Jitter(brightness=0.0, contrast=0.0, saturation=0.0)


def test_an_empty_chain_is_the_identity() -> None:
    assert augment([], IMAGES, cpu_generator(0)) is IMAGES
