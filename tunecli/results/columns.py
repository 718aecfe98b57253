"""Columns of the ranked table: short names, selection and order by name, and columns of predictions.

A column is named in full (``optimizer.lr``) or by an end of its name that no other column shares (``lr``).
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tunecli.errors import UsageError
from tunecli.results.confirmed import Interval
from tunecli.results.table import Cell, Table

_SAY_NOTHING_ALONE = {"length", "choice", "name", "from", "to", "of", "at", "by", "every"}
_LISTED = 12


def short_names(names: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """A unique short name for each name: the shortest end of its path that is no end of another path.

    ``optimizer.lr`` is ``lr`` if no other parameter ends in ``lr``, and ``model.hidden.0`` is ``hidden.0``: a part that
    says nothing alone (a position, ``length``, ``choice``, ``name``) keeps the part before it.

    Args:
        names: dotted paths, each once.
        taken: names of other columns, which no short name may equal.
    """
    ends = Counter(end for name in names for end in set(_ends(name)))
    return {
        name: next(
            (end for end in _ends(name) if ends[end] == 1 and end not in taken and _says_something(end)), name
        )
        for name in names
    }


def matching(asked: str, names: Collection[str]) -> list[str]:
    """The names that ``asked`` may mean: the equal name, else all names that end in it."""
    return [asked] if asked in names else [name for name in names if asked in _ends(name)]


def nearest(asked: str, names: Sequence[str]) -> str | None:
    """The name most similar to ``asked`` in full or by its end; None: no name is similar."""
    whole_of = {end: name for name in reversed(names) for end in _ends(name)} | {name: name for name in names}
    close = difflib.get_close_matches(asked, whole_of, n=1, cutoff=0.6)
    return whole_of[close[0]] if close else None


def _ends(name: str) -> list[str]:
    """All ends of a path, the shortest first: ``a.b.c`` gives ``c``, ``b.c``, ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[place:]) for place in range(len(parts) - 1, -1, -1)]


def _says_something(end: str) -> bool:
    first = end.partition(".")[0]
    return not (first.isdigit() or (first == end and first in _SAY_NOTHING_ALONE))


def column_named(table: Table, asked: str, option: str) -> str:
    """The column that ``asked`` names in full or by a unique end.

    Raises:
        UsageError: it names no column, or more than one.
    """
    names = matching(asked, table.columns)
    if len(names) == 1:
        return names[0]
    if names:
        raise UsageError(
            f"{option}: `{asked}` is ambiguous: {' or '.join(names)}", hint="write more of the name"
        )
    near = nearest(asked, table.columns)
    more = f" and {len(table.columns) - _LISTED} more" if len(table.columns) > _LISTED else ""
    listed = f"the columns are {', '.join(table.columns[:_LISTED])}{more}"
    raise UsageError(
        f"{option}: there is no column `{asked}`", hint=f"did you mean `{near}`?" if near else listed
    )


def select(table: Table, columns: Sequence[str]) -> Table:
    """The table with these columns, in this order."""
    places = [table.columns.index(column) for column in columns]
    return Table(
        tuple(columns), tuple(tuple(row[place] for place in places) for row in table.rows), len(columns)
    )


def failed_only(table: Table) -> Table:
    """The rows of the trials that failed."""
    at = table.columns.index("status")
    return Table(table.columns, tuple(row for row in table.rows if row[at] == "failed"), table.n_leading)


def numbers_of(table: Table) -> list[int]:
    """The numbers of the trials, in the order of the rows."""
    at = table.columns.index("trial")
    return [number for row in table.rows if isinstance(number := row[at], int)]


def in_order(table: Table, column: str, *, is_descending: bool = False) -> Table:
    """The rows sorted by a column, stably: numbers before texts, rows without a value last in both directions."""
    at = table.columns.index(column)
    present = [row for row in table.rows if not _is_absent(row[at])]
    absent = [row for row in table.rows if _is_absent(row[at])]
    ordered = sorted(present, key=lambda row: _key(row[at]), reverse=is_descending)
    return Table(table.columns, (*ordered, *absent), table.n_leading)


def _is_absent(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _key(cell: Cell) -> tuple[int, float, str]:
    if isinstance(cell, bool):
        return (1, float(cell), "")
    if isinstance(cell, int | float):
        return (0, cell, "")
    return (2, 0.0, str(cell))


@dataclass(frozen=True, slots=True)
class Prediction:
    """A noise-free score: its median, and half the distance between the 16th and the 84th percentile."""

    score: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class PredictedBest:
    """The trial with the best prediction, which is not the trial with the best score."""

    predicted_best: int
    scored_best: int


def with_predictions(table: Table, metric: str, predictions: Mapping[int, Prediction]) -> Table:
    """The table with the columns `predicted` and `uncertainty` after the metric's.

    Both names end in an underscore if another column has one of them. A trial without a prediction has None.

    Args:
        table: ranked; its columns are those of `results_table`.
        metric: the name of the score's column.
        predictions: by trial number.
    """
    place, number_at = table.columns.index(metric) + 1, table.columns.index("trial")
    ours = predicted_columns(table.columns)
    rows = ((*row[:place], *_cells(predictions, row[number_at]), *row[place:]) for row in table.rows)
    return Table((*table.columns[:place], *ours, *table.columns[place:]), tuple(rows))


def with_confirmed(table: Table, metric: str, intervals: Mapping[int, Interval]) -> Table:
    """The table with the columns `confirmed` and `±` after the metric's; a trial without fresh runs has None.

    Args:
        table: ranked; its columns are those of `results_table`.
        metric: the name of the score's column.
        intervals: the mean of each trial's fresh runs, by trial number.
    """
    place, number_at = table.columns.index(metric) + 1, table.columns.index("trial")
    mean, width = "confirmed", "±"
    while {mean, width} & set(table.columns):
        mean, width = f"{mean}_", f"{width}_"

    def cells(number: Cell) -> tuple[Cell, Cell]:
        interval = intervals.get(number) if isinstance(number, int) else None
        if interval is None:
            return None, None
        return interval.mean, max(interval.high - interval.mean, interval.mean - interval.low)

    rows = ((*row[:place], *cells(row[number_at]), *row[place:]) for row in table.rows)
    return Table((*table.columns[:place], mean, width, *table.columns[place:]), tuple(rows))


def predicted_columns(columns: tuple[str, ...]) -> tuple[str, str]:
    """The names of the two columns beside ``columns``."""
    predicted, uncertainty = "predicted", "uncertainty"
    while {predicted, uncertainty} & set(columns):
        predicted, uncertainty = f"{predicted}_", f"{uncertainty}_"
    return predicted, uncertainty


def predicted_best(table: Table, predictions: Mapping[int, Prediction], sign: float) -> PredictedBest | None:
    """The trial with the best prediction if it is not the trial with the best score; the better rank breaks ties.

    Args:
        table: ranked.
        predictions: by trial number.
        sign: ``sign * score`` is a loss, of which less is better.
    """
    rank_at, number_at = table.columns.index("rank"), table.columns.index("trial")
    ranked = [
        number for row in table.rows if row[rank_at] is not None and isinstance(number := row[number_at], int)
    ]
    numbers = [number for number in ranked if number in predictions]
    if not numbers:
        return None
    best = min(numbers, key=lambda number: sign * predictions[number].score)
    return None if best == ranked[0] else PredictedBest(best, ranked[0])


def _cells(predictions: Mapping[int, Prediction], number: Cell) -> tuple[Cell, Cell]:
    prediction = predictions.get(number) if isinstance(number, int) else None
    return (None, None) if prediction is None else (prediction.score, prediction.uncertainty)
