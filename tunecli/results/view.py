"""What a verb answers, before anybody decides how it looks: labelled lines, tables, notes, and the same as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fit:
    """How a table too wide for a terminal is fitted to it: by columns left out, never by rows on several lines.

    Attributes:
        headings: a short heading for each column.
        first: the columns that come first where there is room, the most needed one first.
        then: the further columns, likewise. Columns in neither are not shown on a terminal.
        how: how to see the columns for which there was no room.
    """

    headings: tuple[str, ...]
    first: tuple[int, ...]
    then: tuple[int, ...] = ()
    how: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of texts under a title, which may be empty.

    Attributes:
        title, columns, rows: all of it, as a pipe gets it.
        fit: how a terminal gets it; None: whole, its texts on several lines where there is no room.
        narrow: shorter texts for the same rows, for a terminal on which ``rows`` would be broken within words.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    fit: Fit | None = None
    narrow: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, and labelled values below it.

    Attributes:
        heading, pairs: all of it, as a pipe gets it.
        short: a short label for each pair, for a terminal on which the labels have no room; empty: none.
        order: which pairs a terminal shows where they are many, the first first.
        how: how to see the others; empty: all are shown.
    """

    heading: str
    pairs: tuple[tuple[str, str], ...] = ()
    short: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    how: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A verb's answer.

    Attributes:
        kind: the verb; names the schema of ``data``.
        data: the whole answer as JSON data, in full precision.
        lines: (label, text) pairs, for a person.
        sections: tables, for a person.
        notes: what a person should know beside the answer.
        asides: sentences below the tables, for a terminal only: what a pipe reads in a column of the table.
        blocks: what stands last.
        text: printed below everything as it is, line by line: a traceback.
    """

    kind: str
    data: Mapping[str, Any]
    lines: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    notes: tuple[str, ...] = ()
    asides: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = field(default=())
    text: str = ""
