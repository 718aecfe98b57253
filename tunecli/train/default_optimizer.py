"""The weight decay of the default optimizer, which is stronger where the target of a small table is noisy.

With few rows and much noise, the default `mlp` learns the noise: its validation score falls long before the training
ends. How long it should train, or how strongly its weights should decay, depends on the noise more than on the number
of rows. `explained_fraction` estimates the noise from the training rows alone.

Measured on 15 sets of 120 to 4,000 rows over ten splits: a decay that suits `diabetes` costs R² 0.05 to 0.07 on
friedman3, which has the same size and little noise. No learning rate, schedule, dropout or width suits both.

Axes: N examples, F inputs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.models import Mlp
from tunecli.config.schema.optimizers import AdamW
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


def with_default_decay(config: TrialConfig, fold: Fold, n_steps: int) -> TrialConfig:
    """The trial with the weight decay that its training uses.

    It changes only an `mlp` on a small table with one noisy number as its target, in a trial whose file names no
    optimizer.

    Args:
        config: the trial.
        fold: its data.
        n_steps: optimizer steps in an epoch, at least 1.
    """
    optimizer = config.optimizer
    if "optimizer" in config.model_fields_set or not isinstance(optimizer, AdamW):
        return config
    if not isinstance(config.model, Mlp) or not _is_small_table(fold):
        return config
    n_rows = len(fold.y_train)
    rows = np.unique(np.linspace(0, n_rows - 1, min(n_rows, _SAMPLE_ROWS)).astype(np.int64)).tolist()
    x_NF, y_N = (part[rows].cpu().double().numpy() for part in (fold.x_train, fold.y_train))
    if explained_fraction(x_NF, y_N.reshape(-1)) >= NOISY_FRACTION:
        return config
    decay = 1.0 / (optimizer.lr * max(LEAST_DECAY_STEPS, DECAY_EPOCHS * n_steps))
    return config.model_copy(update={"optimizer": optimizer.model_copy(update={"weight_decay": decay})})


def _is_small_table(fold: Fold) -> bool:
    return (
        fold.task == "regression"
        and fold.n_outputs == 1
        and fold.inputs.kind == "features"
        and not fold.inputs.categories
        and 2 < len(fold.y_train) <= MAX_ROWS
    )


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
