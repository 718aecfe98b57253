"""The words behind ``--set``: paths of keys, and the fixed values of a key.

The paths come from two places: the study's file on the command line, and the table of all keys. The keys of a trial
that the file has come first; further ones follow only if no key of the file fits the typed text. A key that only
some members of a family have (`optimizer.momentum`) is left out if the file names other members only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from tunecli.completion.command_line import Key

_KIND = ""
"""The path of the kind of the trial: that of own code (`python`, `command`), or `training`."""
_OF_OWN_CODE = ("python", "command")
_MANY = 40
"""Above this number, only the next part of each path is shown."""


def set_words(text: str, config_path: Path | None, keys: Mapping[str, Key]) -> list[str]:
    """The words that can complete ``text``: ``optimizer.lr=``, or ``search.sampler=bayes`` behind the sign.

    Args:
        text: the typed text.
        config_path: the study's file; None if the line names none.
        keys: all keys, by the path that ``--set`` takes.
    """
    path, sign, _ = text.partition("=")
    prefix = "trial." if path.startswith("trial.") else ""
    if sign:
        key = keys.get(path.removeprefix(prefix))
        return [f"{path}={value}" for value in key.values] if key else []
    own = leaves(config_path) if config_path else {}
    written = {name for name in own if name and f"{prefix}{name}".startswith(text)}
    has_own = any(_is_of_a_trial(name, keys) for name in written)
    further = {
        name
        for name, key in keys.items()
        if not key.is_record and not (has_own and _is_of_a_trial(name, keys)) and _fits(name, keys, own)
    }
    paths = sorted(name for name in (f"{prefix}{one}" for one in written | further) if name.startswith(text))
    if len(paths) <= _MANY:
        return [f"{one}=" for one in paths]
    start = text.rfind(".") + 1
    parts = dict.fromkeys(one[: one.find(".", start) + 1] or f"{one}=" for one in paths)
    return [*parts]


def leaves(path: Path) -> dict[str, set[str]]:
    """Each path of a study's file that has a value or a range, and its texts.

    Args:
        path: the file. A path under ``trial`` is given without ``trial``.

    Returns:
        The paths; none if the file cannot be read. The empty path has the kind of the trial.
    """
    from tunecli.config.reader import MAX_BYTES, MapNode, read
    from tunecli.errors import TunecliError

    found: dict[str, set[str]] = {}
    try:
        about = os.stat(path)  # noqa: PTH116  # a pipe is never opened
        if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
            return {}
        node = read(path.read_bytes(), str(path))
    except (OSError, ValueError, TunecliError):
        return {}
    if isinstance(node, MapNode):
        trial = node.items.get("trial")
        if isinstance(trial, MapNode):
            found[_KIND] = {next((key for key in _OF_OWN_CODE if key in trial.items), "training")}
        for key, item in node.items.items():
            for place, text in _leaves(item, "" if key == "trial" else key):
                found.setdefault(place, set()).add(text)
    return found


def _leaves(node: object, path: str) -> Iterator[tuple[str, str]]:
    from tunecli.config.range_words import RANGE_WORDS
    from tunecli.config.reader import MapNode, ScalarNode, SequenceNode

    if isinstance(node, ScalarNode):
        yield path, str(node.value)
    elif isinstance(node, SequenceNode):
        yield path, ""
        for index, element in enumerate(node.items):
            if isinstance(element, MapNode):
                yield from _leaves(element, f"{path}.{index}")
    elif isinstance(node, MapNode):
        word = next((key for key in node.items if key in RANGE_WORDS), None)
        options = node.items.get("choice")
        if word is not None and path:
            yield path, ""
        if isinstance(options, SequenceNode):
            for item in options.items:
                if not isinstance(item, SequenceNode):
                    yield from _leaves(item, path)
        elif word is None:
            for key, item in node.items.items():
                place = f"{path}.{key}" if path else key
                yield from _leaves(item, path if key == "name" else place)


def _is_of_a_trial(path: str, keys: Mapping[str, Key]) -> bool:
    """Whether a path begins under ``trial``: its top key is unknown, or some kind of trial has it."""
    top = path.partition(".")[0]
    return top not in keys or bool(keys[top].members)


def _fits(path: str, keys: Mapping[str, Key], own: Mapping[str, set[str]]) -> bool:
    """Whether the members of families that the file names have the key, and the keys above it."""
    above = path.rpartition(".")[0]
    named = {text for text in own.get(above, ()) if text}
    members = keys[path].members if path in keys else ()
    if members and named and named.isdisjoint(members):
        return False
    return not above or _fits(above, keys, own)
