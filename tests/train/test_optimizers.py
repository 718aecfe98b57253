"""Settings of optimizers agree with torch's constructors, and each trains like torch's in a plain loop."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tunecli.config.schema import TrialConfig
from tunecli.config.schema import optimizers as knobs
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation
from tunecli.train.optimizers import build_optimizers, needs_closure, rated_groups

OPTIMIZERS: list[Any] = [each for each in get_args(knobs.AnyOptimizer) if each is not UserCode]
OF_TORCH = [knob for knob in OPTIMIZERS if knob is not knobs.Gd]
DECAYING = [knob for knob in OPTIMIZERS if "decay_exclude" in knob.model_fields]
NOT_ARGUMENTS = {"name", "decay_exclude", "layer_decay"}
NOT_KNOBS = {"self", "params", "maximize", "foreach", "differentiable", "fused", "capturable"}
LEFT_OUT = {"Adam": {"decoupled_weight_decay"}, "Adafactor": {"eps"}}
"""Arguments without a setting: `adamw` is Adam with decoupled decay; Adafactor's eps is a pair that may contain None."""
RENAMED = {"line_search": "line_search_fn"}
OTHERWISE: dict[str, dict[str, Any]] = {
    "Muon": {"adjust_lr_fn": None},
    "LBFGS": {"line_search_fn": None},
    "SGD": {"lr": 1e-3},
}
"""Torch's defaults that tunecli changes: Muon's rate has to fit AdamW, and with torch's defaults two optimizers would not train."""

G = torch.Generator().manual_seed(0)
X = torch.randn(24, 5, generator=G)
Y = torch.randint(0, 3, (24,), generator=G)

Optimizers = Sequence[torch.optim.Optimizer]


def small_model() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Linear(5, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)
        )


def train(model: nn.Module, optimizers: Optimizers) -> float:
    """Three epochs of three batches in a plain loop; the last loss."""
    loss = torch.zeros(())
    for _ in range(3):
        for x, y in zip(X.split(8), Y.split(8), strict=True):

            def closure(x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
                model.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                torch.autograd.backward(loss)
                return loss

            loss = closure()
            for optimizer in optimizers:
                optimizer.step(closure if isinstance(optimizer, torch.optim.LBFGS) else None)  # type: ignore[arg-type]
    return loss.item()


def assert_trains_as(knob: Any, reference: Callable[[nn.Module], Optimizers]) -> None:
    ours = small_model()
    theirs = copy.deepcopy(ours)
    start = [parameter.detach().clone() for parameter in ours.parameters()]
    train(ours, build_optimizers(knob, ours))
    train(theirs, reference(theirs))
    for mine, other, before in zip(ours.parameters(), theirs.parameters(), start, strict=True):
        torch.testing.assert_close(mine, other)
        assert not torch.equal(mine, before)


@pytest.mark.parametrize("knob", OF_TORCH)
def test_arguments_and_defaults_equal_those_of_torchs_constructor(knob: Any) -> None:
    constructor: Any = implementation(knob.implementation)
    expected = {
        name: parameter.default
        for name, parameter in inspect.signature(constructor).parameters.items()
        if name not in NOT_KNOBS | LEFT_OUT.get(constructor.__name__, set())
    }
    found = knob(name=knob.model_fields["name"].default).model_dump(exclude=NOT_ARGUMENTS)
    found = {RENAMED.get(name, name): value for name, value in found.items()}
    differing = OTHERWISE.get(constructor.__name__, {})
    assert found | differing == expected
    assert all(found[name] != expected[name] for name in differing)


@pytest.mark.parametrize("knob", OPTIMIZERS)
def test_every_optimizer_with_weight_decay_can_exclude_parameters(knob: Any) -> None:
    fields = knob.model_fields
    assert ("decay_exclude" in fields) == ("weight_decay" in fields)


@pytest.mark.parametrize(
    ("knob", "constructor", "arguments"),
    [
        (knobs.Sgd, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (knobs.Gd, torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.1}),
        (
            knobs.Adam,
            torch.optim.Adam,
            {"lr": 0.01, "betas": (0.8, 0.9), "amsgrad": True, "weight_decay": 0.1},
        ),
        (knobs.AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.5, "eps": 1e-3}),
        (knobs.NAdam, torch.optim.NAdam, {"momentum_decay": 0.1, "weight_decay": 0.1}),
        (knobs.RAdam, torch.optim.RAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
        (knobs.Adamax, torch.optim.Adamax, {"betas": (0.7, 0.9), "weight_decay": 0.1}),
        (knobs.Adagrad, torch.optim.Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.1}),
        (knobs.Adadelta, torch.optim.Adadelta, {"rho": 0.5, "weight_decay": 0.1}),
        (knobs.RmsProp, torch.optim.RMSprop, {"alpha": 0.5, "momentum": 0.5, "centered": True}),
        (knobs.Rprop, torch.optim.Rprop, {"etas": (0.4, 1.3), "step_sizes": (1e-5, 1.0)}),
        (knobs.Asgd, torch.optim.ASGD, {"lambd": 0.1, "t0": 2.0, "weight_decay": 0.1}),
        (knobs.Adafactor, torch.optim.Adafactor, {"beta2_decay": -0.5, "d": 2.0, "weight_decay": 0.1}),
        (knobs.Lbfgs, torch.optim.LBFGS, {"lr": 0.5, "max_iter": 3, "max_eval": 5, "history_size": 2}),
    ],
)
def test_three_epochs_give_the_weights_of_torchs_own_constructor(
    knob: Any, constructor: Any, arguments: dict[str, Any]
) -> None:
    assert_trains_as(knob(), lambda model: [constructor(model.parameters(), **knob_defaults(knob))])
    given = {**SAID_OTHERWISE.get(knob, {}), **arguments}
    assert_trains_as(knob(**arguments), lambda model: [constructor(model.parameters(), **given)])


def knob_defaults(knob: Any) -> dict[str, Any]:
    return {"lr": 0.1} if knob in (knobs.Gd, knobs.Sgd) else SAID_OTHERWISE.get(knob, {})


SAID_OTHERWISE: dict[Any, dict[str, Any]] = {knobs.Lbfgs: {"line_search_fn": "strong_wolfe"}}


def test_lbfgs_without_line_search_takes_steps_of_its_rate() -> None:
    knob = knobs.Lbfgs(line_search="none", lr=0.1, max_iter=4)
    assert_trains_as(knob, lambda model: [torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)])


def test_only_lbfgs_needs_a_closure_and_it_minimises_a_parabola_in_one_step() -> None:
    assert [knob for knob in OPTIMIZERS if needs_closure(knob())] == [knobs.Lbfgs]
    model = nn.Linear(2, 1, bias=False)
    (optimizer,) = build_optimizers(knobs.Lbfgs(line_search="strong_wolfe"), model)
    target = torch.tensor([[3.0, -2.0]])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (torch.tensor([1.0, 5.0]) * (model.weight - target).square()).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    torch.testing.assert_close(model.weight.detach(), target, rtol=0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("knob", "exclude"),
    [*((knob, ["bias", "norm"]) for knob in DECAYING), (knobs.AdamW, ["bias"]), (knobs.AdamW, ["norm"])],
)
def test_excluded_parameters_do_not_decay(knob: Any, exclude: list[Any]) -> None:
    def reference(model: nn.Module) -> Optimizers:
        assert isinstance(model, nn.Sequential)
        first, norm, _, second, _, last = model
        weights = [first.weight, second.weight, last.weight]
        scales, shifts, biases = [norm.weight], [norm.bias], [first.bias, second.bias, last.bias]
        spared = shifts + (biases if "bias" in exclude else []) + (scales if "norm" in exclude else [])
        decaying = weights + ([] if "bias" in exclude else biases) + ([] if "norm" in exclude else scales)
        groups = [{"params": decaying}, {"params": spared, "weight_decay": 0}]
        if knob is not knobs.Muon:
            return [implementation(knob.implementation)(groups, lr=0.01, weight_decay=0.5)]
        muon, hidden = torch.optim.Muon, [first.weight, second.weight]
        groups[0]["params"] = [each for each in decaying if all(each is not other for other in hidden)]
        return [
            muon(hidden, lr=0.01, weight_decay=0.5, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(groups, lr=0.01, weight_decay=0.5),
        ]

    assert_trains_as(knob(lr=0.01, weight_decay=0.5, decay_exclude=exclude), reference)


def test_embeddings_can_be_excluded_from_decay() -> None:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 2))
    (adamw,) = build_optimizers(knobs.AdamW(decay_exclude=["embedding"]), model)
    assert [(group["weight_decay"], len(group["params"])) for group in adamw.param_groups] == [
        (0.01, 2),
        (0.0, 1),
    ]
    assert adamw.param_groups[1]["params"][0] is model[0].weight


def test_a_model_with_all_parameters_excluded_still_trains() -> None:
    (sgd,) = build_optimizers(knobs.Sgd(lr=0.5, decay_exclude=["norm"]), nn.LayerNorm(3))
    assert [group["weight_decay"] for group in sgd.param_groups] == [0.0]
    assert {base for _, base in rated_groups([sgd])} == {0.5}


def test_muon_updates_the_hidden_matrices_and_adamw_the_rest() -> None:
    def reference(model: nn.Module) -> Optimizers:
        hidden = [model[0].weight, model[3].weight]  # type: ignore[index]
        rest = [each for each in model.parameters() if all(each is not other for other in hidden)]
        muon = torch.optim.Muon(
            hidden,
            lr=0.02,
            weight_decay=0.3,
            momentum=0.8,
            nesterov=False,
            ns_steps=4,
            adjust_lr_fn="original",
        )
        return [muon, torch.optim.AdamW(rest, lr=0.02, weight_decay=0.3)]

    knob = knobs.Muon(
        lr=0.02, weight_decay=0.3, momentum=0.8, nesterov=False, ns_steps=4, adjust_lr_fn="original"
    )
    assert_trains_as(knob, reference)


def test_muon_is_adamw_for_a_model_without_hidden_matrices() -> None:
    (only,) = build_optimizers(knobs.Muon(), nn.Linear(3, 2))
    assert isinstance(only, torch.optim.AdamW)


@pytest.mark.parametrize("knob", [knobs.Sgd(lr=0.3), knobs.Muon(lr=0.3), knobs.Lbfgs(lr=0.3)])
def test_the_base_rate_is_the_setting(knob: Any) -> None:
    assert {base for _, base in rated_groups(build_optimizers(knob, small_model()))} == {0.3}


OWN = """
import torch

class Half(torch.optim.SGD):
    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr / 2)

def groups(parameters, lr):
    return torch.optim.SGD([{"params": parameters[:1], "lr": lr}, {"params": parameters[1:]}], lr=0.5)

class Rateless(torch.optim.Optimizer):
    def __init__(self, parameters):
        super().__init__(parameters, {})

def nothing(parameters):
    return None
"""


def own(code: str, **args: Any) -> UserCode:
    return UserCode(python=f"own_optimizers:{code}", args=args)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_optimizers.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_optimizers", raising=False)
    return tmp_path


def test_the_users_own_optimizer_trains_with_its_args(folder: Path) -> None:
    ours, theirs = small_model(), small_model()
    optimizers = build_optimizers(own("Half", lr=0.2), ours, folder)
    assert {base for _, base in rated_groups(optimizers)} == {0.1}
    train(ours, optimizers)
    train(theirs, [torch.optim.SGD(theirs.parameters(), lr=0.1)])
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_a_function_may_build_the_optimizer_and_each_group_has_its_own_base_rate(folder: Path) -> None:
    optimizers = build_optimizers(own("groups", lr=0.25), small_model(), folder)
    assert [base for _, base in rated_groups(optimizers)] == [0.25, 0.5]


def test_user_code_that_returns_no_optimizer_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="own_optimizers:nothing returns a NoneType"):
        build_optimizers(own("nothing"), small_model(), folder)


def test_an_optimizer_without_a_rate_has_no_base_rate(folder: Path) -> None:
    with pytest.raises(UsageError, match="Rateless has no `lr`"):
        rated_groups(build_optimizers(own("Rateless"), small_model(), folder))


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(UsageError, match="no parameters"):
        build_optimizers(knobs.AdamW(), nn.Flatten())


@pytest.mark.parametrize(
    "wrong", [{"name": "rprop", "step_sizes": [5.0, 1.0]}, {"name": "rmsprop", "alpha": 1.0}]
)
def test_arguments_that_cannot_train_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrialConfig.model_validate({"data": {"source": "iris"}, "optimizer": wrong})
