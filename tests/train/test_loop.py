"""A trial from its Job to its events: reproducible, isolated, and never a raised failure."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.jobs import change_job, make_job
from tunecli.messages import Ended, EpochEnded, Job, Order, Started
from tunecli.objective import Objective
from tunecli.train import checkpoint
from tunecli.train.loop import run
from tunecli.trial import FailureKind, Outcome, State

ACCURACY = Objective("val_accuracy", True)
SMALL: dict[str, Any] = {
    "data": {"source": "iris"},
    "model": {"name": "mlp", "hidden": [16], "dropout": 0.2},
    "optimizer": {"name": "adam", "lr": 0.01},
    "training": {"epochs": 4, "batch_size": 32},
}


def job_of(config: Mapping[str, Any], objective: Objective = ACCURACY, **knobs: Any) -> Job:
    return make_job(3, {**SMALL, **config}, objective, study_seed=7, seed=11, **{"device": "cpu", **knobs})


def epochs_of(job: Job) -> list[Mapping[str, float]]:
    return [event.metrics for event in run(job) if isinstance(event, EpochEnded)]


def outcome_of(job: Job) -> Outcome:
    *_, last = run(job)
    assert isinstance(last, Ended)
    return last.outcome


def test_a_trial_yields_its_start_every_epoch_and_one_end() -> None:
    started, *epochs, ended = run(job_of({}))
    assert isinstance(started, Started)
    assert isinstance(ended, Ended)
    assert [event.epoch for event in epochs if isinstance(event, EpochEnded)] == [1, 2, 3, 4]
    outcome = ended.outcome
    assert (outcome.state, outcome.epochs, outcome.kept_epoch) == (State.COMPLETE, 4, 4)
    last = epochs[-1]
    assert isinstance(last, EpochEnded)
    assert outcome.metrics == last.metrics
    assert outcome.score == last.metrics["val_accuracy"]
    assert {"train_loss", "val_loss", "val_f1", "val_auroc"} <= set(last.metrics)
    json.dumps([asdict(event) for event in (started, *epochs, ended)], allow_nan=False)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"data": {"source": "iris", "validation": {"folds": 3}, "augment": ["noise"], "balance": "sample"}},
        {"data": {"source": "digits"}, "model": {"name": "cnn", "channels": [4], "dropout": 0.1}},
    ],
)
def test_the_same_job_gives_the_same_bits_after_any_other_trial(config: dict[str, Any]) -> None:
    first = epochs_of(job_of(config))
    torch.rand(3)
    epochs_of(job_of({"data": {"source": "wine"}, "optimizer": "sgd"}))
    assert epochs_of(job_of(config)) == first


def test_the_trial_uses_the_seed_of_its_job() -> None:
    first = epochs_of(job_of({}))
    assert epochs_of(change_job(job_of({}), seed=12)) != first
    assert epochs_of(job_of({"seed": 11})) == first, "the seed comes from the job alone, not from the config"


def test_torchs_global_generator_is_untouched_even_between_epochs() -> None:
    before = torch.get_rng_state()
    for _ in run(job_of({})):
        assert torch.equal(torch.get_rng_state(), before)


def test_digits_are_learned() -> None:
    config = {"data": {"source": "digits"}, "model": "mlp", "optimizer": "adamw", "training": {"epochs": 20}}
    assert (outcome_of(job_of(config)).score or 0.0) >= 0.95


def test_a_regression_is_learned_and_scored_in_the_targets_units() -> None:
    source = {"name": "regression", "samples": 400, "noise": 0.1}
    config = {"data": {"source": source}, "model": "linear", "training": {"epochs": 30, "batch_size": 16}}
    outcome = outcome_of(job_of(config, Objective("val_r2", True)))
    assert (outcome.score or 0.0) > 0.99
    assert outcome.metrics["val_rmse"] > 10 * math.sqrt(outcome.metrics["val_loss"])


@pytest.mark.parametrize("objective", [ACCURACY, Objective("train_loss", False)])
def test_a_huge_learning_rate_ends_as_diverged(objective: Objective) -> None:
    outcome = outcome_of(job_of({"optimizer": {"name": "sgd", "lr": 1e30}}, objective))
    assert outcome.state is State.FAILED
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.DIVERGED
    assert outcome.score is None
    assert outcome.epochs >= 1


def test_an_undefined_objective_ends_as_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,0\n2,1\n3,0\n4,1\n")
    (tmp_path / "v.csv").write_text("a,y\n1,0\n2,0\n")
    data = {"source": "t.csv", "target": "y", "validation": {"file": "v.csv"}}
    outcome = outcome_of(job_of({"data": data}, Objective("val_auroc", True), base_path=str(tmp_path)))
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.ERROR
    assert "val_auroc" in outcome.failure.cause


@pytest.mark.parametrize(
    ("job", "cause"),
    [
        (job_of({"data": {"source": "nowhere.csv"}}), "there is no file nowhere.csv"),
        (job_of({"model": "cnn"}), "cnn needs image"),
        (job_of({"optimizer": "nothing"}), "ValidationError"),
        (job_of({}, device="cuda:99"), "there is no device"),
    ],
)
def test_a_failure_is_data(job: Job, cause: str) -> None:
    started, ended = run(job)
    assert isinstance(started, Started)
    assert isinstance(ended, Ended)
    failure = ended.outcome.failure
    assert failure is not None
    assert failure.kind is FailureKind.ERROR
    assert cause in failure.cause
    assert "\n" not in failure.cause
    assert "Traceback" in failure.traceback


def test_a_failed_allocation_ends_as_oom() -> None:
    config = {"model": {"name": "mlp", "hidden": [2**44]}}
    failure = outcome_of(job_of(config)).failure
    assert failure is not None
    assert failure.kind is FailureKind.OOM


def test_a_trial_can_be_abandoned_half_way() -> None:
    events = run(job_of({}))
    next(events), next(events)
    events.close()


OWN_AND_FULL = """
import weakref
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, n_outputs, at):
        super().__init__()
        self.big = nn.Linear(input_shape[0], 100_000)
        self.head = nn.Linear(100_000, n_outputs)
        self.at, self.calls, self.cycle = at, 0, [self]
        alive.append(weakref.ref(self.big.weight))
    def forward(self, x):
        self.calls += 1
        if self.calls == self.at:
            kept = self.big(x)
            alive.append(weakref.ref(kept))
            try:
                raise ValueError("first")
            except ValueError:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return self.head(self.big(x))

alive = []
"""


@pytest.mark.parametrize("at", [1, 9])
def test_memory_is_freed_before_a_trial_ends_as_oom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine_full.py").write_text(OWN_AND_FULL)
    training = {"epochs": 4, "batch_size": 32, "early_stop": {}, "average": "ema"}
    model = {"python": "mine_full:Net", "args": {"at": at}}
    weights_path = str(tmp_path / "w.safetensors")
    job = job_of({"model": model, "training": training}, base_path=str(tmp_path), weights_path=weights_path)
    for event in run(job):
        if isinstance(event, Ended):
            assert event.outcome.failure is not None
            assert event.outcome.failure.kind is FailureKind.OOM
            alive = sys.modules["mine_full"].alive
            assert len(alive) == 2
            assert [each() for each in alive] == [None, None]
            break
    else:
        pytest.fail("the trial never ended")


LOSSES = """
import torch
from torch import nn

def constant(outputs, targets, value, after=0):
    constant.calls = getattr(constant, "calls", 0) + 1
    good = nn.functional.cross_entropy(outputs, targets)
    return good if constant.calls <= after else good * 0 + float(value)

def score(outputs, targets, value):
    return float(value)
"""


@pytest.fixture
def losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine_losses.py").write_text(LOSSES)
    return tmp_path


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("after", "n_epochs"), [(0, 0), (5, 1), (7, 1)])
def test_a_loss_of_nan_ends_the_trial_at_its_epoch(
    losses: Path, value: str, after: int, n_epochs: int
) -> None:
    loss = {"python": "mine_losses:constant", "args": {"value": value, "after": after}}
    job = job_of(
        {"loss": loss}, base_path=str(losses), checkpoints_path=str(losses / "c"), checkpoint_epochs=1
    )
    started, *between, ended = run(job)  # four batches and a validation make five losses an epoch
    assert isinstance(started, Started) and isinstance(ended, Ended)
    assert [event.epoch for event in between if isinstance(event, EpochEnded)] == [*range(1, n_epochs + 1)]
    outcome = ended.outcome
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.DIVERGED
    assert f"after epoch {n_epochs + 1}" in outcome.failure.cause
    assert (outcome.score, outcome.metrics, outcome.weights_sha256) == (None, {}, "")


def test_a_huge_but_finite_loss_is_recorded_unchanged(losses: Path) -> None:
    loss = {"python": "mine_losses:constant", "args": {"value": 1e30}}
    events = list(run(job_of({"loss": loss}, Objective("val_loss", False), base_path=str(losses))))
    json.dumps([asdict(event) for event in events], allow_nan=False)
    assert isinstance(events[-1], Ended)
    outcome = events[-1].outcome
    assert outcome.state is State.COMPLETE
    assert outcome.score == outcome.metrics["val_loss"] == pytest.approx(1e30)
    assert outcome.metrics["train_loss"] == pytest.approx(1e30)


def test_a_huge_but_finite_score_is_recorded_unchanged(losses: Path) -> None:
    objective = Objective("val_score", True, "mine_losses:score", {"value": -1e30})
    assert outcome_of(job_of({}, objective, base_path=str(losses))).score == -1e30


def test_a_trial_above_its_bound_is_pruned_without_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    job = job_of({}, Objective("val_loss", False), weights_path=str(path))
    losses = [metrics["val_loss"] for metrics in epochs_of(job)]
    least = min(losses[:3])
    assert outcome_of(change_job(job, stop_above=(None, None, least))).state is State.COMPLETE
    path.unlink()
    events = list(run(change_job(job, stop_above=(None, None, math.nextafter(least, 0.0)))))
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2, 3]
    assert isinstance(events[-1], Ended)
    outcome = events[-1].outcome
    assert (outcome.state, outcome.failure, outcome.weights_sha256) == (State.PRUNED, None, "")
    assert (outcome.epochs, outcome.kept_epoch, outcome.score) == (3, 3, losses[2])
    assert outcome.metrics["val_loss"] == losses[2]
    assert not path.exists()


def test_the_last_epoch_has_its_bound_like_any_other() -> None:
    outcome = outcome_of(job_of({}, Objective("val_loss", False), stop_above=(None, None, None, 0.0)))
    assert (outcome.state, outcome.epochs) == (State.PRUNED, 4)


def test_pruning_compares_the_lowest_loss_so_far_for_both_directions() -> None:
    config = {
        "optimizer": {"name": "sgd", "lr": 2.0},
        "training": {"epochs": 12, "early_stop": {"patience": 9}},
    }
    scores = [metrics["val_accuracy"] for metrics in epochs_of(job_of(config))]
    falls = next(place for place in range(1, len(scores)) if scores[place] < max(scores[:place]))
    bounds = [None] * falls + [-max(scores[:falls])]
    kept = outcome_of(job_of(config, stop_above=bounds))
    assert kept.state is State.COMPLETE
    bounds[-1] = -math.nextafter(max(scores[:falls]), 2.0)
    pruned = outcome_of(job_of(config, stop_above=bounds))
    assert (pruned.state, pruned.epochs) == (State.PRUNED, falls + 1)
    assert pruned.score == max(scores[:falls])
    assert pruned.kept_epoch == scores.index(max(scores[:falls])) + 1


def test_split_batches_give_the_same_trial() -> None:
    config = {"model": {"name": "mlp", "hidden": [16]}}
    whole, parts = (epochs_of(job_of(config, micro_batches=n)) for n in (1, 4))
    assert [metrics["val_loss"] for metrics in parts] == pytest.approx(
        [metrics["val_loss"] for metrics in whole], rel=1e-4
    )


def test_an_avoided_device_is_a_failure_with_its_cause() -> None:
    failure = outcome_of(job_of({}, avoid_devices=("cpu",))).failure
    assert failure is not None
    assert "cpu must not be used" in failure.cause


def test_early_stopping_keeps_the_best_epoch_and_its_weights(tmp_path: Path) -> None:
    config = {
        "optimizer": {"name": "sgd", "lr": 2.0},
        "training": {"epochs": 40, "early_stop": {"patience": 3}},
    }
    path = tmp_path / "w.safetensors"
    objective = Objective("val_loss", False)
    job = job_of(config, objective, weights_path=str(path))
    losses = [metrics["val_loss"] for metrics in epochs_of(job)]
    outcome = outcome_of(job)
    best = losses.index(min(losses)) + 1
    assert outcome.kept_epoch == best
    assert outcome.epochs == len(losses) == best + 3
    assert outcome.score == min(losses)
    shorter = {**config, "training": {"epochs": best}}
    last = tmp_path / "last.safetensors"
    outcome_of(job_of(shorter, objective, weights_path=str(last)))
    kept, expected = checkpoint.load_weights(path)[0], checkpoint.load_weights(last)[0]
    assert all(torch.equal(kept[name], tensor) for name, tensor in expected.items())


def test_folds_report_their_mean_and_deviation_and_keep_all_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    config = {"data": {"source": "iris", "validation": {"folds": 3}}}
    outcome = outcome_of(job_of(config, weights_path=str(path)))
    assert outcome.score == outcome.metrics["val_accuracy"]
    assert outcome.metrics["val_accuracy_std"] >= 0
    tensors, kept_config = checkpoint.load_weights(path)
    assert {name.split(".")[0] for name in tensors} == {"model0", "model1", "model2"}
    assert kept_config["data"] == config["data"]


@pytest.mark.parametrize(("keep_below", "is_kept"), [(None, True), (0.0, True), (-1.0, False)])
def test_weights_are_kept_only_below_the_bound(
    tmp_path: Path, keep_below: float | None, is_kept: bool
) -> None:
    path = tmp_path / "w.safetensors"
    outcome = outcome_of(job_of({}, weights_path=str(path), keep_below=keep_below))
    assert outcome.state is State.COMPLETE
    assert path.exists() is is_kept
    assert bool(outcome.weights_sha256) is is_kept


def test_the_threads_are_those_of_the_job() -> None:
    before = torch.get_num_threads()
    try:
        outcome_of(job_of({}, threads=1))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_steps_replace_epochs_and_end_the_last_one_early() -> None:
    n_batches = -(-120 // 32)  # 120 of 150 train
    whole = epochs_of(job_of({"training": {"epochs": 2, "batch_size": 32}}))
    same = epochs_of(job_of({"training": {"steps": 2 * n_batches, "batch_size": 32}}))
    short = epochs_of(job_of({"training": {"steps": n_batches + 1, "batch_size": 32}}))
    assert same == whole
    assert short[0] == whole[0]
    assert len(short) == 2
    assert short[1] != whole[1]


def test_folds_of_different_size_take_the_same_number_of_steps() -> None:
    config = {
        "data": {"source": "iris", "validation": {"folds": 4}},
        "training": {"steps": 29, "batch_size": 4},
    }
    assert outcome_of(job_of(config)).state is State.COMPLETE


def test_repeats_use_other_seeds_and_report_mean_metrics() -> None:
    one = outcome_of(job_of({}))
    three = outcome_of(job_of({}, repeats=3))
    assert three.metrics["val_accuracy_std"] >= 0
    assert three.metrics["train_loss"] != one.metrics["train_loss"]
    assert outcome_of(job_of({}, repeats=1)).metrics == one.metrics


def test_the_users_own_model_is_found_beside_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "looped_model.py").write_text(
        "from torch import nn\n"
        "def net(input_shape, n_outputs, width):\n"
        "    return nn.Sequential(nn.Linear(*input_shape, width), nn.Tanh(), nn.Linear(width, n_outputs))\n"
    )
    model = {"python": "looped_model:net", "args": {"width": 8}}
    first, again = (outcome_of(job_of({"model": model}, base_path=str(tmp_path))) for _ in range(2))
    assert first.state is State.COMPLETE
    assert first.metrics == again.metrics


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


@pytest.mark.parametrize("early_stop", [None, {"patience": 9}])
def test_a_trial_that_finishes_early_equals_one_that_ends_with_that_epoch(
    tmp_path: Path, early_stop: dict[str, int] | None
) -> None:
    config = {"training": {"epochs": 9, "batch_size": 32, "early_stop": early_stop}}
    ordered, limited = (tmp_path / name for name in ("ordered.safetensors", "limited.safetensors"))
    orders = iter([Order.GO_ON, Order.FINISH])
    *epochs, cut = run(job_of(config, weights_path=str(ordered)), lambda: next(orders))
    *_, whole = run(job_of(config, weights_path=str(limited), end_epoch=2))
    assert isinstance(cut, Ended) and isinstance(whole, Ended)
    assert len(epochs) == 3, "the start and two epochs"
    assert cut.ended_by is not None and whole.ended_by is None
    assert (cut.outcome.state, cut.outcome.epochs) == (State.COMPLETE, 2)
    assert (cut.outcome.metrics, cut.outcome.weights_sha256) == (
        whole.outcome.metrics,
        whole.outcome.weights_sha256,
    )
    assert cut.outcome.weights_sha256
    assert all(
        torch.equal(a, b)
        for a, b in zip(weights_of(ordered).values(), weights_of(limited).values(), strict=True)
    )


CHAIN = [{"warmup": {"epochs": 2}}, {"cosine": {"to": 0.1}}, {"clip": {"min": 2e-3}}]


@pytest.mark.parametrize("validation", [{"fraction": 0.2}, {"folds": 3}])
def test_each_epoch_records_the_learning_rate_of_its_last_step(validation: dict[str, Any]) -> None:
    config = {"data": {"source": "iris", "validation": validation}, "learning_rate": CHAIN}
    n_steps = math.ceil((120 if "fraction" in validation else 100) / 32)
    expected = []
    for epoch in range(1, 5):
        step = epoch * n_steps - 1
        rate = 0.01 * min(1.0, (step + 1) / n_steps / 2)
        rate *= 0.1 + 0.9 * (1 + math.cos(math.pi * step / (4 * n_steps))) / 2
        expected.append(max(2e-3, rate))
    assert [metrics["lr"] for metrics in epochs_of(job_of(config))] == pytest.approx(expected)


def test_without_a_chain_the_recorded_learning_rate_is_that_of_the_optimizer() -> None:
    assert {metrics["lr"] for metrics in epochs_of(job_of({}))} == {0.01}
