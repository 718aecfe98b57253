"""Optimizers that step at once, as on an accelerator, give the results of steps row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import torch

from tests.train.fused.trials import epochs_of, job_of
from tunecli.train import checkpoint, optimizers
from tunecli.train.fused import group
from tunecli.train.fused.member import Member
from tunecli.train.fused.trainer import FusedTrainer
from tunecli.train.loop import run

CPU = torch.device("cpu")
TRAINING = {"epochs": 6, "batch_size": 32}
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


def trainer_of(own: Sequence[Mapping[str, Any]], *, is_by_block: bool) -> FusedTrainer:
    members = [
        Member(job_of(number, {"training": TRAINING, **knobs}), CPU, checkpoint.LoadedCheckpoint())
        for number, knobs in enumerate(own)
    ]
    return FusedTrainer(members, is_by_block=is_by_block)


def train(together: FusedTrainer, n_epochs: int) -> None:
    for _ in range(n_epochs):
        together.train_epoch()
        for member in together.members:
            member.progress.epochs += 1


def require_alike(ours: FusedTrainer, expected: FusedTrainer) -> None:
    """Check that the weights and the states of the optimizers are equal."""
    for member, other in zip(ours.members, expected.members, strict=True):
        torch.testing.assert_close(member.learner.weights(), other.learner.weights(), rtol=1e-5, atol=1e-6)
        found, wanted = (each.state()["updater"]["optimizers"] for each in (member, other))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("has_kernels", [True, False])
@pytest.mark.parametrize("knobs", ALIKE, ids=lambda knobs: str(knobs[0])[:60])
def test_every_formula_equals_torchs_optimizer_for_any_numbers(
    knobs: list[dict[str, Any]], has_kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_kernels:  # as on devices for which torch has none
        monkeypatch.setattr(optimizers, "_FUSED_DEVICES", set[str]())
    own = [{"optimizer": each} for each in [*knobs, *knobs]]
    ours, rows = (trainer_of(own, is_by_block=is_by_block) for is_by_block in (True, False))
    for each in (ours, rows):
        train(each, 2)
        each.keep([each.members[0], each.members[3]])
        train(each, 2)
    assert [len(members) for members, _ in ours._stacked_optimizers] == [2] and not rows._stacked_optimizers
    require_alike(ours, rows)


@pytest.mark.parametrize("knobs", ALIKE, ids=lambda knobs: str(knobs[0])[:60])
def test_a_trials_bits_do_not_depend_on_trials_that_leave_or_on_a_restart(
    knobs: list[dict[str, Any]],
) -> None:
    own = [{"optimizer": each} for each in [*knobs, *knobs]]
    undisturbed, left, kept = (trainer_of(own, is_by_block=True) for _ in range(3))
    train(undisturbed, 4)
    train(left, 2)
    left.keep([left.members[1], left.members[2]])
    train(left, 2)
    train(kept, 2)
    again = Member(job_of(1, {"training": TRAINING, **own[1]}), CPU, checkpoint.LoadedCheckpoint())
    again.learner.restore(kept.members[1].state())
    again.progress.epochs = 2
    fresh = Member(job_of(4, {"training": TRAINING, **own[0]}), CPU, checkpoint.LoadedCheckpoint())
    taken_up = FusedTrainer([again, fresh], is_by_block=True)
    assert [member.sizes() for member in taken_up.members] == [fresh.sizes()] * 2
    train(taken_up, 2)
    expected = undisturbed.members[1].learner.weights()
    for member in (left.members[0], again):
        torch.testing.assert_close(member.learner.weights(), expected, rtol=0.0, atol=0.0)


def test_chains_clipping_and_averages_act_on_each_trial_separately() -> None:
    own: list[dict[str, Any]] = [
        {"weights": [{"cut": {"by": "magnitude", "fraction": 0.3}}, {"clip": {"value": 0.4}}]},
        {"learning_rate": [{"warmup": {"epochs": 1}}, {"cosine": {"to": 0.0}}]},
        {"training": {**TRAINING, "grad_clip": {"norm": 0.1}}},
        {"training": {**TRAINING, "average": "ema"}},
        {},
    ]
    ours, rows = (trainer_of(own, is_by_block=is_by_block) for is_by_block in (True, False))
    for each in (ours, rows):
        train(each, 3)
    assert [len(members) for members, _ in ours._stacked_optimizers] == [5]
    require_alike(ours, rows)


@pytest.mark.parametrize(
    ("knobs", "sizes"),
    [
        ([{"name": "adam", "amsgrad": amsgrad} for amsgrad in (True, False, True)], [1, 2]),
        ([{"name": "sgd", "momentum": momentum} for momentum in (0.0, 0.9, 0.0)], [2, 1]),
        ([{"name": "rmsprop"}, {"name": "rmsprop", "lr": 0.1}], []),
    ],
    ids=["another flag", "another state", "no formula"],
)
def test_optimizers_of_different_forms_step_in_separate_blocks(
    knobs: list[dict[str, Any]], sizes: list[int]
) -> None:
    own = [{"optimizer": each} for each in knobs]
    ours, rows = (trainer_of(own, is_by_block=is_by_block) for is_by_block in (True, False))
    for each in (ours, rows):
        train(each, 2)
        each.members.sort(key=lambda member: member.job.number)
    assert [len(members) for members, _ in ours._stacked_optimizers] == sizes
    require_alike(ours, rows)


def test_long_rows_step_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [{"optimizer": {"name": "adam"}}] * 2
    assert trainer_of(own, is_by_block=True)._stacked_optimizers
    monkeypatch.setattr("tunecli.train.fused.trainer.MOST_NUMBERS", 10)
    assert not trainer_of(own, is_by_block=True)._stacked_optimizers


def test_a_group_set_in_steps_matches_its_trials_alone_up_to_a_short_last_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group, "FusedTrainer", partial(FusedTrainer, is_by_block=True))
    knobs = [{"name": "adamw", "lr": lr, "amsgrad": lr > 0.01} for lr in (0.01, 0.02, 0.01)]
    counted = {"batch_size": 32, "steps": 10}
    jobs = [job_of(n, {"training": counted, "optimizer": knob}) for n, knob in enumerate(knobs)]
    together = epochs_of(group.run_group(jobs))
    assert {*together} == {0, 1, 2}
    for job in jobs:
        (alone,) = epochs_of(run(job)).values()
        for found, expected in zip(together[job.number], alone, strict=True):
            assert found == pytest.approx(expected, rel=1e-5)
