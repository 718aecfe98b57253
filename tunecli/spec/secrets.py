"""``${env:NAME}``: what a file takes from the environment, so that a password or a place on disk stands in no file.

It stays as it is written in the tree, and so in whatever is recorded, shown and exported. What it stands for is put in
where a trial is run, or its data are read to be checked, and taken out again of what an error says. ``$${env:NAME}`` is
the text ``${env:NAME}`` itself. Only texts are looked at, and of them the values, not the keys.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from tunecli.errors import UsageError

Place = tuple[str | int, ...]

_WRITTEN = re.compile(r"(\$?)\$\{env:([^{}]*)\}")
_SHORTEST = 3


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


def redacted(text: str, names: Iterable[str], environment: Mapping[str, str] = os.environ) -> str:
    """``text`` with the value of each of the variables ``names`` replaced by ``${env:NAME}`` again.

    Also where it is spelled as Python, JSON or a URL quotes it, and where only a line of it stands there. One or two
    characters are left as they are: they hide nothing, and half of any text would go with them.
    """
    spellings: dict[str, str] = {}
    for name in names:
        for spelling in _spellings(environment.get(name, "")):
            spellings.setdefault(spelling, name)
    if not spellings:
        return text
    longest_first = sorted(spellings, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    return pattern.sub(lambda found: f"${{env:{spellings[found[0]]}}}", text)


def _spellings(value: str) -> set[str]:
    lines = [line.strip() for line in value.splitlines()]
    in_json = [json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)]
    spelled = {value, repr(value)[1:-1], *in_json, quote(value, safe=""), *lines}
    return {each for each in spelled if len(each.strip()) >= _SHORTEST}
