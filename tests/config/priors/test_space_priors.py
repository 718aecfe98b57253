"""The priors of a space: by path, by `as:`, by branch, by fixed values; and when a parameter has none."""

from __future__ import annotations

import math

import pytest

from tests.support.spaces import space_of
from tunecli.config.load import parse_study
from tunecli.config.priors.prior import Prior, position, shift_at
from tunecli.config.priors.space_priors import priors_of, with_priors

FILE = """
objective: {metric: val_accuracy}
trial:
  data: {source: digits}
  optimizer: {name: adamw, lr: {loguniform: [1e-5, 1e-1]}}
search: {SEARCH}
"""


def centre_at(prior: Prior, **others: object) -> float:
    """The prior's centre where the other parameters have these values."""
    shift = sum(shift_at(one, others[one.key.rpartition(".")[2].rpartition("}")[2]]) for one in prior.shifts)
    return position(prior.scale, prior.centre) + shift


def test_a_rate_has_the_prior_of_its_branch():
    space = space_of("""
      optimizer:
        choice:
          - {name: sgd, lr: {loguniform: [1e-4, 10]}}
          - {name: adamw, lr: {loguniform: [1e-5, 1]}}
    """)
    priors = priors_of(space)
    assert priors["optimizer{sgd}.lr"].centre > 10 * priors["optimizer{adamw}.lr"].centre


def test_a_rate_follows_a_searched_optimizer_of_the_same_map():
    space = space_of("optimizer: {name: {choice: [sgd, adamw]}, lr: {loguniform: [1e-5, 10]}}")
    flat = priors_of(space)["optimizer.lr"]
    for name in ("sgd", "adamw"):
        fixed = priors_of(space_of(f"optimizer: {{name: {name}, lr: {{loguniform: [1e-5, 10]}}}}"))
        assert centre_at(flat, name=name) == pytest.approx(math.log10(fixed["optimizer.lr"].centre))


def test_a_decay_beside_an_optimizer_without_a_usual_one_is_that_of_any_optimizer():
    space = space_of("""
      python: mine:train
      params:
        optimizer: {choice: [sgd, rprop, lbfgs]}
        weight_decay: {loguniform: [1e-6, 1]}
    """)
    prior = priors_of(space)["params.weight_decay"]
    usual = {name: centre_at(prior, optimizer=name) for name in ("sgd", "rprop", "lbfgs")}
    assert usual == pytest.approx({"sgd": -4.0, "rprop": -3.0, "lbfgs": -3.0})


def test_a_rate_grows_with_the_batch_and_falls_with_momentum():
    text = "{optimizer: {name: sgd, lr: {loguniform: [1e-4, 10]}, momentum: MOMENTUM}, training: {batch_size: BATCH}}"
    searched = space_of(
        text.replace("MOMENTUM", "{uniform: [0, 0.99]}").replace("BATCH", "{logint: [8, 512]}")
    )
    prior = priors_of(searched)["optimizer.lr"]
    small, large = (centre_at(prior, batch_size=size, momentum=0.9) for size in (16, 256))
    assert large > small
    assert centre_at(prior, batch_size=16, momentum=0.99) < small
    fixed = priors_of(space_of(text.replace("MOMENTUM", "0.9").replace("BATCH", "256")))["optimizer.lr"]
    assert fixed.shifts == ()
    assert math.log10(fixed.centre) == pytest.approx(large)


def test_own_parameters_have_the_priors_that_the_file_gives():
    space = space_of("""
      python: mine:train
      params:
        kind: {choice: [sgd, adamw], as: optimizer.name}
        rate: {loguniform: [1e-5, 10], as: optimizer.lr}
        bold: {loguniform: [1e-5, 10], as: sgd.lr}
        x: {loguniform: [1e-5, 10]}
        batch: {logint: [8, 512], as: training.batch_size}
    """)
    priors = priors_of(space)
    assert priors.keys() == {"params.kind", "params.rate", "params.bold", "params.batch"}
    sgd, adamw = (centre_at(priors["params.rate"], kind=kind, batch=64) for kind in ("sgd", "adamw"))
    assert sgd == pytest.approx(centre_at(priors["params.bold"], batch=64)) != adamw


@pytest.mark.parametrize(
    "text",
    [
        "{optimizer: {name: adamw, lr: {loguniform: [1e-5, 1e-1], default: 1e-2}}}",
        "{optimizer: {name: adamw, lr: {lognormal: [-5, 1]}}}",
        "{optimizer: {name: adamw, lr: {choice: [1e-4, 1e-3, 1e-2], weights: [1, 1, 2]}}}",
        "{optimizer: {name: adamw, lr: {loguniform: [1e-9, 1e-6]}}}",
        "{optimizer: {python: mine:Opt, args: {lr: {loguniform: [1e-5, 1e-1]}}}}",
        "{model: {name: mlp, hidden: {list: {of: {logint: [8, 512]}, length: 2}, default: [64, 64]}}}",
        "{data: {source: digits, validation: {fraction: {uniform: [0.1, 0.4]}}}}",
    ],
)
def test_no_prior_stands_against_the_file(text):
    assert priors_of(space_of(text)) == {}


def test_the_parameters_of_a_space_carry_their_priors():
    space = with_priors(space_of("{model: {dropout: {uniform: [0, 1]}}, other: {uniform: [0, 1]}}"))
    known, other = space.parameters
    assert known.prior is not None and known.prior.knob == "model.dropout"
    assert other.prior is None


@pytest.mark.parametrize(
    ("search", "has_priors"), [("trials: 9", True), ("priors: off", False), ("sampler: random", False)]
)
def test_a_study_has_priors_unless_it_says_no_or_its_sampler_reads_none(tmp_path, search, has_priors):
    spec = parse_study(FILE.replace("SEARCH", search).encode(), "study.yaml", (), tmp_path)
    assert bool(spec.space.priors) is has_priors
