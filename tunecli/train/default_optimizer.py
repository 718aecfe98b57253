"""The weight decay of the default optimizer, which is stronger where the target of a small table is noisy.

With few rows and much noise, the default `mlp` or `tabular_resnet` learns the noise: its validation score falls long
before the training ends. How long it should train, or how strongly its weights should decay, depends on the noise more
than on the number of rows. `explained_fraction` estimates the noise from the training rows alone. `default_decays`
tells the decays before any training. Loads no torch.

Measured on 15 sets of 120 to 4,000 rows over ten splits: a decay that suits `diabetes` costs R² 0.05 to 0.07 on
friedman3, which has the same size and little noise. No learning rate, schedule, dropout or width suits both.

Axes: N examples, F inputs.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.data import Data
from tunecli.config.schema.models import Mlp, TabularResNet
from tunecli.config.schema.optimizers import AdamW
from tunecli.train.data import preparation
from tunecli.train.data.sources import DataFacts, read_source, read_validation
from tunecli.train.data.splits import split
from tunecli.train.data.stamps import Stamp, stamps_of
from tunecli.train.data.table import Inputs
from tunecli.train.workload import steps_per_epoch

if TYPE_CHECKING:
    from tunecli.train.data.loading import Fold

MAX_ROWS = 2000
"""Training rows of a small table. With more rows, the default length is shorter and the default `mlp` overfits less."""
NOISY_FRACTION = 0.6
"""A target is noisy if less than this fraction of its variance is explained."""
DECAY_EPOCHS, LEAST_DECAY_STEPS = 30, 150
"""The decay alone shrinks the weights to 1/e in this number of epochs, or of steps if these are more.

A decay that is constant in epochs suits all numbers of rows (Wang & Aitchison 2024).
"""

_SAMPLE_ROWS = 500
_GAMMA = 0.1  # of the kernel exp(-gamma |x - y|² / F), on standardised inputs
_PENALTIES = 10.0 ** np.arange(-3, 3.5, 0.5)
_MOST_VERDICTS = 64  # the folds and repetitions of a study
_VERDICTS: dict[bytes, bool] = {}
"""Whether rows have a noisy target, by the SHA-256 of the rows; a process keeps the last ones."""


def with_default_decay(config: TrialConfig, fold: Fold, n_steps: int) -> TrialConfig:
    """The trial with the weight decay that its training uses.

    It changes only an `mlp` or a `tabular_resnet` on a small table with one noisy number as its target, in a trial
    whose file names no optimizer.

    Args:
        config: the trial.
        fold: its data.
        n_steps: optimizer steps in an epoch, at least 1.
    """
    if not _is_left_open(config) or not _is_numbers(fold.task, fold.inputs, fold.n_outputs):
        return config
    n_rows = len(fold.y_train)
    if not _is_small(n_rows):
        return config
    rows = _sample(n_rows).tolist()
    x_NF, y_N = (part[rows].cpu().double().numpy() for part in (fold.x_train, fold.y_train))
    return _with_decay(config, n_steps) if _is_noisy(x_NF, y_N) else config


def default_decays(
    config: TrialConfig, facts: DataFacts, base_path: Path, study_seed: int
) -> tuple[float, ...]:
    """The weight decay of each model of a trial whose target is noisy; empty: all have the decay of the file.

    Args:
        config: the trial.
        facts: the facts about its data.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split.

    Raises:
        DataError: the data cannot be read or split.
    """
    if not _is_left_open(config) or not _is_numbers(facts.task, facts.inputs, facts.n_targets):
        return ()
    shared = config.data.model_copy(update={"augment": [], "balance": "none"})
    stamps = stamps_of(config.data, base_path, open_test=False)
    sizes = _noisy_parts(shared.model_dump_json(), str(base_path), stamps, study_seed)
    trained = [_with_decay(config, steps_per_epoch(config, n_rows)) for n_rows in sizes]
    return tuple(one.optimizer.weight_decay for one in trained if isinstance(one.optimizer, AdamW))


@lru_cache(maxsize=16)
def _noisy_parts(
    data_json: str, base_path: str, stamps: tuple[Stamp, ...], study_seed: int
) -> tuple[int, ...]:
    """The number of training rows of each part whose target is noisy."""
    data, path = Data.model_validate_json(data_json), Path(base_path)
    table, sizes = read_source(data, path), []
    for part in split(table, data, study_seed, read_validation(data, path)):
        n_rows = len(part.train_indices)
        if _is_small(n_rows):
            fitted = preparation.fit(table, part.train_indices, data)
            prepared = preparation.apply(fitted, table, part.train_indices[_sample(n_rows)])
            if _is_noisy(prepared.x.astype(np.float64), prepared.y.astype(np.float64)):
                sizes.append(n_rows)
    return tuple(sizes)


def _is_left_open(config: TrialConfig) -> bool:
    is_default = "optimizer" not in config.model_fields_set and isinstance(config.optimizer, AdamW)
    return is_default and isinstance(config.model, Mlp | TabularResNet)


def _is_numbers(task: str, inputs: Inputs, n_targets: int) -> bool:
    is_table = inputs.kind == "features" and not inputs.categories
    return task == "regression" and n_targets == 1 and is_table


def _is_small(n_rows: int) -> bool:
    return 2 < n_rows <= MAX_ROWS


def _sample(n_rows: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, _SAMPLE_ROWS)).astype(np.int64))


def _is_noisy(x_NF: NDArray[np.float64], y_N: NDArray[np.float64]) -> bool:
    """Whether the target of these rows is noisy. All trials of a split have the same rows, so it is computed once."""
    shape = np.asarray(x_NF.shape, np.int64)
    key = hashlib.sha256(b"".join((shape.tobytes(), x_NF.tobytes(), y_N.tobytes()))).digest()
    if (known := _VERDICTS.get(key)) is not None:
        return known
    while len(_VERDICTS) >= _MOST_VERDICTS:
        _VERDICTS.pop(next(iter(_VERDICTS)), None)
    _VERDICTS[key] = is_noisy = explained_fraction(x_NF, y_N.reshape(-1)) < NOISY_FRACTION
    return is_noisy


def _with_decay(config: TrialConfig, n_steps: int) -> TrialConfig:
    optimizer = config.optimizer
    assert isinstance(optimizer, AdamW)
    decay = 1.0 / (optimizer.lr * max(LEAST_DECAY_STEPS, DECAY_EPOCHS * n_steps))
    return config.model_copy(update={"optimizer": optimizer.model_copy(update={"weight_decay": decay})})


def explained_fraction(x_NF: NDArray[np.float64], y_N: NDArray[np.float64]) -> float:
    """The R² of a kernel ridge regression on examples that are left out one by one, with the best of its penalties.

    A ridge regression with the hat matrix H predicts a left-out example with the error e / (1 - H_ii), where e is its
    error with all examples (Allen 1974).

    Args:
        x_NF: standardised inputs.
        y_N: a target with mean 0.

    Returns:
        At most 1; 0 for a target without variance.
    """
    total = float((y_N**2).sum())
    if not total > 0:
        return 0.0
    square_N = (x_NF**2).sum(axis=1)
    distance_NN = square_N[:, None] + square_N - 2 * x_NF @ x_NF.T
    kernel_NN = np.exp(-_GAMMA / max(1, x_NF.shape[1]) * np.maximum(distance_NN, 0.0))
    values_N, vectors_NN = np.linalg.eigh(kernel_NN)
    values_N = np.maximum(values_N, 0.0)
    errors = []
    for penalty in _PENALTIES:
        kept_N = values_N / (values_N + penalty)
        fitted_N = vectors_NN @ (kept_N * (vectors_NN.T @ y_N))
        leverage_N = (vectors_NN**2) @ kept_N
        errors.append(float((((y_N - fitted_N) / (1 - leverage_N)) ** 2).sum()))
    return 1 - min(errors) / total
