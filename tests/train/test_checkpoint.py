"""A trial that continues from a checkpoint equals the uninterrupted one to the last bit; damaged files are not used."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import safetensors
import safetensors.torch
import torch

from tests.support.jobs import change_job, make_job
from tunecli import failpoints
from tunecli.config.schema.optimizers import AnyOptimizer
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import DiskFull, StoreFailed
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Paused, Started, Stopped
from tunecli.objective import Objective
from tunecli.train import checkpoint
from tunecli.train.loop import run
from tunecli.trial import Checkpoint, Outcome, State

OBJECTIVE = Objective("val_loss", False)
OPTIMIZERS = [each.model_fields["name"].default for each in get_args(AnyOptimizer) if each is not UserCode]
SMALL: dict[str, Any] = {
    "data": {"source": "iris"},
    "model": {"name": "mlp", "hidden": [8], "dropout": 0.2},
    "optimizer": {"name": "adamw", "lr": 0.01},
    "training": {"epochs": 4, "batch_size": 32},
}
CHAINS: dict[str, Any] = {
    "learning_rate": [
        {"warmup": {"epochs": 1}},
        {"cut": {"on_plateau": {"patience": 0, "threshold": 0.5}, "factor": 0.5}},
    ],
    "weights": [
        {"cut": {"by": "magnitude", "fraction": 0.4, "gradual": True}},
        {"noise": {"std": 0.01}},
        {"clip": {"norm": 3.0}},
    ],
}
BATCH_NORM: dict[str, Any] = {"name": "mlp", "hidden": [8, 6], "norm": "batch", "dropout": 0.2}
AVERAGES = {"ema": {"name": "ema", "decay": 0.7}, "swa": {"name": "swa", "start_fraction": 0.25}}

Metrics = list[tuple[int, Mapping[str, float]]]


class Trial:
    """A trial that can be trained in one attempt or in several."""

    def __init__(self, folder: Path, config: Mapping[str, Any], **changes: Any) -> None:
        made = {"device": "cpu", "base_path": str(folder), "checkpoint_epochs": 0, **changes}
        self.folder = folder
        self.job = make_job(3, {**SMALL, **config}, OBJECTIVE, study_seed=7, seed=11, **made)

    def whole(self) -> tuple[Metrics, Outcome]:
        """Every epoch and the end of the uninterrupted trial."""
        *events, ended = run(change_job(self.job, weights_path=str(self.folder / "whole.safetensors")))
        assert isinstance(ended, Ended)
        return metrics_of(events), ended.outcome

    def attempt(
        self, stop_after: int, attempt: int = 1, checkpoints: tuple[Checkpoint, ...] = ()
    ) -> list[Event]:
        """One attempt, with a stop request after ``stop_after`` of its epochs; 0: without one."""
        calls = itertools.count(1)
        job = change_job(
            self.job,
            attempt=attempt,
            checkpoints=checkpoints,
            checkpoints_path=str(self.folder / "checkpoints"),
            weights_path=str(self.folder / "parts.safetensors"),
        )
        return list(run(job, lambda: next(calls) == stop_after))

    def in_parts(self, *stops: int) -> tuple[Metrics, Outcome]:
        """The events of the trial, stopped and continued after as many epochs of each attempt."""
        metrics: Metrics = []
        checkpoints: tuple[Checkpoint, ...] = ()
        for attempt, stop_after in enumerate([*stops, 0], start=1):
            started, *events, last = self.attempt(stop_after, attempt, checkpoints)
            assert isinstance(started, Started)
            assert (started.from_epoch, started.note) == (len(metrics), "")
            metrics += metrics_of(events)
            if stop_after:
                assert isinstance(last, Stopped)
                checkpoints = (checkpoint_of(events),)
        assert isinstance(last, Ended)
        return metrics, last.outcome


def metrics_of(events: list[Event]) -> Metrics:
    return [(event.epoch, event.metrics) for event in events if isinstance(event, EpochEnded)]


def checkpoint_of(events: list[Event]) -> Checkpoint:
    *_, last = [event.checkpoint for event in events if isinstance(event, Checkpointed)]
    return last


def without_clock(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0)


def assert_continues_bit_for_bit(trial: Trial, *stops: int) -> Outcome:
    """Check that the trial, in attempts of ``stops`` epochs, equals the uninterrupted one; the outcome."""
    metrics, outcome = trial.whole()
    resumed, ended = trial.in_parts(*stops)
    assert resumed == metrics
    assert without_clock(ended) == without_clock(outcome)
    assert outcome.state is State.COMPLETE
    assert outcome.weights_sha256
    return outcome


@pytest.mark.parametrize(
    ("name", "average"),
    [
        # the ordinary run takes the averages in turns, the slow suite each with each optimizer
        pytest.param(name, average, marks=[pytest.mark.slow] if (number + place) % 2 else [])
        for number, name in enumerate(OPTIMIZERS)
        for place, average in enumerate(AVERAGES)
    ],
)
def test_every_optimizer_continues_bit_for_bit(tmp_path: Path, name: str, average: str) -> None:
    training = {"epochs": 4, "batch_size": 32, "average": AVERAGES[average], "grad_clip": {"norm": 1.0}}
    optimizer: dict[str, Any] = {"name": name}
    if name == "lbfgs":
        optimizer |= {"max_iter": 3, "history_size": 4}
    config = {**CHAINS, "model": BATCH_NORM, "optimizer": optimizer, "training": training}
    assert_continues_bit_for_bit(Trial(tmp_path, config), 2)


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
        {"name": "adam", "amsgrad": True},
        {"name": "rmsprop", "momentum": 0.5, "centered": True},
        {"name": "lbfgs", "line_search": "none", "lr": 0.1, "max_iter": 2},
    ],
    ids=lambda each: each["name"],
)
def test_optional_state_of_optimizers_continues_bit_for_bit(
    tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    assert_continues_bit_for_bit(Trial(tmp_path, {"optimizer": optimizer}), 1, 1)


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ({"data": {"source": "iris", "validation": {"folds": 3}}}, {}),
        ({}, {"repeats": 2}),
        ({"data": {"source": "iris", "validation": {"folds": 2}}}, {"repeats": 2}),
        (
            {
                "data": {
                    "source": "iris",
                    "augment": [{"mixup": {"alpha": 0.4}}, "noise"],
                    "balance": "sample",
                }
            },
            {},
        ),
        (
            {
                "data": {"source": "digits", "train_fraction": 0.2},
                "model": {"name": "resnet", "channels": [4]},
            },
            {},
        ),
        (
            {
                "data": {"source": "digits", "train_fraction": 0.2},
                "model": {"name": "cnn", "channels": [4, 6], "norm": "batch"},
                "training": {"epochs": 4, "channels_last": True, "average": "swa"},
            },
            {},
        ),
        ({"data": {"source": "digits", "train_fraction": 0.2}, "model": {"name": "lstm", "width": 6}}, {}),
        ({"training": {"epochs": 4, "batch_size": 16, "accumulate": 3}}, {"micro_batches": 2}),
        ({"training": {"epochs": 4, "precision": "fp16"}, "optimizer": {"name": "sgd", "lr": 0.1}}, {}),
        ({"training": {"epochs": 4, "precision": "bf16"}}, {}),
        ({"optimizer": {"name": "gd", "lr": 0.5}}, {}),
    ],
    ids=[
        "folds",
        "repeats",
        "folds and repeats",
        "mixup, noise and sampling",
        "resnet",
        "channels last",
        "lstm",
        "accumulated and split",
        "fp16",
        "bf16",
        "gradient descent",
    ],
)
def test_every_kind_of_trial_continues_bit_for_bit(
    tmp_path: Path, config: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert_continues_bit_for_bit(Trial(tmp_path, config, **changes), 1, 2)


def test_a_fold_without_steps_left_keeps_its_last_loss_and_batch_statistics(tmp_path: Path) -> None:
    data = {"source": "iris", "validation": {"folds": 4}}
    n_most = -(-113 // 3)  # steps an epoch of the larger parts, one more than the smaller ones take
    training = {"steps": 4 * n_most, "batch_size": 3, "average": AVERAGES["swa"]}
    config = {"data": data, "training": training, "model": BATCH_NORM}
    assert assert_continues_bit_for_bit(Trial(tmp_path, config), 4).epochs == 5


def test_early_stopping_continues_with_its_patience_and_best_weights(tmp_path: Path) -> None:
    config = {
        "optimizer": {"name": "sgd", "lr": 2.0},
        "training": {"epochs": 40, "early_stop": {"patience": 4}},
    }
    trial = Trial(tmp_path, config)
    _, outcome = trial.whole()
    assert outcome.epochs == outcome.kept_epoch + 4 < 40
    for stop_after in (1, outcome.kept_epoch, outcome.kept_epoch + 2):
        assert_continues_bit_for_bit(trial, stop_after)


def test_a_trial_may_be_stopped_after_every_epoch(tmp_path: Path) -> None:
    config = {**CHAINS, "model": BATCH_NORM, "training": {"epochs": 6, "average": "swa"}}
    assert_continues_bit_for_bit(Trial(tmp_path, config), 1, 1, 1, 1, 1)


MINE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, n_outputs):
        super().__init__()
        self.layer = nn.Linear(input_shape[0], 6)
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, n_outputs)
        self.tied = self.head
        self.register_buffer("passed", torch.zeros(()), persistent=False)
        self.register_buffer("history", torch.zeros(0))
        self.calls, self.alias = 0, self.layer.weight.data
    def forward(self, x):
        if self.training:
            self.calls += 1
            self.passed += 1
            self.history = torch.cat([self.history, x.mean()[None]])
        scale = 1 + 0.1 * self.calls + 0.1 * self.passed + self.history.sum() + 0.1 * self.alias.sum()
        return self.tied(self.norm(self.layer(x)).relu()) * scale / (1 + self.calls)

class Running:
    def __init__(self):
        self.mean = torch.zeros(())
    def __call__(self, outputs, targets):
        loss = nn.functional.cross_entropy(outputs, targets)
        if torch.is_grad_enabled():
            self.mean = 0.9 * self.mean + 0.1 * loss.detach()
        return loss * (1 + self.mean)

class Centers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
    def forward(self, outputs, targets):
        if self.training:
            self.mean += 0.1 * (outputs.detach().mean(0) - self.mean)
        return nn.functional.cross_entropy(outputs - self.mean, targets)

def steep(outputs, targets):
    return 64 * nn.functional.cross_entropy(outputs, targets)

class Counting(torch.optim.Optimizer):
    def __init__(self, parameters, lr=0.1):
        super().__init__(parameters, {"lr": lr})
        self.steps = 0
        self.rule = lambda step: 1.0 / (1 + step)
    @torch.no_grad()
    def step(self, closure=None):
        self.steps += 1
        for group in self.param_groups:
            for p in group["params"]:
                count = self.state[p].setdefault("count", torch.zeros((), dtype=torch.int64))
                total = self.state[p].setdefault("total", torch.zeros_like(p, dtype=torch.float64))
                count += 1
                total += p.grad.double() / 3
                p -= (group["lr"] * (p.grad + 0.01 * total / count) * self.rule(self.steps)).float()

class Lookahead(torch.optim.Optimizer):
    def __init__(self, parameters, lr=0.1):
        self.inner = torch.optim.SGD(parameters, lr=lr, momentum=0.9)
        super().__init__(parameters, {"lr": lr})
        self.param_groups = self.inner.param_groups
        self.slow = {p: p.detach().clone() for p in parameters}
        self.steps = 0
    @torch.no_grad()
    def step(self, closure=None):
        self.inner.step()
        self.steps += 1
        if self.steps % 3 == 0:
            for p, slow in self.slow.items():
                slow += 0.5 * (p - slow)
                p.copy_(slow)

class Saying(Lookahead):
    def state_dict(self):
        return {"inner": self.inner.state_dict(), "slow": list(self.slow.values()), "steps": self.steps}
    def load_state_dict(self, state):
        self.inner.load_state_dict(state["inner"])
        self.param_groups = self.inner.param_groups
        self.slow = dict(zip(self.slow, state["slow"]))
        self.steps = state["steps"]

class Silent(torch.optim.SGD):
    def __init__(self, parameters):
        super().__init__(parameters, lr=0.1)
    def state_dict(self):
        raise NotImplementedError
"""


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Trial]:
    (tmp_path / "mine_kept.py").write_text(MINE)

    def trial(**names: str) -> Trial:
        return Trial(tmp_path, {key: {"python": f"mine_kept:{name}"} for key, name in names.items()})

    return trial


@pytest.mark.parametrize(
    "names",
    [
        {"model": "Net"},
        {"loss": "Running"},
        {"loss": "Centers"},
        {"optimizer": "Counting"},
        {"optimizer": "Saying"},
        {"model": "Net", "loss": "Running", "optimizer": "Counting"},
    ],
    ids=lambda names: " ".join(names.values()),
)
def test_the_users_own_code_continues_with_its_attributes(
    own: Callable[..., Trial], names: dict[str, str]
) -> None:
    assert_continues_bit_for_bit(own(**names), 1, 2)


def test_a_chain_sets_the_rates_of_an_optimizer_that_restores_itself(own: Callable[..., Trial]) -> None:
    trial = own(optimizer="Saying")
    trial.job = change_job(trial.job, config={**trial.job.task.config, "learning_rate": ["cosine"]})
    assert_continues_bit_for_bit(trial, 2)


def test_the_gradient_scale_continues_after_it_was_lowered(own: Callable[..., Trial]) -> None:
    trial = own(loss="steep")
    config = {**trial.job.task.config, "training": {"epochs": 4, "precision": "fp16"}, "optimizer": "sgd"}
    trial.job = change_job(trial.job, config=config)
    assert_continues_bit_for_bit(trial, 2)


@pytest.mark.parametrize("name", ["Lookahead", "Silent"])
def test_an_optimizer_whose_state_cannot_be_saved_trains_without_checkpoints(
    own: Callable[..., Trial], name: str
) -> None:
    trial = own(optimizer=name)
    trial.job = change_job(trial.job, checkpoint_epochs=1)
    assert [type(event) for event in trial.attempt(2)] == [Started, EpochEnded, EpochEnded, Stopped]
    *_, ended = trial.attempt(0, 2)
    assert isinstance(ended, Ended)
    assert ended.outcome.state is State.COMPLETE
    assert not (trial.folder / "checkpoints").exists()


@pytest.mark.parametrize(
    "config",
    [{}, CHAINS, {"training": {"epochs": 4, "early_stop": {"patience": 3}}}],
    ids=["plain", "chains", "early stop"],
)
def test_a_trial_that_pauses_repeatedly_equals_the_uninterrupted_one(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    trial = Trial(tmp_path, config)
    metrics, outcome = trial.whole()
    found: Metrics = []
    checkpoints: tuple[Checkpoint, ...] = ()
    job, events = trial.job, list[Event]()
    for attempt, until in enumerate((1, 3, None), start=1):
        trial.job = change_job(job, until_epoch=until)
        started, *events, last = trial.attempt(0, attempt, checkpoints)
        assert isinstance(started, Started)
        assert started.from_epoch == len(found)
        found += metrics_of(events)
        if until is not None:
            checkpoints = (checkpoint_of(events),)
            assert isinstance(last, Paused)
            assert (last.outcome.state, last.outcome.epochs) == (State.PAUSED, until)
            assert last.outcome.score == found[last.outcome.kept_epoch - 1][1]["val_loss"]
    assert isinstance(last, Ended)
    assert (found, without_clock(last.outcome)) == (metrics, without_clock(outcome))


def test_a_trial_already_at_its_pause_pauses_at_once_with_the_same_outcome(tmp_path: Path) -> None:
    trial = Trial(tmp_path, CHAINS)
    trial.job = change_job(trial.job, until_epoch=2)
    *events, paused = trial.attempt(0)
    *others, again = trial.attempt(0, 2, (checkpoint_of(events),))
    assert metrics_of(others) == []
    assert isinstance(paused, Paused) and isinstance(again, Paused)
    assert without_clock(again.outcome) == without_clock(paused.outcome)


def test_a_trial_that_ends_before_its_pause_ends(tmp_path: Path) -> None:
    trial = Trial(tmp_path, {})
    for until in (4, 9):
        trial.job = change_job(trial.job, until_epoch=until)
        assert isinstance(trial.attempt(0)[-1], Ended)


def test_checkpoints_are_due_every_n_epochs_but_not_after_the_last(tmp_path: Path) -> None:
    trial = Trial(tmp_path, {"training": {"epochs": 6}}, checkpoint_epochs=2)
    events = trial.attempt(0)
    assert [type(event).__name__ for event in events[1:]] == [
        *("EpochEnded", "EpochEnded", "Checkpointed") * 2,
        *("EpochEnded", "EpochEnded", "Ended"),
    ]
    found = [event.checkpoint for event in events if isinstance(event, Checkpointed)]
    assert [each.epoch for each in found] == [2, 4]
    assert [each.name for each in found] == [f"trial-00003.1-{n:06d}.checkpoint.safetensors" for n in (2, 4)]
    assert sorted(each.name for each in (tmp_path / "checkpoints").iterdir()) == [each.name for each in found]


def test_a_trial_without_a_folder_stops_without_a_checkpoint(tmp_path: Path) -> None:
    trial = Trial(tmp_path, {}, checkpoint_epochs=1)
    assert [type(event) for event in run(trial.job, lambda: True)] == [Started, EpochEnded, Stopped]


def test_a_stop_request_at_the_last_epoch_ends_the_trial_as_complete(tmp_path: Path) -> None:
    *_, last = Trial(tmp_path, {}).attempt(4)
    assert isinstance(last, Ended)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ({"training": {"epochs": 9, "early_stop": {"patience": 1, "min_delta": 1e9}}}, {}),
        ({}, {"stop_above": (None, -1.0)}),
    ],
)
def test_the_last_epoch_of_a_trial_writes_no_checkpoint(
    tmp_path: Path, config: dict[str, Any], changes: dict[str, Any]
) -> None:
    *_, checkpointed, epoch, ended = Trial(tmp_path, config, checkpoint_epochs=1, **changes).attempt(0)
    assert isinstance(epoch, EpochEnded) and isinstance(ended, Ended)
    assert isinstance(checkpointed, Checkpointed) and checkpointed.checkpoint.epoch == epoch.epoch - 1


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_default_checkpoint_is_due_after_two_seconds_and_twenty_times_the_last_ones_cost(
    tmp_path: Path,
) -> None:
    clock = Clock()
    job = change_job(Trial(tmp_path, {}).job, checkpoints_path=str(tmp_path), checkpoint_epochs=None)
    keeper = checkpoint.Keeper(job, torch.device("cpu"), clock)
    clock.now_s += 1.9
    assert not keeper.is_due(1, is_stopping=False)
    assert keeper.is_due(1, is_stopping=True)
    clock.now_s += 0.2
    assert keeper.is_due(2, is_stopping=False)

    def slow_state() -> Any:
        clock.now_s += 0.5
        yield {"w": torch.zeros(2)}

    keeper.write(2, {}, slow_state())
    clock.now_s += 9.9
    assert not keeper.is_due(3, is_stopping=False)
    clock.now_s += 0.2
    assert keeper.is_due(3, is_stopping=False)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Trial, tuple[Checkpoint, ...]]:
    """A trial that was stopped after epoch 3, with the checkpoints of epochs 3 and 2."""
    trial = Trial(tmp_path, CHAINS, checkpoint_epochs=1)
    events = trial.attempt(3)
    found = [event.checkpoint for event in events if isinstance(event, Checkpointed)]
    return trial, (found[2], found[1])


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def resumed(trial: Trial, checkpoints: tuple[Checkpoint, ...]) -> tuple[int, str]:
    """The epoch that a trial continues from, and its note; its results equal those of the uninterrupted trial."""
    started, *events, ended = trial.attempt(0, 2, checkpoints)
    assert isinstance(started, Started) and isinstance(ended, Ended)
    metrics, outcome = trial.whole()
    assert metrics_of(events) == metrics[started.from_epoch :]
    assert without_clock(ended.outcome) == without_clock(outcome)
    return started.from_epoch, started.note


def test_the_newest_of_several_checkpoints_is_used(two: tuple[Trial, tuple[Checkpoint, ...]]) -> None:
    assert resumed(*two) == (3, "")


@pytest.mark.parametrize("place", [0, 20, -1])
def test_an_older_checkpoint_replaces_a_damaged_newest_one_with_a_note(
    two: tuple[Trial, tuple[Checkpoint, ...]], place: int
) -> None:
    trial, checkpoints = two
    flip(trial.folder / "checkpoints" / checkpoints[0].name, place)
    assert resumed(trial, checkpoints) == (
        2,
        "checkpoint of epoch 3 is damaged (sha256 differs); went on from epoch 2",
    )


def test_a_trial_without_a_valid_checkpoint_starts_over_with_a_note(
    two: tuple[Trial, tuple[Checkpoint, ...]],
) -> None:
    trial, checkpoints = two
    newest, older = (trial.folder / "checkpoints" / each.name for each in checkpoints)
    os.truncate(newest, 1000)
    older.unlink()
    assert resumed(trial, checkpoints) == (
        0,
        "checkpoint of epoch 3 is damaged (sha256 differs), checkpoint of epoch 2 is missing; began from the start",
    )


def put(trial: Trial, content: bytes, epoch: int = 3) -> Checkpoint:
    """A file among the checkpoints, under its own sha256."""
    path = trial.folder / "checkpoints" / "other.safetensors"
    path.write_bytes(content)
    return Checkpoint(path.name, hashlib.sha256(content).hexdigest(), epoch)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not safetensors at all",
        safetensors.torch.save({"w": torch.zeros(3)}),
        safetensors.torch.save({"w": torch.zeros(3)}, {"tunecli": "[]"}),
        safetensors.torch.save({"w": torch.zeros(3)}, {"tunecli": '{"epoch": 3}'}),
        safetensors.torch.save({"w": torch.zeros(3)}, {"tunecli": "[" * 100_000}),
    ],
    ids=["empty", "text", "no metadata", "a list", "half", "deep"],
)
def test_a_file_that_is_not_a_checkpoint_is_refused_despite_a_matching_sha256(
    two: tuple[Trial, tuple[Checkpoint, ...]], content: bytes
) -> None:
    trial, _ = two
    job = change_job(
        trial.job, checkpoints_path=str(trial.folder / "checkpoints"), checkpoints=(put(trial, content),)
    )
    found = checkpoint.load_newest(job)
    assert (found.epoch, found.note) == (0, "checkpoint of epoch 3 is no checkpoint; began from the start")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed": 12}, "is of another trial"),
        ({"config": {**SMALL, "optimizer": "sgd"}}, "is of another trial"),
        ({"checkpoints_path": ""}, "is missing"),
    ],
)
def test_a_checkpoint_of_another_trial_is_skipped(
    two: tuple[Trial, tuple[Checkpoint, ...]], change: dict[str, Any], reason: str
) -> None:
    trial, (newest, _) = two
    job = change_job(trial.job, checkpoints_path=str(trial.folder / "checkpoints"), checkpoints=(newest,))
    assert checkpoint.load_newest(job).epoch == 3
    note = f"checkpoint of epoch 3 {reason}; began from the start"
    assert checkpoint.load_newest(change_job(job, **change)) == checkpoint.LoadedCheckpoint(0, note)


def test_a_checkpoint_of_another_torch_version_is_skipped(two: tuple[Trial, tuple[Checkpoint, ...]]) -> None:
    trial, (newest, _) = two
    path = trial.folder / "checkpoints" / newest.name
    with safetensors.safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["tunecli"])
    content = safetensors.torch.save(
        safetensors.torch.load_file(path), {"tunecli": json.dumps({**facts, "torch": "1.0.0"})}
    )
    job = change_job(
        trial.job, checkpoints_path=str(trial.folder / "checkpoints"), checkpoints=(put(trial, content),)
    )
    assert checkpoint.load_newest(job).note.startswith(
        "checkpoint of epoch 3 was written with torch 1.0.0, and this is"
    )


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/hostname", "..", ""])
def test_a_checkpoint_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside.safetensors").write_bytes(b"")
    (tmp_path / "checkpoints").mkdir()
    job = change_job(
        Trial(tmp_path, {}).job,
        checkpoints_path=str(tmp_path / "checkpoints"),
        checkpoints=(Checkpoint(name, "0" * 64, 1),),
    )
    assert checkpoint.load_newest(job).note == "checkpoint of epoch 1 is missing; began from the start"


def test_the_file_holds_tensors_by_name_and_json(two: tuple[Trial, tuple[Checkpoint, ...]]) -> None:
    trial, (newest, _) = two
    path = trial.folder / "checkpoints" / newest.name
    with safetensors.safe_open(path, "pt") as file:
        names, metadata = set(file.keys()), file.metadata()
    assert {"learner0.model.state.0.weight", "learner0.updater.weights.0.0.weight"} <= names
    assert list(metadata) == ["tunecli"]
    assert json.loads(metadata["tunecli"])["epoch"] == 3


def test_seconds_are_those_of_all_attempts(two: tuple[Trial, tuple[Checkpoint, ...]]) -> None:
    trial, (newest, _) = two
    job = change_job(trial.job, checkpoints_path=str(trial.folder / "checkpoints"), checkpoints=(newest,))
    earlier_s = checkpoint.load_newest(job).progress()["seconds"]
    *_, ended = trial.attempt(0, 2, (newest,))
    assert isinstance(ended, Ended)
    assert ended.outcome.seconds > earlier_s > 0


@pytest.fixture
def armed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], None]:
    monkeypatch.setattr(failpoints, "_armed", None)
    monkeypatch.setenv(failpoints.VARIABLE, "")
    return lambda at: failpoints.arm("raise", at, tmp_path / "points")


@pytest.mark.parametrize(("at", "point"), [(1, "rename checkpoint"), (2, "renamed checkpoint")])
def test_a_disk_error_on_a_checkpoint_is_no_failure_of_the_trial(
    tmp_path: Path, armed: Callable[[int], None], at: int, point: str
) -> None:
    armed(at)
    with pytest.raises(StoreFailed, match=r"cannot write .*checkpoint.safetensors"):
        Trial(tmp_path, {}).attempt(1)
    assert (tmp_path / "points").read_text().splitlines()[-1] == point
    left = [each.name for each in (tmp_path / "checkpoints").iterdir()]
    assert left == ([] if at == 1 else ["trial-00003.1-000001.checkpoint.safetensors"])


def test_a_disk_error_on_the_weights_is_a_store_failure(tmp_path: Path, armed: Callable[[int], None]) -> None:
    armed(1)
    with pytest.raises(StoreFailed):
        Trial(tmp_path, {}).attempt(0)
    assert not (tmp_path / "parts.safetensors").exists()


def test_a_full_disk_stops_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        Trial(tmp_path, {}).attempt(1)
