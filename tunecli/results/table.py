"""The ranked table: its columns, its rows, and the texts it is written as.

Owns the names and the order of the columns, which results.csv, ``results`` and the report share. Floats are written
in full wherever a program may read them and short where only people do. Knows no file and no terminal.
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

from tunecli.config.metrics import METRICS, is_clock
from tunecli.objective import Objective
from tunecli.results.ranking import Ranked
from tunecli.text import sanitize
from tunecli.trial import Outcome, Parameters, Scalar

Cell = None | bool | int | float | str
ABSENT = "—"
_CLOCK = "seconds"
_MOST_DIGITS = 17  # of a float, after which two are the same
_LEADING = ("rank", "trial", "status")
_FRONT, _FEASIBLE = "front", "feasible"
_TRAILING = ("epochs", _CLOCK, "seed", "device", "failure")

# What a spreadsheet takes for a formula (OWASP, "CSV Injection"): a cell that begins so, in full width too. A cell
# begins at the front of a text, and after a semicolon where the spreadsheet's locale separates by that. Blanks, quotes
# and joiners may stand before the sign; `sanitize` has removed all else that is not seen.
_FORMULA = re.compile(r"""(^|;)(?=["\s\u200c\u200d]*[=+@＝＋－＠-])""")
# What would end a cell, or begin code or HTML.
_MARKDOWN = re.compile(r"[\\|`<]")


class Quoted(str):
    """A text that is written like another option of its parameter, ``1`` or ``null``, and so in quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under named columns; every row is as long as ``columns``, and no two columns share a name.

    The first ``n_leading`` columns say how the trials stand; the parameters follow them.
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
) -> Table:
    """The table of a study.

    The columns are rank, trial, status, the metric's name, one for each parameter, epochs, seconds, seed, device and
    failure. Of several goals each has a column, and ``front`` stands before them; where there are constraints,
    ``feasible`` does, and their metrics follow. A parameter named like one of the others (``seed``) is called by its
    path from the top, ``trial.seed``.
    A parameter that a trial does not have is None; one whose value is null is the text ``null``.

    Args:
        ranked: the rows, in their order.
        objective: names the columns of the goals and the constraints.
        parameter_names: paths under ``trial`` in the order of the columns.
        alike: by parameter, the texts to be told from another option by quotes, as `options_alike` has them.
    """
    marks = ((_FRONT,) if objective.further_objectives else ()) + (
        (_FEASIBLE,) if objective.constraints else ()
    )
    metrics = _metric_columns(objective, (*_LEADING, *marks, *_TRAILING))
    leading = (*_LEADING, *marks, *metrics)
    taken = {*leading, *_TRAILING}
    named = tuple(f"trial.{name}" if name in taken else name for name in parameter_names)
    columns = (*leading, *named, *_TRAILING)
    rows = tuple(_row(row, objective, marks, parameter_names, alike) for row in ranked)
    return Table(columns, rows, len(leading))


def top(table: Table, n: int) -> Table:
    """The first ``n`` rows, ``n`` at least 0; all of them where there are fewer.

    Raises:
        ValueError: ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"{n} rows")
    return Table(table.columns, table.rows[:n], table.n_leading)


def without_clock(table: Table) -> Table:
    """The table without what a clock gave: what two runs of one study must have in common.

    Where a goal or a constraint is a clock's, ranks follow from it, and are no more the same than it is.
    """
    kept = [
        place
        for place, column in enumerate(table.columns)
        if column != _CLOCK and not (place < table.n_leading and is_clock(column))
    ]
    return Table(
        tuple(table.columns[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in table.rows),
        sum(place < table.n_leading for place in kept),
    )


def to_csv(table: Table) -> str:
    """CSV with a header line: floats to the last bit, absent cells empty, booleans as ``true`` and ``false``.

    Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers never do.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_csv_cell(column) for column in table.columns])
    writer.writerows([_csv_cell(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def to_json(table: Table) -> str:
    """A list with one object for each row, strict JSON: a float that is not finite is null, as JSON has no other."""
    rows = [dict(zip(table.columns, map(_json_cell, row), strict=True)) for row in table.rows]
    return json.dumps(rows, indent=2, allow_nan=False) + "\n"


def to_markdown(table: Table) -> str:
    """A table in GitHub's dialect, its pipes aligned and its numbers to the right, cells as people read them."""
    cells = zip(*display_cells(table), strict=True) if table.rows else ((),) * len(table.columns)
    columns = [
        _markdown_column(name, texts, is_number=_is_numeric(row[place] for row in table.rows))
        for place, (name, texts) in enumerate(zip(table.columns, cells, strict=True))
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in zip(*columns, strict=True))


def display_cells(
    table: Table, labels: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> tuple[tuple[str, ...], ...]:
    """The rows as people read them: floats to four digits, text on one line, ``—`` for what is absent.

    Where a parameter's floats differ and four digits show them all alike, they get as many as tell them apart.

    Args:
        table: any.
        labels: by column, what to write in place of a cell, by the cell's ``repr``.
    """
    places = {place: labels[name] for place, name in enumerate(table.columns) if name in labels}
    for place, name in enumerate(table.columns):
        if place < table.n_leading or name in _TRAILING:
            continue
        cells = [row[place] for row in table.rows]
        if digits := _digits_needed([cell for cell in cells if isinstance(cell, float)]):
            longer = {_key(cell): f"{cell:.{digits}g}" for cell in cells if isinstance(cell, float)}
            places[place] = {**longer, **places.get(place, {})}
    if not places:
        return tuple(tuple(map(display_cell, row)) for row in table.rows)
    return tuple(
        tuple(places.get(place, {}).get(_key(cell)) or display_cell(cell) for place, cell in enumerate(row))
        for row in table.rows
    )


def _digits_needed(values: Sequence[float]) -> int:
    """How many digits tell different values apart that `display_cell` shows all alike; 0 where it does not."""
    different = set(values)
    if len(different) < 2 or len({display_cell(value) for value in different}) > 1:
        return 0
    lengths = range(5, _MOST_DIGITS)
    return next(
        (n for n in lengths if len({f"{value:.{n}g}" for value in different}) == len(different)), _MOST_DIGITS
    )


def _key(cell: Cell) -> str:
    return repr(None) if cell == "null" and not isinstance(cell, Quoted) else repr(cell)


def options_alike(options: Iterable[Scalar]) -> frozenset[str]:
    """The texts among a choice's options that are written like another option: ``"1"`` where 1 is an option too."""
    every = list(options)
    others = {_csv_cell("null" if each is None else each) for each in every if not isinstance(each, str)}
    return frozenset(each for each in every if isinstance(each, str) and sanitize(each) in others)


def parameter_columns(table: Table, parameter_names: Sequence[str]) -> dict[str, str]:
    """The parameter of each column of the table that holds one."""
    pairs = ((name, f"trial.{name}") for name in parameter_names)
    ours = set(table.columns)
    leading = {*table.columns[: table.n_leading], *_TRAILING}
    return {path if name in leading else name: name for name, path in pairs if {name, path} & ours}


def _metric_columns(objective: Objective, taken: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns of the metrics: those that are taken, as the user's own may be, are told apart."""
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
            return _FORMULA.sub(r"\1'", f'"{text}"' if isinstance(cell, Quoted) else text)
        case bool():
            return str(cell).lower()
        case _:
            return repr(cell)


def _json_cell(cell: Cell) -> Cell:
    if (
        isinstance(cell, Quoted) and cell == "null"
    ):  # null itself is the text `null`, as null says that there is none
        return '"null"'
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def display_cell(cell: Cell) -> str:
    """A cell as people read it."""
    match cell:
        case None:
            return ABSENT
        case str():
            return f'"{sanitize(cell)}"' if isinstance(cell, Quoted) else sanitize(cell)
        case bool():
            return str(cell).lower()
        case float():
            return f"{cell:.4g}"
        case _:
            return str(cell)


def _markdown_column(name: str, texts: Sequence[str], *, is_number: bool) -> list[str]:
    """One column's lines, each as wide as the widest: the name, the rule, the cells."""
    name, *cells = (_MARKDOWN.sub(r"\\\g<0>", text) for text in (sanitize(name), *texts))
    width = max(3, *map(len, (name, *cells)))
    rule = "-" * (width - 1) + (":" if is_number else "-")
    return [text.rjust(width) if is_number else text.ljust(width) for text in (name, rule, *cells)]


def _is_numeric(cells: Iterable[Cell]) -> bool:
    present = [cell for cell in cells if cell is not None]
    return bool(present) and all(
        isinstance(cell, int | float) and not isinstance(cell, bool) for cell in present
    )
