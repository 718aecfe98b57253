"""What one trial will cost, by arithmetic: parameters, optimizer steps, multiply-adds.

Owns the sizes of the models; a test holds them to the modules that models.py builds. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from tunecli.spec.knobs import TrialConfig
from tunecli.spec.knobs.data import Data
from tunecli.spec.knobs.models import Cnn, Linear, Mlp
from tunecli.spec.knobs.optimizers import Gd
from tunecli.train.batches import batch_sizes
from tunecli.train.sources import DataFacts, facts_of, read_validation
from tunecli.train.splits import part_sizes

Size = tuple[int, int]
"""Parameters, and multiply-adds of one example's forward pass."""

_BACKWARD = 2  # a backward pass costs about two forward ones (Kaplan et al. 2020, section 2.1)


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate for one trial that is neither stopped early nor pruned.

    Attributes:
        n_parameters: of the model; of all models, where there are folds.
        n_steps: optimizer steps, over all epochs and folds.
        n_multiply_adds: in linear and convolutional layers, training and validation, all epochs and folds.
    """

    n_parameters: int
    n_steps: int
    n_multiply_adds: int


def cost(config: TrialConfig, base_path: Path) -> Cost:
    """Estimate what a trial costs, without training.

    Args:
        config: the trial.
        base_path: the folder that relative file names start from.

    Raises:
        DataError: the data cannot be read or split.
    """
    facts = facts_of(config.data, base_path)
    n_outputs = facts.n_classes or 1
    n_parameters, n_forward = SIZES[type(config.model)](config.model, facts.input_shape, n_outputs)
    parts = sizes_of_parts(config.data, facts, base_path)
    steps_per_epoch = [
        1 if isinstance(config.optimizer, Gd) else _n_batches(config, n_train) for n_train, _ in parts
    ]
    n_steps = sum(config.training.n_steps(steps) for steps in steps_per_epoch)
    epochs = max(config.training.n_epochs(steps) for steps in steps_per_epoch)
    n_passes = sum((1 + _BACKWARD) * n_train + n_valid for n_train, n_valid in parts)
    return Cost(n_parameters * len(parts), n_steps, n_forward * n_passes * epochs)


def sizes_of_parts(data: Data, facts: DataFacts, base_path: Path) -> tuple[tuple[int, int], ...]:
    """How many examples train and validate in each part.

    Raises:
        DataError: there are too few examples, or the validation file cannot be read.
    """
    validation = read_validation(data, base_path)
    counts = facts.class_counts or (facts.n_examples,)
    return part_sizes(counts, data.validation, data.train_fraction, len(validation.y) if validation else 0)


def _n_batches(config: TrialConfig, n_train: int) -> int:
    return len(batch_sizes(n_train, config.training.batch_size, fold_single=has_batch_norm(config.model)))


def has_batch_norm(model: Linear | Mlp | Cnn) -> bool:
    """Whether a model takes statistics over its batch, and so needs at least two examples in each."""
    return not isinstance(model, Linear) and model.norm == "batch"


def _linear(knob: Linear, input_shape: tuple[int, ...], n_outputs: int) -> Size:
    n_in = prod(input_shape)
    return (n_in + 1) * n_outputs, n_in * n_outputs


def _mlp(knob: Mlp, input_shape: tuple[int, ...], n_outputs: int) -> Size:
    widths = [prod(input_shape), *knob.hidden, n_outputs]
    n_weights = sum(n_in * n_out for n_in, n_out in pairwise(widths))
    n_norm = 0 if knob.norm == "none" else 2 * sum(knob.hidden)
    return n_weights + sum(widths[1:]) + n_norm, n_weights


def _cnn(knob: Cnn, input_shape: tuple[int, ...], n_outputs: int) -> Size:
    n_channels, rows, columns = input_shape
    n_parameters = n_forward = 0
    for n_next in knob.channels:
        n_weights = n_channels * n_next * knob.kernel**2
        n_parameters += n_weights + n_next + (2 * n_next if knob.norm == "batch" else 0)
        n_forward += n_weights * rows * columns
        if knob.pool != "none" and min(rows, columns) >= 2:
            rows, columns = rows // 2, columns // 2
        n_channels = n_next
    return n_parameters + (n_channels + 1) * n_outputs, n_forward + n_channels * n_outputs


SIZES: dict[type[Any], Callable[[Any, tuple[int, ...], int], Size]] = {Linear: _linear, Mlp: _mlp, Cnn: _cnn}
"""(knob, input shape, outputs) → its size."""
