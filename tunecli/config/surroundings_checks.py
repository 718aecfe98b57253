"""Problems of the place where a command or a function runs, and of its files of metrics, with their positions.

Files are looked up, and nothing is started.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote

from tunecli.config.command import TRIAL_NAMES
from tunecli.config.concrete_trial import concrete_trials, locate, trial_models
from tunecli.config.paths import is_file, is_folder
from tunecli.config.placeholders import PARAMETER_FILES, PlaceholderError, placeholders, rendered
from tunecli.config.run import Run
from tunecli.config.schema import AnyTrial, FunctionTrial, TrialConfig
from tunecli.config.schema.metrics_from import MetricsFile, sources
from tunecli.config.secrets import references
from tunecli.config.space import Space
from tunecli.config.suggestions import nearest
from tunecli.config.surroundings import CONFIG, KEYS, TRIAL, LinkError, interpreter_of, is_path, links
from tunecli.config.user_code import CodeProblem
from tunecli.errors import Problem

_BRACE = re.compile(r"[{}]")
METRICS_FROM = "metrics_from"
_OF_ONE_TRIAL = {"number", "checkpoint_dir"}


def surroundings_problems(
    run: Run, settings_tree: Space, space: Space, base_path: Path, is_to_run: bool
) -> Iterator[Problem]:
    """All problems of the surroundings.

    Args:
        run: the settings.
        settings_tree: their tree, for the places of the problems.
        space: the trial with its ranges.
        base_path: the folder of the configuration file.
        is_to_run: whether the trials will run here, so that the files must exist; a record can be read without them.
    """
    written = [key for key in KEYS if getattr(run, key) != Run.model_fields[key].default]
    if TrialConfig in trial_models(space.tree):
        for key in written:
            message = f"`run.{key}` works only with a `command` or a training function of your own"
            hint = "remove it: tunecli's own training loop does not need it"
            if key == "devices_per_trial":
                hint = "remove it: tunecli's own training loop uses one device for each trial"
            yield _problem(settings_tree, (key,), message, hint)
        return
    if run.link and run.cwd != TRIAL:
        message = "`run.link` needs `cwd: trial`, the folder that the links are made in"
        yield _problem(settings_tree, ("link",), message, "add `cwd: trial`, or remove `link`")
    if run.python and FunctionTrial in trial_models(space.tree):
        message = (
            "`run.python` is for a `command`: a training function runs in the interpreter that runs tunecli"
        )
        hint = "remove it, and install tunecli in that environment; or run the function by a `command`"
        yield _problem(settings_tree, ("python",), message, hint)
    yield from _env_problems(run, settings_tree, space)
    if is_to_run:
        yield from _missing_files(run, settings_tree, base_path)


def _env_problems(run: Run, settings_tree: Space, space: Space) -> Iterator[Problem]:
    """Unknown placeholders in ``run.env``, each variable once."""
    waiting = {name: text for name, text in run.env.items() if isinstance(text, str) and _BRACE.search(text)}
    facts = {name: "0" for name in TRIAL_NAMES if name not in PARAMETER_FILES}
    for plain in concrete_trials(space) if waiting else ():
        params = plain.get("params") if isinstance(plain, Mapping) else None
        for name, text in [*waiting.items()]:
            try:
                rendered(text, params if isinstance(params, Mapping) else {}, facts)
            except PlaceholderError as error:
                del waiting[name]
                yield _problem(settings_tree, ("env", name), error.message, error.hint)


def _missing_files(run: Run, settings_tree: Space, base_path: Path) -> Iterator[Problem]:
    if run.cwd is not None and is_path(run.cwd) and not is_folder(base_path / run.cwd):
        hint = (
            nearest(run.cwd, (CONFIG, TRIAL)) or "write `config`, `trial` or the path of a folder that exists"
        )
        yield _problem(
            settings_tree, ("cwd",), f"folder `{run.cwd}` not found in {base_path.absolute()}", hint
        )
    if run.python and interpreter_of(run.python, base_path) is None:
        yield _problem(settings_tree, ("python",), *_no_interpreter(run.python, base_path))
    for (name, *_), variable in references(run.env):
        if variable not in os.environ:
            message = f"the environment variable `{variable}` is not set"
            yield _problem(settings_tree, ("env", str(name)), message, f"run `export {variable}=…`")
    errors = [
        error for place, name in enumerate(run.link) if (error := _link_error([name], base_path, place))
    ]
    if not errors and (clash := _link_error(run.link, base_path)):
        errors = [clash]
    for error in errors:
        yield _problem(settings_tree, ("link", error.place), error.message, error.hint)


def _no_interpreter(python: str, base_path: Path) -> tuple[str, str]:
    path = base_path.absolute() / python
    if is_folder(path):
        return (
            f"the folder `{python}` has no bin/python",
            f"make a virtual environment: python -m venv {quote(str(path))}",
        )
    if is_file(path):
        return f"the interpreter `{python}` is not executable", f"run `chmod +x {quote(str(path))}`"
    hint = f"name an interpreter or a virtual environment; python -m venv {quote(python)} makes one"
    return f"the interpreter `{python}` is neither in {base_path.absolute()} nor on PATH", hint


def _link_error(names: Sequence[str], base_path: Path, first: int = 0) -> LinkError | None:
    """The error of some names under ``run.link``, of which the first has the index ``first``; None: they are valid."""
    try:
        links(names, base_path)
    except LinkError as error:
        error.place += first
        return error
    return None


def _problem(settings_tree: Space, path: tuple[str | int, ...], message: str, hint: str) -> Problem:
    """A problem at a path under ``run``."""
    _, expression = locate(settings_tree, {}, ("run", *path))
    mark = expression.mark
    return Problem(message, mark.file, mark.line, mark.column, ".".join(map(str, ("run", *path))), hint)


def metrics_file_problems(trial: AnyTrial, run: Run, *, is_search: bool) -> Iterator[CodeProblem]:
    """The problems of a trial's files of metrics.

    Trials that run at the same time in one folder would each read the values that the others write into a file of the
    same name. So such a file needs a folder or a name of its own for each trial, or one worker.

    Args:
        trial: a concrete trial.
        run: the settings under ``run``.
        is_search: whether there is more than one trial.
    """
    if isinstance(trial, TrialConfig):
        return
    is_shared = is_search and run.cwd != TRIAL and run.workers != 1
    given = sources(trial.metrics_from)
    for index, source in enumerate(given):
        if not isinstance(source, MetricsFile):
            continue
        place = (METRICS_FROM, *((index,) if isinstance(trial.metrics_from, list) else ()), source.kind)
        try:
            rendered(source.path, trial.params, dict.fromkeys(TRIAL_NAMES, "0"))
        except PlaceholderError as error:
            yield CodeProblem(place, error.message, error.hint)
            continue
        if is_shared and not _OF_ONE_TRIAL & {*placeholders(source.path)}:
            message = f"trials that run at the same time would all read `{source.path}`"
            hint = "add `cwd: trial` or `workers: 1` under `run`, or write `{number}` or `{checkpoint_dir}` in the path"
            yield CodeProblem(place, message, hint)
