"""What a verb answers, before anybody decides how it looks: labelled lines, tables, notes, and the same as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Section:
    """A table of texts under a title, which may be empty.

    ``foldable`` names columns that may be told as one (``name value  name value …``) where there is no room.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foldable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """A verb's answer.

    Attributes:
        kind: the verb; names the schema of ``data``.
        data: the whole answer as JSON data, in full precision.
        lines: (label, text) pairs, for a person.
        sections: tables, for a person.
        notes: what a person should know beside the answer.
    """

    kind: str
    data: Mapping[str, Any]
    lines: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    notes: tuple[str, ...] = ()
