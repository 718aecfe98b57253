"""The ranked table: its columns, its rows, and its text as CSV, JSON, Markdown and display cells.

Owns the names and the order of the columns, which results.csv, ``results`` and the report share. Floats have all their
digits in the formats that programs read, and four digits in those that only people read.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tunecli.config.metrics import METRICS, is_clock
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.results.ranking import Ranked
from tunecli.text import sanitize
from tunecli.trial import Outcome, Parameters, Scalar

Cell = None | bool | int | float | str
ABSENT = "—"
FORMS = ("table", "csv", "json", "markdown")
"""The values of ``--format`` for a table."""
_CLOCK = "seconds"
_FIRST_LARGE = 1e7  # the first whole number that a cell shows as a power of ten
_MOST_DIGITS = 17  # any two different floats differ within 17 significant digits
_LEADING = ("rank", "trial", "status")
_FRONT, _FEASIBLE = "front", "feasible"
_TRAILING = ("epochs", _CLOCK, "seed", "device", "failure")

# Spreadsheets read a cell that begins with one of these signs, also in full width, as a formula (OWASP, "CSV
# Injection"). A cell begins at the start of a text, and after a semicolon if the spreadsheet's locale separates by
# semicolons. Blanks, quotes and joiners may precede the sign; `sanitize` removes all other invisible characters.
_FORMULA = re.compile(r"""(^|;)(?=["\s\u200c\u200d]*[=+@＝＋－＠-])""")
# Characters that would end a Markdown cell, or begin code or HTML.
_MARKDOWN = re.compile(r"[\\|`<]")


class Quoted(str):
    """A text option that looks like another option of its parameter, ``1`` or ``null``; it is written in quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under named columns.

    Attributes:
        columns: the names, each once.
        rows: the cells, one a column.
        n_leading: the number of columns before those of the parameters: rank, trial, status, metrics.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    n_leading: int = 4


def results_table(
    ranked: Sequence[Ranked],
    objective: Objective,
    parameter_names: Sequence[str],
    *,
    alike: Mapping[str, Collection[str]] = MappingProxyType({}),
    unit: str = _TRAILING[0],
) -> Table:
    """The table of a study.

    The columns are rank, trial, status, the metric's name, one a parameter, epochs, seconds, seed, device and failure.
    With several goals each goal has a column, after a column ``front``. With constraints there is a column
    ``feasible``, and the metrics of the constraints follow those of the goals. A parameter with the name of another
    column (``seed``) is named by its full path, ``trial.seed``. The cell of a parameter that the trial does not have is
    None; that of a parameter whose value is null is the text ``null``.

    Args:
        ranked: the rows, in their order.
        objective: names the columns of the goals and the constraints.
        parameter_names: paths under ``trial`` in the order of the columns.
        alike: by parameter, the text options that need quotes, from `options_alike`.
        unit: the name of the column with the number of epochs: `steps` for trials that report by steps.
    """
    trailing = (unit, *_TRAILING[1:])
    marks = ((_FRONT,) if objective.further_objectives else ()) + (
        (_FEASIBLE,) if objective.constraints else ()
    )
    metrics = _metric_columns(objective, (*_LEADING, *marks, *trailing))
    leading = (*_LEADING, *marks, *metrics)
    taken = {*leading, *trailing}
    named = tuple(f"trial.{name}" if name in taken else name for name in parameter_names)
    columns = (*leading, *named, *trailing)
    rows = tuple(_row(row, objective, marks, parameter_names, alike) for row in ranked)
    return Table(columns, rows, len(leading))


def top(table: Table, n: int) -> Table:
    """The table with its first ``n`` rows, or with all rows if there are fewer.

    Raises:
        ValueError: ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"{n} rows")
    return Table(table.columns, table.rows[:n], table.n_leading)


def without_clock(table: Table) -> Table:
    """The table without columns that a clock measures: two runs of one study have the rest in common.

    If a clock measures a goal or a constraint, ranks depend on it, and may differ too.
    """
    kept = [
        index
        for index, column in enumerate(table.columns)
        if column != _CLOCK and not (index < table.n_leading and is_clock(column))
    ]
    return Table(
        tuple(table.columns[index] for index in kept),
        tuple(tuple(row[index] for index in kept) for row in table.rows),
        sum(index < table.n_leading for index in kept),
    )


def require_form(form: str, *, is_json: bool) -> None:
    """Refuse an unknown ``--format``, or one that contradicts ``--json``.

    Raises:
        UsageError: the format cannot be used.
    """
    if form not in FORMS:
        raise UsageError(f"--format: unknown format `{form}`", hint="use table, csv, json or markdown")
    if is_json and form in ("csv", "markdown"):
        raise UsageError(f"--format {form} and --json exclude each other", hint="use one of them")


def to_csv(table: Table) -> str:
    """The table as CSV with a header line: exact floats, empty absent cells, booleans as ``true`` and ``false``.

    An apostrophe precedes text that a spreadsheet would read as a formula, but never a number.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_csv_cell(column) for column in table.columns])
    writer.writerows([_csv_cell(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def to_json(table: Table) -> str:
    """The table as strict JSON: a list with one object a row. Floats that are not finite become null."""
    return json.dumps(to_records(table), indent=2, allow_nan=False) + "\n"


def to_records(table: Table) -> list[dict[str, Any]]:
    """The rows as objects of plain JSON values with the columns' names as keys."""
    return [dict(zip(table.columns, map(_json_cell, row), strict=True)) for row in table.rows]


def to_markdown(table: Table) -> str:
    """The table in GitHub's Markdown, with aligned pipes, numbers aligned right, and the cells of `display_cells`."""
    cells = zip(*display_cells(table), strict=True) if table.rows else ((),) * len(table.columns)
    columns = [
        _markdown_column(name, texts, is_number=_is_numeric(row[index] for row in table.rows))
        for index, (name, texts) in enumerate(zip(table.columns, cells, strict=True))
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in zip(*columns, strict=True))


def display_cells(
    table: Table, labels: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> tuple[tuple[str, ...], ...]:
    """The cells as people read them: floats with four digits, text on one line, ``—`` for an absent cell.

    If a parameter has different floats that all look the same with four digits, they get as many digits as distinguish
    them.

    Args:
        table: any table.
        labels: by column and by the ``repr`` of a cell, the text that replaces the cell.
    """
    texts_at = {index: labels[name] for index, name in enumerate(table.columns) if name in labels}
    for index, name in enumerate(table.columns):
        if index < table.n_leading or name in _TRAILING:
            continue
        cells = [row[index] for row in table.rows]
        if digits := _digits_needed([cell for cell in cells if isinstance(cell, float)]):
            longer = {_key(cell): f"{cell:.{digits}g}" for cell in cells if isinstance(cell, float)}
            texts_at[index] = {**longer, **texts_at.get(index, {})}
    if not texts_at:
        return tuple(tuple(map(display_cell, row)) for row in table.rows)
    return tuple(
        tuple(texts_at.get(index, {}).get(_key(cell)) or display_cell(cell) for index, cell in enumerate(row))
        for row in table.rows
    )


def _digits_needed(values: Sequence[float]) -> int:
    """The number of digits that distinguishes the values if `display_cell` shows all of them the same; else 0."""
    distinct = set(values)
    if len(distinct) < 2 or len({display_cell(value) for value in distinct}) > 1:
        return 0
    lengths = range(5, _MOST_DIGITS)
    return next(
        (n for n in lengths if len({f"{value:.{n}g}" for value in distinct}) == len(distinct)), _MOST_DIGITS
    )


def _key(cell: Cell) -> str:
    return repr(None) if cell == "null" and not isinstance(cell, Quoted) else repr(cell)


def options_alike(options: Iterable[Scalar]) -> frozenset[str]:
    """The text options of a choice that look like an option of another type: ``"1"`` if 1 is an option too."""
    listed = list(options)
    others = {
        _csv_cell("null" if option is None else option) for option in listed if not isinstance(option, str)
    }
    return frozenset(option for option in listed if isinstance(option, str) and sanitize(option) in others)


def parameter_columns(table: Table, parameter_names: Sequence[str]) -> dict[str, str]:
    """By column, the parameter that it shows, for the columns of parameters."""
    pairs = ((name, f"trial.{name}") for name in parameter_names)
    columns = set(table.columns)
    other_columns = {*table.columns[: table.n_leading], *_TRAILING}
    return {path if name in other_columns else name: name for name, path in pairs if {name, path} & columns}


def _metric_columns(objective: Objective, taken: Sequence[str]) -> tuple[str, ...]:
    """The names of the metrics' columns; a further metric whose name is taken, as a user's may be, gets a prefix."""
    first, *others = objective.metrics
    return (first, *(f"metric.{name}" if name in taken else name for name in others))


def _row(
    ranked: Ranked,
    objective: Objective,
    marks: Sequence[str],
    parameter_names: Sequence[str],
    alike: Mapping[str, Collection[str]],
) -> tuple[Cell, ...]:
    trial = ranked.trial
    outcome = trial.outcome or Outcome(trial.state)
    failure = f"{outcome.failure.kind}: {outcome.failure.cause}" if outcome.failure else None
    has_ended = trial.outcome is not None
    return (
        ranked.rank,
        trial.number,
        str(trial.state.shown),
        *({_FRONT: ranked.front, _FEASIBLE: ranked.is_feasible}[mark] for mark in marks),
        _metric_cell(objective.metric, outcome.score),
        *(_metric_cell(name, outcome.metrics.get(name)) for name in objective.metrics[1:]),
        *(_parameter_cell(trial.parameters, name, alike) for name in parameter_names),
        outcome.epochs if has_ended else None,
        outcome.seconds if has_ended else None,
        trial.seed,
        outcome.device or None,
        failure,
    )


def _metric_cell(name: str, value: float | None) -> Cell:
    is_count = name in METRICS and METRICS[name].is_count
    return int(value) if is_count and value is not None and value.is_integer() else value


def _parameter_cell(parameters: Parameters, name: str, alike: Mapping[str, Collection[str]]) -> Cell:
    if name not in parameters:
        return None
    value = parameters[name]
    if isinstance(value, str) and value in alike.get(name, ()):
        return Quoted(value)
    return "null" if value is None else value


def _csv_cell(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            text = sanitize(cell)
            return defused(f'"{text}"' if isinstance(cell, Quoted) else text)
        case bool():
            return str(cell).lower()
        case _:
            return repr(cell)


def defused(text: str) -> str:
    """Text for a CSV file: an apostrophe precedes text that a spreadsheet would read as a formula."""
    return _FORMULA.sub(r"\1'", text)


def _json_cell(cell: Cell) -> Cell:
    if isinstance(cell, Quoted) and cell == "null":
        return '"null"'  # a parameter's null is the text `null`, since JSON's null is an absent cell
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def display_cell(cell: Cell) -> str:
    """A cell as people read it: floats with four digits or whole, text on one line, ``—`` for None."""
    match cell:
        case None:
            return ABSENT
        case str():
            return f'"{sanitize(cell)}"' if isinstance(cell, Quoted) else sanitize(cell)
        case bool():
            return str(cell).lower()
        case float() if cell.is_integer() and abs(cell) < _FIRST_LARGE:  # a number of weights is a count
            return f"{cell:.0f}"
        case float():
            return f"{cell:.4g}"
        case _:
            return str(cell)


def _markdown_column(name: str, texts: Sequence[str], *, is_number: bool) -> list[str]:
    """The lines of one column, padded to the widest: the name, the delimiter, the cells."""
    name, *cells = (_MARKDOWN.sub(r"\\\g<0>", text) for text in (sanitize(name), *texts))
    width = max(3, *map(len, (name, *cells)))
    delimiter = "-" * (width - 1) + (":" if is_number else "-")
    return [text.rjust(width) if is_number else text.ljust(width) for text in (name, delimiter, *cells)]


def _is_numeric(cells: Iterable[Cell]) -> bool:
    present = [cell for cell in cells if cell is not None]
    return bool(present) and all(
        isinstance(cell, int | float) and not isinstance(cell, bool) for cell in present
    )
