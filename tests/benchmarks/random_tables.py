"""Random tables with a target, from which `rates.py`, `short_trainings.py` and `effects.py` calibrate priors.

No data set of `real_problems.py` is among them, so priors that are calibrated here know nothing of those problems.

Axes: N examples, D features, C classes, H hidden units.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


def table(generator: np.random.Generator, n_examples: int) -> tuple[Floats, Any]:
    """A table of normal features, often correlated and of other scales, with classes or a numeric target."""
    n_features = round(10 ** generator.uniform(0.6, 1.6))
    raw_ND = generator.normal(size=(n_examples, n_features))
    if generator.random() < 0.5:
        raw_ND = raw_ND @ (generator.normal(size=(n_features, n_features)) / math.sqrt(n_features))
    x_ND = (raw_ND - raw_ND.mean(axis=0)) / raw_ND.std(axis=0)
    kind = str(generator.choice(["mixture", "teacher", "thresholds", "regression", "regression"]))
    if kind == "regression":
        target = _numbers(generator, x_ND)
    elif kind == "mixture":
        n_classes = int(generator.integers(2, 8))
        target = generator.integers(0, n_classes, n_examples)
        distance = generator.uniform(1.2, 4.8) / math.sqrt(n_features)
        centres_C2D = generator.normal(size=(n_classes, 2, n_features)) * distance
        x_ND = generator.normal(size=x_ND.shape) + centres_C2D[target, generator.integers(0, 2, n_examples)]
    elif kind == "teacher":
        scores_NC = _network(generator, x_ND, int(generator.integers(2, 8)))
        scores_NC = (scores_NC - scores_NC.mean(axis=0)) / scores_NC.std(axis=0)
        noise_NC = generator.gumbel(size=scores_NC.shape) * generator.uniform(0, 0.5)
        target = np.unique((scores_NC + noise_NC).argmax(axis=1), return_inverse=True)[1]
    else:
        target = np.zeros(n_examples, dtype=np.int64)
        for _ in range(3):
            above_N = x_ND[:, generator.integers(n_features)] > 0.5 * generator.normal()
            target = 2 * target + above_N
        target = np.unique(target % int(generator.integers(2, 8)), return_inverse=True)[1]
    scales_D = 10 ** generator.uniform(-1, 2, n_features)
    return x_ND * scales_D + generator.normal(size=n_features) * scales_D, target


def _numbers(generator: np.random.Generator, x_ND: Floats) -> Floats:
    """A noisy target: a random network, a linear function, or waves with one product."""
    n_examples, n_features = x_ND.shape
    kind = generator.integers(3)
    if kind == 0:
        value_N = _network(generator, x_ND, 1)[:, 0]
    elif kind == 1:
        value_N = x_ND @ generator.normal(size=n_features)
    else:
        value_N = 0.5 * x_ND[:, 0] * x_ND[:, -1]
        for _ in range(4):
            phase_N = generator.uniform(0.5, 2.5) * x_ND[:, generator.integers(n_features)]
            value_N = value_N + generator.normal() * np.sin(phase_N + generator.normal())
    value_N = value_N / value_N.std() + generator.uniform(0.05, 1.0) * generator.normal(size=n_examples)
    return (value_N * 10 ** generator.uniform(-1, 2) + 10 * generator.normal()).astype(np.float32)


def _network(generator: np.random.Generator, x_ND: Floats, n_outputs: int) -> Floats:
    """The outputs of a random network with twelve hidden units, (N, outputs)."""
    n_features, n_hidden = x_ND.shape[1], 12
    inner = (
        generator.normal(size=(n_features, n_hidden)) * generator.uniform(0.7, 2.5) / math.sqrt(n_features)
    )
    hidden_NH = np.tanh(x_ND @ inner + generator.normal(size=n_hidden))
    outputs: Floats = hidden_NH @ generator.normal(size=(n_hidden, n_outputs))
    return outputs
