"""Mixup against its definition, batch by batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tunecli.train.epoch_batches import mix

SIZES = [4, 4, 2]
X = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(10)


def test_every_example_is_mixed_with_one_of_its_own_batch_by_the_batchs_share() -> None:
    mixed, partner_y, share = mix(X, Y, SIZES, 0.4, 1)
    first = 0
    for size, lam in zip(SIZES, share, strict=True):
        rows = slice(first, first + size)
        assert sorted(partner_y[rows].tolist()) == Y[rows].tolist()
        torch.testing.assert_close(mixed[rows], lam * X[rows] + (1 - lam) * X[partner_y[rows]])
        first += size


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_are_beta_distributed(alpha: float) -> None:
    n = 4000
    _, _, share = mix(torch.zeros(n, 1), torch.zeros(n), [1] * n, alpha, 2)
    expected = np.random.default_rng(0).beta(alpha, alpha, 100_000)
    found = np.quantile(share.numpy(), [0.1, 0.25, 0.5, 0.75, 0.9])
    np.testing.assert_allclose(found, np.quantile(expected, [0.1, 0.25, 0.5, 0.75, 0.9]), atol=0.05)


def test_the_same_generator_gives_the_same_mix_and_images_are_mixed_whole() -> None:
    images = torch.randn(10, 1, 2, 2)
    once, again = (mix(images, Y, SIZES, 0.4, 3) for _ in range(2))
    for left, right in zip(once, again, strict=True):
        assert torch.equal(left, right)
    assert once[0].shape == images.shape


def test_a_tiny_alpha_leaves_examples_whole() -> None:
    mixed, _, share = mix(X, Y, SIZES, 1e-6, 4)
    assert set(share.round(decimals=4).tolist()) <= {0.0, 1.0}
    assert torch.isfinite(mixed).all()
