"""The account of an import: the fate of each key of another tool's file.

Owns the four fates of a line, and the reading of a map key by key, so that every key is accounted for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tunecli.config.reader import MapNode, Mark, Node, ScalarNode, SequenceNode, plain_of
from tunecli.errors import Problem
from tunecli.importers.written import written
from tunecli.text import sanitize, shorten

_SHOWN_CHARACTERS = 60


class Fate(StrEnum):
    """The fate of a key.

    CARRIED: the result means the same. CHANGED: the result is close, and a note says how it differs. LEFT_OUT: there
    is no counterpart. FILL_IN: the result needs a value that the file does not have.
    """

    CARRIED = "carried"
    CHANGED = "changed"
    LEFT_OUT = "no counterpart"
    FILL_IN = "fill in"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the account.

    Attributes:
        fate: the fate of the key.
        line: 1-based line of the file; 0: the file has no line for it.
        source: the key and its value in the file; empty: the file does not have it.
        result: the key and its value in the study's file; empty: there is none.
        note: the difference, the reason, or the missing value; empty: nothing more to say.
    """

    fate: Fate
    line: int
    source: str
    result: str
    note: str

    @property
    def short(self) -> str:
        """The entry below a heading that names its fate."""
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.result or self.source}: {self.note}"

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        match self.fate:
            case Fate.FILL_IN:
                return f"fill in {self.result}: {where}{self.note}"
            case Fate.LEFT_OUT:
                return f"{where}{self.source}: no counterpart: {self.note}"
            case _:
                arrow = f"{self.source} → {self.result}" if self.source else self.result
                return f"{where}{arrow}{f' ({self.note})' if self.note else ''}"


@dataclass(slots=True)
class Account:
    """The entries so far, and the problems of the file.

    Attributes:
        file: the file's name in problems.
    """

    file: str
    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def carried(self, source: Field, result: str, note: str = "") -> None:
        """Note that a key is carried over; with a ``note``, that it changed its meaning."""
        fate = Fate.CHANGED if note else Fate.CARRIED
        self.entries.append(Entry(fate, source.mark.line, str(source), result, note))

    def left_out(self, source: Field, reason: str) -> None:
        """Note that a key has no counterpart."""
        self.entries.append(Entry(Fate.LEFT_OUT, source.mark.line, str(source), "", reason))

    def fill_in(self, key: str, reason: str, mark: Mark | None = None) -> None:
        """Note that the result needs another value at ``key``."""
        self.entries.append(Entry(Fate.FILL_IN, mark.line if mark else 0, "", key, reason))

    def note(self, result: str, note: str, mark: Mark | None = None) -> None:
        """Note a key of the result that the file does not have, or a value that is read differently."""
        self.entries.append(Entry(Fate.CHANGED, mark.line if mark else 0, "", result, note))

    def problem(self, source: Field, message: str, hint: str = "") -> None:
        """Note a mistake in the file."""
        mark = source.mark
        self.problems.append(Problem(message, mark.file, mark.line, mark.column, source.path, hint))

    def of(self, *fates: Fate) -> list[Entry]:
        """The entries with one of these fates, in the order of the file, those without a line last."""
        chosen = [entry for entry in self.entries if entry.fate in fates]
        return sorted(chosen, key=lambda entry: entry.line or math.inf)


@dataclass(frozen=True, slots=True)
class Field:
    """One key of the file: its path, its position, its value, and its name in its map (empty for an item of a list)."""

    path: str
    mark: Mark
    node: Node
    key: str = ""

    def __str__(self) -> str:
        value = written(self.plain)
        return sanitize(f"{shorten(self.path, _SHOWN_CHARACTERS)}: {shorten(value, _SHOWN_CHARACTERS)}")

    @property
    def plain(self) -> Any:
        """The value as plain data."""
        return plain_of(self.node)

    @property
    def text(self) -> str | None:
        """The value if it is a text; else None."""
        return (
            self.node.value
            if isinstance(self.node, ScalarNode) and isinstance(self.node.value, str)
            else None
        )

    @property
    def number(self) -> int | float | None:
        """The value if it is a finite number, or a text that is one, as some tools require; else None."""
        value = self.node.value if isinstance(self.node, ScalarNode) else None
        return number_of(value)

    @property
    def count(self) -> int | None:
        """The value if it is a whole number above 0; else None."""
        value = self.number
        return int(value) if value is not None and value > 0 and float(value).is_integer() else None

    @property
    def items(self) -> tuple[Field, ...]:
        """The items if the value is a list; else nothing."""
        nodes = self.node.items if isinstance(self.node, SequenceNode) else ()
        return tuple(Field(f"{self.path}.{place}", node.mark, node) for place, node in enumerate(nodes))


def number_of(value: Any) -> int | float | None:
    """A finite number, or a text that is one; None for other values."""
    if isinstance(value, str) and len(value) <= 40 and value.isascii() and "_" not in value:
        for read in (int, float):
            try:
                value = read(value)
                break
            except ValueError:
                continue
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) < 1e300 else None


class Fields:
    """A map that is read key by key; `rest` reports the keys that were not taken."""

    def __init__(self, node: Node, path: str, account: Account) -> None:
        """``node`` may be any value: one that is no map has no keys."""
        self.account, self.path = account, path
        self._map = node if isinstance(node, MapNode) else MapNode({}, {}, node.mark)
        self._left = dict.fromkeys(self._map.items)

    def __contains__(self, key: str) -> bool:
        return key in self._map.items

    @property
    def mark(self) -> Mark:
        """The position of the map."""
        return self._map.mark

    def look(self, key: str) -> Field | None:
        """The key without taking it; None if the map does not have it."""
        node = self._map.items.get(key)
        if node is None:
            return None
        return Field(f"{self.path}.{key}" if self.path else key, self._map.marks[key], node, key)

    def take(self, key: str) -> Field | None:
        """The key, which `rest` then leaves out; None if the map does not have it."""
        self._left.pop(key, None)
        return self.look(key)

    def inner(self, key: str) -> Fields:
        """The map under a key, which is taken; empty if there is none."""
        taken = self.take(key)
        return Fields(self._map, self.path, self.account)._emptied() if taken is None else self.of(taken)

    def of(self, holder: Field) -> Fields:
        """The map that a key holds."""
        return Fields(holder.node, holder.path, self.account)

    def all(self) -> Iterator[Field]:
        """Every key, each of which is taken."""
        for key in self._map.items:
            if (taken := self.take(key)) is not None:
                yield taken

    def leaves(self) -> dict[str, Any]:
        """The plain values of the keys that are not taken, by path. They stay untaken."""
        return dict(
            _leaves(MapNode({key: self._map.items[key] for key in self._left}, {}, self._map.mark), "")
        )

    def rest(
        self, reasons: dict[str, str] | None = None, otherwise: str = "tunecli does not know this key"
    ) -> None:
        """Report each key that was not taken, with the reason by key."""
        for key in [*self._left]:
            taken = self.take(key)
            if taken is not None:
                self.account.left_out(taken, (reasons or {}).get(key, otherwise))

    def _emptied(self) -> Fields:
        self._map, self._left = MapNode({}, {}, self._map.mark), {}
        return self


def _leaves(node: MapNode, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, inner in node.items.items():
        if isinstance(inner, MapNode):
            yield from _leaves(inner, f"{prefix}{key}.")
        elif isinstance(inner, ScalarNode):
            yield f"{prefix}{key}", inner.value
