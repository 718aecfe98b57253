"""A verb's output as values: labelled lines, tables, notes, and the same as JSON data.

The commands build a `View`; only the console decides how it is laid out and printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fit:
    """How a table that is too wide for a terminal is fitted: columns are left out, and no row takes two lines.

    Attributes:
        headings: a short heading for each column.
        first: the columns that are shown first, as positions, the most important one first.
        then: the columns that are shown next, likewise. Columns in neither are not shown on a terminal.
        how: the option or command that shows the columns left out.
    """

    headings: tuple[str, ...]
    first: tuple[int, ...]
    then: tuple[int, ...] = ()
    how: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of texts under a title, which may be empty.

    Attributes:
        title, columns, rows: the whole table, as a pipe gets it.
        fit: how the table is fitted to a terminal; None: long texts take several lines.
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
        heading, pairs: the whole block, as a pipe gets it.
        short: a short label for each pair, for a terminal on which the full labels do not fit; empty: no short labels.
        order: positions of the pairs, the most important first, for a terminal that cannot show them all.
        how: the option or command that shows the other pairs; empty: a terminal gets all pairs.
    """

    heading: str
    pairs: tuple[tuple[str, str], ...] = ()
    short: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    how: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A titled part of a long output: its paragraphs, then labelled lines, then a table.

    Attributes:
        title: printed above; empty: nothing is.
        paragraphs: texts; a terminal breaks them at blanks, but never within a command or in backticks. Further lines
            of a paragraph are indented like its first.
        lines: (label, text) pairs.
        section: a table; None: there is none.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    section: Section | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A curve for a terminal, which draws it at its width; a pipe does not get it.

    Attributes:
        title: the name of the curve.
        xs: ascending, at least one.
        ys: the value at each x; NaN: no value was reported at this x.
        x_label: what x is.
        mark: a line below the chart, such as the value of the kept epoch; may be empty.
    """

    title: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    x_label: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The output of a verb.

    Attributes:
        kind: the name of the schema of ``data``, usually the verb.
        data: the whole output as JSON data, in full precision.
        messages: lines for stderr, which are printed with ``--json`` too.
        notes: notes for stderr; with ``--json`` they are in ``data``.
        raw: text for stdout, printed unchanged in place of all that follows.
        chapters: printed first.
        charts: drawn on a terminal in place of the tables, which a pipe gets.
        sections: tables.
        asides: sentences below the tables, for a terminal only; a pipe finds the same facts in a column.
        lines: (label, text) pairs below the tables.
        blocks: printed last.
        text: printed below everything else, line by line, such as a traceback.
    """

    kind: str
    data: Mapping[str, Any]
    lines: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    notes: tuple[str, ...] = ()
    asides: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = field(default=())
    text: str = ""
    raw: str = ""
    messages: tuple[str, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    charts: tuple[Chart, ...] = ()
