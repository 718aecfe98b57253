"""What one trial will cost, by arithmetic: parameters, optimizer steps, multiply-adds.

The sizes of the models are sizes.py's. Loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.base import UserCode
from tunecli.config.schema.data import Data
from tunecli.config.schema.optimizers import Lbfgs
from tunecli.train.batches import steps_of
from tunecli.train.data.sources import DataFacts, facts_of, read_validation
from tunecli.train.data.splits import part_sizes
from tunecli.train.sizes import SIZES

_BACKWARD = 2  # a backward pass costs about two forward ones (Kaplan et al. 2020, section 2.1)


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate for one trial that is neither stopped early nor pruned.

    Attributes:
        n_parameters: of the model; of all models, where there are folds. None where the model is the user's own:
            unknown.
        n_steps: optimizer steps, over all epochs and folds.
        n_multiply_adds: in linear, convolutional, recurrent and attention layers, training and validation, all
            epochs and folds; a step of lbfgs counts its ``max_iter`` times. None likewise.
    """

    n_parameters: int | None
    n_steps: int
    n_multiply_adds: int | None


def cost(config: TrialConfig, base_path: Path) -> Cost | None:
    """Estimate what a trial costs, without training; None where its data is the user's own, and so unknown.

    Args:
        config: the trial.
        base_path: the folder that relative file names start from.

    Raises:
        DataError: the data cannot be read or split.
    """
    facts = facts_of(config.data, base_path)
    if facts is None:
        return None
    n_outputs = facts.n_classes or 1
    parts = sizes_of_parts(config.data, facts, base_path)
    n_steps_of_parts = [steps_per_epoch(config, n_train) for n_train, _ in parts]
    n_steps = sum(config.training.n_steps(steps) for steps in n_steps_of_parts)
    epochs = max(config.training.n_epochs(steps) for steps in n_steps_of_parts)
    if isinstance(config.model, UserCode):
        return Cost(None, n_steps, None)
    n_parameters, n_forward = SIZES[type(config.model)](config.model, facts.inputs, n_outputs)
    n_evaluations = config.optimizer.max_iter if isinstance(config.optimizer, Lbfgs) else 1
    n_passes = sum((1 + _BACKWARD) * n_train * n_evaluations + n_valid for n_train, n_valid in parts)
    return Cost(n_parameters * len(parts), n_steps, n_forward * n_passes * epochs)


def sizes_of_parts(data: Data, facts: DataFacts, base_path: Path) -> tuple[tuple[int, int], ...]:
    """How many examples train and validate in each part, once the test part is set apart.

    Raises:
        DataError: there are too few examples, or the validation file cannot be read.
    """
    validation = read_validation(data, base_path)
    counts = facts.class_counts or (facts.n_examples,)
    n_file = len(validation.y) if validation else 0
    return part_sizes(counts, data.validation, data.train_fraction, n_file, data.test)


def steps_per_epoch(config: TrialConfig, n_train: int) -> int:
    """How often the optimizer steps in an epoch of ``n_train`` examples."""
    return len(steps_of(config, n_train))
