"""The work of one trial, by arithmetic: batches, optimizer steps, parameters and multiply-adds. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.data import Data
from tunecli.config.schema.models import AnyModel, ModelKnob
from tunecli.config.schema.optimizers import Lbfgs, OptimizerKnob
from tunecli.train.data.sources import DataFacts, facts_of
from tunecli.train.data.split_facts import split_facts
from tunecli.train.data.splits.parts import raise_problems
from tunecli.train.model_sizes import size_of

_BACKWARD = 2  # a backward pass costs about two forward ones (Kaplan et al. 2020, section 2.1)


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate for one trial that is neither stopped early nor pruned.

    Attributes: n_parameters: parameters of the models of all folds; None (unknown) for the user's own model. n_steps:
        optimizer steps of all epochs and folds. n_multiply_adds: multiply-adds of linear, convolutional, recurrent and
        attention layers, in training and validation of all epochs and folds; a step of lbfgs counts ``max_iter`` times.
        None for the user's own model.
    """

    n_parameters: int | None
    n_steps: int
    n_multiply_adds: int | None


def cost(config: TrialConfig, base_path: Path, study_seed: int = 0) -> Cost | None:
    """Estimate the cost of a trial without training; None (unknown) for the user's own data.

    Args:
        config: the trial.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split; it matters to groups only.

    Raises:
        DataError: the data cannot be read or split.
    """
    facts = facts_of(config.data, base_path)
    if facts is None:
        return None
    parts = sizes_of_parts(config.data, facts, base_path, study_seed)
    n_steps_of_parts = [steps_per_epoch(config, n_train) for n_train, _ in parts]
    n_steps = sum(config.n_steps(steps) for steps in n_steps_of_parts)
    epochs = max(config.n_epochs(steps) for steps in n_steps_of_parts)
    size = size_of(config.model, facts.inputs, facts.n_outputs)
    if size is None:
        return Cost(None, n_steps, None)
    n_parameters, n_forward = size
    n_evaluations = config.optimizer.max_iter if isinstance(config.optimizer, Lbfgs) else 1
    n_passes = sum((1 + _BACKWARD) * n_train * n_evaluations + n_valid for n_train, n_valid in parts)
    return Cost(n_parameters * len(parts), n_steps, n_forward * n_passes * epochs)


def epochs_of(config: TrialConfig, base_path: Path, study_seed: int = 0) -> int | None:
    """Number of epochs of a trial that is neither stopped early nor pruned.

    Args:
        config: the trial.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split; it matters to groups only.

    Returns:
        The number, of several folds that of the longest one; None: it follows from the size of the user's own data.

    Raises:
        DataError: the data are needed, and cannot be read or split.
    """
    if (fixed := config.training.fixed_epochs) is not None:
        return fixed
    facts = facts_of(config.data, base_path)
    if facts is None:
        return None
    parts = sizes_of_parts(config.data, facts, base_path, study_seed)
    return max(config.n_epochs(steps_per_epoch(config, n_train)) for n_train, _ in parts)


def sizes_of_parts(
    data: Data, facts: DataFacts, base_path: Path, study_seed: int = 0
) -> tuple[tuple[int, int], ...]:
    """The number of training and of validation examples of each fold, after the test part is split off.

    Args:
        data: the data's configuration.
        facts: the facts about the whole data.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split; it matters to groups only.

    Raises:
        DataError: the data cannot be split, or the validation file cannot be read.
    """
    found = split_facts(data, facts, base_path, study_seed)
    raise_problems(found.problems)
    return found.sizes


def steps_per_epoch(config: TrialConfig, n_train: int) -> int:
    """Number of optimizer steps in an epoch of ``n_train`` examples."""
    return len(steps_of(config, n_train))


def batch_sizes(n_examples: int, batch_size: int | Literal["full"], *, fold_single: bool) -> list[int]:
    """The sizes of an epoch's batches; the last one may be smaller, and it is not dropped.

    Args:
        n_examples: at least 1.
        batch_size: at least 1, or ``full`` for one batch of all examples.
        fold_single: merge a last batch of one example into the batch before it. Batch norm needs this: one example has
            no variance.

    Returns:
        At least one size; the sum is ``n_examples``.
    """
    if batch_size == "full" or batch_size >= n_examples:
        return [n_examples]
    n_full, rest = divmod(n_examples, batch_size)
    sizes = [batch_size] * n_full + ([rest] if rest else [])
    if fold_single and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


def steps_of(
    config: TrialConfig, n_examples: int, has_undeclared_batch_norm: bool = False
) -> list[list[int]]:
    """The optimizer steps of an epoch, each as the sizes of its batches.

    Args:
        config: the trial; ``gd`` takes one step an epoch, the others one every ``training.accumulate`` batches.
        n_examples: number of training examples, at least 1.
        has_undeclared_batch_norm: whether the user's own model, whose setting says nothing about it, has batch norm.
    """
    training = config.training
    fold_single = takes_batch_statistics(config, has_undeclared_batch_norm)
    sizes = batch_sizes(n_examples, training.batch_size, fold_single=fold_single)
    n = len(sizes) if steps_once_an_epoch(config) else training.accumulate
    return [sizes[first : first + n] for first in range(0, len(sizes), n)]


def steps_once_an_epoch(config: TrialConfig) -> bool:
    """Whether the optimizer takes one step an epoch, on the gradient of the whole training set."""
    return isinstance(config.optimizer, OptimizerKnob) and config.optimizer.steps_once_an_epoch


def takes_batch_statistics(config: TrialConfig, has_undeclared_batch_norm: bool) -> bool:
    """Whether the model needs at least two examples in a batch; the parameters are those of :func:`steps_of`."""
    return has_undeclared_batch_norm or has_batch_norm(config.model)


def parts_of(size: int, n_parts: int, *, fold_single: bool) -> list[int]:
    """The sizes of the micro-batches of a batch: as equal as possible, the larger ones first.

    Args:
        size: size of the batch, at least 1.
        n_parts: the wanted number of parts, at least 1; there are fewer if some would be empty.
        fold_single: make no part of one example, unless the batch has only one.

    Returns:
        At least one size; the sum is ``size``.
    """
    n = max(1, min(n_parts, size // 2 if fold_single else size))
    share, rest = divmod(size, n)
    return [share + 1] * rest + [share] * (n - rest)


def has_batch_norm(model: AnyModel) -> bool:
    """Whether a model has batch norm, and so needs at least two examples in each batch.

    False for the user's own model, of which it is unknown.
    """
    return isinstance(model, ModelKnob) and model.has_batch_norm
