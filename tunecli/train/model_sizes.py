"""The size of each model, by arithmetic: parameters, and multiply-adds of a forward pass. Loads no torch.

Matrix products, convolutions, attention and recurrent kernels count; additions, norms and activations are left out. A
test compares the sizes with the modules that models/ builds.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from tunecli.config.schema.activations import AnyActivation
from tunecli.config.schema.models import (
    AnyModel,
    Cnn,
    FtTransformer,
    Linear,
    Mlp,
    Recurrent,
    ResNet,
    TabularResNet,
    Tcn,
    Transformer,
)
from tunecli.config.schema.user_code import UserCode
from tunecli.registry.implementations import implementation
from tunecli.train.data.table import Inputs
from tunecli.train.model_fronts import front_of, n_joined

_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


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
    """The size of a model, with the layers around it; None if it is unknown without building it."""
    if isinstance(model, UserCode) or not model.size_function:
        return None
    front = front_of(model, inputs)
    size: Size = implementation(model.size_function)(model, front.inputs, front.joined_width or n_outputs)
    if front.joined_width:
        joint = _affine(n_joined(front, inputs), front.joined_width) + _affine(front.joined_width, n_outputs)
        size += joint
    return size + Size(sum(prod(shape) for shape in front.tables))


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


def tabular_resnet_size(knob: TabularResNet, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `tabular_resnet`."""
    norm = Size(0 if knob.norm == "none" else 2 * knob.width)
    block = norm + _affine(knob.width, knob.inner_width) + _affine(knob.inner_width, knob.width)
    blocks = (block + _activation(knob.activation)).times(knob.blocks)
    output = norm + _activation(knob.activation) + _affine(knob.width, n_outputs)
    return _affine(inputs.n_values, knob.width) + blocks + output


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


def tcn_size(knob: Tcn, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `tcn`."""
    n_steps = inputs.shape[0]
    is_text = inputs.kind == "tokens"
    size = Size(inputs.n_tokens * knob.embedding if is_text else 0)
    n_in = knob.embedding if is_text else inputs.shape[1]
    for n_out in knob.channels:
        for n_before in (n_in, n_out):
            n_weights = n_before * n_out * knob.kernel
            n_others = n_out if knob.norm == "none" else 2 * n_out
            size += Size(n_weights + n_others, n_weights * n_steps)
        size += _activation(knob.activation).times(3)
        if n_in != n_out:
            size += _affine(n_in, n_out, n_steps)
        n_in = n_out
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


def ft_transformer_size(knob: FtTransformer, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `ft_transformer`."""
    n_tokens = inputs.shape[0] + 1
    tokens = _feature_tokens(inputs, knob.width) + Size(knob.width)
    blocks = _ft_block(knob, n_tokens, n_tokens).times(knob.layers - 1) + _ft_block(knob, 1, n_tokens)
    # the first attention has no norm, and the norm before the output takes its place in this sum
    return tokens + blocks + _affine(knob.width, n_outputs)


def _ft_block(knob: FtTransformer, n_asking: int, n_tokens: int) -> Size:
    """A block with two norms, in which ``n_asking`` of the tokens read all of them."""
    width, n_inner = knob.width, knob.inner_width
    projections = (_affine(width, width, n_asking) + _affine(width, width, n_tokens)).times(2)
    attention = projections + Size(0, 2 * n_asking * n_tokens * width)
    feedforward = _affine(width, 2 * n_inner, n_asking) + _affine(n_inner, width, n_asking)
    return Size(4 * width) + attention + feedforward


def _feature_tokens(inputs: Inputs, width: int) -> Size:
    """A vector for each number and each code, and a bias for each column."""
    return Size((inputs.n_numbers + sum(inputs.categories) + inputs.shape[0]) * width)


def _tokens(knob: Transformer, inputs: Inputs) -> tuple[Size, int]:
    """The size of the layer that turns an example into tokens, and the number of tokens."""
    match inputs.kind:
        case "tokens":
            return Size(inputs.n_tokens * knob.width), inputs.shape[0]
        case "sequence":
            return _affine(inputs.shape[1], knob.width, inputs.shape[0]), inputs.shape[0]
        case "features":
            return _feature_tokens(inputs, knob.width), inputs.shape[0]
        case _:
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
