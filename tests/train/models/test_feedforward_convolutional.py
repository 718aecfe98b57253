"""The convolutional nets: sides, norms and the residual net of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tunecli.config.schema.models import Cnn, ResNet
from tunecli.train.data.table import Inputs
from tunecli.train.model_sizes import size_of
from tunecli.train.models import build
from tunecli.train.models.layers import MeanOverImage, n_groups


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("pool", ["max", "mean", "none"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_cnn_takes_images_down_to_one_pixel(kernel: int, pool: str, stride: int) -> None:
    knob = Cnn.model_validate({"channels": [3, 4, 5], "kernel": kernel, "pool": pool, "stride": stride})
    for side in (1, 2, 9):
        assert build(knob, Inputs((2, side, side)), 1)(torch.zeros(4, 2, side, side)).shape == (4, 1)


@pytest.mark.parametrize(
    ("kernel", "stride", "side"), [(3, 1, 7), (4, 1, 7), (3, 2, 4), (4, 2, 4), (1, 3, 3)]
)
def test_a_convolution_divides_a_side_by_its_stride_and_rounds_up(
    kernel: int, stride: int, side: int
) -> None:
    module = build(Cnn(channels=[3], kernel=kernel, stride=stride, pool="none"), Inputs((1, 7, 7)), 2)
    layers = [*module.children()]
    until = next(place for place, layer in enumerate(layers) if isinstance(layer, MeanOverImage))
    assert nn.Sequential(*layers[:until])(torch.zeros(1, 1, 7, 7)).shape == (1, 3, side, side)


@pytest.mark.parametrize(
    ("n_channels", "groups"), [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8), (20, 10), (64, 32), (96, 32), (9, 3)]
)
def test_groups_divide_the_channels_and_hold_two_or_more(n_channels: int, groups: int) -> None:
    assert n_groups(n_channels) == groups


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_resnet_takes_images_down_to_one_pixel(norm: str) -> None:
    knob = ResNet.model_validate({"channels": [4, 6, 8], "blocks": 2, "norm": norm})
    for rows, columns in ((1, 1), (2, 5), (9, 9)):
        assert build(knob, Inputs((2, rows, columns)), 1)(torch.zeros(4, 2, rows, columns)).shape == (4, 1)


@pytest.mark.parametrize(("blocks", "millions"), [(3, 0.27), (5, 0.46), (9, 0.85)])
def test_resnets_of_20_32_and_56_layers_have_the_papers_parameters(blocks: int, millions: float) -> None:
    """He et al. 2016, table 6; the projections of option B are 2,752 more."""
    size = size_of(ResNet(blocks=blocks), Inputs((3, 32, 32)), 10)
    assert size is not None
    assert (size.n_parameters - 2752) / 1e6 == pytest.approx(millions, abs=0.006)


def test_a_residual_block_of_zeros_is_the_identity() -> None:
    module = build(ResNet(channels=[3], blocks=2), Inputs((2, 4, 4)), 2)
    stem, (first, _, second, _) = nn.Sequential(*[*module.children()][:3]), [*module.children()][3:7]
    for block in (first, second):
        for parameter in block.parameters():
            nn.init.zeros_(parameter)
    x = torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(nn.Sequential(*[*module.children()][:7])(x), stem(x))
