"""A model's forward pass by torch.compile, compiled once for all trials of one kind that a process trains.

torch keeps what it compiled by the code of a function, and lifts a model's weights out of it, so that another model of
the same structure runs the same code. `torch.nn.Module.compile` is no way to it: the code that it names is torch's own,
which is left as it is. What is compiled is a function of the kind alone, with shapes that are fixed, and so is
what a trial computes (law 5); trials of the user's own model, of which nobody can tell that they are alike, share none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import chain, count
from types import FunctionType
from typing import Literal, cast

import torch
from torch import Tensor, nn

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.base import UserCode
from tunecli.errors import UsageError
from tunecli.train.compilers import missing_compiler
from tunecli.train.data.loading import Fold

Forward = Callable[[nn.Module, Tensor], Tensor]
Compile = bool | Literal["cuda_graphs"]

_numbers = count()
_MOST_KINDS = 32  # a compiled function holds on to what the compiler loaded for it


def forward_of(model: nn.Module, kind: str, how: Compile) -> Callable[[Tensor], Tensor]:
    """The model's forward pass, compiled where it is first used.

    Args:
        model: on its device.
        kind: what all that share the code have in common; see `kind_of`. Empty: nothing is shared.
        how: the knob. With ``cuda_graphs``, each further model of a kind is recorded anew, for its weights lie
            elsewhere, and what was recorded stays as long as the process.

    Raises:
        UsageError: there is no C++ compiler here, which torch.compile needs.
    """
    if missing := missing_compiler():
        message = f"training.compile needs a C++ compiler, and there is no {missing} here"
        raise UsageError(message, hint="install one, or drop `compile`")
    forward = partial(_shared(kind, how) if kind else _compiled(how), model)
    if how != "cuda_graphs":
        return forward
    return lambda x: forward(x).clone()  # the next replay overwrites what a graph gave


def begin_step(how: Compile, device: torch.device) -> None:
    """Let what was computed by a recorded graph since the last call be overwritten.

    Once a step and not once a forward pass, which is what torch would guess: until its optimizer steps, a step's
    gradients are in a graph's memory.
    """
    if how == "cuda_graphs" and device.type == "cuda":
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch gives it no types


def kind_of(config: TrialConfig, fold: Fold, sizes: Sequence[Sequence[int]], rows: int) -> str:
    """What trials have in common that are computed by the same code; empty where nobody can tell.

    Args:
        config: the trial.
        fold: its data.
        sizes: per step of an epoch, the sizes of its forward passes.
        rows: how many examples are validated at a time.
    """
    training, model = config.training, config.model
    if isinstance(model, UserCode):
        return ""
    parts = [len(part) for part in (fold.x_valid, fold.x_test) if part is not None]
    common = (
        model.model_dump(mode="json", exclude={"init"}),
        [*fold.inputs.shape, fold.inputs.n_tokens, fold.n_outputs, str(fold.placement.device)],
        [*sorted({*chain(*sizes)}), *parts, rows],
        [training.precision, training.channels_last, training.tf32, training.deterministic],
        [torch.get_num_threads()],
    )
    return json.dumps(common, sort_keys=True)


@lru_cache(maxsize=_MOST_KINDS)
def _shared(kind: str, how: Compile) -> Forward:
    return _compiled(how)


def _compiled(how: Compile) -> Forward:
    # a code object of its own: torch gives up on one of which it has made a few versions
    name = f"forward_{next(_numbers)}"
    own = FunctionType(_forward.__code__.replace(co_name=name), globals(), name)
    mode = "reduce-overhead" if how == "cuda_graphs" else None  # torch's word for CUDA graphs
    return cast(Forward, torch.compile(own, dynamic=False, mode=mode))


def _forward(model: nn.Module, x: Tensor) -> Tensor:
    outputs: Tensor = model(x)
    return outputs
