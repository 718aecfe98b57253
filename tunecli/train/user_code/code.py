"""The user's own code, found beside their file and imported by name.

The only place that imports it: nothing of a file runs but what its ``python:`` keys name. Each trial imports its
modules anew, so what one leaves in them no other sees; an import draws from generators of its own. A module of Python's
own is never taken from the user's folder. Loads no torch that the user's code does not.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
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
_STANDARD = os.path.dirname(os.__file__)  # noqa: PTH120  (as it stands in the path)


@dataclass(frozen=True, slots=True)
class _Visit:
    """A user's folder that stands first on Python's path.

    Attributes:
        folder: where that is.
        loaded_before: the modules that were loaded before it stood there.
        settings: by module, which of torch's settings its import changed.
    """

    folder: Path
    loaded_before: frozenset[str]
    settings: dict[str, Mapping[str, Any]] = field(default_factory=dict)


_visits: list[_Visit] = []
_loaded: list[frozenset[str]] = []
"""The modules that were loaded when `note_loaded` was called, for the first visit after that; or nothing."""


def note_loaded() -> None:
    """Note which modules are loaded, in a process that others are forked from to run trials.

    Each of them would do so by itself, and so copy the memory of a thousand names: about 150 pages, 1 ms.
    """
    _loaded[:] = [frozenset(sys.modules)]


def is_in(config: TrialConfig) -> bool:
    """Whether the model, the loss or the optimizer of a trial is the user's own."""
    return any(isinstance(knob, UserCode) for knob in (config.model, config.loss, config.optimizer))


def resolve(code_name: str, base_path: Path) -> Any:
    """Import what ``python: module:name`` names.

    Args:
        code_name: ``module:name``, dots allowed in both.
        base_path: the folder of the user's file, where modules are looked for first.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such name.
    """
    _look_first_in(base_path.resolve())
    module_name, _, path = code_name.partition(":")
    with running(_IMPORT_SEED):
        found: Any = _imported(module_name)
    for step in path.split("."):
        found = getattr(found, step)
    return found


@contextmanager
def running(seed: int, device: torch.device | str = "cpu", code_name: str = "") -> Iterator[None]:
    """A block in which the user's code runs, and after which nothing global is other than before (law 3).

    Args:
        seed: of the generators of torch, ``random`` and NumPy.
        device: whose generator of torch's, beside the CPU's.
        code_name: as `resolve` had it, where torch's settings are to be those that the module made at its import.
    """
    wanted = _visits[-1].settings.get(code_name.partition(":")[0], {}) if _visits else {}
    with once_loaded(lambda: _torch_scoped(seed, device, wanted)), scoped_plain_seeds(seed):
        yield


@contextmanager
def _torch_scoped(seed: int, device: torch.device | str, wanted: Mapping[str, Any]) -> Iterator[None]:
    import torch

    from tunecli.train import compilation
    from tunecli.train.determinism import scoped_seed, scoped_settings

    compilation.put_off()
    with scoped_settings(wanted), scoped_seed(seed, torch.device(device)):
        yield


def _imported(module_name: str) -> ModuleType:
    changed: dict[str, Any] = {}
    with once_loaded(lambda: _noted(changed)):
        module = importlib.import_module(module_name)
    _visits[-1].settings.setdefault(module_name, changed)
    return module


@contextmanager
def _noted(changed: dict[str, Any]) -> Iterator[None]:
    """A block after which it is known which of torch's settings it changed, and to what."""
    from tunecli.train.determinism import settings

    before = settings()
    yield
    changed |= {name: value for name, value in settings().items() if value != before[name]}


def _look_first_in(folder: Path) -> None:
    """Put a user's folder on Python's path, in the place of another's: both may have a module of the same name."""
    if any(visit.folder == folder for visit in _visits):
        if str(folder) in sys.path:
            return
    else:
        forget()
        _visits.append(_Visit(folder, _loaded.pop() if _loaded else frozenset(sys.modules)))
    sys.path[:] = sorted([str(folder), *sys.path], key=_is_not_of_python)  # sorting keeps the order else
    _read_anew(folder)


def _read_anew(folder: Path) -> None:
    """Let Python list a user's folder, and those below it, at the next import.

    What it knows of other folders stays, and it checks their times as always: each trial would list all of them.
    """
    known, top = sys.path_importer_cache, str(folder)
    below = top.rstrip(os.sep) + os.sep
    for entry, finder in [*known.items()]:
        if entry == top or entry.startswith(below) or (finder is None and os.path.exists(entry)):  # noqa: PTH110
            del known[entry]


def forget() -> None:
    """Let the next trial import the user's modules as if no other had."""
    while _visits:
        visit = _visits.pop()
        with suppress(ValueError):  # whoever else changes the path may have put it back already
            sys.path.remove(str(visit.folder))
        for name in [name for name in sys.modules if _is_of(visit, name)]:
            del sys.modules[name]


def program_name(job: Job) -> list[str]:
    """What `sys.argv` is in a program that is the trial's code, called without arguments."""
    module = next((use.module for use in uses(job.task.config, job.task.objective)), ("trial",))
    return ["/".join(module) + ".py"]


def _is_not_of_python(entry: str) -> bool:
    """Whether an entry of Python's path is no part of its standard library."""
    return not (entry.endswith(".zip") or entry in (_STANDARD, os.path.join(_STANDARD, "lib-dynload")))  # noqa: PTH118


def _is_of(visit: _Visit, module_name: str) -> bool:
    """Whether a module was loaded from right beside the user's file; what merely lies below, an environment, stays."""
    top = module_name.partition(".")[0]
    origin = getattr(getattr(sys.modules.get(top), "__spec__", None), "origin", None) or ""
    beside = (str(visit.folder / f"{top}.py"), str(visit.folder / top / "__init__.py"))
    return top not in visit.loaded_before and origin in beside


@contextmanager
def scoped_plain_seeds(seed: int) -> Iterator[None]:
    """Seed the global generators of ``random`` and NumPy for a block, and restore them at its end.

    Loads no torch. With `tunecli.train.determinism`, the only place that seeds a global generator (seeds-by-name).

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
