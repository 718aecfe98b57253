"""The readable form of a record: the ranked table, a trial as a file, and an overview for a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunecli.config.concrete_trial import concrete, derived_values
from tunecli.config.labels import option_labels, options_of, unit_of
from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.schema.data import with_absolute_paths
from tunecli.config.space import Space
from tunecli.config.surroundings import spelled_surroundings
from tunecli.config.user_code import uses
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.results.columns import short_names
from tunecli.results.export import concrete_document
from tunecli.results.failures import ended_early_lines, grouped
from tunecli.results.importance import by_importance, importances
from tunecli.results.metric_columns import ALL, metric_names, metrics_of, with_metric_columns
from tunecli.results.ranking import FrontSummary, Ranked, best, front_summary, rank
from tunecli.results.table import Cell, Table, options_alike, parameter_columns, results_table, to_csv
from tunecli.store.files import write_atomically
from tunecli.study.record.lifecycle import Study, require_text
from tunecli.train.machine import without_group
from tunecli.trial import State, Trial

NOTHING_TESTED: Mapping[str, float] = {}


def document(study: Study, trial: Trial, tested: Mapping[str, float] = NOTHING_TESTED) -> str:
    """A trial as a complete file that can be run: each range is replaced by its value, and the seed is fixed.

    Args:
        study: the study.
        trial: one of its trials.
        tested: test metrics of the trial, which the file states too.

    Raises:
        UsageError: the file would contain a folder name that is not UTF-8.
    """
    spec = study.spec
    config = concrete(spec.space, trial.parameters)
    run: dict[str, Any] = {"threads": study.plan.threads}
    if study.plan.fuse:
        run["fuse"] = study.plan.fuse
    if any(uses(config, spec.objective)) or "command" in config:
        run["folder"] = str(spec.base_path.resolve())
        run |= spelled_surroundings(spec.settings.run)
    if n_epochs := _epoch_limit(study, trial, config):
        run["trial_limit"] = {"epochs": n_epochs}
    if "data" in config:
        config = with_absolute_paths(config, spec.base_path)
    require_text((config, run), spec.base_path)
    score = trial.outcome.score if trial.outcome else None
    device = (trial.outcome and without_group(trial.outcome.device)) or study.plan.device
    return concrete_document(
        study_name=spec.settings.study,
        study_seed=spec.settings.seed,
        objective=spec.objective,
        trial_config=config,
        trial_seed=trial.seed,
        run={"device": device, **run},
        repeats=spec.settings.search.repeats,
        number=trial.number,
        score=score,
        metrics=trial.outcome.metrics if trial.outcome else None,
        tested=tested,
    )


def _epoch_limit(study: Study, trial: Trial, config: Mapping[str, Any]) -> int | None:
    """The limit of epochs with which the trial's own code computes the recorded score; None: it ends by itself."""
    if trial_model(config) is TrialConfig:
        return None
    outcome = trial.outcome
    if (
        outcome is not None
        and outcome.state is State.COMPLETE
        and study.log.ended_by(trial.number) is not None
    ):
        return outcome.epochs or None
    return study.spec.settings.run.trial_limit.epochs


def table_of(study: Study, trials: Sequence[Trial]) -> Table:
    """The ranked table of ``trials``; the values of formulas have columns after the parameters."""
    space, objective = study.spec.space, study.spec.objective
    return results_table(
        rank(with_derived(space, trials), objective),
        objective,
        space.column_names,
        alike={name: options_alike(options) for name, options in options_of(space).items()},
        unit=unit_of(space),
    )


def published_table(study: Study, trials: Sequence[Trial]) -> Table:
    """The ranked table with the columns of ``run.results.metrics``, as results.csv has it."""
    table, wanted = table_of(study, trials), study.spec.settings.run.results.metrics
    names = metric_names(trials) if wanted == ALL else wanted
    return with_metric_columns(table, trials, names, study.spec.objective)


def with_derived(space: Space, trials: Sequence[Trial]) -> Sequence[Trial]:
    """The trials as tables show them: the values of formulas follow the parameters."""
    if not space.derived_names:
        return trials
    return [
        replace(trial, parameters={**trial.parameters, **derived_values(space, trial.parameters)})
        for trial in trials
    ]


def publish(study: Study, trials: Sequence[Trial]) -> None:
    """Write results.csv, ranked, and best.yaml."""
    write_atomically(study.folder.results_path, to_csv(published_table(study, trials)))
    winner = best(trials, study.spec.objective)
    if winner is None:
        return
    try:
        text = document(study, winner)
    except UsageError:  # a folder name is not UTF-8: possible in a study that an earlier tunecli began
        return
    write_atomically(study.folder.best_path, text)


@dataclass(frozen=True, slots=True)
class Overview:
    """The ranked table, and the facts that a screen needs to show it.

    Attributes:
        path: the run folder.
        table: the ranked table.
        objective: the objectives and constraints.
        front_summary: the Pareto front and the feasible trials; None: there is one goal and no constraint.
        parameters: the name of each parameter, by its column.
        headings: a short heading for each of these columns.
        order: these columns, by importance for the scores.
        labels: by column, the label of each value that is unclear or ambiguous by itself, by the value's ``repr``.
        varying: the columns with more than one distinct value.
        failures: a line for each kind of failure, and for trials that a time limit or a person ended.
        best: the trial of rank 1, with its front and feasibility; None if no trial has a rank.
        metrics: all metrics of each trial that has ended, by its number.
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
    metrics: Mapping[Cell, Mapping[str, float]]

    def metrics_of_rows(self, table: Table) -> list[Mapping[str, float]]:
        """All metrics of the trial of each row of a table that has the column `trial`."""
        at = table.columns.index("trial")
        return [self.metrics.get(row[at], {}) for row in table.rows]

    def with_table(self, table: Table) -> Overview:
        """A copy with another table."""
        return replace(self, table=table)


def overview(study: Study, trials: Sequence[Trial]) -> Overview:
    """Overview of ``trials``, which are all trials of the study."""
    spec, table = study.spec, table_of(study, trials)
    parameters = parameter_columns(table, spec.space.column_names)
    column_of = {name: column for column, name in parameters.items()}
    first = best(trials, spec.objective)
    ranked_names = by_importance(importances(trials, spec.objective, spec.space.names))
    ranked_names += [name for name in spec.space.column_names if name not in ranked_names]
    labels = option_labels(spec.space)
    return Overview(
        str(study.folder.path),
        table,
        spec.objective,
        front_summary(trials, spec.objective),
        parameters,
        short_names(list(parameters), [column for column in table.columns if column not in parameters]),
        tuple(column_of[name] for name in ranked_names if name in column_of),
        {column: labels[name] for column, name in parameters.items() if name in labels},
        varying(table),
        (*grouped(trials), *ended_early_lines(study.log.ended_early())),
        None if first is None else _row_of(first, study, trials),
        metrics_of(trials),
    )


def _row_of(trial: Trial, study: Study, trials: Sequence[Trial]) -> Ranked:
    """The ranked row of a trial, with the values of formulas."""
    row = next(row for row in rank(trials, study.spec.objective) if row.trial is trial)
    return replace(row, trial=with_derived(study.spec.space, [trial])[0])


def varying(table: Table) -> frozenset[str]:
    """The columns with more than one distinct value."""
    return frozenset(
        column
        for index, column in enumerate(table.columns)
        if len({(type(row[index]), row[index]) for row in table.rows}) > 1
    )
