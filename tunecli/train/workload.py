"""The work of one trial, by arithmetic: batches, optimizer steps, parameters and multiply-adds. Loads no torch.

The size of a model counts matrix products, convolutions, attention and recurrent kernels; additions, norms and
activations are left out. A test compares it with the modules that models/ builds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.activations import AnyActivation
from tunecli.config.schema.data import Data
from tunecli.config.schema.models import AnyModel, Cnn, Linear, Mlp, Recurrent, ResNet, Transformer
from tunecli.config.schema.optimizers import Lbfgs, OptimizerKnob
from tunecli.config.schema.user_code import UserCode
from tunecli.registry.implementations import implementation
from tunecli.train.data.sources import DataFacts, facts_of, read_validation
from tunecli.train.data.splits import part_sizes
from tunecli.train.data.table import Inputs

_BACKWARD = 2  # a backward pass costs about two forward ones (Kaplan et al. 2020, section 2.1)
_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


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


def cost(config: TrialConfig, base_path: Path) -> Cost | None:
    """Estimate the cost of a trial without training; None (unknown) for the user's own data.

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
    size = size_of(config.model, facts.inputs, n_outputs)
    if size is None:
        return Cost(None, n_steps, None)
    n_parameters, n_forward = size
    n_evaluations = config.optimizer.max_iter if isinstance(config.optimizer, Lbfgs) else 1
    n_passes = sum((1 + _BACKWARD) * n_train * n_evaluations + n_valid for n_train, n_valid in parts)
    return Cost(n_parameters * len(parts), n_steps, n_forward * n_passes * epochs)


def sizes_of_parts(data: Data, facts: DataFacts, base_path: Path) -> tuple[tuple[int, int], ...]:
    """The number of training and of validation examples of each fold, after the test part is split off.

    Raises:
        DataError: there are too few examples, or the validation file cannot be read.
    """
    validation = read_validation(data, base_path)
    counts = facts.class_counts or (facts.n_examples,)
    n_file = len(validation.y) if validation else 0
    return part_sizes(counts, data.validation, data.train_fraction, n_file, data.test)


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
    return getattr(model, "norm", "none") == "batch"


class Size(NamedTuple):
    """Number of parameters, and of multiply-adds in one example's forward pass."""

    n_parameters: int
    n_multiply_adds: int = 0

    def __add__(self, other: tuple[int, ...]) -> Size:  # type: ignore[override]  # adds instead of concatenating
        return Size(self[0] + other[0], self[1] + other[1])

    def times(self, n: int) -> Size:
        """The size of ``n`` such parts."""
        return Size(self[0] * n, self[1] * n)


NOTHING = Size(0, 0)


def size_of(model: AnyModel, inputs: Inputs, n_outputs: int) -> Size | None:
    """The size of a model; None if it is unknown without building it."""
    if isinstance(model, UserCode) or not model.size_function:
        return None
    size: Size = implementation(model.size_function)(model, inputs, n_outputs)
    return size


def linear_size(knob: Linear, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `linear`."""
    return _affine(inputs.n_values, n_outputs)


def mlp_size(knob: Mlp, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `mlp`."""
    norms = {"none": 0, "rms": 1, "batch": 2, "layer": 2}
    size, n_in = NOTHING, inputs.n_values
    for width in knob.widths:
        size += _affine(n_in, width) + Size(norms[knob.norm] * width) + _activation(knob.activation)
        n_in = width
    return size + _affine(n_in, n_outputs)


def cnn_size(knob: Cnn, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `cnn`."""
    n_channels, rows, columns = inputs.shape
    size = NOTHING
    for n_next in knob.channels:
        rows, columns = -(-rows // knob.stride), -(-columns // knob.stride)
        size += _convolution(n_channels, n_next, knob.kernel, rows * columns) + Size(n_next)
        size += Size(0 if knob.norm == "none" else 2 * n_next) + _activation(knob.activation)
        if knob.pool != "none" and min(rows, columns) >= 2:
            rows, columns = rows // 2, columns // 2
        n_channels = n_next
    return size + _affine(n_channels, n_outputs)


def resnet_size(knob: ResNet, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `resnet`."""
    n_channels, rows, columns = inputs.shape
    n_first = knob.channels[0]
    size = _normed(n_channels, n_first, 3, rows * columns) + _activation(knob.activation)
    n_channels = n_first
    for stage, n_next in enumerate(knob.channels):
        for block in range(knob.blocks):
            stride = 2 if stage > 0 and block == 0 and min(rows, columns) >= 2 else 1
            rows, columns = -(-rows // stride), -(-columns // stride)
            size += _normed(n_channels, n_next, 3, rows * columns) + _normed(
                n_next, n_next, 3, rows * columns
            )
            size += _activation(knob.activation).times(2)
            if stride == 2 or n_channels != n_next:
                size += _normed(n_channels, n_next, 1, rows * columns)
            n_channels = n_next
    return size + _affine(n_channels, n_outputs)


def recurrent_size(knob: Recurrent, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `rnn`, `lstm` and `gru`."""
    n_directions = 2 if knob.bidirectional else 1
    embedding = Size(inputs.n_tokens * knob.embedding)
    match inputs.kind:
        case "tokens":
            n_steps, n_in = inputs.shape[0], knob.embedding
        case "image":
            n_steps, n_in = inputs.shape[1], inputs.shape[0] * inputs.shape[2]
        case _:
            n_steps, n_in = inputs.shape
    size = embedding
    for _ in range(knob.layers):
        n_weights = _GATES[knob.name] * knob.width * (n_in + knob.width)
        n_biases = 2 * _GATES[knob.name] * knob.width
        size += Size(n_weights + n_biases, n_weights * n_steps).times(n_directions)
        n_in = knob.width * n_directions
    return size + _affine(n_in, n_outputs)


def transformer_size(knob: Transformer, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `transformer`."""
    width, n_inner, norm = knob.width, knob.feedforward * knob.width, Size(2 * knob.width)
    size, n_tokens = _tokens(knob, inputs)
    if knob.positions == "learned" and inputs.kind != "features":
        size += Size(n_tokens * width)
    if knob.pool == "cls":
        size, n_tokens = size + Size(width), n_tokens + 1
    attention = _affine(width, width, n_tokens).times(4) + Size(0, 2 * n_tokens**2 * width)
    feedforward = _affine(width, n_inner, n_tokens) + _affine(n_inner, width, n_tokens)
    block = norm.times(2) + attention + feedforward + _activation(knob.activation)
    return size + block.times(knob.layers) + norm + _affine(width, n_outputs)


def _tokens(knob: Transformer, inputs: Inputs) -> tuple[Size, int]:
    """The size of the layer that turns an example into tokens, and the number of tokens."""
    match inputs.kind:
        case "tokens":
            return Size(inputs.n_tokens * knob.width), inputs.shape[0]
        case "sequence":
            return _affine(inputs.shape[1], knob.width, inputs.shape[0]), inputs.shape[0]
        case "features":
            return Size(2 * inputs.shape[0] * knob.width), inputs.shape[0]
        case "image":
            n_channels, rows, columns = inputs.shape
            n_patches = (rows // knob.patch) * (columns // knob.patch)
            return _affine(n_channels * knob.patch**2, knob.width, n_patches), n_patches


def _affine(n_in: int, n_out: int, n_places: int = 1) -> Size:
    return Size((n_in + 1) * n_out, n_in * n_out * n_places)


def _convolution(n_in: int, n_out: int, kernel: int, n_places: int) -> Size:
    n_weights = n_in * n_out * kernel**2
    return Size(n_weights, n_weights * n_places)


def _normed(n_in: int, n_out: int, kernel: int, n_places: int) -> Size:
    """A convolution without biases, and its norm."""
    return _convolution(n_in, n_out, kernel, n_places) + Size(2 * n_out)


def _activation(knob: AnyActivation) -> Size:
    return Size(knob.n_parameters)
