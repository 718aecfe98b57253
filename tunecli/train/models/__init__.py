"""The models: builds a torch module from a setting, with inputs and outputs that fit the data.

Owns the structures, with torch's default initial weights; initialisation.py sets others. No model has side effects
except on batch norm's statistics, so that many models of one shape can be trained as one. model_sizes.py counts the
parameters of the same structures without torch; a test compares the two.
"""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunecli.config.schema.models import AnyModel, Backbone
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation_of
from tunecli.seeding import seed_for
from tunecli.train.data.table import Inputs
from tunecli.train.model_fronts import Front, front_of
from tunecli.train.models.backbone import BackboneNet
from tunecli.train.models.backbone_weights import load_weights
from tunecli.train.models.columns import EmbeddedCodes
from tunecli.train.models.texts_in_rows import ColumnsAndMean, MeanOfTokens, TextBesideColumns
from tunecli.train.torch_state import scoped_seed
from tunecli.train.user_code.code import resolve, running

__all__ = ["begin_epoch", "build", "has_undeclared_batch_norm"]


def build(
    model: AnyModel,
    inputs: Inputs,
    n_outputs: int,
    base_path: Path = Path(),
    seed: int = 0,
    *,
    has_trained_weights: bool = True,
) -> nn.Module:
    """Build a model on the CPU, with torch's default initial weights. Global generators are left unchanged.

    Layers come before it that turn codes and tokens that it does not read into vectors.

    Args:
        model: its setting.
        inputs: the shape of one example.
        n_outputs: number of classes, or 1 for regression.
        base_path: the folder of the user's own code, and of a file of weights.
        seed: seed of the initial weights.
        has_trained_weights: whether a backbone gets the trained weights that its setting names. A model whose weights
            are restored afterwards needs none.

    Returns:
        A module from (B, *inputs.shape), float32 or int64 tokens, to (B, n_outputs).

    Raises:
        ValueError: the model does not take such inputs.
        UsageError: the user's own code returns no module, or the weights of a backbone cannot be loaded.
        ImportError, AttributeError: the user's own code cannot be found.
    """
    if isinstance(model, UserCode):
        return _own(model, inputs, n_outputs, base_path, seed)
    if inputs.kind not in model.kinds:
        raise ValueError(f"{model.name} needs {' or '.join(model.kinds)} inputs, not {inputs.kind}")
    front = front_of(model, inputs)
    with scoped_seed(seed, torch.device("cpu")):
        module: Any = implementation_of(model)(model, front.inputs, front.joined_width or n_outputs)
    if not isinstance(module, nn.Module):
        message = f"the model `{model.name}` is a {type(module).__name__}, not a torch.nn.Module"
        raise UsageError(message, hint="its `implementation` must name a function that returns one")
    if isinstance(model, Backbone) and isinstance(module, BackboneNet) and has_trained_weights:
        load_weights(module, model, base_path)
    net: nn.Module = module
    if not (front.has_tables or front.joined_width):
        return net
    with scoped_seed(seed_for(seed, "embedding"), torch.device("cpu")):
        return _with_front(net, front, inputs, n_outputs)


def _with_front(module: nn.Module, front: Front, inputs: Inputs, n_outputs: int) -> nn.Module:
    """A model with the layers around it."""
    if front.joined_width:
        return TextBesideColumns(front, inputs, module, n_outputs)
    if front.tokens is None:
        return nn.Sequential(EmbeddedCodes(inputs.n_numbers, front.codes), module)
    if inputs.kind == "tokens":
        return nn.Sequential(MeanOfTokens(front.tokens), module)
    return nn.Sequential(ColumnsAndMean(front, front.tokens, inputs), module)


def begin_epoch(module: nn.Module, epoch: int) -> None:
    """Freeze or thaw the layers of a model for an epoch, counted from 1, by nothing but its number."""
    if isinstance(module, BackboneNet):
        module.begin_epoch(epoch - 1)


def has_undeclared_batch_norm(knob: AnyModel, module: nn.Module) -> bool:
    """Whether the module has batch norm although its setting says nothing of it, as with the user's own model."""
    is_declared = hasattr(knob, "norm") or isinstance(knob, Backbone)
    return not is_declared and any(isinstance(layer, _BatchNorm) for layer in module.modules())


def _own(knob: UserCode, inputs: Inputs, n_outputs: int, base_path: Path, seed: int) -> nn.Module:
    """Call the user's code with its ``args``, and with those facts of the data that its parameters name.

    The module gets copies of its inputs, because it may write to them, and the shape of its outputs is checked.
    """
    make = resolve(knob.python, base_path)
    facts = {
        "input_shape": inputs.shape,
        "n_outputs": n_outputs,
        "n_tokens": inputs.n_tokens,
        "categories": inputs.categories,
        "text_length": inputs.text_length,
    }
    parameters = inspect.signature(make).parameters
    with running(seed):
        module = make(**{name: value for name, value in facts.items() if name in parameters} | knob.args)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"{knob.python} returns a {type(module).__name__}, but a model must be a torch.nn.Module",
            hint="name a subclass of it, or a function that returns one",
        )
    module.register_forward_pre_hook(_on_copies)
    module.register_forward_hook(partial(_require_shape, knob.python, n_outputs))
    return module


def _on_copies(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.clone() for x in inputs)


def _require_shape(
    name: str, n_outputs: int, module: nn.Module, inputs: tuple[Tensor, ...], outputs: Any
) -> None:
    if not isinstance(outputs, Tensor):
        kind = type(outputs).__name__
        raise UsageError(f"{name} returns a {kind}, but a model must return a tensor (N, {n_outputs})")
    n = len(inputs[0])
    if outputs.shape != (n, n_outputs):
        sizes = ["N" if axis == 0 and size == n else str(size) for axis, size in enumerate(outputs.shape)]
        shown = f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
        raise UsageError(f"{name} returns {shown}, but the data needs (N, {n_outputs})")
