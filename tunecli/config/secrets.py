"""``${env:NAME}``: what a file takes from the environment, so that a password or a place on disk stands in no file.

It stays as it is written in the tree, and so in whatever is recorded, shown and exported. What it stands for is put in
where a trial is run, or its data are read to be checked, and taken out again of what an error says. ``$${env:NAME}`` is
the text ``${env:NAME}`` itself. Only texts are looked at, and of them the values, not the keys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tunecli.config.redaction import redactor_for
from tunecli.errors import UsageError

Place = tuple[str | int, ...]

_WRITTEN = re.compile(r"(\$?)\$\{env:([^{}]*)\}")


def references(tree: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Each variable that a plain tree of maps, lists and scalars names, with the place of the text that does."""
    match tree:
        case str():
            yield from ((place, found[2]) for found in _WRITTEN.finditer(tree) if not found[1])
        case Mapping():
            for key, item in tree.items():
                yield from references(item, (*place, key))
        case list() | tuple():
            for number, item in enumerate(tree):
                yield from references(item, (*place, number))


def names_in(tree: Any) -> tuple[str, ...]:
    """The variables that a plain tree names, each once, in its order."""
    return tuple(dict.fromkeys(name for _, name in references(tree)))


def literal(text: str) -> str:
    """A text escaped so that none of its parts is read as a variable."""
    return _WRITTEN.sub(lambda found: f"${found[0]}", text)


def resolved(tree: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """A plain tree, such as a concrete trial, with each ``${env:NAME}`` replaced by the variable's value.

    In a trial's ``command``, where braces are placeholders, those of the value are doubled, so that they stay its own.

    Raises:
        UsageError: a variable is not set; the message names it and the path of the text that names it.
    """
    return _resolved(tree, (), environment)


def _resolved(tree: Any, place: Place, environment: Mapping[str, str]) -> Any:
    match tree:
        case str():
            return _WRITTEN.sub(lambda found: _value(found, place, environment), tree)
        case Mapping():
            return {key: _resolved(item, (*place, key), environment) for key, item in tree.items()}
        case list() | tuple():
            return [_resolved(item, (*place, number), environment) for number, item in enumerate(tree)]
        case _:
            return tree


def _value(found: re.Match[str], place: Place, environment: Mapping[str, str]) -> str:
    is_itself, name = found.groups()
    value = found[0][1:] if is_itself else environment.get(name)
    if value is None:
        at = f"`{'.'.join(map(str, place))}`: " if place else ""
        raise UsageError(f"{at}the environment variable `{name}` is not set", hint=f"export {name}=…")
    return value.replace("{", "{{").replace("}", "}}") if place[:1] == ("command",) else value


def redacted(
    text: str, names: Iterable[str], environment: Mapping[str, str] = os.environ, *, is_cut: bool = False
) -> str:
    """``text`` with the value of each of the variables ``names`` replaced by ``${env:NAME}`` again.

    Args:
        text: any text.
        names, environment: the variables, and where their values are.
        is_cut: whether the text may begin or end within a value, or have a ``…`` in one.
    """
    return redactor_for(names, environment).redacted(text, is_cut=is_cut)
