"""A study's trials at a glance: the ranked table, what matters in it, what failed, which trial is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunecli.config.labels import option_labels
from tunecli.objective import Objective
from tunecli.results.columns import short_names
from tunecli.results.failures import grouped
from tunecli.results.importance import by_importance, importances
from tunecli.results.ranking import FrontSummary, Ranked, best, front_summary, rank
from tunecli.results.table import Table, parameter_columns
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.publish import table_of
from tunecli.trial import Trial


@dataclass(frozen=True, slots=True)
class Overview:
    """The ranked table, and the facts that a screen needs to show it.

    Attributes:
        path: the run folder.
        table: ranked.
        objective: the goals and constraints.
        front_summary: the Pareto front and the feasible trials; None: there is one goal and no constraint.
        parameters: by the column of a parameter, its name.
        headings: a short heading for each of these columns.
        order: these columns, those first that matter most for the scores.
        labels: by column, what to call a value, by its ``repr``, where the value itself says too little.
        varying: the columns of which not all cells are alike.
        failures: a line for each kind of failure.
        best: the trial of rank 1, its front and whether it is feasible; None where no trial has a rank.
    """

    path: str
    table: Table
    objective: Objective
    front_summary: FrontSummary | None
    parameters: Mapping[str, str]
    headings: Mapping[str, str]
    order: tuple[str, ...]
    labels: Mapping[str, Mapping[str, str]]
    varying: frozenset[str]
    failures: tuple[str, ...]
    best: Ranked | None

    def with_table(self, table: Table) -> Overview:
        """The same with other columns or rows."""
        return replace(self, table=table)


def overview(study: Study, trials: Sequence[Trial]) -> Overview:
    """What ``trials``, all of the study's, come to."""
    spec, table = study.spec, table_of(study, trials)
    parameters = parameter_columns(table, spec.space.names)
    column_of = {name: column for column, name in parameters.items()}
    first = best(trials, spec.objective)
    matters = by_importance(importances(trials, spec.objective, spec.space.names))
    labels = option_labels(spec.space)
    return Overview(
        str(study.folder.path),
        table,
        spec.objective,
        front_summary(trials, spec.objective),
        parameters,
        short_names(list(parameters), [column for column in table.columns if column not in parameters]),
        tuple(column_of[name] for name in matters if name in column_of),
        {column: labels[name] for column, name in parameters.items() if name in labels},
        varying(table),
        grouped(trials),
        None if first is None else next(each for each in rank(trials, spec.objective) if each.trial is first),
    )


def varying(table: Table) -> frozenset[str]:
    """The columns of which not all cells are alike."""
    return frozenset(
        column
        for place, column in enumerate(table.columns)
        if len({(type(row[place]), row[place]) for row in table.rows}) > 1
    )
