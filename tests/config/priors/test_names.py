"""The settings that names of own parameters mean, and when names do not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.spaces import space_of
from tunecli.config.priors.names import NAMES_BY_SETTING, knob_named, knobs_by_name
from tunecli.config.priors.space_priors import knobs_of, priors_of
from tunecli.config.priors.table import KNOBS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("path", "knob"),
    [
        ("params.learning_rate", "optimizer.lr"),
        ("params.learningRate", "optimizer.lr"),
        ("params.opt.lr", "optimizer.lr"),
        ("params.batch-size", "training.batch_size"),
        ("params.hidden_dim.0", "model.width"),
        ("params.numLayers", "model.depth"),
        ("params.MAX_DROPOUT", "model.dropout"),
        ("params.beta_1", "optimizer.betas.0"),
        ("params.max_depth", ""),
        ("params.x", ""),
        ("0", ""),
    ],
)
def test_the_last_step_of_a_path_says_which_setting_it_is(path: str, knob: str) -> None:
    assert knob_named(path) == knob
    assert not knob or knob in KNOBS


def test_the_name_of_a_single_setting_does_not_count() -> None:
    boosted = ["params.learning_rate", "params.max_depth", "params.n_estimators"]
    assert knobs_by_name(boosted) == {}
    assert knobs_by_name(["params.lr", "params.learning_rate"]) == {}
    assert knobs_by_name([*boosted, "params.momentum"]) == {
        "params.learning_rate": "optimizer.lr",
        "params.momentum": "optimizer.momentum",
    }


def test_a_parameter_that_is_no_setting_is_no_second_name() -> None:
    boosted = space_of("""
      python: mine:train
      params:
        learning_rate: {loguniform: [1e-3, 1]}
        dropout: {uniform: [0, 0.5], as: none}
        max_depth: {int: [2, 10]}
    """)
    assert priors_of(boosted) == {}


def test_own_parameters_have_the_priors_of_their_names() -> None:
    named = space_of("""
      python: mine:train
      params:
        learning_rate: {loguniform: [1e-5, 10]}
        batch_size: {logint: [8, 512]}
        momentum: {uniform: [0, 0.99]}
        x: {uniform: [0, 1]}
    """)
    said = space_of("""
      command: [python, train.py]
      params:
        a: {loguniform: [1e-5, 10], as: sgd.lr}
        b: {logint: [8, 512], as: training.batch_size}
        c: {uniform: [0, 0.99], as: optimizer.momentum}
    """)
    of_name, of_word = priors_of(named), priors_of(said)
    assert of_name.keys() == {"params.learning_rate", "params.batch_size", "params.momentum"}
    assert of_name["params.learning_rate"].centre == of_word["params.a"].centre
    assert of_name["params.batch_size"] == of_word["params.b"]
    assert of_name["params.momentum"] == of_word["params.c"]


def test_the_file_says_more_than_a_name() -> None:
    space = space_of("""
      python: mine:train
      params:
        lr: {loguniform: [1e-5, 10], as: none}
        momentum: {uniform: [0, 0.99], as: model.dropout}
        dropout: {uniform: [0, 0.5], default: 0.1}
        batch_size: {logint: [8, 512]}
        epochs: {int: [1, 100]}
    """)
    knobs = knobs_of(space)
    assert knobs["params.lr"] == ""
    assert knobs["params.momentum"] == "model.dropout"
    assert priors_of(space).keys() == {"params.momentum", "params.batch_size", "params.epochs"}


def test_a_fixed_optimizer_of_an_own_program_sets_the_rate() -> None:
    text = "{command: [a], params: {optimizer: NAME, lr: {loguniform: [1e-5, 10]}}}"
    adam, sgd = (
        priors_of(space_of(text.replace("NAME", name)))["params.lr"].centre for name in ("Adam", "SGD")
    )
    assert sgd > 20 * adam


def test_a_rate_follows_the_optimizer_of_its_branch_in_an_own_program() -> None:
    space = space_of("""
      python: mine:train
      params:
        kind:
          choice:
            - {optimizer: sgd, lr: {loguniform: [1e-5, 10]}, momentum: {uniform: [0, 0.99]}}
            - {optimizer: adam, lr: {loguniform: [1e-5, 10]}}
    """)
    rates = [prior.centre for prior in priors_of(space).values() if prior.knob == "optimizer.lr"]
    assert len(rates) == 2
    assert rates[0] > 20 * rates[1]


def test_names_of_our_own_trial_are_paths() -> None:
    space = space_of("""
      model: {python: mine:Net, args: {num_layers: {int: [1, 5]}, hidden_dim: {logint: [8, 512]}}}
    """)
    assert priors_of(space) == {}


def test_the_documentation_lists_every_name() -> None:
    rows = {
        cells[1].strip("` "): {name.strip("` ") for name in cells[2].split(",")}
        for line in (ROOT / "docs" / "guide" / "search.md").read_text().splitlines()
        if len(cells := line.split("|")) == 4 and cells[1].strip("` ") in KNOBS
    }
    names = {knob: {name for name in _all_names() if knob_named(name) == knob} for knob in rows}
    assert rows == names
    assert len(_all_names()) == sum(map(len, rows.values()))


def _all_names() -> list[str]:
    return [name for names in NAMES_BY_SETTING.values() for name in names.split()]
