"""The shapes of the weights that a weight chain can cut, in order, without building the model. Loads no torch.

These have two or more dimensions and are no biases. A test compares them with the modules that models/ builds.
"""

from __future__ import annotations

from itertools import pairwise

from tunecli.config.schema.models import AnyModel, Cnn, FtTransformer, Linear, Mlp, TabularResNet, Tcn
from tunecli.config.schema.user_code import UserCode
from tunecli.registry.implementations import implementation
from tunecli.train.data.table import Inputs
from tunecli.train.model_fronts import front_of, n_joined

Shape = tuple[int, ...]


def shapes_of(model: AnyModel, inputs: Inputs, n_outputs: int) -> list[Shape]:
    """The shapes of a model's weights, with those of the layers around it; empty if they are unknown.

    Args:
        model: its setting.
        inputs: the shape of one example.
        n_outputs: number of classes, or 1 for regression.
    """
    if isinstance(model, UserCode) or not model.weight_shapes or inputs.kind not in model.kinds:
        return []
    front = front_of(model, inputs)
    width = front.joined_width
    shapes: list[Shape] = implementation(model.weight_shapes)(model, front.inputs, width or n_outputs)
    joint: list[Shape] = [(width, n_joined(front, inputs)), (n_outputs, width)] if width else []
    return [*front.tables, *shapes, *joint]


def linear(knob: Linear, inputs: Inputs, n_outputs: int) -> list[Shape]:
    """Return the shapes of the weights of `linear`, in order."""
    return [(n_outputs, inputs.n_values)]


def mlp(knob: Mlp, inputs: Inputs, n_outputs: int) -> list[Shape]:
    """Return the shapes of the weights of `mlp`, in order."""
    widths = [inputs.n_values, *knob.widths, n_outputs]
    return [(n_out, n_in) for n_in, n_out in pairwise(widths)]


def cnn(knob: Cnn, inputs: Inputs, n_outputs: int) -> list[Shape]:
    """Return the shapes of the weights of `cnn`, in order."""
    channels = [inputs.shape[0], *knob.channels]
    kernels: list[Shape] = [(n_out, n_in, knob.kernel, knob.kernel) for n_in, n_out in pairwise(channels)]
    return [*kernels, (n_outputs, channels[-1])]


def tabular_resnet(knob: TabularResNet, inputs: Inputs, n_outputs: int) -> list[Shape]:
    """Return the shapes of the weights of `tabular_resnet`, in order."""
    block: list[Shape] = [(knob.inner_width, knob.width), (knob.width, knob.inner_width)]
    return [(knob.width, inputs.n_values), *block * knob.blocks, (n_outputs, knob.width)]


def ft_transformer(knob: FtTransformer, inputs: Inputs, n_outputs: int) -> list[Shape]:
    """Return the shapes of the weights of `ft_transformer`, in order."""
    width, n_inner = knob.width, knob.inner_width
    tokens: list[Shape] = [(n, width) for n in (inputs.n_numbers, sum(inputs.categories)) if n]
    attention: list[Shape] = [(width, width)] * 4
    feedforward: list[Shape] = [(2 * n_inner, width), (width, n_inner)]
    return [*tokens, *(attention + feedforward) * knob.layers, (n_outputs, width)]


def tcn(knob: Tcn, inputs: Inputs, n_outputs: int) -> list[Shape]:
    """Return the shapes of the weights of `tcn`, in order."""
    is_text = inputs.kind == "tokens"
    n_in = knob.embedding if is_text else inputs.shape[1]
    shapes: list[Shape] = [(inputs.n_tokens, n_in)] if is_text else []
    for n_out in knob.channels:
        shapes += [(n_out, n_in, knob.kernel), (n_out, n_out, knob.kernel)]
        shapes += [(n_out, n_in, 1)] if n_in != n_out else []
        n_in = n_out
    return [*shapes, (n_outputs, n_in)]
