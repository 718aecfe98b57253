"""Undoes the changes that the user's code makes to its process.

A worker that runs the user's code ends with its trial, and the changes end with it. With `run.engine: inline`, trials
share a process with the sweep, so the changes are undone whenever the trial is not running. With `run.isolate: off`,
trials share a worker, so they are undone after each trial. One table lists the parts that are restored; threads, open
files and patches of other modules are not. Torch's settings are applied at the moment
at which the user's code loads torch (`once_loaded`). Loads no torch.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # of CPython, without stubs
import contextlib
import functools
import gc
import locale
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tunecli.messages import Event


def kept_apart(events: Iterator[Event], arguments: Sequence[str]) -> Iterator[Event]:
    """The same events. While the caller handles one, the trial's changes to the process are undone.

    Args:
        events: the events of a trial, which runs while the next one is computed.
        arguments: the trial's `sys.argv` at its start.
    """
    trial_state: Mapping[str, Any] = {**_present_state(), "arguments": list(arguments)}
    try:
        while True:
            caller_state = _present_state()
            _restore(trial_state)
            try:
                event = next(events, None)
            finally:
                trial_state = _present_state()
                _restore(caller_state)
            if event is None:
                return
            yield event
    finally:
        if isinstance(events, Generator):
            caller_state = _present_state()
            _restore(trial_state)
            try:
                events.close()
            finally:
                _restore(caller_state)


@contextmanager
def undone() -> Iterator[None]:
    """A block whose changes to the process are undone at its end."""
    before = _present_state()
    try:
        yield
    finally:
        _restore(before)


def _present_state() -> dict[str, Any]:
    return {name: get() for name, (get, _) in _STATE.items()}


def _restore(state: Mapping[str, Any]) -> None:
    """Set each part of the process that differs from ``state``."""
    for name, value in state.items():
        get, put = _STATE[name]
        if get() != value:
            # The folder may be gone; signal handlers can only be set in the main thread.
            with contextlib.suppress(OSError, ValueError, locale.Error):
                put(value)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  (strings are compared)
    except OSError:
        return ""


def _environment() -> dict[bytes, bytes]:
    # The mapping below `os.environ`, which decodes every name and value: a copy of that takes twenty times as long.
    return dict(os.environb._data)  # type: ignore[attr-defined]  # private


def _set_environment(value: Mapping[bytes, bytes]) -> None:
    for name in os.environb.keys() - value.keys():
        del os.environb[name]
    os.environb.update(value)


def _umask() -> int:
    before = os.umask(0o077)
    os.umask(before)
    return before


def _in_place(items: list[Any]) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    """Functions that copy a list and replace its content; the list object stays, since others may hold it."""

    def put(value: list[Any]) -> None:
        items[:] = value

    return lambda: list(items), put


def _attribute(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


def _set_filters(value: list[Any]) -> None:
    warnings.filters[:] = value  # type: ignore[index]  # a list, typed as a sequence
    warnings._filters_mutated()  # type: ignore[attr-defined]  # clears Python's cache of earlier decisions


@functools.cache
def _signal_numbers() -> tuple[int, ...]:
    return tuple(sorted(signal.valid_signals()))


def signal_handlers() -> dict[int, Any]:
    """The handler of each signal, by the signal's number; without those that Python did not set."""
    # Below `signal.getsignal`, which looks for a member of an enumeration; a trial asks for all of them twice.
    handlers = {number: _signal.getsignal(number) for number in _signal_numbers()}
    return {number: handler for number, handler in handlers.items() if handler is not None}


def _set_handlers(value: Mapping[int, Any]) -> None:
    for number, handler in value.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def _alarm() -> tuple[float, float]:
    """The seconds until the alarm, and its interval in seconds."""
    return signal.getitimer(signal.ITIMER_REAL)


def _logging() -> tuple[list[logging.Handler], int, int]:
    return list(logging.root.handlers), logging.root.level, logging.root.manager.disable


def _set_logging(value: tuple[list[logging.Handler], int, int]) -> None:
    logging.root.handlers[:] = value[0]
    logging.root.setLevel(value[1])
    logging.disable(value[2])


def _arguments() -> list[str]:
    return list(sys.argv)


def _set_arguments(value: list[str]) -> None:
    sys.argv = list(value)


def _set_collector(value: bool) -> None:
    (gc.enable if value else gc.disable)()


_STATE: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "folder": (_folder, os.chdir),
    "environment": (_environment, _set_environment),
    "path": _in_place(sys.path),
    "finders": _in_place(sys.meta_path),
    "path hooks": _in_place(sys.path_hooks),
    "arguments": (_arguments, _set_arguments),
    "warnings": (lambda: list(warnings.filters), _set_filters),
    "how warnings are shown": _attribute(warnings, "showwarning"),
    "signal handlers": (signal_handlers, _set_handlers),
    "blocked signals": (_blocked, lambda value: signal.pthread_sigmask(signal.SIG_SETMASK, value)),
    "alarm": (_alarm, lambda value: signal.setitimer(signal.ITIMER_REAL, *value)),
    "umask": (_umask, os.umask),
    "locale": (lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    "logging": (_logging, _set_logging),
    "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "switch interval": (sys.getswitchinterval, sys.setswitchinterval),
    "garbage collector": (gc.isenabled, _set_collector),
    "garbage thresholds": (gc.get_threshold, lambda value: gc.set_threshold(*value)),
    "exception hook": _attribute(sys, "excepthook"),
    "display hook": _attribute(sys, "displayhook"),
    "hook of threads": _attribute(threading, "excepthook"),
    "stdin": _attribute(sys, "stdin"),
    "stdout": _attribute(sys, "stdout"),
    "stderr": _attribute(sys, "stderr"),
    "timeout of sockets": (socket.getdefaulttimeout, socket.setdefaulttimeout),
    "temporary folder": _attribute(tempfile, "tempdir"),
}
"""By part of the process, the two functions that read and set it."""


_TORCH = "torch"
_waiting: list[Callable[[], None]] = []
"""Functions to call when torch is loaded, in this order."""
_lock = threading.RLock()
"""Guards `_waiting`: the user's code may load torch in another thread while a block of `once_loaded` ends."""


@contextmanager
def once_loaded(scope: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Run a block in a scope that begins at once if torch is loaded, else at the moment at which the block loads torch.

    So a trial has the same result whether torch was loaded before it or not (seeds-by-name).

    Args:
        scope: makes the scope's context manager. It is called when torch is loaded, in the thread that loads it, and
            before the importing code continues.
    """
    with ExitStack() as entered:
        if _TORCH in sys.modules:
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
    """Finds torch through the other finders, and wraps its loader to notice when it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _TORCH:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


@dataclass(frozen=True, slots=True)
class _Loader(Loader):
    """A loader that calls the waiting functions after another loader has loaded torch."""

    wrapped: Loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.wrapped.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.wrapped
        module.__loader__ = self.wrapped
        self.wrapped.exec_module(module)
        with _lock:
            for act in _waiting:
                act()


_FINDER = _Finder()
