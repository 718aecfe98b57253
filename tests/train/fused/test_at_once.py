"""Optimizers that step at once do what they would by rows, which is what an accelerator's trials rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

from tests.train.fused.trials import job_of
from tunecli.train import checkpoint
from tunecli.train.fused.member import Member
from tunecli.train.fused.together import Together

CPU = torch.device("cpu")
ALIKE: list[list[dict[str, Any]]] = [
    [{"name": "gd", "lr": 0.01}, {"name": "gd", "lr": 0.3}],
    [{"name": "sgd", "lr": 0.1, "weight_decay": decay} for decay in (0.0, 0.1)],
    [{"name": "sgd", "momentum": m, "dampening": 0.1, "weight_decay": m / 10} for m in (0.5, 0.9)],
    [{"name": "sgd", "momentum": m, "nesterov": True} for m in (0.5, 0.9)],
    [{"name": "adam", "weight_decay": 0.1, "eps": 1e-4}, {"name": "adam", "betas": [0.8, 0.99]}],
    [{"name": "adam", "amsgrad": True, "lr": lr} for lr in (0.001, 0.02)],
    [{"name": "adamw", "betas": [b, 0.99], "decay_exclude": ["bias"], "weight_decay": b} for b in (0.8, 0.2)],
    [{"name": "adagrad", "initial_accumulator_value": 0.1, "lr_decay": 0.1}, {"name": "adagrad"}],
]


def together_of(own: Sequence[Mapping[str, Any]], *, is_by_block: bool) -> Together:
    training = {"epochs": 6, "batch_size": 32}
    members = [
        Member(job_of(number, {"training": training, **knobs}), CPU, checkpoint.Found())
        for number, knobs in enumerate(own)
    ]
    return Together(members, is_by_block=is_by_block)


def train(together: Together, n_epochs: int) -> None:
    for _ in range(n_epochs):
        together.train_epoch()
        for member in together.members:
            member.course.epochs += 1


def require_alike(ours: Together, expected: Together) -> None:
    """Weights, and all that is kept for later."""
    for member, other in zip(ours.members, expected.members, strict=True):
        torch.testing.assert_close(member.learner.weights(), other.learner.weights(), rtol=1e-5, atol=1e-6)
        found, wanted = (each.state()["updater"]["optimizers"] for each in (member, other))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("knobs", ALIKE, ids=lambda knobs: str(knobs[0])[:60])
def test_every_formula_is_torchs_whatever_numbers_a_row_has(knobs: list[dict[str, Any]]) -> None:
    own = [{"optimizer": each} for each in knobs]
    ours, rows = (together_of(own, is_by_block=is_by_block) for is_by_block in (True, False))
    for each in (ours, rows):
        train(each, 3)
    assert ours._at_once is not None and rows._at_once is None
    require_alike(ours, rows)


@pytest.mark.parametrize("knobs", ALIKE[2:], ids=lambda knobs: str(knobs[0])[:60])
def test_who_is_left_goes_on_from_its_own_state(knobs: list[dict[str, Any]]) -> None:
    own = [{"optimizer": each} for each in [*knobs, *knobs]]
    ours, rows = (together_of(own, is_by_block=is_by_block) for is_by_block in (True, False))
    for each in (ours, rows):
        train(each, 2)
        each.keep([each.members[0], each.members[3]])
        train(each, 2)
    assert len(ours.members) == 2 and ours._at_once is not None
    require_alike(ours, rows)


def test_a_trial_that_was_kept_is_taken_up_beside_one_that_begins() -> None:
    knobs = [{"optimizer": {"name": "adamw", "lr": lr}} for lr in (0.01, 0.03)]
    found = []
    for is_by_block in (True, False):
        first = together_of(knobs, is_by_block=is_by_block)
        train(first, 2)
        state = first.members[0].state()
        second = together_of(knobs, is_by_block=is_by_block)
        taken_up, fresh = second.members
        taken_up = Member(taken_up.job, CPU, checkpoint.Found())
        taken_up.learner.restore(state)
        taken_up.course.epochs = 2
        again = Together([taken_up, fresh], is_by_block=is_by_block)
        train(again, 2)
        found.append(again)
    assert [member.n_steps for member in found[0].members] == [12, 4]
    require_alike(*found)


def test_chains_bounds_and_averages_stay_each_trials_own() -> None:
    own = [
        {"weights": [{"cut": {"by": "magnitude", "fraction": 0.3}}, {"clip": {"value": 0.4}}]},
        {"learning_rate": [{"warmup": {"epochs": 1}}, {"cosine": {"to": 0.0}}]},
        {"training": {"epochs": 3, "batch_size": 32, "grad_clip": {"norm": 0.1}}},
        {"training": {"epochs": 3, "batch_size": 32, "average": "ema"}},
        {},
    ]
    ours, rows = (together_of(own, is_by_block=is_by_block) for is_by_block in (True, False))
    for each in (ours, rows):
        train(each, 3)
    assert ours._at_once is not None
    require_alike(ours, rows)


@pytest.mark.parametrize(
    "knobs",
    [
        [{"name": "adam", "amsgrad": amsgrad} for amsgrad in (True, False)],
        [{"name": "sgd", "momentum": momentum} for momentum in (0.0, 0.9)],
        [{"name": "rmsprop"}, {"name": "rmsprop", "lr": 0.1}],
    ],
    ids=["another flag", "another state", "no formula"],
)
def test_who_differs_in_more_than_numbers_steps_by_rows(knobs: list[dict[str, Any]]) -> None:
    own = [{"optimizer": each} for each in knobs]
    ours, rows = (together_of(own, is_by_block=is_by_block) for is_by_block in (True, False))
    for each in (ours, rows):
        train(each, 2)
    assert ours._at_once is None
    require_alike(ours, rows)
