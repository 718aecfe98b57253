"""The temporal convolutional network equals plain formulas of the paper, and sees no later step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.train.models.test_build import SEQUENCE, TOKENS, examples, model_of
from tunecli.config.schema.models import Tcn
from tunecli.train.data.table import Inputs
from tunecli.train.models import build
from tunecli.train.models.convolutional_sequences import CausalConvolution, TcnNet


def net_of(inputs: Any, **knobs: Any) -> TcnNet:
    module = build(model_of({"name": "tcn", "channels": [4, 4, 5], "dropout": 0.0, **knobs}), inputs, 3)
    assert isinstance(module, TcnNet)
    return module


def convolved(layer: CausalConvolution, x_BIT: Tensor, dilation: int) -> Tensor:
    """Equation 1 of the paper, F(s) = Σ f(i) · x(s - d · i), step by step; filters as in Salimans & Kingma, eq. 2."""
    filters_OIK = layer.weight
    if layer.lengths is not None:
        filters_OIK = torch.stack(
            [g * v / v.square().sum().sqrt() for g, v in zip(layer.lengths, layer.weight, strict=True)]
        )
    n_kernel, bias = filters_OIK.shape[2], layer.bias
    assert bias is not None
    steps = []
    for step in range(x_BIT.shape[2]):
        total = bias.expand(len(x_BIT), -1)
        for back in range(n_kernel):
            if step - dilation * back >= 0:
                total = total + x_BIT[:, :, step - dilation * back] @ filters_OIK[:, :, n_kernel - 1 - back].T
        steps.append(total)
    return torch.stack(steps, 2)


@pytest.mark.parametrize("norm", ["weight", "none"])
def test_the_network_equals_the_formulas_of_the_paper(norm: str) -> None:
    net = net_of(SEQUENCE, norm=norm).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    x = examples(SEQUENCE, 4).double()
    hidden = x.transpose(1, 2)
    for number in range(3):
        block: Any = net.layers[2 * number]
        inner = hidden
        for layer in (block.block[0], block.block[2]):
            inner = convolved(layer, inner, 2**number).clamp_min(0.0)
        is_changed = hidden.shape[1] != inner.shape[1]
        around = convolved(block.shortcut, hidden, 1) if is_changed else hidden
        hidden = (inner + around).clamp_min(0.0)
    expected = hidden[:, :, -1] @ net.output.weight.T + net.output.bias
    torch.testing.assert_close(net(x), expected, rtol=0.0, atol=1e-6)


def test_a_filter_with_weight_norm_begins_as_without() -> None:
    x = examples(SEQUENCE, 4)
    torch.testing.assert_close(net_of(SEQUENCE, norm="weight")(x), net_of(SEQUENCE, norm="none")(x))


def test_a_step_sees_itself_and_as_many_earlier_steps_as_its_kernels_reach() -> None:
    knob = model_of({"name": "tcn", "channels": [4, 4], "kernel": 2, "activation": "tanh"})
    assert isinstance(knob, Tcn)
    net = build(knob, Inputs((12, 3)), 2).eval()
    x = examples(Inputs((12, 3)), 1).requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    is_seen = gradient[0].abs().sum(1) > 0
    assert is_seen.tolist() == [step >= 12 - knob.n_steps_seen for step in range(12)]
    assert knob.n_steps_seen == 7


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
def test_padding_changes_nothing(pool: str) -> None:
    net = net_of(TOKENS, pool=pool)
    texts = torch.tensor([[4, 2, 9, 1, 3], [7, 0, 0, 0, 0], [5, 5, 8, 0, 0]])
    outputs = net(nn.functional.pad(texts, (0, 4)))
    torch.testing.assert_close(net(texts), outputs)
    torch.testing.assert_close(net(texts[2:, :3]), outputs[2:])
