"""The user's own code as a file names it: where it is, whether it can be called as it will be, and its hashes.

Sources are read and never run. A module is looked for beside the file first, then among the installed packages, for
which only the existence of the package is checked. Imports are followed within the file's folder, so a module that
is imported under a computed name is not hashed, and neither is a script whose name comes from the environment.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tunecli.config.command import (
    TRIAL_NAMES,
    Decide,
    Word,
    is_script,
    item_texts,
    script_place,
    words_of,
)
from tunecli.config.concrete_trial import concrete_trials
from tunecli.config.paths import is_file
from tunecli.config.placeholders import Condition, PlaceholderError
from tunecli.config.python_source import (
    NoSuchNameError,
    Signature,
    Source,
    follow_imports,
    is_class,
    module_file,
    module_files,
    parsed,
    sha256_of,
    signature_of,
)
from tunecli.config.schema import CommandTrial
from tunecli.config.secrets import names_in, redacted, resolved
from tunecli.config.study import StudySpec
from tunecli.config.suggestions import nearest
from tunecli.config.surroundings import Lookup, lookup_of, program_of, surroundings_of
from tunecli.errors import os_reason
from tunecli.messages import Surroundings
from tunecli.objective import Objective

Place = tuple[str | int, ...]
METRIC: Place = ("objective", "metric")


class CodeUse(NamedTuple):
    """One ``python: module:name`` of a file.

    Attributes:
        place: path of the map that contains it, under ``trial``; or `METRIC`.
        module: the parts of the module's name.
        name: the name in the module.
        args: arguments that are passed by name.
    """

    place: Place
    module: tuple[str, ...]
    name: str
    args: Mapping[str, Any]


class CodeProblem(NamedTuple):
    """One problem of the user's code.

    ``place`` is under ``trial``, or starts as `METRIC` does; ``is_key`` if the key there is wrong, not its value.
    """

    place: Place
    message: str
    hint: str = ""
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class _Call:
    """How the object at a place is called: its positional arguments, and arguments that are offered by name."""

    given: tuple[str, ...] = ()
    offered: frozenset[str] = frozenset()


_CALLS: dict[Place, _Call] = {
    (): _Call(("params", "trial")),
    ("data", "source"): _Call(),
    ("model",): _Call(
        offered=frozenset({"input_shape", "n_outputs", "n_tokens", "categories", "text_length"})
    ),
    ("loss",): _Call(("outputs", "targets")),
    ("optimizer",): _Call(("parameters",)),
    METRIC: _Call(("outputs", "targets")),
}


def uses(plain: Any, objective: Objective) -> Iterator[CodeUse]:
    """Every ``python:`` of a concrete trial and of its objective."""
    yield from _uses(plain, ())
    for place, goal in zip(goal_places(objective), objective.goals, strict=True):
        if goal.python:
            yield _use(place, goal.python, goal.args)


def goal_places(objective: Objective) -> list[Place]:
    """The path of each objective's metric in a file."""
    if not objective.further_objectives:
        return [METRIC]
    return [("objective", "pareto", number, "metric") for number in range(len(objective.goals))]


NO_SURROUNDINGS = Surroundings()


def code_problems(
    plain: Any, objective: Objective, base_path: Path, surroundings: Surroundings = NO_SURROUNDINGS
) -> Iterator[CodeProblem]:
    """Problems of the user's code that are visible without running it.

    Args:
        plain: a valid concrete trial.
        objective: the objective.
        base_path: the folder in which modules and commands are looked for.
        surroundings: where the trial runs.

    Raises:
        UsageError: a command uses an environment variable that is not set.
    """
    for use in uses(plain, objective):
        yield from _use_problems(use, base_path, has_shim=plain.get("shim") is not None)
    if "command" in plain:
        yield from _command_problems(plain, objective, lookup_of(surroundings, base_path))


def _uses(part: Any, place: Place) -> Iterator[CodeUse]:
    if isinstance(part, Mapping):
        if isinstance(part.get("python"), str):
            yield _use(place, part["python"], part.get("args") or {})
        for key, item in part.items():
            if key not in ("args", "params"):  # the user's own words
                yield from _uses(item, (*place, key))
    elif isinstance(part, list):
        for number, item in enumerate(part):
            yield from _uses(item, (*place, number))


def _use(place: Place, code: str, args: Mapping[str, Any]) -> CodeUse:
    module, _, name = code.partition(":")
    return CodeUse(place, tuple(module.split(".")), name, args)


def _use_problems(use: CodeUse, base_path: Path, *, has_shim: bool) -> Iterator[CodeProblem]:
    place, top = (*use.place, "python"), use.module[0]
    path = module_file(base_path, use.module)
    if path is None:
        if not any(module_files(base_path, use.module)) and _is_installed(top):
            return
        beside = sorted({file.stem for file in base_path.glob("*.py")})
        message = f"module `{'.'.join(use.module)}` not found beside the file or among the installed packages"
        is_file_name = use.module[1:] == ("py",) and top in beside
        hint = f"write `{top}:{use.name}`, without .py" if is_file_name else nearest(top, beside)
        yield CodeProblem(place, message, hint or f"looked in {base_path.resolve()}")
        return
    if top in sys.stdlib_module_names:
        yield CodeProblem(
            place, f"`{top}` is also the name of a standard Python module", f"rename {path.name}"
        )
        return
    try:
        signature = signature_of(parsed(path), use.name)
    except SyntaxError as error:
        yield CodeProblem(place, f"{path.name}:{error.lineno or 1}: {error.msg}")
    except OSError as error:
        yield CodeProblem(place, f"cannot read {path.name}: {os_reason(error)}")
    except NoSuchNameError as error:
        hint = nearest(use.name, error.known) or f"it defines {', '.join(error.known) or 'nothing'}"
        yield CodeProblem(place, f"{path.name} does not define `{use.name}`", hint)
    else:
        is_metric = use.place[:1] == METRIC[:1]
        call = _CALLS.get(METRIC if is_metric else use.place)
        if use.place == ("loss",) and is_class(parsed(path), use.name):
            call = _Call()  # an object is made of it, and that is called
        if signature is not None and call is not None and has_shim and not use.place:
            n_required = sum(name in signature.required for name in signature.positional)
            call = _Call(call.given[:n_required])  # a function for `wandb.agent` takes no argument
        if signature is not None and call is not None:
            yield from _call_problems(use, signature, call)


def _call_problems(use: CodeUse, signature: Signature, call: _Call) -> Iterator[CodeProblem]:
    n_given = len(call.given)
    free = signature.by_name - set(signature.positional[:n_given])
    missing = signature.required - set(signature.positional[:n_given]) - set(use.args) - call.offered
    is_too_short = n_given > len(signature.positional) and not signature.any_positional
    if is_too_short or (missing and not use.place):
        required = sorted(signature.required - set(signature.positional))
        takes = ", ".join((*signature.positional, *required, *(["**"] if signature.any_name else [])))
        shown = f"{use.name}({', '.join(call.given)})"
        message = f"it is called as `{shown}`, but takes ({takes})"
        yield CodeProblem(
            (*use.place, "python"), message, f"change its parameters to ({', '.join(call.given)})"
        )
        return
    for name in use.args:
        place = (*use.place, "args", name)
        if name in call.offered and name in free:
            yield CodeProblem(place, f"`{use.name}` already receives `{name}`", "remove it", True)
        elif name not in free and not (signature.any_name and name not in signature.positional[:n_given]):
            takes = ", ".join(sorted(free - call.offered)) or "no argument by name"
            hint = nearest(name, free - call.offered) or f"it takes {takes}"
            yield CodeProblem(place, f"`{use.name}` has no parameter `{name}`", hint, True)
    for name in sorted(missing):
        place = (*use.place, "args") if use.args else (*use.place, "python")
        hint = f"write args: {{{name}: …}}"
        yield CodeProblem(place, f"missing argument `{name}` of `{use.name}`", hint)


_SAMPLE_FACTS = dict.fromkeys(TRIAL_NAMES, "0")


def _command_problems(
    plain: Mapping[str, Any], objective: Objective, lookup: Lookup
) -> Iterator[CodeProblem]:
    problems = list(_placeholder_problems(CommandTrial.model_validate(plain)))
    yield from problems
    if problems:
        return
    words = words_of(CommandTrial.model_validate(plain), _SAMPLE_FACTS)
    real_words = words_of(CommandTrial.model_validate(resolved(plain)), _SAMPLE_FACTS)
    if len(words) != len(real_words):  # a condition depends on a value of the environment
        words = [Word(redacted(text, names_in(plain)), item) for text, item in real_words]
    if not words:
        yield CodeProblem(("command",), "no argument is left: the program is missing")
        return
    program, real_program = words[0].text, real_words[0].text
    if program_of(real_program, lookup) is None:
        hint = (
            f"it is neither on PATH nor in {' or '.join(str(folder.resolve()) for folder in lookup.folders)}"
        )
        if any(is_file(folder / real_program) for folder in lookup.folders):
            hint = f"it is not executable: run `chmod +x {program}`"
        yield CodeProblem(("command", words[0].item), f"program `{program}` not found", hint)
    place = script_place([word.text for word in words])
    is_missing = place is not None and not any(
        is_file(folder / real_words[place].text) for folder in lookup.folders
    )
    if place is not None and is_missing and is_script(words[place].text):
        script, item = words[place]
        named = str(plain["command"][item])
        if not any(f"{{{name}}}" in named for name in TRIAL_NAMES):  # else only the trial knows its name
            beside = sorted(
                file.name for folder in lookup.folders for file in folder.glob(f"*{Path(script).suffix}")
            )
            where = "beside the configuration" if len(lookup.folders) == 1 else f"in {lookup.cwd}"
            message = f"file {script} not found {where}"
            yield CodeProblem(("command", item), message, nearest(script, beside))
    patterns = plain.get("metrics") or {}
    for name in objective.metrics if patterns else ():
        if name not in patterns:
            kind = "objective" if name == objective.metric else "metric"
            message = f"no pattern for the {kind} `{name}`"
            yield CodeProblem(("metrics",), message, nearest(name, patterns))


def _placeholder_problems(trial: CommandTrial) -> Iterator[CodeProblem]:
    for item in range(len(trial.command)):
        for is_met in (True, False):  # of conditions that depend on the machine
            try:
                item_texts(trial, item, _SAMPLE_FACTS, _decide_facts(trial, is_met=is_met))
            except PlaceholderError as error:
                yield CodeProblem(("command", item), error.message, error.hint)
                break


def _decide_facts(trial: CommandTrial, *, is_met: bool) -> Decide:
    """Decides a condition on the trial's facts as ``is_met``, and any other as its parameters do."""

    def decide(condition: Condition) -> bool:
        is_fact = condition.path in TRIAL_NAMES and condition.path not in trial.params
        return is_met if is_fact else condition.is_met(trial.params, _SAMPLE_FACTS)

    return decide


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def code_hashes(spec: StudySpec) -> dict[str, str]:
    """SHA-256, in hexadecimal, of every file of the user's own code, by its path relative to the file's folder.

    A file in a working folder outside that folder has its absolute path.
    """
    base_path = spec.base_path.resolve()
    lookup = lookup_of(surroundings_of(spec.settings.run), base_path)
    sources = [
        source
        for plain in concrete_trials(spec.space)
        for source in (
            *(
                (file, base_path)
                for use in uses(plain, spec.objective)
                for file in module_files(base_path, use.module)
            ),
            *_command_sources(plain, lookup),
        )
    ]
    roots = {base_path, *(folder.resolve() for folder in lookup.folders)}
    files = sorted({file for root in roots for file, _ in follow_imports(sources, root)})
    return {_name_of(file, base_path): sha256_of(file) for file in files}


def _name_of(file: Path, base_path: Path) -> str:
    return (file.relative_to(base_path) if file.is_relative_to(base_path) else file).as_posix()


def code_changes(recorded: Mapping[str, str], spec: StudySpec) -> list[str]:
    """Differences between the user's code and ``recorded``: each file's name, and what happened to it."""
    now = code_hashes(spec)
    return [
        f"{name} {'is new' if name not in recorded else 'is gone' if name not in now else 'has changed'}"
        for name in sorted({*recorded, *now})
        if recorded.get(name) != now.get(name)
    ]


def _command_sources(plain: Any, lookup: Lookup) -> Iterator[Source]:
    """The program if it is beside the file or in the working folder, its script, and the modules that it runs.

    Every other file of a command is data, and the program may even write it.
    """
    if not isinstance(plain, Mapping) or "command" not in plain:
        return
    trial = CommandTrial.model_validate(plain)
    ways: tuple[Decide | None, ...] = (None,)
    if any(not isinstance(argument, str | int | float) for argument in trial.command):
        ways = (None, lambda _: True, lambda _: False)
    for decide in ways:
        with suppress(PlaceholderError):
            yield from _sources_of([word.text for word in words_of(trial, _SAMPLE_FACTS, decide)], lookup)


def _sources_of(words: Sequence[str], lookup: Lookup) -> Iterator[Source]:
    script = script_place(words) if words else None
    folders = [folder.resolve() for folder in lookup.folders]
    for place, word in enumerate(words):
        if place and words[place - 1] == "-m":
            modules = ([*module_files(folder, [*word.split("."), "__main__"])] for folder in folders)
            yield from next(
                (
                    [(file, folder) for file in files]
                    for folder, files in zip(folders, modules, strict=True)
                    if files
                ),
                [],
            )
            continue
        path = program_of(word, lookup) or word if place == 0 else word
        if place in (0, script) or is_script(word):
            paths = (Path(os.path.normpath(folder / path)) for folder in folders)
            file = next(filter(is_file, paths), None)
            if file is not None:
                yield file, file.parent  # what Python puts on the path of a script
