"""Every model in every form: shapes, learning, vmap over many, and unchanged global generators."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.models import AnyModel
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation
from tunecli.train.data.table import Inputs
from tunecli.train.models import build
from tunecli.train.torch_state import scoped_seed

FEATURES, SEQUENCE, IMAGE, TOKENS = Inputs((5,)), Inputs((6, 3)), Inputs((2, 8, 12)), Inputs((7,), 11)
TEXT_AND_CODES = Inputs((11,), 9, categories=(4, 3), text_length=6)
ONLY_TEXT_AND_NUMBERS = Inputs((8,), 9, text_length=6)
CODES, ONLY_CODES = Inputs((5,), categories=(4, 3, 6)), Inputs((2,), categories=(4, 3))
FT: dict[str, Any] = {"name": "ft_transformer", "width": 8, "heads": 2, "layers": 2}
FT |= {"attention_dropout": 0.0, "dropout": 0.0}
RECURRENT = ["rnn", "lstm", "gru"]
FORMS: list[tuple[Any, Inputs]] = [
    *(("linear", inputs) for inputs in (FEATURES, SEQUENCE, IMAGE)),
    *(("mlp", inputs) for inputs in (FEATURES, SEQUENCE, IMAGE)),
    *(
        ({"name": "mlp", "width": 5, "norm": norm, "residual": True}, FEATURES)
        for norm in ("none", "layer", "rms")
    ),
    *(({"name": "cnn", "norm": norm, "stride": 2}, IMAGE) for norm in ("none", "group", "layer")),
    *(({"name": "cnn", "kernel": 4, "pool": pool}, IMAGE) for pool in ("max", "mean", "none")),
    ({"name": "resnet", "channels": [4, 6], "norm": "group"}, IMAGE),
    *(
        ({"name": "transformer", "width": 8, "heads": 2, "pool": pool, "positions": positions}, inputs)
        for inputs in (FEATURES, SEQUENCE, IMAGE, TOKENS)
        for pool, positions in (("mean", "learned"), ("cls", "sinusoidal"), ("mean", "none"))
    ),
    *((FT, inputs) for inputs in (FEATURES, CODES, ONLY_CODES)),
    *(
        ({"name": "tabular_resnet", "width": 8, "norm": norm, "dropout": 0.0}, inputs)
        for norm in ("none", "layer")
        for inputs in (FEATURES, CODES)
    ),
    *(
        ({"name": "tcn", "channels": [6, 6, 8], "pool": pool, "norm": norm, "dropout": 0.0}, inputs)
        for inputs in (SEQUENCE, TOKENS)
        for pool, norm in (("last", "weight"), ("mean", "none"), ("max", "weight"))
    ),
    ("linear", CODES),
    *(({"name": name, "embedding": 12}, TOKENS) for name in ("linear", "mlp")),
    *((name, inputs) for name in ("linear", "mlp") for inputs in (TEXT_AND_CODES, ONLY_TEXT_AND_NUMBERS)),
    ({"name": "tabular_resnet", "width": 8, "norm": "none", "embedding": 3, "dropout": 0.0}, TEXT_AND_CODES),
    ({"name": "transformer", "width": 8, "heads": 2}, TEXT_AND_CODES),
    ({"name": "tcn", "channels": [6, 8], "dropout": 0.0}, ONLY_TEXT_AND_NUMBERS),
    ({"name": "mlp", "embedding": 3}, ONLY_CODES),
    ({"name": "transformer", "width": 8, "heads": 2}, CODES),
]
"""Models that work with `torch.func.vmap`."""
OTHER_FORMS: list[tuple[Any, Inputs]] = [
    ({"name": "mlp", "norm": "batch"}, FEATURES),
    ({"name": "tabular_resnet", "width": 8}, CODES),
    ({"name": "cnn", "norm": "batch"}, IMAGE),
    ({"name": "resnet", "channels": [4, 6]}, IMAGE),
    *((name, inputs) for name in RECURRENT for inputs in (SEQUENCE, IMAGE, TOKENS, TEXT_AND_CODES)),
    *(({"name": name, "layers": 2, "bidirectional": True, "pool": "mean"}, TOKENS) for name in RECURRENT),
    ({"name": "gru", "bidirectional": True, "pool": "max"}, SEQUENCE),
    ({"name": "rnn", "nonlinearity": "relu", "pool": "max"}, TOKENS),
]
"""Models that do not work with vmap: batch norm sets its statistics in place, and recurrent kernels have no rule."""
ALL = [*FORMS, *OTHER_FORMS]


def model_of(value: Any) -> AnyModel:
    return TrialConfig.model_validate({"data": {"source": "iris"}, "model": value}).model


def examples(inputs: Inputs, n: int, seed: int = 0) -> Tensor:
    """Random inputs; a text has a random length of at least one token."""
    generator = torch.Generator().manual_seed(seed)
    if inputs.kind != "tokens":
        x = torch.randn(n, *inputs.shape, generator=generator)
        for column, n_codes in enumerate(inputs.categories, inputs.n_numbers if inputs.categories else 0):
            x[:, column] = torch.randint(n_codes, (n,), generator=generator)
        if inputs.text_length:
            x[:, -inputs.text_length :] = examples(inputs.texts, n, seed).float()
        return x
    x = torch.randint(1, inputs.n_tokens, (n, *inputs.shape), generator=generator)
    length = torch.randint(1, inputs.shape[0] + 1, (n, 1), generator=generator)
    return x.masked_fill(torch.arange(inputs.shape[0]) >= length, 0)


@pytest.mark.parametrize(("value", "inputs"), ALL)
def test_a_model_returns_outputs_for_each_example_and_trains_every_weight(value: Any, inputs: Inputs) -> None:
    module = build(model_of(value), inputs, 3)
    outputs = module(examples(inputs, 4))
    assert outputs.shape == (4, 3)
    torch.autograd.backward(outputs.square().sum())
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize(("value", "inputs"), ALL)
def test_an_example_has_the_same_outputs_alone_and_in_a_batch(value: Any, inputs: Inputs) -> None:
    module, x = build(model_of(value), inputs, 3).eval(), examples(inputs, 4)
    with torch.no_grad():
        torch.testing.assert_close(module(x)[2:3], module(x[2:3]), rtol=1e-4, atol=1e-5)


def losses_on_a_few_examples(value: Any, inputs: Inputs) -> Iterator[float]:
    """The loss of a new model on eight examples of two classes, before each of 25 steps."""
    module = build(model_of(value), inputs, 2, seed=3)
    x, y = examples(inputs, 8), torch.arange(8) % 2
    if inputs.categories:
        x[:, -1 - inputs.text_length] = y + 1
    elif inputs.kind == "mixed":
        x[:, 0] += 4.0 * y
    elif inputs.kind != "tokens":  # a text is learnt by heart; one class of numbers is larger than the other
        x = x + 2.0 * y.view(-1, *[1] * len(inputs.shape))
    optimizer = torch.optim.AdamW(module.parameters(), 3e-2)
    for _ in range(25):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(x), y)
        torch.autograd.backward(loss)
        optimizer.step()
        yield loss.item()


@pytest.mark.parametrize(("value", "inputs"), ALL)
def test_a_model_halves_its_loss_on_a_few_examples(value: Any, inputs: Inputs) -> None:
    losses = losses_on_a_few_examples(value, inputs)
    first = next(losses)
    assert any(loss < 0.5 * first for loss in losses)  # ends with the first such loss


@pytest.mark.slow
@pytest.mark.parametrize(("value", "inputs"), ALL)
def test_a_model_has_less_than_half_its_loss_after_all_steps(value: Any, inputs: Inputs) -> None:
    losses = [*losses_on_a_few_examples(value, inputs)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("value", "inputs", "key"),
    [
        ("mlp", FEATURES, "dropout"),
        *((value, IMAGE, "dropout") for value in ("cnn", "resnet", "gru", "transformer")),
        ("tcn", SEQUENCE, "dropout"),
        *(("tabular_resnet", FEATURES, key) for key in ("dropout", "residual_dropout")),
        *(("ft_transformer", CODES, key) for key in ("dropout", "residual_dropout", "attention_dropout")),
    ],
)
def test_dropout_acts_in_training_only(value: str, inputs: Inputs, key: str) -> None:
    others = {"tabular_resnet": {"dropout": 0.0, "norm": "layer"}, "ft_transformer": FT}.get(value, {})
    module, x = build(model_of({**others, "name": value, key: 0.5}), inputs, 3), examples(inputs, 4)
    with scoped_seed(0, torch.device("cpu")):
        assert not torch.equal(module(x), module(x))
        module.eval()
        assert torch.equal(module(x), module(x))


@pytest.mark.parametrize(("value", "inputs"), FORMS)
def test_many_models_of_one_shape_are_trained_as_one(value: Any, inputs: Inputs) -> None:
    modules = [build(model_of(value), inputs, 3, seed=seed) for seed in range(3)]
    parameters, buffers = stack_module_state(modules)  # type: ignore[arg-type]
    x = examples(inputs, 4)

    def loss(own: dict[str, Tensor], own_buffers: dict[str, Tensor]) -> Tensor:
        return functional_call(modules[0], (own, own_buffers), (x,)).square().sum()

    with sdpa_kernel(SDPBackend.MATH):
        together = vmap(grad(loss))(parameters, buffers)
        for number, module in enumerate(modules):
            torch.autograd.backward(module(x).square().sum())
            for name, parameter in module.named_parameters():
                torch.testing.assert_close(together[name][number], parameter.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        ("cnn", FEATURES),
        ("ft_transformer", SEQUENCE),
        ("tcn", FEATURES),
        ("tabular_resnet", IMAGE),
        ("resnet", SEQUENCE),
        ("cnn", TOKENS),
        ("lstm", FEATURES),
        ("ft_transformer", TEXT_AND_CODES),
    ],
)
def test_a_model_refuses_inputs_that_it_cannot_read(value: Any, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=f"inputs, not {inputs.kind}"):
        build(model_of(value), inputs, 2)


def test_every_model_setting_can_be_built() -> None:
    models = set(get_args(AnyModel)) - {UserCode}
    assert all(callable(implementation(each.implementation)) for each in models)


@pytest.mark.parametrize("value", ["lstm", "transformer"])
def test_weights_depend_only_on_the_seed_and_the_global_generator_is_unchanged(value: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (build(model_of(value), TOKENS, 2, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not all(torch.equal(tensor, other[name]) for name, tensor in first.items())


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_models.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, n_outputs, input_shape, scale=1.0):\n"
        "        super().__init__()\n"
        "        self.weight = nn.Parameter(scale * torch.randn(input_shape[0], n_outputs))\n"
        "    def forward(self, x):\n"
        "        return x @ self.weight\n"
        "def bag(n_tokens, n_outputs):\n"
        "    return nn.EmbeddingBag(n_tokens, n_outputs, padding_idx=0)\n"
        "def anything(**whatever):\n"
        "    return nn.Linear(**whatever)\n"
        "def nothing():\n"
        "    return 'no module'\n"
    )
    yield tmp_path
    sys.modules.pop("own_models", None)


def test_the_users_own_model_gets_the_facts_that_its_parameters_name(own_code: Path) -> None:
    def built(value: dict[str, Any], inputs: Inputs, seed: int = 0) -> nn.Module:
        return build(model_of(value), inputs, 2, own_code, seed)

    net = {"python": "own_models:Net", "args": {"scale": 3.0}}
    weights = [built(net, FEATURES, seed).state_dict()["weight"] for seed in (1, 1, 2)]
    assert weights[0].shape == (5, 2)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    plain = built({"python": "own_models:Net"}, FEATURES, 1).state_dict()["weight"]
    torch.testing.assert_close(weights[0], 3.0 * plain)
    given = {"python": "own_models:Net", "args": {"n_outputs": 4}}
    assert built(given, FEATURES).state_dict()["weight"].shape == (5, 4)
    assert built({"python": "own_models:bag"}, TOKENS)(examples(TOKENS, 3)).shape == (3, 2)
    arguments = {"python": "own_models:anything", "args": {"in_features": 5, "out_features": 2}}
    assert isinstance(built(arguments, FEATURES), nn.Linear)


def test_a_model_that_is_not_a_module_is_refused(own_code: Path) -> None:
    with pytest.raises(UsageError, match="own_models:nothing returns a str, but a model must be a torch"):
        build(model_of({"python": "own_models:nothing"}), FEATURES, 2, own_code)
