"""Each augmentation does its work, and is a function of the generator."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from tunecli.config.schema.augmentations import AnyAugmentation, Crop, Cutout, Flip, Mask, Mixup, Noise
from tunecli.errors import DataError
from tunecli.registry.implementations import implementation
from tunecli.train.data.augmentation import augment
from tunecli.train.torch_state import cpu_generator

IMAGES = torch.arange(1.0, 1 + 200 * 2 * 5 * 6).view(200, 2, 5, 6)


def test_every_augmentation_has_an_implementation() -> None:
    known = [each for each in get_args(AnyAugmentation) if each.implementation]
    assert {*known, Mixup} == set(get_args(AnyAugmentation))
    assert all(callable(implementation(each.implementation)) for each in known)


@pytest.mark.parametrize("knob", [Noise(), Flip(), Crop(), Cutout(), Mask()])
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


def test_an_empty_chain_is_the_identity() -> None:
    assert augment([], IMAGES, cpu_generator(0)) is IMAGES
