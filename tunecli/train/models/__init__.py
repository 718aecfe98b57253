"""The models: from a knob to a torch module; inputs and outputs follow from the data.

Owns structure, and torch's own initial weights; initialisation.py sets others. No model has side effects
beyond batch norm's statistics, so that many of one shape can be trained as one. sizes.py counts the same
structures without torch; a test holds the two together.
"""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunecli.config.schema.models import AnyModel
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation_of
from tunecli.train.determinism import scoped_seed
from tunecli.train.inputs import Inputs
from tunecli.train.user_code.code import resolve, running

__all__ = ["build", "has_own_norm"]


def build(
    model: AnyModel, inputs: Inputs, n_outputs: int, base_path: Path = Path(), seed: int = 0
) -> nn.Module:
    """Build a model on the CPU, with torch's own initial weights; no global generator is touched.

    Args:
        model: its knobs.
        inputs: what one example looks like.
        n_outputs: classes, or 1 for regression.
        base_path: the folder where the user's own code is looked for.
        seed: names the numbers drawn.

    Returns:
        A module from (B, *inputs.shape), float32 or int64 tokens, to (B, n_outputs).

    Raises:
        ValueError: the model does not take such inputs.
        UsageError: the user's own code gives no module.
        ImportError, AttributeError: it cannot be found.
    """
    if isinstance(model, UserCode):
        return _own(model, inputs, n_outputs, base_path, seed)
    if inputs.kind not in model.kinds:
        raise ValueError(f"{model.name} needs {' or '.join(model.kinds)} inputs, not {inputs.kind}")
    with scoped_seed(seed, torch.device("cpu")):
        module = implementation_of(model)(model, inputs, n_outputs)
    if not isinstance(module, nn.Module):
        message = f"the model `{model.name}` is a {type(module).__name__}, and not a torch.nn.Module"
        raise UsageError(message, hint="its `implementation` names a function that returns one")
    return module


def has_own_norm(knob: AnyModel, module: nn.Module) -> bool:
    """Whether the module takes statistics over its batch and its knob does not tell, as the user's own does not."""
    return not hasattr(knob, "norm") and any(isinstance(each, _BatchNorm) for each in module.modules())


def _own(knob: UserCode, inputs: Inputs, n_outputs: int, base_path: Path, seed: int) -> nn.Module:
    """Call the user's code with its ``args``, and with what is known of the data where it asks for it by name.

    What it gives gets copies of its inputs, since it may write into them, and its outputs are held to their shape.
    """
    make = resolve(knob.python, base_path)
    known = {"input_shape": inputs.shape, "n_outputs": n_outputs, "n_tokens": inputs.n_tokens}
    asked = inspect.signature(make).parameters
    with running(seed):
        module = make(**{name: value for name, value in known.items() if name in asked} | knob.args)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"{knob.python} gives a {type(module).__name__}, and a model is a torch.nn.Module",
            hint="name a subclass of it, or a function that returns one",
        )
    module.register_forward_pre_hook(_on_copies)
    module.register_forward_hook(partial(_require_shape, knob.python, n_outputs))
    return module


def _on_copies(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.clone() for each in inputs)


def _require_shape(
    name: str, n_outputs: int, module: nn.Module, inputs: tuple[Tensor, ...], outputs: Any
) -> None:
    if not isinstance(outputs, Tensor):
        raise UsageError(f"{name} gives a {type(outputs).__name__}, and a model a tensor (N, {n_outputs})")
    n = len(inputs[0])
    if outputs.shape != (n, n_outputs):
        sizes = ["N" if place == 0 and size == n else str(size) for place, size in enumerate(outputs.shape)]
        shown = f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
        raise UsageError(f"{name} gives {shown}, and the data ask for (N, {n_outputs})")
