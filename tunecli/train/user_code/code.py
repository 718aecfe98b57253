"""Imports the user's code by name, from the folder of the configuration file.

Nothing else imports it, and only the code that ``python:`` keys name is imported. Each trial imports the modules anew,
so no trial sees changes that another made to them, and an import has random generators of its own. A module of Python's
standard library is never taken from the user's folder. Loads torch only if the user's code does.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from numpy import random as numpy_random

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.user_code import UserCode
from tunecli.config.user_code import uses
from tunecli.messages import Job
from tunecli.train.user_code.isolation import once_loaded

if TYPE_CHECKING:
    import torch

_IMPORT_SEED = 0
_STANDARD = os.path.dirname(os.__file__)  # noqa: PTH120  (the same text as in sys.path)


@dataclass(frozen=True, slots=True)
class _Visit:
    """A user's folder that was put on Python's path.

    Attributes:
        folder: the folder.
        loaded_before: names of the modules that were loaded before.
        settings: by module, the settings of torch that its import changed.
    """

    folder: Path
    loaded_before: frozenset[str]
    settings: dict[str, Mapping[str, Any]] = field(default_factory=dict)


_visits: list[_Visit] = []
_is_preloaded: list[bool] = []
"""Not empty in a process whose modules were loaded by `preload`, and in those that are forked from it."""
_loaded: list[frozenset[str]] = []
"""The names of the loaded modules from `note_loaded`, used by the next visit; empty if it was not called."""


_importing: ContextVar[str] = ContextVar("_importing", default="")
"""The module of the user that this thread imports for a trial; empty: none."""


class _ImportStopped(BaseException):
    """A script reached the call that runs its sweep; ``module`` has all that it defined before."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        self.module = module


def stop_import(call: str) -> None:
    """End the import of the user's module if this call is at its top level; return if no such import is under way.

    Each worker imports a script that defines a function and then runs a sweep of it. The worker needs what the script
    defines before the call, and must not run the sweep.

    Args:
        call: the called function, for the error.

    Raises:
        ImportError: another module makes the call, while the user's module imports it.
    """
    name = _importing.get()
    if not name:
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    caller = str(frame.f_globals.get("__name__", "")) if frame is not None else ""
    module = sys.modules.get(name)
    if caller == name and module is not None:
        raise _ImportStopped(module)
    raise ImportError(
        f'`{caller}` calls {call} when it is imported: put the call under `if __name__ == "__main__":`'
    )


def note_loaded() -> None:
    """Record which modules are loaded, in a process that workers are forked from.

    Otherwise each worker would do so, and copy the memory of a thousand names: about 150 pages, 1 ms.
    """
    _loaded[:] = [frozenset(sys.modules)]


def preload(module_names: Iterable[str], base_path: Path) -> None:
    """Import modules of the user, in a process that workers are forked from. Their trials do not import them again.

    Args:
        module_names: names of the modules.
        base_path: as in :func:`resolve`.

    Raises:
        BaseException: any error that importing a module raises.
    """
    _look_first_in(base_path.resolve())
    for name in module_names:
        with running(_IMPORT_SEED):
            _imported(name)
    _is_preloaded[:] = [True]


def has_user_code(config: TrialConfig) -> bool:
    """Whether the model, the loss or the optimizer of a trial is the user's code."""
    return any(isinstance(knob, UserCode) for knob in (config.model, config.loss, config.optimizer))


def resolve(code_name: str, base_path: Path) -> Any:
    """Import the object that ``python: module:name`` names.

    Args:
        code_name: ``module:name``; both may contain dots.
        base_path: the folder of the configuration file, which is searched first.

    Raises:
        ImportError: the module does not exist.
        AttributeError: the module has no such name.
        Exception: any error that importing the module raises.
    """
    _look_first_in(base_path.resolve())
    module_name, _, path = code_name.partition(":")
    value: Any = sys.modules.get(module_name) if module_name in _visits[-1].settings else None
    if value is None:
        with running(_IMPORT_SEED):
            value = _imported(module_name)
    for attribute in path.split("."):
        value = getattr(value, attribute)
    return value


@contextmanager
def running(seed: int, device: torch.device | str = "cpu", code_name: str = "") -> Iterator[None]:
    """A block that runs user code: it seeds the global generators and restores them and torch's settings afterwards.

    Args:
        seed: the seed of the global generators of torch, ``random`` and NumPy.
        device: the device whose torch generator is seeded, besides the CPU's.
        code_name: ``module:name`` of the code: the block starts with the settings of torch that importing its module
            made. Empty: with the present settings.
    """
    module_settings = _visits[-1].settings.get(code_name.partition(":")[0], {}) if _visits else {}
    with once_loaded(lambda: _torch_scoped(seed, device, module_settings)), scoped_plain_seeds(seed):
        yield


@contextmanager
def _torch_scoped(
    seed: int, device: torch.device | str, module_settings: Mapping[str, Any]
) -> Iterator[None]:
    import torch

    from tunecli.train import compilation
    from tunecli.train.torch_state import scoped_seed, scoped_settings

    compilation.put_off()
    with scoped_settings(module_settings), scoped_seed(seed, torch.device(device)):
        yield


def _imported(module_name: str) -> ModuleType:
    changed: dict[str, Any] = {}
    with once_loaded(lambda: _noting_settings(changed)):
        module = _module(module_name)
    _visits[-1].settings.setdefault(module_name, changed)
    return module


def _module(name: str) -> ModuleType:
    """Import a module up to its end, or up to the call of `stop_import` at its top level."""
    before = _importing.set(name)
    try:
        return importlib.import_module(name)
    except _ImportStopped as stopped:
        sys.modules[name] = stopped.module  # Python removes a module whose import raises
        return stopped.module
    finally:
        _importing.reset(before)


@contextmanager
def _noting_settings(changed: dict[str, Any]) -> Iterator[None]:
    """A block that adds the settings of torch that it changed, with their new values, to ``changed``."""
    from tunecli.train.torch_state import settings

    before = settings()
    yield
    changed |= {name: value for name, value in settings().items() if value != before[name]}


def _look_first_in(folder: Path) -> None:
    """Put a user's folder on Python's path and remove another user's: both may have a module of the same name."""
    if any(visit.folder == folder for visit in _visits):
        if str(folder) in sys.path:
            return
    else:
        forget()
        _visits.append(_Visit(folder, _loaded.pop() if _loaded else frozenset(sys.modules)))
    sys.path[:] = sorted([str(folder), *sys.path], key=_is_not_of_python)  # the sort is stable
    _read_anew(folder)


def _read_anew(folder: Path) -> None:
    """Make Python list a user's folder, and the folders in it, at the next import.

    Its cache of other folders stays; clearing it would make every trial list all of them.
    """
    known, top = sys.path_importer_cache, str(folder)
    below = top.rstrip(os.sep) + os.sep
    for entry, finder in [*known.items()]:
        if entry == top or entry.startswith(below) or (finder is None and os.path.exists(entry)):  # noqa: PTH110
            del known[entry]


def forget() -> None:
    """Remove the user's modules and folders, so that the next trial imports them anew; keep those of `preload`."""
    while _visits and not _is_preloaded:
        visit = _visits.pop()
        with suppress(ValueError):  # `isolation` or the user's code may have removed it already
            sys.path.remove(str(visit.folder))
        for name in [name for name in sys.modules if _is_of(visit, name)]:
            del sys.modules[name]


def program_name(job: Job) -> list[str]:
    """The `sys.argv` for a trial: the path of its first module, without arguments."""
    module = next((use.module for use in uses(job.task.config, job.task.objective)), ("trial",))
    return ["/".join(module) + ".py"]


def _is_not_of_python(entry: str) -> bool:
    """Whether an entry of Python's path is not part of the standard library."""
    return not (entry.endswith(".zip") or entry in (_STANDARD, os.path.join(_STANDARD, "lib-dynload")))  # noqa: PTH118


def _is_of(visit: _Visit, module_name: str) -> bool:
    """Whether a module comes directly from the user's folder; a virtual environment inside the folder does not."""
    top = module_name.partition(".")[0]
    if top in visit.loaded_before:  # first, because it answers for almost all of a thousand modules or more
        return False
    origin = getattr(getattr(sys.modules.get(top), "__spec__", None), "origin", None) or ""
    beside = os.path.join(visit.folder, top)  # noqa: PTH118  # `Path` would take most of the time
    return origin in (f"{beside}.py", f"{beside}{os.sep}__init__.py")


@contextmanager
def scoped_plain_seeds(seed: int) -> Iterator[None]:
    """Seed the global generators of ``random`` and NumPy for a block, and restore them at its end.

    Loads no torch. With `tunecli.train.torch_state`, the only place that seeds a global generator (seeds-by-name).

    Args:
        seed: at least 0, from `tunecli.seeding.seed_for`; NumPy takes its lowest 32 bits.
    """
    python_state, numpy_state = random.getstate(), numpy_random.get_state()
    try:
        random.seed(seed)
        numpy_random.seed(seed % 2**32)
        yield
    finally:
        random.setstate(python_state)
        numpy_random.set_state(numpy_state)
