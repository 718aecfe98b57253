"""torch.compile: a model's forward pass, compiled once for all alike trials of a process, and a compiler loaded late.

torch keys compiled code by the code object of a function and lifts a model's weights out of it, so another model of
the same structure runs the same code. `torch.nn.Module.compile` does not help: the code object it names is torch's own,
which is never compiled. The compiled function depends on the kind alone, with fixed shapes, and so does the result of a
trial (speed-independence). Trials of the user's own model share no code: nothing shows that two models are alike.

torch's optimizers import `torch._dynamo` when they are built and when they step, only to switch it off where nothing is
compiled. Importing it takes as long as importing torch. Until another of its names is used, a stand-in answers instead.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial, wraps
from itertools import chain, count
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from tunecli.config.schema.base import UserCode
from tunecli.errors import UsageError
from tunecli.train.machine import missing_compiler

if TYPE_CHECKING:
    from tunecli.config.schema import TrialConfig
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


_NAME = "torch._dynamo"


class _PutOff(ModuleType):
    """Stands in `sys.modules` for the compiler; what it does not know itself brings the compiler in its place."""

    def __getattr__(self, name: str) -> Any:
        # whoever looks through all modules asks each for its file; only the import of a part asks for the path
        if name.startswith("__") and name != "__path__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(_load(), name)

    @staticmethod
    def graph_break(msg: str = "") -> None:
        """Nothing is being compiled, so there is no graph to break."""

    @staticmethod
    def disable(
        fn: Callable[..., Any] | None = None, recursive: bool = True, **options: Any
    ) -> Callable[..., Any]:
        """As the compiler's own: ``fn`` itself as long as there is none, which whoever asked may keep for ever."""
        if fn is None:
            decorator: Callable[..., Any] = _load().disable(recursive=recursive, **options)
            return decorator
        disabled: Callable[..., Any] | None = None

        @wraps(fn)
        def left_alone(*arguments: Any, **named: Any) -> Any:
            nonlocal disabled
            if disabled is None:
                if isinstance(sys.modules.get(_NAME), _PutOff):
                    return fn(*arguments, **named)
                disabled = _load().disable(fn, recursive, **options)
            return disabled(*arguments, **named)

        return left_alone


def put_off() -> None:
    """Let the compiler be loaded when it is needed, unless it is there already."""
    if _NAME not in sys.modules:
        stand_in = _PutOff(_NAME)
        sys.modules[_NAME] = torch._dynamo = stand_in


def _load() -> ModuleType:
    if isinstance(sys.modules.get(_NAME), _PutOff):
        del sys.modules[_NAME], torch._dynamo
    return importlib.import_module(_NAME)
