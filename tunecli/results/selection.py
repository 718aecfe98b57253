"""The ranked table as it was asked for: its columns by name, its rows in another order.

A column is named in full (``optimizer.lr``) or by the end of its name that no other column shares (``lr``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tunecli.errors import UsageError
from tunecli.results.short_names import matching, nearest
from tunecli.results.table import Cell, Table
from tunecli.trial import Trial

_LISTED = 12


def with_metrics(table: Table, trials: Iterable[Trial], asked: Iterable[str]) -> Table:
    """The table with a column at its end for each recorded metric among ``asked`` that has none."""
    metrics = {trial.number: trial.outcome.metrics for trial in trials if trial.outcome is not None}
    known = {name for each in metrics.values() for name in each}
    added = tuple(name for name in dict.fromkeys(asked) if name in known and name not in table.columns)
    if not added:
        return table
    at = table.columns.index("trial")
    rows = (
        (*row, *(metrics.get(row[at], {}).get(name) for name in added))  # type: ignore[arg-type]  # a number
        for row in table.rows
    )
    return Table((*table.columns, *added), tuple(rows), table.n_leading)


def column_named(table: Table, asked: str, option: str) -> str:
    """The column that ``asked`` names.

    Raises:
        UsageError: it names none, or several.
    """
    found = matching(asked, table.columns)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{option}: `{asked}` may be {' or '.join(found)}", hint="give more of its name")
    near = nearest(asked, table.columns)
    more = f" and {len(table.columns) - _LISTED} more" if len(table.columns) > _LISTED else ""
    listed = f"the columns are {', '.join(table.columns[:_LISTED])}{more}"
    raise UsageError(
        f"{option}: there is no column `{asked}`", hint=f"did you mean `{near}`?" if near else listed
    )


def select(table: Table, columns: Sequence[str]) -> Table:
    """Those columns, in that order."""
    places = [table.columns.index(column) for column in columns]
    return Table(
        tuple(columns), tuple(tuple(row[place] for place in places) for row in table.rows), len(columns)
    )


def failed_only(table: Table) -> Table:
    """The rows of the trials that failed."""
    at = table.columns.index("status")
    return Table(table.columns, tuple(row for row in table.rows if row[at] == "failed"), table.n_leading)


def in_order(table: Table, column: str, *, is_descending: bool = False) -> Table:
    """The rows by a column: numbers before texts, rows without a value last either way, equal ones as they were."""
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
