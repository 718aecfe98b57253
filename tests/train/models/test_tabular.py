"""The networks for tables equal plain formulas of the paper, and codes become vectors.

The formulas are those of Gorishniy et al. 2021, sections 3.2 and 3.3, written with torch's functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as fn
from torch import Tensor

from tests.train.models.test_build import CODES, FEATURES, examples, model_of
from tunecli.train.data.table import Inputs
from tunecli.train.models import build
from tunecli.train.models.columns import EmbeddedCodes
from tunecli.train.optimizers import parts_of

Weights = Callable[[str], Tensor]


def weights_of(module: torch.nn.Module) -> Weights:
    """A module's weights by name, moved away from the special values that norms begin with."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    state = module.state_dict()
    return lambda name: state[name]


def affine(x: Tensor, weights: Weights, name: str) -> Tensor:
    return x @ weights(f"{name}.weight").T + weights(f"{name}.bias")


def batch_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    centred = x - x.mean(0)
    scaled = centred / (centred.square().mean(0) + 1e-5).sqrt()
    return scaled * weights(f"{name}.weight") + weights(f"{name}.bias")


def layer_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * weights(f"{name}.weight") + weights(f"{name}.bias")


def test_a_tabular_resnet_equals_the_formula_of_the_paper() -> None:
    knob = model_of({"name": "tabular_resnet", "width": 6, "blocks": 2, "feedforward": 1.5, "dropout": 0.0})
    module = build(knob, FEATURES, 3).double()
    weights, x = weights_of(module), examples(FEATURES, 7).double()
    hidden = affine(x, weights, "0")
    for block in ("1.block", "2.block"):
        inner = affine(batch_norm(hidden, weights, f"{block}.0"), weights, f"{block}.1")
        hidden = hidden + affine(inner.clamp_min(0.0), weights, f"{block}.3")
    expected = affine(batch_norm(hidden, weights, "3").clamp_min(0.0), weights, "5")
    torch.testing.assert_close(module(x), expected, rtol=0.0, atol=1e-6)


def attention(x: Tensor, weights: Weights, name: str, n_heads: int) -> Tensor:
    heads = []
    for head in range(n_heads):
        size = x.shape[2] // n_heads
        query, key, value = (
            affine(x, weights, f"{name}.{part}")[..., head * size : (head + 1) * size]
            for part in ("query", "key", "value")
        )
        scores = torch.einsum("bqd,bkd->bqk", query, key) / size**0.5
        heads.append(torch.einsum("bqk,bkd->bqd", scores.exp() / scores.exp().sum(2, keepdim=True), value))
    return affine(torch.cat(heads, 2), weights, f"{name}.output")


@pytest.mark.parametrize("inputs", [FEATURES, CODES, Inputs((2,), categories=(4, 3))])
def test_an_ft_transformer_equals_the_formula_of_the_paper(inputs: Inputs) -> None:
    knob = model_of({"name": "ft_transformer", "width": 8, "heads": 2, "layers": 3, "feedforward": 1.5})
    module = build(knob, inputs, 3).double().eval()
    weights, x = weights_of(module), examples(inputs, 7).double()
    tokens, first = [], 0
    for column in range(inputs.shape[0]):
        bias = weights("tokens.0.bias")[column]
        if column < inputs.n_numbers:
            tokens.append(bias + x[:, column, None] * weights("tokens.0.weight")[column])
            continue
        n_codes = inputs.categories[column - inputs.n_numbers]
        one_hot = fn.one_hot(x[:, column].long(), n_codes).double()
        tokens.append(bias + one_hot @ weights("tokens.0.vectors")[first : first + n_codes])
        first += n_codes
    hidden = torch.stack(
        [weights("tokens.1.weight").expand(7, -1), *tokens], 1
    )  # the place of the own token is free
    for layer in range(3):
        name = f"blocks.{layer}"
        normed = layer_norm(hidden, weights, f"{name}.norm") if layer else hidden
        hidden = hidden + attention(normed, weights, f"{name}.attention", 2)
        inner = affine(
            layer_norm(hidden, weights, f"{name}.feedforward.block.0"), weights, f"{name}.feedforward.block.1"
        )
        gated = inner[..., :12] * inner[..., 12:].clamp_min(0.0)
        hidden = hidden + affine(gated, weights, f"{name}.feedforward.block.4")
    expected = affine(layer_norm(hidden[:, 0], weights, "output.0").clamp_min(0.0), weights, "output.2")
    torch.testing.assert_close(module(x), expected, rtol=0.0, atol=1e-6)


def test_dropout_of_the_attention_drops_its_weights_and_keeps_their_mean() -> None:
    value: dict[str, Any] = {"name": "ft_transformer", "width": 8, "heads": 2, "layers": 1, "dropout": 0.0}
    dropped = build(model_of({**value, "attention_dropout": 1e-9}), FEATURES, 3)
    plain = build(model_of({**value, "attention_dropout": 0.0}), FEATURES, 3)
    x = examples(FEATURES, 4)
    torch.testing.assert_close(dropped(x), plain(x), rtol=1e-5, atol=1e-6)


def test_the_tokens_norms_and_biases_of_the_paper_can_be_spared_from_weight_decay() -> None:
    module = build(model_of({"name": "ft_transformer", "width": 8, "layers": 2}), CODES, 3)
    names = {parameter: name for name, parameter in module.named_parameters()}
    decaying = [names[part.parameter] for part in parts_of(module) if not part.kinds]
    matrices = ("query", "key", "value", "output")
    expected = {f"blocks.{layer}.attention.{name}.weight" for layer in (0, 1) for name in matrices}
    expected |= {f"blocks.{layer}.feedforward.block.{name}.weight" for layer in (0, 1) for name in (1, 4)}
    assert {*decaying} == {*expected, "output.2.weight"}


def test_codes_become_vectors_after_the_numbers() -> None:
    front = EmbeddedCodes(2, [(4, 2), (3, 5)])
    x = torch.tensor([[0.5, -1.0, 3.0, 0.0], [2.0, 0.0, 0.0, 2.0]])
    first, second = (table.weight for table in front.tables)
    expected = torch.stack(
        [torch.cat([x[0, :2], first[3], second[0]]), torch.cat([x[1, :2], first[0], second[2]])]
    )
    torch.testing.assert_close(front(x), expected)


def test_a_size_that_is_auto_is_half_the_number_of_categories_and_at_most_50() -> None:
    inputs = Inputs((4,), categories=(3, 10, 1000))
    module = build(model_of("linear"), inputs, 2)
    assert [(*parameter.shape,) for parameter in module.parameters()][:3] == [(3, 2), (10, 5), (1000, 50)]
    fixed = build(model_of({"name": "linear", "embedding": 7}), inputs, 2)
    assert {parameter.shape[1] for parameter in [*fixed.parameters()][:3]} == {7}
