"""Columns of the ranked table for metrics beside the objective's: every metric that trials reported, or some of them.

An own trial reports metrics of any name and up to thousands of them, so the table has them only on request.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tunecli.config.metrics import LEARNING_RATE
from tunecli.config.suggestions import nearest_metric
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.results.columns import matching
from tunecli.results.table import Cell, Table, to_records
from tunecli.trial import Trial

ALL = "all"
"""The word that means every metric."""

_KEY = "metrics"
_PREFIX = "metric."
_LISTED = 12


def metric_names(trials: Iterable[Trial]) -> list[str]:
    """The names of all metrics that trials reported, sorted."""
    return sorted({name for trial in trials if trial.outcome is not None for name in trial.outcome.metrics})


def metrics_named(words: Sequence[str], names: Collection[str], option: str) -> list[str]:
    """The metrics that the words of an option name: each in full, by a unique end of its name, or all of them.

    Args:
        words: names, or the one word `all`.
        names: the known metrics.
        option: the option, for a message.

    Raises:
        UsageError: a word names no metric, or more than one.
    """
    if [*words] == [ALL]:
        return [*names]
    return [_metric_named(word, names, option) for word in dict.fromkeys(words)]


def _metric_named(word: str, names: Collection[str], option: str) -> str:
    matches = [word] if word in names else [name for name in names if name.endswith((f"/{word}", f".{word}"))]
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = " or ".join(matches[:_LISTED])
        raise UsageError(f"{option}: `{word}` is ambiguous: {shown}", hint="write more of the name")
    if not names:
        raise UsageError(f"{option}: no trial has reported a metric yet", hint="wait for the end of a trial")
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    listed = f"the metrics are {', '.join([*names][:_LISTED])}{more}"
    raise UsageError(f"{option}: no trial reported `{word}`", hint=nearest_metric(word, names) or listed)


def with_metric_columns(
    table: Table, trials: Iterable[Trial], names: Iterable[str], objective: Objective
) -> Table:
    """The table with a column for each of these metrics after those of the objective, which has its columns already.

    A metric with the name of another column gets the prefix `metric.`.

    Args:
        table: ranked, with the column `trial`.
        trials: the trials of the table, and perhaps more.
        names: metrics, reported or not.
        objective: the objective of the table.
    """
    added = [name for name in dict.fromkeys(names) if name not in objective.metrics]
    columns = [f"{_PREFIX}{name}" if name in table.columns else name for name in added]
    return _widened(table, trials, dict(zip(columns, added, strict=True)), table.n_leading, len(added))


def with_metrics(table: Table, trials: Iterable[Trial], wanted: Iterable[str]) -> Table:
    """The table with a further column at its end for each recorded metric among ``wanted`` that has no column yet.

    `lr` stays the short name of `optimizer.lr` where that is a column: ``--metrics lr`` adds the rate of the epochs.
    """
    trials = [*trials]
    known = set(metric_names(trials))
    if matching(LEARNING_RATE, table.columns):
        known.discard(LEARNING_RATE)
    added = {}
    for name in dict.fromkeys(wanted):
        metric = name.removeprefix(_PREFIX) if name not in known else name
        if metric in known and name not in table.columns:
            added[name] = metric
    return _widened(table, trials, added, len(table.columns), 0)


def _widened(
    table: Table, trials: Iterable[Trial], added: Mapping[str, str], place: int, n_leading: int
) -> Table:
    """The table with columns at ``place``; ``added`` has the metric of each."""
    if not added:
        return table
    metrics = metrics_of(trials)
    at = table.columns.index("trial")
    rows = []
    for row in table.rows:
        of_trial = metrics.get(row[at], {})
        rows.append((*row[:place], *(of_trial.get(name) for name in added.values()), *row[place:]))
    columns = (*table.columns[:place], *added, *table.columns[place:])
    return Table(columns, tuple(rows), table.n_leading + n_leading)


def metrics_of(trials: Iterable[Trial]) -> dict[Cell, Mapping[str, float]]:
    """All metrics of each trial that has ended, by its number."""
    return {trial.number: trial.outcome.metrics for trial in trials if trial.outcome is not None}


def data_of(table: Table, metrics: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The table as JSON data: ``columns``, and ``trials``, each with its cells by column and with all its ``metrics``.

    A column named `metrics` is there `trial.metrics`, as a parameter with the name of another column is.

    Args:
        table: any rows and columns.
        metrics: all metrics of the trial of each row.
    """
    names = [f"trial.{_KEY}" if name == _KEY else name for name in table.columns]
    records = to_records(Table(tuple(names), table.rows, table.n_leading))
    for record, of_trial in zip(records, metrics, strict=True):
        record[_KEY] = {
            name: value if math.isfinite(value) else None for name, value in sorted(of_trial.items())
        }
    return {"columns": names, "trials": records}
