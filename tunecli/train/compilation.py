"""torch.compile: a model's forward pass, compiled once for all alike trials of a process, and a compiler loaded late.

torch keys compiled code by the code object of a function and lifts a model's weights out of it, so another model of
the same structure runs the same code. `torch.nn.Module.compile` does not help: the code object it names is torch's own,
which is never compiled. The compiled function depends on the kind alone, with fixed shapes, and so does the result of a
trial (speed-independence). Trials of the user's own model share no code: nothing shows that two models are alike.

torch's optimizers import `torch._dynamo` when they are built and when they step, only to switch it off when no code is
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

from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.train.machine import missing_compiler

if TYPE_CHECKING:
    from tunecli.config.schema import TrialConfig
    from tunecli.train.data.loading import Fold

Forward = Callable[[nn.Module, Tensor], Tensor]
Compile = bool | Literal["cuda_graphs"]

_numbers = count()
_MOST_KINDS = 32  # a compiled function keeps the libraries that the compiler loaded for it


def forward_of(model: nn.Module, kind: str, how: Compile) -> Callable[[Tensor], Tensor]:
    """The model's forward pass, compiled at its first call.

    Args: model: on its device. kind: key of the compiled code, from `kind_of`; empty: the code is not shared. how: the
        setting. With ``cuda_graphs``, a graph is recorded for each model of a kind, because their weights are at
        different addresses; graphs are kept as long as the process.

    Raises:
        UsageError: torch.compile needs a C++ compiler, but the machine has none.
    """
    if missing := missing_compiler():
        message = f"training.compile needs a C++ compiler, but {missing} is not installed"
        raise UsageError(message, hint="install one, or drop `compile`")
    forward = partial(_shared(kind, how) if kind else _compiled(how), model)
    if how != "cuda_graphs":
        return forward
    return lambda x: forward(x).clone()  # the next replay of a graph overwrites its outputs


def begin_step(how: Compile, device: torch.device) -> None:
    """Allow the results of recorded graphs since the last call to be overwritten.

    Called once a step. By default torch does it at each forward pass, but the gradients of a step stay in a graph's
    memory until the optimizer steps.
    """
    if how == "cuda_graphs" and device.type == "cuda":
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch gives it no types


def kind_of(config: TrialConfig, fold: Fold, sizes: Sequence[Sequence[int]], rows: int) -> str:
    """A key that is equal for trials that can run the same compiled code; empty for the user's own model.

    Args:
        config: the trial.
        fold: its data.
        sizes: the sizes of the forward passes of each step of an epoch.
        rows: number of examples of one forward pass in validation.
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
    # a new code object: torch stops compiling one after a few versions of it
    name = f"forward_{next(_numbers)}"
    own = FunctionType(_forward.__code__.replace(co_name=name), globals(), name)
    mode = "reduce-overhead" if how == "cuda_graphs" else None  # torch's word for CUDA graphs
    return cast(Forward, torch.compile(own, dynamic=False, mode=mode))


def _forward(model: nn.Module, x: Tensor) -> Tensor:
    outputs: Tensor = model(x)
    return outputs


_NAME = "torch._dynamo"


class _PutOff(ModuleType):
    """A stand-in for the compiler in `sys.modules`; any other name that is used replaces it by the compiler."""

    def __getattr__(self, name: str) -> Any:
        # code that inspects all modules reads ``__file__``; only the import of a submodule reads ``__path__``
        if name.startswith("__") and name != "__path__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(_load(), name)

    @staticmethod
    def graph_break(msg: str = "") -> None:
        """Do nothing: nothing is being compiled, so there is no graph to break."""

    @staticmethod
    def disable(
        fn: Callable[..., Any] | None = None, recursive: bool = True, **options: Any
    ) -> Callable[..., Any]:
        """As the compiler's ``disable``: a wrapper that calls ``fn`` directly until the compiler is loaded."""
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
    """Delay the import of the compiler until it is used, unless it is loaded already."""
    if _NAME not in sys.modules:
        stand_in = _PutOff(_NAME)
        sys.modules[_NAME] = torch._dynamo = stand_in


def _load() -> ModuleType:
    if isinstance(sys.modules.get(_NAME), _PutOff):
        del sys.modules[_NAME], torch._dynamo
    return importlib.import_module(_NAME)
