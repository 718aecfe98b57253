"""Torch as the user's own code finds it: loaded, or not before that code loads it itself.

What is set of torch for the length of a block has to be set all the same when torch is loaded within: right after it
was, before who imports it goes on. So no trial can tell whether torch was there before it (law 3). Loads no torch.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_NAME = "torch"
_waiting: list[Callable[[], None]] = []
"""What is to be done once torch is loaded, in this order."""
_lock = threading.RLock()
"""Of the list: the user's code may load torch in a thread of its own, while the block ends."""


@contextmanager
def once_loaded(scope: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """A block of which a scope is a part from the moment that torch is loaded, be it before the block or in it.

    Args:
        scope: makes it; called with torch loaded, in the thread that loads it.
    """
    with ExitStack() as entered:
        if _NAME in sys.modules:
            entered.enter_context(scope())
        else:
            entered.enter_context(_waited_for(lambda: entered.enter_context(scope())))
        yield


@contextmanager
def _waited_for(act: Callable[[], None]) -> Iterator[None]:
    with _lock:
        if not _waiting:
            sys.meta_path.insert(0, _FINDER)
        _waiting.append(act)
    try:
        yield
    finally:
        with _lock:
            _waiting.remove(act)
            if not _waiting:
                sys.meta_path.remove(_FINDER)


class _Finder(MetaPathFinder):
    """Finds torch where the others do, to be told when it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _NAME:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


@dataclass(frozen=True, slots=True)
class _Loader(Loader):
    """Another's, that tells when it is done."""

    of_it: Loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.of_it.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.of_it
        module.__loader__ = self.of_it
        self.of_it.exec_module(module)
        with _lock:
            for act in _waiting:
                act()


_FINDER = _Finder()
