"""From an optimizer's knob to torch's own optimizers.

Owns the names, and which parameters go to which optimizer and group. The mathematics is torch's; what a parameter
is, parameters.py says.
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
    """Build what updates a model, each parameter by one optimizer; a training step is a step of all of them.

    Where torch has a kernel that updates all parameters at once, it is used: AdamW's step of a small model
    on a CPU then takes under a third of the time. The other optimizers take torch's operations on lists of
    tensors (15 % faster there). Both give the same bits every time.

    Args:
        knob: which one, with its arguments.
        model: on the device where it will be trained.
        base_path: the folder where the user's own code is looked for.

    Returns:
        One; or two for ``muon``, whose own part is the hidden layers' matrices, while AdamW has the rest
        (Jordan et al. 2024). A part of ``muon`` that has no parameters is left out.

    Raises:
        UsageError: the model has no parameters, or the user's own code gives no optimizer.
        ImportError, AttributeError: the user's own code cannot be found.
    """
    parts = parts_of(model)
    if not parts:
        raise UsageError("the model has no parameters, and so nothing to train")
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
    """Every parameter group, whose ``lr`` a chain may change, with the rate that the chain starts from: its own.

    Raises:
        UsageError: a group of the user's own optimizer has none.
    """
    found = []
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if "lr" not in group:
                message = f"{type(optimizer).__name__} has no `lr` for a learning-rate chain to change"
                raise UsageError(message, hint="drop `learning_rate`, or name the rate `lr` in its groups")
            found.append((group, float(group["lr"])))
    return found


def needs_closure(knob: AnyOptimizer) -> bool:
    """Whether a step evaluates the loss itself, more than once, through a closure given to ``step``."""
    return isinstance(knob, OptimizerKnob) and knob.needs_closure


def _built(knob: OptimizerKnob, parts: Sequence[Part]) -> torch.optim.Optimizer:
    make, arguments = implementation_of(knob), knob.model_dump(exclude=_NOT_ARGUMENTS)
    if knob.has_fused_kernel and parts[0].parameter.device.type in _FUSED_DEVICES:
        arguments["fused"] = True
    elif "foreach" in inspect.signature(make).parameters:
        arguments["foreach"] = True
    made = make(_groups(knob, parts), **arguments)
    if not isinstance(made, torch.optim.Optimizer):
        message = f"the optimizer `{knob.name}` is a {type(made).__name__}, and not a torch.optim.Optimizer"
        raise UsageError(message, hint="its `implementation` names a subclass, or a function that makes one")
    return made


def _groups(knob: OptimizerKnob, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """What decays, and then what does not; the one or the other may be missing."""
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
    found: list[torch.optim.Optimizer] = []
    if hidden:
        found.append(implementation_of(knob)(hidden, **knob.model_dump(exclude=_NOT_ARGUMENTS)))
    if rest:
        found.append(_built(of_rest, rest))
    return found


def _own(knob: UserCode, parts: Sequence[Part], base_path: Path) -> torch.optim.Optimizer:
    found = resolve(knob.python, base_path)([part.parameter for part in parts], **knob.args)
    if not isinstance(found, torch.optim.Optimizer):
        raise UsageError(
            f"{knob.python} gives a {type(found).__name__}, and an optimizer is a torch.optim.Optimizer",
            hint="name a subclass of it, or a function of (parameters, **args) that returns one",
        )
    try:
        inspect.signature(found.step).bind()
    except TypeError:
        raise UsageError(
            f"the `step` of {knob.python} asks for a closure, and is called without one",
            hint="let it take none: def step(self, closure=None)",
        ) from None
    return found
