"""The settings of models: short forms, contradictions, activations and initial weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from tunecli.config.concrete_trial import resolve_trial
from tunecli.config.load import load
from tunecli.config.schema import TrialConfig
from tunecli.config.schema.activations import LeakyRelu
from tunecli.config.schema.models import AnyModel, Mlp
from tunecli.config.schema.user_code import UserCode
from tunecli.config.space import point_with
from tunecli.train.data.table import InputKind


def model_of(value: Any) -> Any:
    return TrialConfig.model_validate({"data": {"source": "iris"}, "model": value}).model


NAMES = [
    "linear",
    "mlp",
    "tabular_resnet",
    "cnn",
    "resnet",
    "rnn",
    "lstm",
    "gru",
    "tcn",
    "transformer",
    "ft_transformer",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_alone_is_a_whole_model(name: str) -> None:
    assert model_of(name).name == name
    assert model_of(name).init.name == "default"


def test_every_kind_of_a_model_is_a_kind_of_input() -> None:
    for model in get_args(AnyModel):
        assert model is UserCode or set(model.kinds) <= set(get_args(InputKind))


@pytest.mark.parametrize(
    ("knobs", "widths"),
    [
        ({}, [64, 64]),
        ({"hidden": [5, 6]}, [5, 6]),
        ({"hidden": []}, []),
        ({"width": 8}, [8, 8]),
        ({"depth": 3}, [64, 64, 64]),
        ({"width": 8, "depth": 0}, []),
    ],
)
def test_width_and_depth_are_short_for_hidden(knobs: dict[str, Any], widths: list[int]) -> None:
    model = model_of({"name": "mlp", **knobs})
    assert model.widths == widths
    assert Mlp.model_validate(model.model_dump()).widths == widths


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"name": "mlp", "hidden": [8], "depth": 2}, "write `hidden`, or `width`"),
        ({"name": "transformer", "width": 10, "heads": 4}, "`heads` must divide `width`"),
        ({"name": "ft_transformer", "heads": 7}, "192 is not a multiple of 7"),
        ({"name": "lstm", "nonlinearity": "relu"}, "only `rnn` has"),
        ({"name": "cnn", "channels": []}, "at least 1"),
        ({"name": "mlp", "activation": {"name": "rrelu", "lower": 0.5}}, "`lower` must be at most `upper`"),
        (
            {"name": "mlp", "activation": {"name": "hardtanh", "min_val": 1.0}},
            "`min_val` must be below `max_val`",
        ),
        ({"name": "mlp", "activation": {"name": "relu", "negative_slope": 0.1}}, "Extra inputs"),
        ({"name": "mlp", "activation": "threshold"}, "Field required"),
        ({"name": "mlp", "init": {"name": "uniform", "low": 0.1}}, "0.1 is not below 0.05"),
        ({"name": "mlp", "init": {"name": "trunc_normal", "high": -1.0}}, "-0.1 is not below -1"),
        ({"name": "mlp", "init": {"name": "normal", "gain": 2.0}}, "Extra inputs"),
        ({"name": "mlp", "init": "constant"}, "Field required"),
    ],
)
def test_contradictory_models_are_refused(value: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model_of(value)


def test_a_user_model_is_recognised_by_its_key() -> None:
    model = model_of({"python": "mine:Net", "args": {"width": 3}})
    assert isinstance(model, UserCode)
    assert model.args == {"width": 3}


def test_a_choice_of_activations_is_recorded_by_name_and_may_hold_a_searched_slope(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        "objective: {metric: val_loss}\n"
        "trial:\n"
        "  data: {source: iris}\n"
        "  model:\n"
        "    name: mlp\n"
        "    activation: {choice: [relu, {name: leaky_relu, negative_slope: {uniform: [0.1, 0.3]}}]}\n"
    )
    space = load(path, ()).space
    assert space.names == ("model.activation", "model.activation.negative_slope")
    relu = resolve_trial(space, point_with(space, {"model.activation": "relu"})).model
    leaky = resolve_trial(space, point_with(space, {"model.activation": "leaky_relu"})).model
    assert isinstance(relu, Mlp)
    assert isinstance(leaky, Mlp)
    assert relu.activation.name == "relu"
    assert leaky.activation == LeakyRelu(negative_slope=0.2)
