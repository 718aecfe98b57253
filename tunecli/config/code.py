"""The user's own code as a file names it: where it lies, and whether it can be called as it will be.

Reads sources and never runs them: what is imported when a trial runs is train's. A module is looked for beside the file
first, and then among what is installed, of which only the package's existence is asked.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tunecli.config.command import (
    TRIAL_NAMES,
    PlaceholderError,
    is_script,
    program_path,
    rendered,
    script_place,
)
from tunecli.config.imports import module_file, module_files
from tunecli.config.paths import is_file
from tunecli.config.secrets import resolved
from tunecli.config.signature import NoSuchNameError, Signature, is_class, parsed, signature_of
from tunecli.config.suggestions import nearest
from tunecli.objective import Objective

Place = tuple[str | int, ...]
METRIC: Place = ("objective", "metric")


class Use(NamedTuple):
    """One ``python: module:name`` of a file.

    Attributes:
        place: of the map that holds it, under ``trial``; or `METRIC`.
        module: the steps of the module's name.
        name: what it names there.
        args: what goes to it by name.
    """

    place: Place
    module: tuple[str, ...]
    name: str
    args: Mapping[str, Any]


class CodeComplaint(NamedTuple):
    """One thing wrong with the user's code: where, what, and what to do.

    ``place`` is under ``trial``, or begins as `METRIC` does; ``is_key`` where the key there is to blame and not its
    value.
    """

    place: Place
    message: str
    hint: str = ""
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class _Call:
    """How what stands at a place is called: so many arguments by place, and these by name to whoever takes them."""

    given: tuple[str, ...] = ()
    offered: frozenset[str] = frozenset()


_CALLS: dict[Place, _Call] = {
    (): _Call(("params", "trial")),
    ("data", "source"): _Call(),
    ("model",): _Call(offered=frozenset({"input_shape", "n_outputs", "n_tokens"})),
    ("loss",): _Call(("outputs", "targets")),
    ("optimizer",): _Call(("parameters",)),
    METRIC: _Call(("outputs", "targets")),
}


def uses(plain: Any, objective: Objective) -> Iterator[Use]:
    """Every ``python:`` of a concrete trial and of what it is scored by."""
    yield from _uses(plain, ())
    for place, goal in zip(goal_places(objective), objective.goals, strict=True):
        if goal.python:
            yield _use(place, goal.python, goal.args)


def goal_places(objective: Objective) -> list[Place]:
    """Where in a file each goal's metric stands."""
    if not objective.further_objectives:
        return [METRIC]
    return [("objective", "pareto", number, "metric") for number in range(len(objective.goals))]


def code_complaints(plain: Any, objective: Objective, base_path: Path) -> Iterator[CodeComplaint]:
    """Everything that can be known to be wrong with the user's code without running it.

    Args:
        plain: a concrete trial, as its model accepts it.
        objective: what is optimised.
        base_path: the folder in which modules and commands are looked for.

    Raises:
        UsageError: a command names an environment variable that is not set.
    """
    for use in uses(plain, objective):
        yield from _of_use(use, base_path)
    if "command" in plain:
        yield from _of_command(plain, objective, base_path)


def command_words(plain: Mapping[str, Any]) -> list[str]:
    """A command's arguments as a trial might get them; those that cannot be rendered are left out."""
    words = []
    for argument in plain["command"]:
        try:
            words.append(rendered(argument, plain.get("params") or {}, dict.fromkeys(TRIAL_NAMES, "0")))
        except PlaceholderError:
            continue
    return words


def _uses(part: Any, place: Place) -> Iterator[Use]:
    if isinstance(part, Mapping):
        if isinstance(part.get("python"), str):
            yield _use(place, part["python"], part.get("args") or {})
        for key, item in part.items():
            if key not in ("args", "params"):  # the user's own words
                yield from _uses(item, (*place, key))
    elif isinstance(part, list):
        for number, item in enumerate(part):
            yield from _uses(item, (*place, number))


def _use(place: Place, code: str, args: Mapping[str, Any]) -> Use:
    module, _, name = code.partition(":")
    return Use(place, tuple(module.split(".")), name, args)


def _of_use(use: Use, base_path: Path) -> Iterator[CodeComplaint]:
    place, top = (*use.place, "python"), use.module[0]
    path = module_file(base_path, use.module)
    if path is None:
        if not any(module_files(base_path, use.module)) and _is_installed(top):
            return
        beside = sorted({file.stem for file in base_path.glob("*.py")})
        message = f"there is no module `{'.'.join(use.module)}` beside the file, and none is installed"
        yield CodeComplaint(place, message, nearest(top, beside) or f"looked in {base_path.resolve()}")
        return
    if top in sys.stdlib_module_names:
        yield CodeComplaint(place, f"`{top}` is a module of Python's own too", f"rename {path.name}")
        return
    try:
        signature = signature_of(parsed(path), use.name)
    except SyntaxError as error:
        yield CodeComplaint(place, f"{path.name}:{error.lineno or 1}: {error.msg}")
    except OSError as error:
        yield CodeComplaint(place, f"{path.name} cannot be read: {error.strerror}")
    except NoSuchNameError as error:
        hint = nearest(use.name, error.known) or f"it defines {', '.join(error.known) or 'nothing'}"
        yield CodeComplaint(place, f"{path.name} defines no `{use.name}`", hint)
    else:
        is_metric = use.place[:1] == METRIC[:1]
        call = _CALLS.get(METRIC if is_metric else use.place)
        if use.place == ("loss",) and is_class(parsed(path), use.name):
            call = _Call()  # an object is made of it, and that is called
        if signature is not None and call is not None:
            yield from _of_call(use, signature, call)


def _of_call(use: Use, signature: Signature, call: _Call) -> Iterator[CodeComplaint]:
    n_given = len(call.given)
    free = signature.by_name - set(signature.positional[:n_given])
    missing = signature.required - set(signature.positional[:n_given]) - set(use.args) - call.offered
    is_too_short = n_given > len(signature.positional) and not signature.any_positional
    if is_too_short or (missing and not use.place):
        required = sorted(signature.required - set(signature.positional))
        takes = ", ".join((*signature.positional, *required, *(["**"] if signature.any_name else [])))
        shown = f"{use.name}({', '.join(call.given)})"
        message = f"it is called as `{shown}`, and takes ({takes})"
        yield CodeComplaint((*use.place, "python"), message, f"it must take ({', '.join(call.given)})")
        return
    for name in use.args:
        place = (*use.place, "args", name)
        if name in call.offered and name in free:
            yield CodeComplaint(place, f"`{name}` is given to `{use.name}` already", "leave it out", True)
        elif name not in free and not (signature.any_name and name not in signature.positional[:n_given]):
            takes = ", ".join(sorted(free - call.offered)) or "nothing by name"
            hint = nearest(name, free - call.offered) or f"it takes {takes}"
            yield CodeComplaint(place, f"`{use.name}` takes no argument `{name}`", hint, True)
    for name in sorted(missing):
        place = (*use.place, "args") if use.args else (*use.place, "python")
        hint = f"say it: args: {{{name}: …}}"
        yield CodeComplaint(place, f"`{use.name}` needs the argument `{name}`", hint)


def _of_command(plain: Mapping[str, Any], objective: Objective, base_path: Path) -> Iterator[CodeComplaint]:
    for number, argument in enumerate(plain["command"]):
        try:
            rendered(argument, plain.get("params") or {}, dict.fromkeys(TRIAL_NAMES, "0"))
        except PlaceholderError as error:
            yield CodeComplaint(("command", number), error.message, error.hint)
    words, real_words = command_words(plain), command_words(resolved(plain))
    if len(words) < len(plain["command"]):
        return
    program, real_program = words[0], real_words[0]
    if program_path(real_program, base_path) is None:
        hint = f"neither on PATH nor in {base_path.resolve()}"
        if is_file(base_path / real_program):
            hint = f"it may not be executed: chmod +x {program}"
        yield CodeComplaint(("command", 0), f"there is no program `{program}`", hint)
    place = script_place(words)
    if place is not None and is_script(words[place]) and not is_file(base_path / real_words[place]):
        named = str(plain["command"][place])
        if not any(f"{{{name}}}" in named for name in TRIAL_NAMES):  # else only the trial knows its name
            beside = sorted(file.name for file in base_path.glob(f"*{Path(words[place]).suffix}"))
            message = f"there is no file {words[place]} beside the configuration"
            yield CodeComplaint(("command", place), message, nearest(words[place], beside))
    patterns = plain.get("metrics") or {}
    for name in objective.metrics if patterns else ():
        if name not in patterns:
            what = "objective" if name == objective.metric else "metric"
            message = f"no pattern finds the {what}, `{name}`"
            yield CodeComplaint(("metrics",), message, nearest(name, patterns))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
