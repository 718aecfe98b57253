"""Learning rates fall from the last layer to the first, and training with them equals torch's parameter groups."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.train.models.test_build import CODES, FEATURES, IMAGE, TOKENS, examples, model_of
from tunecli.config.schema import optimizers as knobs
from tunecli.train.data.table import Inputs
from tunecli.train.layer_distances import layer_distances
from tunecli.train.models import build
from tunecli.train.optimizers import build_optimizers, parts_of, rated_groups


def layers_of(module: nn.Module) -> list[set[str]]:
    """The names of the parameters of each layer, the last layer first; shortened to their modules."""
    matrices = {part.parameter for part in parts_of(module) if part.parameter.ndim >= 2 and not part.kinds}
    names = {parameter: name for name, parameter in module.named_parameters()}
    layers: dict[int, set[str]] = {}
    for parameter, distance in layer_distances(module, matrices).items():
        layers.setdefault(distance, set()).add(names[parameter])
    return [layers[distance] for distance in range(len(layers))]


@pytest.mark.parametrize(
    ("value", "inputs", "starts"),
    [
        ("linear", FEATURES, ["0"]),
        ({"name": "mlp", "norm": "layer"}, FEATURES, ["6", "3", "0"]),
        ({"name": "mlp", "width": 5, "residual": True, "norm": "layer"}, FEATURES, ["2", "1", "0"]),
        ("mlp", CODES, ["1.4", "1.2", "1.0", "0.tables"]),
        ({"name": "tabular_resnet", "blocks": 2}, FEATURES, ["5", "2", "1", "0"]),
        ({"name": "resnet", "channels": [4, 6]}, IMAGE, ["8", "5", "3", "0"]),
        ({"name": "transformer", "pool": "cls"}, IMAGE, ["output", "blocks.1", "blocks.0", "tokens"]),
        ("ft_transformer", CODES, ["output.2", "blocks.2", "blocks.1", "blocks.0", "tokens"]),
        ({"name": "lstm", "layers": 2}, TOKENS, ["output", "layers.1", "layers.0", "steps"]),
        ({"name": "tcn", "channels": [4, 6]}, TOKENS, ["output", "layers.2", "layers.0", "steps"]),
    ],
)
def test_each_layer_has_a_distance_from_the_output(value: Any, inputs: Inputs, starts: list[str]) -> None:
    layers = layers_of(build(model_of(value), inputs, 3))
    assert len(layers) == len(starts)
    for names, start in zip(layers, starts, strict=True):
        assert any(name.startswith(f"{start}.") for name in names), (start, names)


def test_loose_parameters_positions_and_norms_belong_to_the_layer_beside_them() -> None:
    value = {"name": "transformer", "pool": "cls", "layers": 1}
    *_, last_block, first = layers_of(build(model_of(value), IMAGE, 3))
    assert {"pooled", "positions.weight", "tokens.linear.weight"} <= first
    assert "norm.weight" in last_block


def test_training_equals_torchs_parameter_groups_with_these_rates() -> None:
    ours = build(model_of({"name": "mlp", "hidden": [6, 6]}), FEATURES, 3)
    theirs = copy.deepcopy(ours)
    knob = knobs.AdamW(lr=0.1, weight_decay=0.5, layer_decay=0.5, decay_exclude=["bias"])
    (optimizer,) = build_optimizers(knob, ours)
    first, _, second, _, last = theirs.children()
    groups = [
        {"params": [one], "lr": rate, "weight_decay": 0.5 if one.ndim > 1 else 0.0}
        for layer, rate in ((first, 0.025), (second, 0.05), (last, 0.1))
        for one in layer.parameters()
    ]
    reference = torch.optim.AdamW(groups)
    x = examples(FEATURES, 8)
    for _ in range(3):
        for model, one in ((ours, optimizer), (theirs, reference)):
            one.zero_grad()
            torch.autograd.backward(model(x).square().sum())
            one.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_the_first_group_has_the_rate_of_the_last_layer_and_muon_has_the_same_rates() -> None:
    model = build(model_of({"name": "mlp", "hidden": [6, 6]}), FEATURES, 3)
    for knob in (knobs.Sgd(lr=1.0, layer_decay=0.5), knobs.Muon(lr=1.0, layer_decay=0.5)):
        optimizers = build_optimizers(knob, model)
        rates = {parameter: base for group, base in rated_groups(optimizers) for parameter in group["params"]}
        assert [rates[parameter] for parameter in model.parameters()] == [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
    (sgd,) = build_optimizers(knobs.Sgd(lr=1.0, layer_decay=0.5), model)
    assert sgd.param_groups[0]["lr"] == 1.0


def test_lbfgs_takes_no_layer_decay() -> None:
    with pytest.raises(ValidationError, match="it takes no `layer_decay`"):
        knobs.Lbfgs(layer_decay=0.9)
