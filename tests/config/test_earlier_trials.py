"""The trial of another study in a space: where its values come from, and which values a space refuses."""

from __future__ import annotations

import pytest

from tests.support.spaces import space_of
from tunecli.config.earlier_trials import TrialValues, mapped_trial, values_of_trial

SPACE = """
data: {source: iris}
model: {choice: [linear, {name: mlp, hidden: [{int: [2, 32]}], dropout: {uniform: [0, 0.5]}}]}
optimizer: {choice: [{name: sgd, lr: {loguniform: [1e-2, 1]}}, {name: adamw, lr: {loguniform: [1e-4, 1e-1]}}]}
training: {epochs: {int: [10, 30], step: 5}, batch_size: {choice: [16, 32]}}
"""
POINT = {
    "model": "mlp",
    "model.hidden.0": 8,
    "model.dropout": 0.25,
    "optimizer": "sgd",
    "optimizer.lr": 0.1,
    "training.epochs": 20,
    "training.batch_size": 16,
}


def test_a_point_of_the_space_maps_to_itself():
    mapped = mapped_trial(space_of(SPACE), TrialValues(POINT))
    assert (mapped.point, mapped.missing, mapped.refused) == (POINT, frozenset(), "")


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"optimizer.lr": 2.0}, "optimizer.lr"),
        ({"training.batch_size": 64}, "training.batch_size"),
        ({"training.epochs": 31}, "training.epochs"),
        ({"model": "cnn"}, "model"),
        ({"model.dropout": True}, "model.dropout"),
        ({"model.dropout": None}, "model.dropout"),
        ({"optimizer": "adamw", "optimizer.lr": 0.5}, "optimizer.lr"),
    ],
)
def test_a_value_that_the_space_does_not_contain_is_refused(changed, refused):
    assert mapped_trial(space_of(SPACE), TrialValues(POINT | changed)).refused == refused


@pytest.mark.parametrize(("option", "refused"), [("sgd", ""), ("sgd#2", ""), ("adamw", "optimizer")])
def test_a_trial_with_another_option_than_the_fixed_one_is_refused(option, refused):
    text = SPACE[: SPACE.index("optimizer:")] + "optimizer: {name: sgd, lr: {loguniform: [1e-2, 1]}}\n"
    given = {name: POINT[name] for name in ("model", "model.hidden.0", "model.dropout", "optimizer.lr")}
    assert mapped_trial(space_of(text), TrialValues({**given, "optimizer": option})).refused == refused
    by_name = text.replace("name: sgd", "name: adamw").replace("data: {source: iris}", "data: {source: wine}")
    mapped = mapped_trial(
        space_of(by_name), TrialValues(given, fixed={"optimizer": "sgd", "data.source": "iris"})
    )
    assert mapped.refused == ""  # the whole earlier study is of another kind, and the user named it


@pytest.mark.parametrize(
    ("given", "nearest"),
    [({"training.epochs": 17}, {"training.epochs": 15}), ({"optimizer.lr": 1}, {"optimizer.lr": 1.0}),
     ({"training.batch_size": 32.0}, {"training.batch_size": 32})],
)  # fmt: skip
def test_a_number_inside_a_range_becomes_its_nearest_value(given, nearest):
    mapped = mapped_trial(space_of(SPACE), TrialValues(POINT | given))
    assert mapped.point == POINT | nearest
    assert {name: type(value) for name, value in mapped.point.items()} == {
        name: type(value) for name, value in POINT.items()
    }


def test_a_parameter_without_a_value_has_its_default_or_middle_and_is_missing():
    text = SPACE.replace("uniform: [0, 0.5]", "uniform: [0, 0.5], default: 0.1")
    given = {name: value for name, value in POINT.items() if name not in ("model.dropout", "training.epochs")}
    mapped = mapped_trial(space_of(text), TrialValues(given))
    assert mapped.missing == {"model.dropout", "training.epochs"}
    assert mapped.point == POINT | {"model.dropout": 0.1, "training.epochs": 20}


def test_parameters_that_the_point_does_not_use_are_ignored():
    mapped = mapped_trial(
        space_of(SPACE), TrialValues(POINT | {"model": "linear", "weights.0.clip.norm": 3.0})
    )
    unused = ("model.hidden.0", "model.dropout")
    assert mapped.point == {name: v for name, v in POINT.items() if name not in unused} | {"model": "linear"}


def test_values_come_from_parameters_then_from_the_file_then_from_defaults():
    earlier = space_of("""
data: {source: wine}
model: {name: mlp, hidden: [{int: [4, 64]}, 16], dropout: 0.2}
optimizer: {name: sgd, lr: {loguniform: [1e-3, 1]}}
training: {epochs: 20}
""")
    values = values_of_trial(earlier, {"model.hidden.0": 8, "optimizer.lr": 0.1})
    assert values.parameters == {"model.hidden.0": 8, "optimizer.lr": 0.1}
    assert values.fixed["model"] == values.fixed["model.name"] == "mlp"
    assert values.fixed["model.hidden.length"] == 2
    assert values.fixed["model.hidden.1"] == 16
    assert values.defaults["optimizer.momentum"] == 0.0
    mapped = mapped_trial(space_of(SPACE), values)
    assert mapped.missing == {"training.batch_size"}  # its default, `auto`, is no option here
    assert mapped.point == POINT | {"model.dropout": 0.2}


def test_a_fixed_number_outside_of_a_range_counts_as_no_value_and_a_fixed_option_is_refused():
    values = TrialValues({}, {"model": "linear", "optimizer": "sgd", "optimizer.lr": 5.0})
    mapped = mapped_trial(space_of(SPACE), values)
    assert mapped.missing == {"optimizer.lr", "training.epochs", "training.batch_size"}
    assert mapped.point["optimizer.lr"] == pytest.approx(0.1)
    assert mapped_trial(space_of(SPACE), TrialValues({}, {"model": "cnn"})).refused == "model"


def test_the_trial_of_an_own_function_has_its_values_under_params():
    own = "python: mine:train\nparams: {lr: {loguniform: [1e-3, 1]}, width: 8}"
    other = "python: mine:train\nparams: {lr: {loguniform: [1e-3, 1]}, width: {int: [4, 16]}}"
    mapped = mapped_trial(space_of(other), values_of_trial(space_of(own), {"params.lr": 0.5}))
    assert mapped.point == {"params.lr": 0.5, "params.width": 8}
