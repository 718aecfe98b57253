"""A refit is the plain training on all rows, for the epochs that its trial kept, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.jobs import change_job, make_job
from tunecli.messages import Ended, EpochEnded, Job
from tunecli.objective import Objective
from tunecli.train.artifact.layout import bare_weights
from tunecli.train.loop import run
from tunecli.trial import FailureKind, Outcome, State

CONFIG: dict[str, Any] = {
    "model": {"name": "mlp", "hidden": [6], "dropout": 0.2},
    "optimizer": {"name": "adam", "lr": 0.05},
    "learning_rate": [{"cosine": {"to": 0.0}}, {"cut": {"on_plateau": {"patience": 1}, "factor": 0.5}}],
    "training": {"epochs": 6, "batch_size": 8},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 3)), generator.integers(0, 3, 60)
    np.savez(tmp_path / "all.npz", x=x, y=y)
    np.savez(tmp_path / "first.npz", x=x[:45], y=y[:45])
    np.savez(tmp_path / "last.npz", x=x[45:], y=y[45:])
    np.savez(tmp_path / "other.npz", x=generator.normal(size=(9, 3)), y=generator.integers(0, 3, 9))
    return tmp_path


def job_of(folder: Path, data: Mapping[str, Any], name: str, **changes: Any) -> Job:
    path = str(folder / f"{name}.safetensors")
    job = make_job(
        3, {**CONFIG, "data": data}, Objective("val_accuracy", True), base_path=str(folder), weights_path=path
    )
    return change_job(job, device="cpu", **changes)


def trained(job: Job) -> tuple[Outcome, bytes, list[Mapping[str, float]]]:
    *events, last = run(job)
    assert isinstance(last, Ended)
    path = Path(job.files.weights_path)
    content = path.read_bytes() if path.exists() else b""
    return last.outcome, content, [event.metrics for event in events if isinstance(event, EpochEnded)]


def tensors(content: bytes) -> bytes:
    """The weights of a model file without the trial's configuration."""
    bare = bare_weights(content)
    return bare[8 + int.from_bytes(bare[:8], "little") :]


ALL = {"source": "all.npz", "validation": {"file": "other.npz"}}


@pytest.mark.parametrize(
    "data",
    [
        {"source": "all.npz"},
        {"source": "all.npz", "validation": {"folds": 3}, "train_fraction": 0.5},
        {"source": "first.npz", "validation": {"file": "last.npz"}},
    ],
    ids=["fraction", "folds", "file"],
)
@pytest.mark.parametrize("n_epochs", [6, 4])
def test_a_refit_has_the_weights_of_a_training_whose_validation_rows_are_other_ones(
    folder: Path, data: Mapping[str, Any], n_epochs: int
) -> None:
    _, plain, epochs = trained(job_of(folder, ALL, "plain", end_epoch=n_epochs))
    losses = tuple(metrics["val_loss"] for metrics in epochs)
    outcome, refit, refit_epochs = trained(job_of(folder, data, "refit", refit=losses))
    assert tensors(refit) == tensors(plain)
    assert (outcome.state, outcome.score, outcome.epochs) == (State.COMPLETE, None, n_epochs)
    assert [metrics["lr"] for metrics in refit_epochs] == [metrics["lr"] for metrics in epochs]
    assert [{*metrics} for metrics in refit_epochs] == [{"train_loss", "lr"}] * n_epochs


def test_test_rows_are_in_no_refit(folder: Path) -> None:
    archive = dict(np.load(folder / "all.npz"))
    part = np.where(np.arange(60) < 45, np.where(np.arange(60) % 2, "train", "validation"), "test")
    np.savez(folder / "marked.npz", **archive, split=part)
    data = {"source": "marked.npz", "validation": {"by": "column"}, "test": {"by": "column"}}
    _, refit, _ = trained(job_of(folder, data, "refit", refit=(1.0, 1.0)))
    first = {"source": "first.npz", "validation": {"file": "other.npz"}}
    _, plain, _ = trained(job_of(folder, first, "plain", end_epoch=2))
    assert tensors(refit) == tensors(plain)


def test_a_length_in_steps_is_the_same_number_of_steps(folder: Path) -> None:
    training = {"steps": 24, "batch_size": 8}
    plain = job_of(folder, {"source": "all.npz", "validation": {"fraction": 0.2}}, "plain")
    config = {**plain.task.config, "training": training}
    _, _, epochs = trained(change_job(plain, config=config))
    assert len(epochs) == 4, "six steps an epoch"
    losses = tuple(metrics["val_loss"] for metrics in epochs)
    for kept, n_epochs in ((4, 3), (2, 2)):
        job = change_job(plain, config=config, refit=losses[:kept])
        assert trained(job)[0].epochs == n_epochs, "eight steps an epoch"


def test_a_length_by_the_number_of_rows_is_that_of_the_trial(folder: Path) -> None:
    data = {"source": "all.npz", "validation": {"fraction": 0.2}}
    plain = job_of(folder, data, "plain", refit=(1.0,) * 80)
    found = {}
    for epochs in ("auto", 100):  # two steps an epoch; all rows have three, and would have 67 epochs
        config = {**plain.task.config, "training": {"epochs": epochs, "batch_size": 24}}
        outcome, content, of_epochs = trained(change_job(plain, config=config))
        found[epochs] = outcome.epochs, tensors(content), of_epochs
    assert found["auto"] == found[100]


def test_a_refit_that_diverges_is_a_failure_without_a_file(folder: Path) -> None:
    job = job_of(folder, {"source": "all.npz"}, "refit", refit=(1.0,) * 6)
    config = {**job.task.config, "optimizer": {"name": "sgd", "lr": 1e30}}
    outcome, content, _ = trained(change_job(job, config=config))
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.DIVERGED
    assert not content
