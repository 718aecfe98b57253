"""The transformer against torch's encoder layer, and its independence of padding and order."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from tunecli.config.schema.models import Transformer
from tunecli.train.data.table import Inputs
from tunecli.train.models import build
from tunecli.train.models.transformer import (
    Block,
    FeatureTokens,
    PatchTokens,
    SinusoidalPositions,
    TransformerNet,
)

G = torch.Generator().manual_seed(0)
TEXTS = torch.tensor([[4, 2, 9, 1, 3], [7, 0, 0, 0, 0], [5, 5, 8, 0, 0]])


def net_of(inputs: Inputs, **knobs: Any) -> TransformerNet:
    module = build(Transformer.model_validate({"width": 8, "heads": 2, **knobs}), inputs, 2)
    assert isinstance(module, TransformerNet)
    return module


@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("heads", [1, 4])
def test_a_block_equals_torchs_encoder_layer(heads: int, is_padded: bool) -> None:
    block = Block(Transformer(width=8, heads=heads, feedforward=3))
    reference = nn.TransformerEncoderLayer(8, heads, 24, 0.0, "gelu", batch_first=True, norm_first=True)
    attention, (norm, inner, _, outer) = block.attention, block.feedforward.block.children()
    joined = [attention.query, attention.key, attention.value]
    reference.self_attn.in_proj_weight.data = torch.cat([each.weight for each in joined])
    reference.self_attn.in_proj_bias.data = torch.cat([each.bias for each in joined])
    reference.self_attn.out_proj.load_state_dict(attention.output.state_dict())
    for own, other in ((reference.norm1, block.norm), (reference.norm2, norm)):
        own.load_state_dict(other.state_dict())
    for own, other in ((reference.linear1, inner), (reference.linear2, outer)):
        own.load_state_dict(other.state_dict())
    x = torch.randn(3, 5, 8, generator=G)
    is_read = TEXTS != 0
    mask = is_read[:, None, None] if is_padded else None
    expected = reference(x, src_key_padding_mask=~is_read if is_padded else None)
    torch.testing.assert_close(block(x, mask)[is_read], expected[is_read])


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_padding_changes_nothing_and_an_empty_text_has_a_score(pool: str, positions: str) -> None:
    net = net_of(Inputs((9,), 10), pool=pool, positions=positions)
    outputs = net(nn.functional.pad(TEXTS, (0, 4)))
    torch.testing.assert_close(net(TEXTS), outputs)
    torch.testing.assert_close(net(TEXTS[1:2, :1]), outputs[1:2])
    assert net(torch.zeros(1, 9, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_the_order_of_tokens_matters_only_with_positions(pool: str) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    whole = TEXTS[:1]
    blind = net_of(Inputs((5,), 10), pool=pool, positions="none")
    torch.testing.assert_close(blind(whole[:, order]), blind(whole))
    for positions in ("learned", "sinusoidal"):
        net = net_of(Inputs((5,), 10), pool=pool, positions=positions)
        assert (net(whole[:, order]) - net(whole)).abs().max() > 1e-3


def test_features_differ_only_by_their_affine_maps() -> None:
    tokens = FeatureTokens(3, 4)
    x = torch.randn(2, 3, generator=G)
    expected = torch.stack([x[:, f, None] * tokens.weight[f] + tokens.bias[f] for f in range(3)], 1)
    torch.testing.assert_close(tokens(x), expected)
    assert isinstance(net_of(Inputs((3,))).positions, nn.Identity)


def test_patches_equal_a_convolution_with_a_stride_of_its_width() -> None:
    tokens = PatchTokens(3, 2, 5)
    x = torch.randn(4, 3, 6, 8, generator=G)
    kernel = tokens.linear.weight.unflatten(1, (3, 2, 2))
    expected = nn.functional.conv2d(x, kernel, tokens.linear.bias, stride=2).flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens(x), expected)


@pytest.mark.parametrize("width", [6, 7])
def test_sinusoidal_positions_equal_the_papers_formula(width: int) -> None:
    added = SinusoidalPositions(50, width)(torch.zeros(1, 50, width))[0]
    for place in (0, 1, 49):
        for unit in range(width):
            angle = place / 10_000 ** (2 * (unit // 2) / width)
            expected = math.cos(angle) if unit % 2 else math.sin(angle)
            assert added[place, unit].item() == pytest.approx(expected, abs=1e-5)


def test_patches_that_do_not_tile_the_image_are_refused() -> None:
    with pytest.raises(ValueError, match="a patch of 4 does not divide an image of 8 × 6"):
        net_of(Inputs((1, 8, 6)))
