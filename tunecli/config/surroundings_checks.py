"""Problems of the settings under ``run`` that say where a command or a function runs, each at its place in the file.

Files are looked up, and nothing is started.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tunecli.config.concrete_trial import locate, trial_models
from tunecli.config.paths import is_folder
from tunecli.config.run import Run
from tunecli.config.schema import TrialConfig
from tunecli.config.space import Space
from tunecli.config.suggestions import nearest
from tunecli.config.surroundings import CONFIG, KEYS, TRIAL, LinkError, is_path, links
from tunecli.errors import Problem


def surroundings_problems(
    run: Run, settings_tree: Space, space: Space, base_path: Path, is_to_run: bool
) -> Iterator[Problem]:
    """All problems of the surroundings.

    Args:
        run: the settings.
        settings_tree: their tree, for the places of the problems.
        space: the trial with its ranges.
        base_path: the folder of the configuration file.
        is_to_run: whether the trials are to run here, so that the files must exist; a record can be read without them.
    """
    written = [key for key in KEYS if getattr(run, key) != Run.model_fields[key].default]
    if TrialConfig in trial_models(space.tree):
        for key in written:
            message = f"`run.{key}` works only with a `command` or a training function of your own"
            yield _problem(
                settings_tree, (key,), message, "remove it: tunecli's own training loop does not need it"
            )
        return
    if run.link and run.cwd != TRIAL:
        message = "`run.link` needs `cwd: trial`, the folder that the links are made in"
        yield _problem(settings_tree, ("link",), message, "add `cwd: trial`, or remove `link`")
    if is_to_run:
        yield from _missing_files(run, settings_tree, base_path)


def _missing_files(run: Run, settings_tree: Space, base_path: Path) -> Iterator[Problem]:
    if run.cwd is not None and is_path(run.cwd) and not is_folder(base_path / run.cwd):
        hint = (
            nearest(run.cwd, (CONFIG, TRIAL)) or "write `config`, `trial` or the path of a folder that exists"
        )
        yield _problem(
            settings_tree, ("cwd",), f"folder `{run.cwd}` not found in {base_path.absolute()}", hint
        )
    errors = [
        error for place, name in enumerate(run.link) if (error := _link_error([name], base_path, place))
    ]
    if not errors and (clash := _link_error(run.link, base_path)):
        errors = [clash]
    for error in errors:
        yield _problem(settings_tree, ("link", error.place), error.message, error.hint)


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
