"""Trials of one study that fit the space of another, in any spelling."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.comparison import fitting_point, is_point
from tunecli.config.concrete_trial import concrete
from tunecli.config.load import parse_study
from tunecli.config.space import point_of_units

OPTIMIZER = (
    "{choice: [{name: sgd, lr: {loguniform: [1e-3, 1.0]}}, {name: adamw, lr: {loguniform: [1e-4, 1e-1]}}]}"
)
OURS = f"""\
  data: {{source: iris}}
  model: {{name: mlp, hidden: {{list: {{of: {{choice: [8, 16]}}, length: {{int: [0, 2]}}}}}}}}
  optimizer: {OPTIMIZER}
  training: {{epochs: 4, batch_size: {{choice: [16, 32, full]}}}}
"""
OWN = """\
  python: mine:train
  params: {x: {uniform: [0, 1]}, n: {int: [1, 9]}, flag: {choice: [true, 1, "1"]}, again: {ref: params.x}}
"""


def space_of(trial):
    text = f"objective: {{metric: val_loss, direction: minimize}}\ntrial:\n{trial}"
    return parse_study(text.encode(), "f.yaml", (), Path()).space


def units(space):
    return st.lists(
        st.floats(0, 1, exclude_max=True), min_size=len(space.parameters), max_size=len(space.parameters)
    )


@pytest.mark.parametrize("trial", [OURS, OWN])
@given(data=st.data())
def test_every_trial_fits_its_own_study_at_its_own_point(trial, data):
    space = space_of(trial)
    point = point_of_units(space, data.draw(units(space)))
    config = concrete(space, point)
    assert is_point(space, point)
    assert fitting_point(space, point, config) == point
    assert fitting_point(space, {}, config) == point, "and is found without it"
    assert list(fitting_point(space, {}, config)) == list(point)


POINT = {
    "model.hidden.length": 1,
    "model.hidden.0": 8,
    "optimizer": "sgd",
    "optimizer.lr": 0.1,
    "training.batch_size": 16,
}


@pytest.mark.parametrize(
    ("old", "new", "point"),
    [
        ("[1e-3, 1.0]", "[1e-2, 0.5]", POINT),  # narrower
        ("[1e-3, 1.0]", "[1e-2, 5.0]", POINT),  # wider
        ("[1e-3, 1.0]", "[0.2, 1.0]", None),
        ("epochs: 4", "epochs: 5", None),
        ("epochs: 4", "epochs: {int: [1, 4]}", {**POINT, "training.epochs": 4}),
        ("epochs: 4", "epochs: {int: [5, 9]}", None),
        ("{choice: [16, 32, full]}", "{choice: [16, full]}", POINT),
        ("{choice: [16, 32, full]}", "{choice: [32, full]}", None),
        ("{choice: [16, 32, full]}", "16", {k: v for k, v in POINT.items() if k != "training.batch_size"}),
        ("{choice: [16, 32, full]}", "{int: [1, 99]}", POINT),
        ("{choice: [8, 16]}", "{int: [1, 99]}", POINT),
        ("{choice: [8, 16]}", "{int: [9, 99]}", None),
        ("{int: [0, 2]}", "{int: [1, 3]}", POINT),
        ("{int: [0, 2]}", "{int: [2, 3]}", None),
        (OPTIMIZER, "{name: sgd, lr: 0.1}", {k: v for k, v in POINT.items() if "optimizer" not in k}),
        (OPTIMIZER, "{name: adamw, lr: 0.1}", None),
        (OPTIMIZER, "{choice: [adam, {name: sgd, lr: {choice: [0.1, 0.2]}}]}", POINT),
        ("{name: sgd, lr", "{name: sgd, momentum: 0.0, lr", POINT),  # a default that is spelled out
        ("{name: sgd, lr", "{name: sgd, momentum: 0.5, lr", None),
        (
            "{name: sgd, lr",
            "{name: sgd, momentum: {uniform: [0, 0.9]}, lr",
            None,  # it may have its default value, and the trial does not show whether it has
        ),
        ("source: iris", "source: {name: iris}", POINT),
        ("source: iris", "source: wine", None),
        ("epochs: 4", "epochs: 4, precision: float32", POINT),
    ],
)  # fmt: skip
def test_a_trial_fits_if_the_other_space_contains_its_exact_point(old, new, point):
    before = space_of(OURS)
    assert OURS.count(old) == 1
    after = space_of(OURS.replace(old, new))
    assert fitting_point(after, POINT, concrete(before, POINT)) == point


def test_a_fitting_point_follows_the_order_of_the_new_space():
    lines = OURS.splitlines(keepends=True)
    after = space_of("".join(lines[:1] + lines[3:] + lines[1:3]))
    found = fitting_point(after, POINT, concrete(space_of(OURS), POINT))
    assert found == POINT
    assert list(found) == [
        "training.batch_size",
        "model.hidden.length",
        "model.hidden.0",
        "optimizer",
        "optimizer.lr",
    ]


@pytest.mark.parametrize(
    ("params", "fits"),
    [
        ("{x: {uniform: [0, 1]}, n: 3, flag: true, again: {ref: params.x}}", True),
        ("{x: {uniform: [0, 1]}, n: 3, flag: true, again: {uniform: [0, 1]}}", True),
        ("{x: {uniform: [0, 1]}, n: 3, flag: true, again: 0.5}", True),
        ("{x: {uniform: [0, 1]}, n: 3, flag: true, again: 0.25}", False),
        ("{x: {uniform: [0, 1]}, n: 3, flag: 1, again: 0.5}", False),
        ("{x: {uniform: [0, 1]}, n: 3.0, flag: true, again: 0.5}", False),
        ("{x: {uniform: [0, 1]}, n: 3, flag: true}", False),
        ("{x: {uniform: [0, 1]}, n: 3, flag: true, again: 0.5, more: null}", False),
        ("{x: {choice: [0.5, 0.7]}, n: {choice: [1, {int: [2, 4]}]}, flag: true, again: 0.5}", True),
    ],
)
def test_user_parameters_fit_if_value_and_type_are_equal(params, fits):
    before = space_of(OWN)
    point = {"params.x": 0.5, "params.n": 3, "params.flag": True}
    after = space_of(f"  python: mine:train\n  params: {params}\n")
    found = fitting_point(after, point, concrete(before, point))
    assert (found is not None) == fits
    if found is not None:
        assert concrete(after, found) == concrete(before, point)


def test_a_trial_of_another_kind_never_fits():
    before = space_of(OWN)
    point = {"params.x": 0.5, "params.n": 3, "params.flag": True}
    assert fitting_point(space_of(OURS), point, concrete(before, point)) is None
    assert fitting_point(before, POINT, concrete(space_of(OURS), POINT)) is None


@pytest.mark.parametrize(
    "point",
    [
        {},
        {**POINT, "more": 1},
        {**POINT, "optimizer.lr": 5.0},
        {**POINT, "optimizer": "adam"},
        {**POINT, "model.hidden.length": 2},
        {**POINT, "model.hidden.length": True},
        {**POINT, "optimizer.lr": "0.1"},
    ],
)
def test_a_point_of_another_space_is_not_a_point_of_this_space(point):
    assert not is_point(space_of(OURS), point)
