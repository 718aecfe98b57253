"""The metrics in a JSON value: names with dots for nested objects, and rows for lists.

Knows the shapes that training programs write: one object; a list with an object for each epoch, alone or under a key;
and lists with a number for each epoch, as in Keras' history. Loads no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MAX_DIGITS = 400  # a whole number with more digits is beyond the range of float
_DEEPEST = 32
_MOST_ROWS = 1_000_000


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)  # Python refuses to read more digits


DECODER = json.JSONDecoder(parse_int=_whole)
"""Reads whole numbers of any length."""


def decoded(content: bytes) -> Any:
    """The value that a file or a line holds.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    return DECODER.decode(content.decode("utf-8-sig"))


def number_of(value: Any) -> float | None:
    """A JSON value as a number; None if it is not one, or null."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


@dataclass(frozen=True, slots=True)
class JsonMetrics:
    """The metrics in a JSON value.

    Attributes:
        rows: those of each epoch in a list, in order.
        final: those outside of lists.
    """

    rows: Sequence[Mapping[str, float]]
    final: Mapping[str, float]


def rows_of(value: Any) -> JsonMetrics:
    """Find the metrics in a JSON value.

    A nested key is named by its path with dots. Null and everything else that is no number is left out. The objects
    of the only list of objects keep their names; with several such lists, the path of the list precedes them.

    Args:
        value: as `decoded` reads it.
    """
    lists: dict[str, list[Mapping[str, float]]] = {}
    columns: dict[str, list[Any]] = {}
    final: dict[str, float] = {}
    for path, leaf in _leaves(value, "", 0):
        if isinstance(leaf, list):
            if leaf and all(isinstance(item, dict) for item in leaf):
                lists[path] = [_flat(item) for item in leaf[:_MOST_ROWS]]
            elif any(number_of(item) is not None for item in leaf):
                columns[path] = leaf[:_MOST_ROWS]
        elif (number := number_of(leaf)) is not None:
            final[path] = number
    rows = list[Mapping[str, float]]()
    for path, items in lists.items():
        prefix = f"{path}." if path and len(lists) > 1 else ""
        rows += [{f"{prefix}{name}": number for name, number in item.items()} for item in items]
    for place in range(max(map(len, columns.values()), default=0)):
        cells = {path: number_of(items[place]) for path, items in columns.items() if place < len(items)}
        rows.append({path: number for path, number in cells.items() if number is not None})
    return JsonMetrics(rows, final)


def _flat(values: Mapping[str, Any]) -> dict[str, float]:
    flat = ((path, number_of(leaf)) for path, leaf in _leaves(values, "", 0))
    return {path: number for path, number in flat if number is not None}


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The values that are not objects, with their paths; nothing below 32 levels."""
    if isinstance(value, dict):
        if depth < _DEEPEST:
            for key, item in value.items():
                yield from _leaves(item, f"{path}.{key}" if path else key, depth + 1)
    elif path or isinstance(value, list):
        yield path, value
