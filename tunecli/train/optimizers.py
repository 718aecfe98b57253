"""Builds torch's optimizers from a setting, and finds the kind of each parameter of a model.

Owns which parameters go to which optimizer and group. The mathematics is torch's. A parameter's kind (bias, norm,
embedding, or matrix of a hidden layer) follows from the layer that holds it, so it is right for the user's own models,
too.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from tunecli.config.schema.optimizers import AdamW, AnyOptimizer, Lbfgs, Muon, OptimizerKnob, ParameterKind
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation_of
from tunecli.train import compilation
from tunecli.train.layer_distances import body_distances, layer_distances
from tunecli.train.models.backbone import BackboneNet
from tunecli.train.models.columns import ClsToken, ColumnTokens
from tunecli.train.models.transformer import FeatureTokens, LearnedPositions
from tunecli.train.user_code.code import resolve

compilation.put_off()

_FUSED_DEVICES = {"cpu", "cuda"}
_NOT_ARGUMENTS = {"name", "decay_exclude", "layer_decay"}

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # _NormBase: batch and instance norms
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag, FeatureTokens, ColumnTokens, ClsToken, LearnedPositions)
MATRIX_LAYERS = (nn.Linear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


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
            return _muon(knob, _ranked(knob, parts, model))
        case _:
            return [_built(knob, _ranked(knob, parts, model))]


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


class Part(NamedTuple):
    """One parameter of a model.

    Attributes:
        parameter: the tensor.
        kinds: bias, norm, embedding; a norm's bias has two kinds, a layer's weight none.
        is_hidden_matrix: whether it is the 2-D weight of a linear, recurrent or attention layer other than the model's
            last layer.
        rank: the parameters of one rank have one learning rate: the optimizer's times ``layer_decay`` to the power of
            the rank.
    """

    parameter: nn.Parameter
    kinds: frozenset[ParameterKind]
    is_hidden_matrix: bool
    rank: int = 0


def parts_of(model: nn.Module) -> list[Part]:
    """A model's parameters in order, each once; a shared one has the kinds that its first layer gives it.

    The last layer is the last registered one that has a weight of two or more dimensions.
    """
    held = [
        (layer, parameter, _kinds(layer, name))
        for layer in model.modules()
        for name, parameter in layer.named_parameters(recurse=False)
    ]
    weighted = [layer for layer, parameter, kinds in held if parameter.ndim >= 2 and not kinds]
    parts: dict[nn.Parameter, Part] = {}
    for layer, parameter, kinds in held:
        is_matrix = isinstance(layer, MATRIX_LAYERS) and parameter.ndim == 2 and not kinds
        parts.setdefault(parameter, Part(parameter, kinds, is_matrix and layer is not weighted[-1]))
    return list(parts.values())


def _kinds(layer: nn.Module, name: str) -> frozenset[ParameterKind]:
    kinds: set[ParameterKind] = set()
    if name.startswith("bias") or name.endswith("bias"):  # bias_hh_l0, in_proj_bias
        kinds.add("bias")
    if isinstance(layer, NORMS):
        kinds.add("norm")
    if isinstance(layer, EMBEDDINGS):
        kinds.add("embedding")
    return frozenset(kinds)


def _ranked(knob: OptimizerKnob, parts: Sequence[Part], model: nn.Module) -> list[Part]:
    """The parts with their ranks, all 0 if they have one rate.

    The body of a backbone has a rank of its own in any case: torch's fused SGD needs all momenta of a group or none,
    and those of a frozen body come later than those of the head.
    """
    if knob.layer_decay < 1:
        matrices = {part.parameter for part in parts if part.parameter.ndim >= 2 and not part.kinds}
        ranks = layer_distances(model, matrices)
    elif isinstance(model, BackboneNet):
        ranks = body_distances(model)
    else:
        return [*parts]
    return [part._replace(rank=ranks[part.parameter]) for part in parts]


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
    """By rank, the parameters with weight decay, then those without; empty groups are left out."""
    excluded = frozenset(getattr(knob, "decay_exclude", ()))
    groups: list[dict[str, Any]] = []
    for rank in sorted({part.rank for part in parts}):
        rate = {"lr": knob.lr * knob.layer_decay**rank} if rank else {}
        of_rank = [part for part in parts if part.rank == rank]
        decaying = [part.parameter for part in of_rank if not part.kinds & excluded]
        other = [part.parameter for part in of_rank if part.kinds & excluded]
        groups += [{"params": decaying, **rate}, {"params": other, "weight_decay": 0.0, **rate}]
    return [group for group in groups if group["params"]]


def _lbfgs(knob: Lbfgs, parts: Sequence[Part]) -> torch.optim.Optimizer:
    arguments = knob.model_dump(exclude={"name", "line_search", "layer_decay"})
    search = None if knob.line_search == "none" else knob.line_search
    made: torch.optim.Optimizer = implementation_of(knob)(
        [part.parameter for part in parts], line_search_fn=search, **arguments
    )
    return made


def _muon(knob: Muon, parts: Sequence[Part]) -> list[torch.optim.Optimizer]:
    hidden = [part for part in parts if part.is_hidden_matrix]
    rest = [part for part in parts if not part.is_hidden_matrix]
    of_rest = AdamW(
        lr=knob.lr,
        weight_decay=knob.weight_decay,
        decay_exclude=knob.decay_exclude,
        layer_decay=knob.layer_decay,
    )
    optimizers: list[torch.optim.Optimizer] = []
    if hidden:
        arguments = knob.model_dump(exclude=_NOT_ARGUMENTS)
        optimizers.append(implementation_of(knob)(_groups(knob, hidden), **arguments))
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
