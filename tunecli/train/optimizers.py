"""Builds torch's optimizers from a setting.

Owns which parameters go to which optimizer and group. The mathematics is torch's; parameters.py finds the kind of each
parameter.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunecli.config.schema.optimizers import AdamW, AnyOptimizer, Lbfgs, Muon, OptimizerKnob
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation_of
from tunecli.train import compilation
from tunecli.train.parameters import Part, parts_of
from tunecli.train.user_code.code import resolve

compilation.put_off()

_FUSED_DEVICES = {"cpu", "cuda"}
_NOT_ARGUMENTS = {"name", "decay_exclude"}


def build_optimizers(
    knob: AnyOptimizer, model: nn.Module, base_path: Path = Path()
) -> list[torch.optim.Optimizer]:
    """Build the optimizers of a model. Each parameter belongs to one of them; a training step is a step of all.

    If torch has a fused kernel that updates all parameters at once, it is used: AdamW's step of a small model on a CPU
    then takes under a third of the time. The other optimizers use torch's operations on lists of tensors (15 % faster
    there). Both give the same bits every time.

    Args:
        knob: the optimizer's setting.
        model: the model, on the device that trains.
        base_path: the folder of the user's own code.

    Returns:
        One optimizer. For ``muon`` two: Muon for the matrices of hidden layers, and AdamW for all other parameters
        (Jordan et al. 2024); one of them is left out if it has no parameters.

    Raises:
        UsageError: the model has no parameters, or the user's own code returns no optimizer.
        ImportError, AttributeError: the user's own code cannot be found.
    """
    parts = parts_of(model)
    if not parts:
        raise UsageError("the model has no parameters to train")
    match knob:
        case UserCode():
            return [_own(knob, parts, base_path)]
        case Lbfgs():
            return [_lbfgs(knob, parts)]
        case Muon():
            return _muon(knob, parts)
        case _:
            return [_built(knob, parts)]


def rated_groups(optimizers: Sequence[torch.optim.Optimizer]) -> list[tuple[dict[str, Any], float]]:
    """All parameter groups, each with the learning rate that it was built with, from which a chain starts.

    Raises:
        UsageError: a group of the user's own optimizer has no ``lr``.
    """
    rated = []
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if "lr" not in group:
                message = f"{type(optimizer).__name__} has no `lr` for a learning-rate chain to change"
                raise UsageError(message, hint="drop `learning_rate`, or name the rate `lr` in its groups")
            rated.append((group, float(group["lr"])))
    return rated


def needs_closure(knob: AnyOptimizer) -> bool:
    """Whether a step evaluates the loss itself, possibly several times, through a closure passed to ``step``."""
    return isinstance(knob, OptimizerKnob) and knob.needs_closure


def _built(knob: OptimizerKnob, parts: Sequence[Part]) -> torch.optim.Optimizer:
    make, arguments = implementation_of(knob), knob.model_dump(exclude=_NOT_ARGUMENTS)
    if knob.has_fused_kernel and parts[0].parameter.device.type in _FUSED_DEVICES:
        arguments["fused"] = True
    elif "foreach" in inspect.signature(make).parameters:
        arguments["foreach"] = True
    made = make(_groups(knob, parts), **arguments)
    if not isinstance(made, torch.optim.Optimizer):
        message = f"the optimizer `{knob.name}` is a {type(made).__name__}, not a torch.optim.Optimizer"
        raise UsageError(
            message, hint="its `implementation` must name a subclass, or a function that returns one"
        )
    return made


def _groups(knob: OptimizerKnob, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The parameters with weight decay, then those without; empty groups are left out."""
    excluded = frozenset(getattr(knob, "decay_exclude", ()))
    decaying = [part.parameter for part in parts if not part.kinds & excluded]
    other = [part.parameter for part in parts if part.kinds & excluded]
    groups: list[dict[str, Any]] = [{"params": decaying}, {"params": other, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _lbfgs(knob: Lbfgs, parts: Sequence[Part]) -> torch.optim.Optimizer:
    arguments = knob.model_dump(exclude={"name", "line_search"})
    search = None if knob.line_search == "none" else knob.line_search
    made: torch.optim.Optimizer = implementation_of(knob)(
        [part.parameter for part in parts], line_search_fn=search, **arguments
    )
    return made


def _muon(knob: Muon, parts: Sequence[Part]) -> list[torch.optim.Optimizer]:
    hidden = [part.parameter for part in parts if part.is_hidden_matrix]
    rest = [part for part in parts if not part.is_hidden_matrix]
    of_rest = AdamW(lr=knob.lr, weight_decay=knob.weight_decay, decay_exclude=knob.decay_exclude)
    optimizers: list[torch.optim.Optimizer] = []
    if hidden:
        optimizers.append(implementation_of(knob)(hidden, **knob.model_dump(exclude=_NOT_ARGUMENTS)))
    if rest:
        optimizers.append(_built(of_rest, rest))
    return optimizers


def _own(knob: UserCode, parts: Sequence[Part], base_path: Path) -> torch.optim.Optimizer:
    made = resolve(knob.python, base_path)([part.parameter for part in parts], **knob.args)
    if not isinstance(made, torch.optim.Optimizer):
        raise UsageError(
            f"{knob.python} returns a {type(made).__name__}, but an optimizer must be a torch.optim.Optimizer",
            hint="name a subclass of it, or a function of (parameters, **args) that returns one",
        )
    try:
        inspect.signature(made.step).bind()
    except TypeError:
        raise UsageError(
            f"the `step` of {knob.python} needs a closure, but it is called without one",
            hint="make it optional: def step(self, closure=None)",
        ) from None
    return made
