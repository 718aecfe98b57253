"""Patterns of file names: ``parts/*.csv`` names all files that match, in the order of their names.

No matching file may be a link that leads out of the pattern's folder. Loads no torch.
"""

from __future__ import annotations

from pathlib import Path

from tunecli.config.paths import is_file
from tunecli.errors import DataError, os_reason

_WILDCARDS = frozenset("*?[")


def is_pattern(path: Path) -> bool:
    """Whether a path is a pattern; a file may have such characters in its name."""
    return not _WILDCARDS.isdisjoint(str(path)) and not is_file(path)


def files_of(path: Path, parameter: str) -> list[Path]:
    """The files that match a pattern, sorted; or the path alone, if it is no pattern.

    Args:
        path: a path, in which ``*``, ``?`` and ``[abc]`` match characters of one name.
        parameter: the configuration key that errors name.

    Raises:
        DataError: nothing matches, a folder cannot be read, or a match is a link that leads out of the pattern's
            folder.
    """
    if not is_pattern(path):
        return [path]
    folder, pattern = _split(path)
    try:
        inner = folder.resolve()
        matches = sorted(match for match in folder.glob(pattern) if match.is_file())
        strays = [match for match in matches if not match.resolve().is_relative_to(inner)]
    except (OSError, RuntimeError, ValueError, NotImplementedError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise DataError(f"{path} cannot be read as a pattern: {reason}", parameter=parameter) from error
    if strays:
        message = f"{strays[0]} is a link that leads out of {folder}"
        raise DataError(message, hint="replace the link by a copy of its target", parameter=parameter)
    if not matches:
        message = f"no file matches {path}"
        raise DataError(message, hint="`*` matches any characters of one name", parameter=parameter)
    return matches


def shown_names(paths: list[Path]) -> list[str]:
    """The names of files for messages: with as many folders as tell them apart."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    return ["/".join(path.parts[-2:]) for path in paths]


def names_below(path: Path) -> dict[str, Path]:
    """The files that match a pattern, by their names below its folder.

    Raises:
        DataError: as `files_of`.
    """
    folder, _ = _split(path)
    return {match.relative_to(folder).as_posix(): match for match in files_of(path, "data.source")}


def _split(path: Path) -> tuple[Path, str]:
    """The folder before the first name with a wildcard, and the pattern below it.

    Raises:
        DataError: the pattern has `**`, which would read folders without an end.
    """
    parts = path.parts
    first = next(place for place, part in enumerate(parts) if not _WILDCARDS.isdisjoint(part))
    if any("**" in part for part in parts[first:]):
        raise DataError(
            f"{path} contains `**`", hint="use `*` for each level of folders", parameter="data.source"
        )
    return Path(*parts[:first]), "/".join(parts[first:])
