"""torch's compiler, put off until somebody asks for it.

torch's optimizers load `torch._dynamo` when they are built and when they step, though all that they want of it, where
nothing is compiled, is to be left alone; it takes as long as torch itself. Until another of its names is asked for, a
stand-in answers them. Knows nothing of what is trained.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

import torch

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
