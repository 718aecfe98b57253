"""Where a command or a function of the user runs: its working folder, and the files that are linked into it.

Resolves the names that the file has under ``run``; starts nothing and writes nothing. `check` and the running trial use
the same functions, so that a name that `check` finds is found by every trial.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tunecli.config.command import is_script, program_path, script_place
from tunecli.config.paths import is_file, is_folder
from tunecli.config.suggestions import nearest
from tunecli.messages import Surroundings

if TYPE_CHECKING:
    from tunecli.config.run import Run

CONFIG, TRIAL = "config", "trial"
"""The two words of ``run.cwd``; any other text is a path."""
KEYS = ("cwd", "link")
"""The keys under ``run`` that say where a trial of the user's own runs."""


FileName = Annotated[str, Field(min_length=1, max_length=4096)]


class LinkError(ValueError):
    """A name under ``run.link`` cannot be linked.

    Attributes:
        place: its index in the list.
        message, hint: what is wrong, and what to do.
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
    """

    folders: tuple[Path, ...]
    cwd: Path | None


def surroundings_of(run: Run) -> Surroundings:
    """The surroundings that the settings under ``run`` ask for."""
    return Surroundings(cwd=run.cwd or "", link=tuple(run.link))


def spelled_surroundings(run: Run) -> dict[str, Any]:
    """The keys under ``run`` that say where a trial runs, as the file writes them; without those that it leaves out.

    Relative paths in them start from ``run.folder``.
    """
    return run.model_dump(include=set(KEYS), exclude_defaults=True)


def is_path(cwd: str) -> bool:
    """Whether ``run.cwd`` is a path, and not one of its words."""
    return cwd not in ("", CONFIG, TRIAL)


def lookup_of(surroundings: Surroundings, base_path: Path) -> Lookup:
    """Where the words of a command are looked up.

    As in a shell, a program or a script is found in a working folder that the file names. A trial's own folder is empty
    at first, so there, as without ``run.cwd``, they are found beside the configuration file.

    Args:
        surroundings: the surroundings of the trial.
        base_path: the folder of the configuration file.
    """
    if surroundings.cwd == TRIAL:
        return Lookup((base_path,), None)
    if is_path(surroundings.cwd):
        cwd = base_path / surroundings.cwd
        return Lookup((cwd, base_path), cwd)
    return Lookup((base_path,), base_path)


def program_of(program: str, lookup: Lookup) -> str | None:
    """Path of a command's program; None if there is no such program."""
    found = program_path(program, *lookup.folders)
    return None if found is None else os.path.abspath(found)  # noqa: PTH100  (keeps symbolic links)


def with_absolute_scripts(words: Sequence[str], lookup: Lookup) -> list[str]:
    """The words of a command, with an absolute path for each script that is not in the working folder.

    The script is the first word after an interpreter that is no option, and each word with the ending of a script, as
    in ``torchrun train.py``. Other names of files are the user's own: `run.link` makes them valid.

    Args:
        words: the program and its arguments, without placeholders.
        lookup: where they are looked up.
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
        found = sorted(glob.glob(name, root_dir=base))  # noqa: PTH207  (`Path.glob` matches hidden files)
        if own_folder is not None:
            own = own_folder.resolve()
            found = [each for each in found if not own.is_relative_to((base / each).resolve())]
        if found:
            return found
        raise LinkError(place, f"no file matches `{name}`", f"looked in {base}")
    beside = sorted(glob.glob("*", root_dir=base))  # noqa: PTH207
    raise LinkError(place, f"`{name}` not found", nearest(name, beside) or f"looked in {base}")
