"""The usual values of parameters whose priors move with others."""

from __future__ import annotations

import pytest

from tests.support.spaces import space_of
from tunecli.config.priors.space_priors import with_priors
from tunecli.config.priors.usual import Usual, choice_beside, usual_values

SGD = "optimizer: {{name: sgd, lr: {{loguniform: [1e-5, 10]}}, momentum: {momentum}}}"
OWN = """
  python: mine:train
  params:
    optimizer: {choice: [sgd, adam, adamw]}
    batch_size: 64
"""


def usual_of(text, name):
    space = with_priors(space_of(text))
    return usual_values(space, next(each for each in space.parameters if each.name == name))


def test_the_usual_rate_beside_a_searched_momentum_is_that_of_the_usual_momentum():
    fixed = usual_of(SGD.format(momentum=0.9), "optimizer.lr")
    assert usual_of(SGD.format(momentum="{uniform: [0, 0.99]}"), "optimizer.lr") == fixed
    assert usual_of(SGD.format(momentum="{choice: [0.0, 0.9, 0.99]}"), "optimizer.lr") == fixed
    assert usual_of(SGD.format(momentum="{uniform: [0, 0.99], default: 0.9}"), "optimizer.lr") == fixed
    assert usual_of(SGD.format(momentum=0.0), "optimizer.lr") != fixed


def test_a_searched_momentum_below_its_usual_value_counts_with_the_end_of_its_range():
    fixed = usual_of(SGD.format(momentum=0.5), "optimizer.lr")
    assert usual_of(SGD.format(momentum="{uniform: [0, 0.5]}"), "optimizer.lr") == fixed


def test_each_optimizer_of_a_choice_has_its_usual_rate_and_the_most_likely_one_is_first():
    text = OWN + "    lr: {loguniform: [1e-5, 10]}\n"
    of_adam, of_sgd = usual_of(text, "params.lr")
    assert of_adam == Usual((pytest.approx(0.0008), pytest.approx(0.02)), (), ("adam", "adamw"))
    assert of_sgd == Usual((pytest.approx(0.04), pytest.approx(1.0)), (), ("sgd",))


def test_a_rate_among_options_has_the_usual_ones_of_each_optimizer():
    text = OWN + "    lr: {choice: [0.001, 0.01, 0.1]}\n"
    assert usual_of(text, "params.lr") == (
        Usual(None, (0.001, 0.01), ("adam", "adamw")),
        Usual(None, (0.1,), ("sgd",)),
    )


def test_usual_values_that_are_the_same_for_all_options_belong_to_every_trial():
    text = OWN + "    lr: {loguniform: [1e-1, 10]}\n    weight_decay: {loguniform: [1e-5, 1e-4]}\n"
    space = with_priors(space_of(text.replace("sgd, adam, adamw", "adam, nadam")))
    decay = next(each for each in space.parameters if each.name == "params.weight_decay")
    assert usual_values(space, decay) == (Usual((1e-5, 1e-4)),)


def test_the_choice_beside_a_rate_is_that_of_the_optimizer():
    space = with_priors(space_of(OWN + "    lr: {loguniform: [1e-5, 10]}\n    x: {uniform: [0, 1]}\n"))
    by_name = {each.name: each for each in space.parameters}
    assert choice_beside(space, by_name["params.lr"]) is by_name["params.optimizer"]
    assert (
        choice_beside(space, by_name["params.x"]) is choice_beside(space, by_name["params.optimizer"]) is None
    )
    assert usual_values(space, by_name["params.x"]) == ()
