"""YAML text for an imported study: block style for maps, one line for ranges and lists.

Every value reads back as the same value by the core schema of YAML 1.2, and a text never reads as another type by
YAML 1.1 either.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tunecli.config.reader import scalar

_BARE = re.compile(r"[A-Za-z_./][\w./-]*( [\w./-]+)*")
_BOOLEANS_OF_1_1 = {"y", "n", "yes", "no", "on", "off"}


class Line(dict[str, Any]):
    """A map that is written on one line, such as a range."""


def written(value: Any) -> str:
    """A plain value on one line."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case float():
            return _float(value)
        case int():
            return str(value)
        case Mapping():
            return (
                "{" + ", ".join(f"{written(str(key))}: {written(item)}" for key, item in value.items()) + "}"
            )
        case list() | tuple():
            return "[" + ", ".join(map(written, value)) + "]"
        case _:
            return _text(str(value))


def document(tree: Mapping[str, Any]) -> str:
    """A map in block style."""
    return "".join(f"{line}\n" for line in _block(tree, 0))


def _block(tree: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, value in tree.items():
        start = f"{' ' * indent}{written(key)}:"
        is_short = not isinstance(value, Mapping) or isinstance(value, Line) or not value
        if is_short:
            yield f"{start} {written(value)}"
        else:
            yield start
            yield from _block(value, indent + 2)


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = short if float(short := f"{value:g}") == value else repr(value)
    return text if "." in text or "e" in text else f"{text}.0"


def _text(text: str) -> str:
    """A text, bare where no reader of YAML takes it for anything else, else in quotes."""
    is_bare = _BARE.fullmatch(text) and text.lower() not in _BOOLEANS_OF_1_1 and _reads_as_text(text)
    if is_bare:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'" if '"' in text or "\\" in text else f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}"


def _reads_as_text(text: str) -> bool:
    try:
        return scalar(text) == text
    except ValueError:
        return False
