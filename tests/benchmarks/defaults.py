"""Benchmark of the defaults: the scores of files that name a data set and a model, and nothing else.

    python -m tests.benchmarks.defaults [--sets iris,wine] [--models mlp,linear,cnn] [--splits 10] [--part scores,notes]

`scores` gives the mean accuracy, or R², of the last epoch over several splits with 20 % for validation: with the
defaults of version 1 (20 epochs), with those of today, and of scikit-learn's MLPClassifier or MLPRegressor with its own
defaults, and of logistic or ridge regression, all on the same rows and standardised inputs. The target of the MLPRegressor is
standardised too.

`notes` asks whether `check` is right to say that a training is too short. The loss is still falling at an epoch if
four times as many steps lower the validation loss by more than 10 % of its whole fall. A row counts how often the
note was given where the loss was still falling, and where it had settled.

It takes about 8 minutes of one core for ten splits.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from tests.support.jobs import make_job
from tunecli.config.earlier_defaults import UNRECORDED, with_defaults
from tunecli.config.schema import TrialConfig
from tunecli.messages import EpochEnded
from tunecli.objective import Objective
from tunecli.train.data import loading
from tunecli.train.loop import run
from tunecli.train.validation.notes import trial_notes
from tunecli.train.workload import epochs_of

SETS: Mapping[str, Any] = {
    "digits": "digits",
    "iris": "iris",
    "wine": "wine",
    "breast_cancer": "breast_cancer",
    "moons": {"name": "moons", "samples": 500, "noise": 0.25},
    "classification": {"name": "classification", "samples": 500},
    "blobs": {"name": "blobs", "samples": 300, "spread": 3.0},
    "diabetes": "diabetes",
    "friedman1": {"name": "friedman1", "samples": 500, "noise": 1.0},
    "regression": {"name": "regression", "samples": 300, "noise": 20.0},
}
NUMBERS = ("diabetes", "friedman1", "regression")
IMAGES = ("digits",)
_LONGER = 4
_SHARE = 0.1
_LENGTHS = (0.1, 0.3, 1.0)  # of the trainings that a note may be given to, relative to the default length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--models", default="mlp,linear,cnn,transformer")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--part", default="scores")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names, models = options.sets.split(","), options.models.split(",")
    for part in options.part.split(","):
        (scores if part == "scores" else notes)(names, models, options.splits)


def scores(names: list[str], models: list[str], n_splits: int) -> None:
    """Print the table of scores."""
    print(f"{'set':<15} {'model':<12} {'epochs':>6} {'before':>8} {'now':>8} {'sklearn':>8} {'linear':>8}")
    for name in names:
        reference = np.mean([_of_sklearn(name, split) for split in range(n_splits)], axis=0)
        for model in models:
            if model == "cnn" and name not in IMAGES:
                continue
            rows = [
                [_course(_config(name, model, version), name, split)[-1][0] for version in (UNRECORDED, None)]
                for split in range(n_splits)
            ]
            before, now = np.mean(rows, axis=0)
            epochs = epochs_of(TrialConfig.model_validate(_config(name, model)), Path())
            print(
                f"{name:<15} {model:<12} {epochs:>6} {before:8.3f} {now:8.3f} {reference[0]:8.3f} {reference[1]:8.3f}",
                flush=True,
            )


def notes(names: list[str], models: list[str], n_splits: int) -> None:
    """Print how often the note on a short training is right."""
    counts: dict[tuple[str, bool, bool], int] = {}
    for name in names:
        for model in models:
            if model == "cnn" and name not in IMAGES:
                continue
            for is_noted, is_falling in _judged(name, model, n_splits):
                key = (model, is_noted, is_falling)
                counts[key] = counts.get(key, 0) + 1
    for model in models:
        texts = [
            f"{'note' if is_noted else 'silent'}, {'still falling' if is_falling else 'settled'}:"
            f" {counts.get((model, is_noted, is_falling), 0)}"
            for is_noted in (True, False)
            for is_falling in (True, False)
        ]
        print(f"{model:<12} {'   '.join(texts)}")


def _judged(name: str, model: str, n_splits: int) -> Iterator[tuple[bool, bool]]:
    """For trainings of several lengths: whether the note is given, and whether the loss is still falling."""
    usual = epochs_of(TrialConfig.model_validate(_config(name, model)), Path()) or 1
    longest = {**_config(name, model), "training": {"epochs": usual * _LONGER}}
    for split in range(n_splits):
        losses = np.array([loss for _, loss in _course(longest, name, split)])
        for share in _LENGTHS:
            epochs = max(1, round(usual * share))
            config = {**_config(name, model), "training": {"epochs": epochs}}
            found = trial_notes(TrialConfig.model_validate(config), _objective(name), Path())
            reached, later = losses[:epochs].min(), losses[: epochs * _LONGER].min()
            fall = losses[0] - losses.min()
            yield any("still falling" in note.text for note in found), bool(reached - later > _SHARE * fall)


def _config(name: str, model: str, version: int | None = None) -> dict[str, Any]:
    plain = {"data": {"source": SETS[name], "validation": {"fraction": 0.2}}, "model": model}
    return plain if version is None else with_defaults(plain, version)


def _objective(name: str) -> Objective:
    return Objective("val_r2" if name in NUMBERS else "val_accuracy", maximize=True)


def _course(config: Mapping[str, Any], name: str, split: int) -> list[tuple[float, float]]:
    """Score and validation loss of each epoch."""
    objective = _objective(name)
    job = make_job(0, config, objective, study_seed=split, seed=1000 + split)
    events = [event for event in run(job) if isinstance(event, EpochEnded)]
    return [(event.metrics[objective.metric], event.metrics["val_loss"]) for event in events]


def _of_sklearn(name: str, split: int) -> tuple[float, float]:
    """The scores of scikit-learn's perceptron and of its linear model on the rows of a split."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    config = TrialConfig.model_validate(_config(name, "mlp"))
    (fold,) = loading.load(config.data, Path(), split, torch.device("cpu"))
    train, valid = (x.flatten(1).numpy() for x in (fold.x_train, fold.x_valid))
    models = (
        (MLPRegressor(random_state=split), Ridge())
        if name in NUMBERS
        else (MLPClassifier(random_state=split), LogisticRegression(max_iter=1000))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        perceptron, linear = (
            model.fit(train, fold.y_train.numpy()).score(valid, fold.y_valid.numpy()) for model in models
        )
    return perceptron, linear


if __name__ == "__main__":
    main()
