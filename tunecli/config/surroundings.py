"""Where a command or a function of the user runs: its working folder, its links, its environment and its interpreter.

Resolves the names that the file has under ``run``; starts nothing and writes nothing. `check` and the running trial use
the same functions, so that a name that `check` finds is found by every trial.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tunecli.config.command import is_script, program_path, script_place
from tunecli.config.paths import is_file, is_folder
from tunecli.config.placeholders import placeholders, rendered
from tunecli.config.secrets import names_in, resolved
from tunecli.config.suggestions import nearest
from tunecli.messages import Surroundings, Task

if TYPE_CHECKING:
    from tunecli.config.run import Run

CONFIG, TRIAL = "config", "trial"
"""The two words of ``run.cwd``; any other text is a path."""
KEYS = ("cwd", "link", "env", "python", "devices_per_trial")
"""The keys under ``run`` that say where a trial of the user's own runs."""


FileName = Annotated[str, Field(min_length=1, max_length=4096)]

_OURS = "TUNECLI_"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


def _variable_name(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(
            "the name of an environment variable has letters, digits and `_`, and no digit first"
        )
    if name.startswith(_OURS):
        raise ValueError(f"tunecli sets the variables that begin with {_OURS} itself: choose another name")
    return name


def _variable_value(value: Any) -> Any:
    if isinstance(value, bool | dict | list):
        raise ValueError('must be text, a number or null; write "1" or "true" in quotes')
    return value


VariableName = Annotated[str, AfterValidator(_variable_name)]
VariableValue = Annotated[str | int | float | None, BeforeValidator(_variable_value)]


class LinkError(ValueError):
    """A name under ``run.link`` cannot be linked.

    Attributes:
        place: its index in the list.
        message, hint: the problem, and how to correct it.
    """

    def __init__(self, place: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.place, self.message, self.hint = place, message, hint


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where the words of a command are looked up.

    Attributes:
        folders: the folders for the program, its script and its modules; the first that has the file counts.
        cwd: the working folder of the command; None: a folder of its own in each trial.
        interpreter: the interpreter that ``python`` and ``python3`` mean; empty: ``python`` is that of this process.
        search_path: the value of PATH; None: this process's.
    """

    folders: tuple[Path, ...]
    cwd: Path | None
    interpreter: str = ""
    search_path: str | None = None


def surroundings_of(run: Run) -> Surroundings:
    """The surroundings that the settings under ``run`` describe."""
    env = {
        name: value if isinstance(value, str | None) else json.dumps(value) for name, value in run.env.items()
    }
    return Surroundings(cwd=run.cwd or "", link=tuple(run.link), env=env, python=run.python or "")


def mentioned_in_env(run: Run) -> tuple[str, ...]:
    """The paths under ``params`` that the variables of ``run.env`` mention."""
    texts = (value for value in run.env.values() if isinstance(value, str))
    return tuple(path.removesuffix("?") for text in texts for path in placeholders(text))


def secret_names(task: Task) -> tuple[str, ...]:
    """The environment variables whose values a trial takes from the environment: no text that is kept shows them."""
    return names_in([task.config, task.surroundings.env])


def spelled_surroundings(run: Run) -> dict[str, Any]:
    """The keys under ``run`` that say where a trial runs, as the file writes them. A key that it leaves out is missing.

    Relative paths in them start from ``run.folder``.
    """
    return run.model_dump(include=set(KEYS), exclude_defaults=True)


def is_path(cwd: str) -> bool:
    """Whether ``run.cwd`` is a path, and not one of its words."""
    return cwd not in ("", CONFIG, TRIAL)


def lookup_of(surroundings: Surroundings, base_path: Path, search_path: str | None = None) -> Lookup:
    """Where the words of a command are looked up.

    As in a shell, a program or a script is found in a working folder that the file names. A trial's own folder is empty
    at first, so there, as without ``run.cwd``, they are found beside the configuration file.

    Args:
        surroundings: the surroundings of the trial.
        base_path: the folder of the configuration file.
        search_path: the command's PATH; None: this process's, with the interpreter's folder first.
    """
    interpreter = interpreter_of(surroundings.python, base_path) or ""
    if search_path is None and interpreter:
        search_path = activated(os.environ, interpreter).get("PATH")
    if is_path(surroundings.cwd):
        cwd = base_path / surroundings.cwd
        return Lookup((cwd, base_path), cwd, interpreter, search_path)
    own = None if surroundings.cwd == TRIAL else base_path
    return Lookup((base_path,), own, interpreter, search_path)


def interpreter_of(python: str, base_path: Path) -> str | None:
    """Path of the interpreter that ``run.python`` names; None if there is none, or if the text is empty.

    Args:
        python: the file of an interpreter, the folder of a virtual environment, or the name of a program on PATH.
        base_path: the folder of the configuration file.
    """
    if not python:
        return None
    base = base_path.absolute()
    if is_folder(base / python):
        names = [base / python / "bin" / name for name in ("python", "python3")]
    elif is_file(base / python) or "/" in python:
        names = [base / python]
    else:
        return shutil.which(python)
    return next((str(path) for path in names if is_file(path) and os.access(path, os.X_OK)), None)


def activated(environment: Mapping[str, str], interpreter: str) -> dict[str, str]:
    """An environment after the activation of the virtual environment of an interpreter; equal if it has none.

    Args:
        environment: the environment before.
        interpreter: its path.
    """
    folder = Path(interpreter).parent
    variables = {"pyvenv.cfg": "VIRTUAL_ENV", "conda-meta": "CONDA_PREFIX"}
    variable = next((name for mark, name in variables.items() if (folder.parent / mark).exists()), "")
    if not variable:
        return dict(environment)
    path = os.pathsep.join(filter(None, (str(folder), environment.get("PATH", os.defpath))))
    kept = {name: value for name, value in environment.items() if name != "PYTHONHOME"}
    return {**kept, "PATH": path, variable: str(folder.parent)}


def with_env(
    environment: Mapping[str, str],
    surroundings: Surroundings,
    params: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, str]:
    """An environment with the variables of ``run.env``.

    Args:
        environment: the environment before; ``${env:NAME}`` is a value in it.
        surroundings: the surroundings of the trial.
        params: the trial's parameters, which placeholders name.
        facts: the trial's seed, device and so on, which placeholders name, too.

    Raises:
        PlaceholderError: a placeholder is unknown.
        UsageError: a variable in ``${env:NAME}`` is not set.
    """
    texts = resolved({"env": surroundings.env}, environment)["env"]
    made = {name: None if text is None else rendered(text, params, facts) for name, text in texts.items()}
    kept = {name: value for name, value in environment.items() if name not in made}
    return {**kept, **{name: value for name, value in made.items() if value is not None}}


def program_of(program: str, lookup: Lookup) -> str | None:
    """Path of a command's program; None if there is no such program."""
    if lookup.interpreter and program in ("python", "python3"):
        return lookup.interpreter
    path = program_path(program, *lookup.folders, search_path=lookup.search_path)
    return None if path is None else os.path.abspath(path)  # noqa: PTH100  (keeps symbolic links)


def with_absolute_scripts(words: Sequence[str], lookup: Lookup) -> list[str]:
    """The words of a command, with an absolute path for each script that is not in the working folder.

    The script is the first word after an interpreter that is no option, and each word with the ending of a script, as
    in ``torchrun train.py``. Other names of files are the user's own: `run.link` makes them valid.

    Args:
        words: the program and its arguments, without placeholders.
        lookup: the folders that are searched.
    """
    script = script_place(words)
    return [
        _absolute(word, lookup) if place and (place == script or is_script(word)) else word
        for place, word in enumerate(words)
    ]


def _absolute(word: str, lookup: Lookup) -> str:
    for folder in lookup.folders:
        if is_file(folder / word):
            return word if folder == lookup.cwd else str((folder / word).absolute())
    return word


def links(names: Sequence[str], base_path: Path, own_folder: Path | None = None) -> dict[str, Path]:
    """The links that a trial's own folder gets: by the path in that folder, the absolute path of the original.

    Args:
        names: names and patterns (``*.yaml``) of files and folders. A relative one is taken from ``base_path`` and
            keeps its folders; an absolute one gets its last part as its name.
        base_path: the folder of the configuration file.
        own_folder: the trial's own folder; a pattern does not link a folder that contains it. None: it does not exist.

    Raises:
        LinkError: a name leads out of ``base_path``, nothing has that name, or two originals have one name.
    """
    base = base_path.absolute()
    made: dict[str, Path] = {}
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        for relative in _matches(name, place, base, own_folder):
            at = PurePosixPath(relative).name if relative.startswith("/") else str(PurePosixPath(relative))
            source = base / relative
            if made.get(at, source) != source:
                message = (
                    f"`{name}` and `{names[places[at]]}` have the same name `{at}` in the trial's folder"
                )
                raise LinkError(place, message, "link one of them, or a folder that contains both")
            made[at] = source
            places.setdefault(at, place)
    for at in [*made]:
        for parent in map(str, PurePosixPath(at).parents):
            if parent in made:
                if made[parent] / PurePosixPath(at).relative_to(parent) != made[at]:
                    message = f"`{at}` is inside `{parent}`, which is another link"
                    raise LinkError(places[at], message, "link one of them")
                del made[at]  # it is visible through the link of its folder
                break
    return made


def _matches(name: str, place: int, base: Path, own_folder: Path | None) -> Iterable[str]:
    """The names of the files and folders that one entry of ``run.link`` means, in order."""
    path = PurePosixPath(name)
    if ".." in path.parts and not path.is_absolute():
        raise LinkError(
            place, f"`{name}` leads out of the configuration file's folder", "write an absolute path"
        )
    if path in (PurePosixPath(), PurePosixPath("/")):
        raise LinkError(
            place, f"`{name}` is the whole folder", "name the files and folders that the trial needs"
        )
    if is_file(base / name) or is_folder(base / name):
        return [name]
    if glob.has_magic(name):
        matches = sorted(glob.glob(name, root_dir=base))  # noqa: PTH207  (`Path.glob` matches hidden files)
        if own_folder is not None:
            own = own_folder.resolve()
            matches = [match for match in matches if not own.is_relative_to((base / match).resolve())]
        if matches:
            return matches
        raise LinkError(place, f"no file matches `{name}`", f"looked in {base}")
    beside = sorted(glob.glob("*", root_dir=base))  # noqa: PTH207
    raise LinkError(place, f"`{name}` not found", nearest(name, beside) or f"looked in {base}")
