"""The schema as a text that a person can read: short parts share a line, and long ones have several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

WIDTH = 156
_SHORT = 70
_INDENT = "  "
_TEXT = "description"


def schema_text(document: Mapping[str, Any]) -> str:
    """Return a JSON document with a line end. Only a line with a long description is longer than `WIDTH`."""
    return _spread(document, "", 0) + "\n"


def _spread(value: Any, indent: str, n_before: int) -> str:
    """Write a value.

    Args:
        value: a JSON value.
        indent: the indentation of the line that it begins in.
        n_before: number of characters before it in this line.
    """
    flat = _flat(value)
    room = WIDTH - len(indent) - n_before
    if (
        not value
        or not isinstance(value, Mapping | list)
        or len(flat) < room
        or _is_short_beside_text(value, room)
    ):
        return flat
    inner = indent + _INDENT
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, part),) = value.items()
        start = f"{{{_flat(key)}: "
        return start + _spread(part, indent, n_before + len(start) + 1) + "}"
    if isinstance(value, Mapping):
        names = {key: f"{_flat(key)}: " for key in value}
        items = [
            (names[key] + _spread(item, inner, len(names[key])), key != _TEXT) for key, item in value.items()
        ]
        lines = ",\n".join(_filled(items, inner))
        start = lines.lstrip() if next(iter(value)) == "type" else f"\n{lines}"
        return f"{{{start}\n{indent}}}"
    of_list = [(_spread(item, inner, 0), not isinstance(item, Mapping | list)) for item in value]
    return "[\n" + ",\n".join(_filled(of_list, inner)) + f"\n{indent}]"


def _filled(items: list[tuple[str, bool]], indent: str) -> list[str]:
    """The lines of several items; those that are short and may share a line do."""
    lines: list[str] = []
    is_open = False
    for text, may_share in items:
        start, *more = text.split("\n", 1)
        is_short = may_share and len(text) < _SHORT and not more
        if is_open and (is_short or more) and len(lines[-1]) + len(start) + 3 < WIDTH:
            lines[-1] += f", {text}"
        else:
            lines.append(indent + text)
        is_open = is_short
    return lines


def _is_short_beside_text(value: Any, room: int) -> bool:
    """Whether a schema without its description fits in the room."""
    if not isinstance(value, Mapping) or _TEXT not in value:
        return False
    rest = {key: part for key, part in value.items() if key != _TEXT}
    return not _has_text(rest) and len(_flat(rest)) < min(room, 100)


def _has_text(value: Any) -> bool:
    if isinstance(value, Mapping):
        return _TEXT in value or any(map(_has_text, value.values()))
    return isinstance(value, list) and any(map(_has_text, value))


def _flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
