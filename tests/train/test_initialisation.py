"""Initial weights follow torch.nn.init, the activation's gain, and their seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.initialisations import AnyInitialisation
from tunecli.registry.implementations import code_names, implementation
from tunecli.train.data.table import Inputs
from tunecli.train.initialisation import initialise, nonlinearity_of
from tunecli.train.models import build
from tunecli.train.models.convolutional_sequences import CausalConvolution

FEATURES, IMAGE, TOKENS = Inputs((400,)), Inputs((3, 8, 8)), Inputs((5,), 9)
GAIN = math.sqrt(2.0)
RULES: list[tuple[Any, Callable[[Tensor], Tensor]]] = [
    ("kaiming_normal", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
    ("kaiming_uniform", lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu")),
    (
        {"name": "kaiming_normal", "mode": "fan_out"},
        lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
    ),
    ("xavier_normal", lambda w: nn.init.xavier_normal_(w, GAIN)),
    ("xavier_uniform", lambda w: nn.init.xavier_uniform_(w, GAIN)),
    ({"name": "xavier_uniform", "gain": 0.7}, lambda w: nn.init.xavier_uniform_(w, 0.7)),
    ("orthogonal", lambda w: nn.init.orthogonal_(w, GAIN)),
    ({"name": "orthogonal", "gain": 0.7}, lambda w: nn.init.orthogonal_(w, 0.7)),
    ("normal", lambda w: nn.init.normal_(w, 0.0, 0.05)),
    ({"name": "normal", "mean": 1.0, "std": 0.1}, lambda w: nn.init.normal_(w, 1.0, 0.1)),
    ("uniform", lambda w: nn.init.uniform_(w, -0.05, 0.05)),
    ({"name": "uniform", "low": 0.0, "high": 0.1}, lambda w: nn.init.uniform_(w, 0.0, 0.1)),
    ("trunc_normal", lambda w: nn.init.trunc_normal_(w, 0.0, 0.05, -0.1, 0.1)),
    (
        {"name": "trunc_normal", "mean": 1.0, "std": 0.1, "high": 1.1},
        lambda w: nn.init.trunc_normal_(w, 1.0, 0.1, 0.8, 1.1),
    ),
    ({"name": "constant", "value": 0.3}, lambda w: nn.init.constant_(w, 0.3)),
    ("ones", nn.init.ones_),
    ("zeros", nn.init.zeros_),
]
OF_MATRICES: list[tuple[Any, Callable[[Tensor], Tensor]]] = [
    ("eye", nn.init.eye_),
    ({"name": "sparse", "sparsity": 0.5}, lambda w: nn.init.sparse_(w, 0.5)),
    ({"name": "sparse", "sparsity": 0.9, "std": 1.0}, lambda w: nn.init.sparse_(w, 0.9, 1.0)),
]


def model_of(value: Any) -> Any:
    return TrialConfig.model_validate({"data": {"source": "iris"}, "model": value}).model


def begun(value: dict[str, Any], inputs: Inputs, seed: int = 5) -> nn.Module:
    module = build(model_of(value), inputs, 2)
    initialise(module, model_of(value), seed)
    return module


def drawn(rule: Callable[[Tensor], Tensor], shapes: list[torch.Size]) -> list[Tensor]:
    """Draws of torch's rule for weights of these shapes, in their order."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return [rule(torch.empty(shape)) for shape in shapes]


def assert_drawn(weights: list[Tensor], rule: Callable[[Tensor], Tensor]) -> None:
    for weight, expected in zip(weights, drawn(rule, [w.shape for w in weights]), strict=True):
        torch.testing.assert_close(weight, expected, rtol=0, atol=0)


def test_every_setting_of_a_rule_or_activation_is_implemented() -> None:
    rules = list(get_args(AnyInitialisation))
    names = {name for each in rules for name in get_args(each.model_fields["name"].annotation)}
    assert all(callable(implementation(name)) for each in rules for name in code_names(each))
    assert sum(len(code_names(each)) for each in rules) == len(names) - 1  # `default` sets nothing
    tested = {model_of({"name": "mlp", "init": value}).init.name for value, _ in RULES + OF_MATRICES}
    assert {"default", "dirac", *tested} == names


@pytest.mark.parametrize(("init", "rule"), RULES + OF_MATRICES)
def test_linear_layers_are_initialised_by_torchs_rule_and_biases_at_zero(
    init: Any, rule: Callable[[Tensor], Tensor]
) -> None:
    module = begun({"name": "mlp", "hidden": [6], "norm": "layer", "init": init}, Inputs((8,)))
    first, norm, _, last = module.children()
    assert_drawn([first.weight, last.weight], rule)  # type: ignore[list-item]
    assert not first.state_dict()["bias"].any()
    assert norm.state_dict()["weight"].eq(1).all()


@pytest.mark.parametrize(("init", "rule"), RULES)
def test_convolutions_are_initialised_by_torchs_rule(init: Any, rule: Callable[[Tensor], Tensor]) -> None:
    module = begun({"name": "resnet", "channels": [4], "init": init}, IMAGE)
    weights = [layer.weight for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(weights) == 4
    assert_drawn(weights, rule)


@pytest.mark.parametrize(("init", "rule"), [*RULES, ("dirac", nn.init.dirac_)])
def test_causal_convolutions_are_initialised_by_torchs_rule_and_filters_begin_with_their_own_length(
    init: Any, rule: Callable[[Tensor], Tensor]
) -> None:
    module = begun({"name": "tcn", "channels": [4, 5], "init": init}, Inputs((6, 3)))
    layers = [layer for layer in module.modules() if isinstance(layer, CausalConvolution)]
    assert len(layers) == 6
    assert_drawn([layer.weight for layer in layers], rule)
    for layer in layers:
        if layer.lengths is not None:
            torch.testing.assert_close(layer.lengths, layer.weight.flatten(1).norm(dim=1))


@pytest.mark.parametrize(("init", "rule"), RULES + OF_MATRICES)
def test_each_gate_of_a_recurrent_layer_is_initialised_as_a_layer(
    init: Any, rule: Callable[[Tensor], Tensor]
) -> None:
    net = begun({"name": "rnn", "nonlinearity": "relu", "width": 3, "init": init}, TOKENS)
    state = net.state_dict()
    assert_drawn([tensor for name, tensor in state.items() if "weight" in name and "steps" not in name], rule)
    built = build(model_of({"name": "rnn", "width": 3}), TOKENS, 2)
    assert torch.equal(state["steps.weight"], built.state_dict()["steps.weight"])


@pytest.mark.parametrize(("name", "n_gates"), [("lstm", 4), ("gru", 3)])
def test_each_gate_is_orthogonal_and_a_forget_gate_starts_open(name: str, n_gates: int) -> None:
    init = {"name": "orthogonal", "gain": 1.0}
    state = begun({"name": name, "width": 6, "bidirectional": True, "init": init}, TOKENS).state_dict()
    for direction in ("onward", "reverse"):
        gates = state[f"layers.0.{direction}.weight_hh_l0"].split(6)
        assert len(gates) == n_gates
        for gate in gates:
            torch.testing.assert_close(gate @ gate.T, torch.eye(6))
        bias = state[f"layers.0.{direction}.bias_ih_l0"] + state[f"layers.0.{direction}.bias_hh_l0"]
        expected = torch.zeros(6 * n_gates)
        if name == "lstm":
            expected[6:12] = 1.0
        assert torch.equal(bias, expected)


def test_dirac_sets_convolutions_and_leaves_the_last_layer_to_torch() -> None:
    value = {"name": "cnn", "channels": [3, 5], "norm": "batch", "init": "dirac"}
    module, built = begun(value, IMAGE), build(model_of(value), IMAGE, 2)
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    assert_drawn([layer.weight for layer in convolutions], nn.init.dirac_)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(convolutions[0](x), x)
    *_, last = module.children()
    *_, last_built = built.children()
    assert torch.equal(last.state_dict()["weight"], last_built.state_dict()["weight"])


@pytest.mark.parametrize(
    ("value", "inputs"),
    [("linear", FEATURES), ("mlp", FEATURES), ("cnn", IMAGE), ("lstm", TOKENS), ("transformer", TOKENS)],
)
def test_the_default_init_keeps_the_weights_of_torch(value: str, inputs: Inputs) -> None:
    module, built = build(model_of(value), inputs, 2), build(model_of(value), inputs, 2)
    initialise(module, model_of(value), 5)
    assert all(torch.equal(tensor, built.state_dict()[name]) for name, tensor in module.state_dict().items())


def test_the_default_of_a_linear_model_equals_torchs() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        reference = nn.Linear(400, 2)
    (layer,) = build(model_of("linear"), FEATURES, 2, seed=5).children()
    assert torch.equal(layer.state_dict()["weight"], reference.weight)
    assert torch.equal(layer.state_dict()["bias"], reference.bias)


@pytest.mark.parametrize("init", ["kaiming_normal", "orthogonal", {"name": "sparse", "sparsity": 0.5}])
def test_weights_depend_on_the_seed_and_torchs_generator_is_unchanged(init: Any) -> None:
    value = {"name": "transformer", "width": 8, "init": init}
    before = torch.get_rng_state()
    first, again, other = (begun(value, TOKENS, seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    for part in ("query", "key", "value", "output"):
        name = f"blocks.0.attention.{part}.weight"
        assert not torch.equal(first[name], other[name])


@pytest.mark.parametrize(
    ("activation", "gain"),
    [
        ("relu", 2**0.5),
        ("gelu", 2**0.5),
        ("tanh", 5 / 3),
        ("hardtanh", 5 / 3),
        ("sigmoid", 1.0),
        ("selu", 0.75),
        ("identity", 1.0),
        ("tanhshrink", 1.0),
        ("leaky_relu", (2 / (1 + 0.01**2)) ** 0.5),
        ({"name": "leaky_relu", "negative_slope": 0.5}, (2 / 1.25) ** 0.5),
        ("prelu", (2 / (1 + 0.25**2)) ** 0.5),
        ({"name": "prelu", "init": 1.0}, 1.0),
        ("rrelu", (2 / (1 + (11 / 48) ** 2)) ** 0.5),
    ],
)
def test_the_gain_is_that_of_the_activation(activation: Any, gain: float) -> None:
    value = {"name": "mlp", "hidden": [300], "activation": activation}
    assert nonlinearity_of(model_of(value)).gain == pytest.approx(gain)
    first, *_ = begun({**value, "init": "kaiming_normal"}, FEATURES).children()
    assert first.state_dict()["weight"].std().item() == pytest.approx(gain * 400**-0.5, rel=0.02)
    first, *_ = begun({**value, "init": "orthogonal"}, FEATURES).children()
    weight = first.state_dict()["weight"]
    torch.testing.assert_close(weight @ weight.T, gain**2 * torch.eye(300), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("value", "gain"),
    [("linear", 1.0), ("lstm", 5 / 3), ("rnn", 5 / 3), ({"name": "rnn", "nonlinearity": "relu"}, 2**0.5)],
)
def test_models_without_an_activation_setting_have_their_own_gain(value: Any, gain: float) -> None:
    assert nonlinearity_of(model_of(value)).gain == pytest.approx(gain)


def test_the_users_own_model_is_not_initialised() -> None:
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    initialise(module, model_of({"python": "mine:Net"}), 5)
    assert torch.equal(module.weight, before)
