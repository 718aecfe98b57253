"""`tunecli results`: the ranked table, whole or selected, with a model's predictions where they are asked for.

A model costs a second to load and more with every trial, so it is loaded for `--predict` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from tunecli.commands.outcome_summary import best_block, records_of, section_of, standing_data, standing_lines
from tunecli.config.space import Space
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.results.columns import (
    PredictedBest,
    Prediction,
    column_named,
    failed_only,
    in_order,
    matching,
    predicted_columns,
    select,
    surprise,
    with_metrics,
    with_predictions,
)
from tunecli.results.failures import told
from tunecli.results.ranking import Standing
from tunecli.results.table import Table, top
from tunecli.results.view import Section, View
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS
from tunecli.search.prediction import predict_trials
from tunecli.search.samplers.bayes import n_initial
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.record.history import History
from tunecli.study.record.lifecycle import look
from tunecli.study.record.overview import Overview, overview
from tunecli.trial import Failure, Trial

_FORMS = ("table", "csv", "json", "markdown")
_OF_PREDICTIONS = ("predicted", "uncertainty")
_HOW = "--columns, or --format csv"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows and columns are asked for.

    Attributes:
        n_shown: how many rows, from the first on; None: all.
        sort_by: the column to sort by, a `-` before it for the other way round; empty: by rank.
        columns: their names, in full or the end of them that is no other's; empty: all.
        is_failed_only: the trials that failed alone.
    """

    n_shown: int | None = None
    sort_by: str = ""
    columns: tuple[str, ...] = ()
    is_failed_only: bool = False


def selection_of(
    *,
    form: str = "table",
    is_json: bool = False,
    number: int | None = None,
    n_shown: int | None = None,
    sort_by: str | None = None,
    columns: str | None = None,
    is_failed_only: bool = False,
    is_predicted: bool = False,
) -> Selection:
    """What the options of `results` ask for; ``columns`` are names with commas between them.

    Raises:
        UsageError: an option does not go with another, or names nothing.
    """
    if form not in _FORMS:
        raise UsageError(f"--format: unknown format `{form}`", hint="use table, csv, json or markdown")
    is_text = form in ("csv", "markdown")
    if is_json and is_text:
        raise UsageError(f"--format {form} and --json ask for two formats", hint="use one of them")
    used = {
        "--top": n_shown is not None,
        "--sort": sort_by is not None,
        "--columns": columns is not None,
        "--failed": is_failed_only,
        "--predict": is_predicted,
        f"--format {form}": is_text,
    }
    for option in [name for name, is_used in used.items() if is_used and number is not None]:
        raise UsageError(f"{option} does not work with --trial", hint="drop one of them")
    if is_failed_only and is_predicted:
        raise UsageError(
            "--predict does not work with --failed", hint="a failed trial has no score: drop one"
        )
    named = tuple(name for part in (columns or "").split(",") if (name := part.strip()))
    if columns is not None and not named:
        raise UsageError("--columns names no column", hint="name some: --columns rank,trial")
    by = (sort_by or "").strip()
    if sort_by is not None and not by.removeprefix("-"):
        raise UsageError("--sort names no column", hint="name one: --sort trial")
    return Selection(n_shown, by, named, is_failed_only)


@dataclass(frozen=True)
class Results:
    """A ranked table and what to say of it.

    Attributes:
        overview: what the study's trials come to.
        table: the rows and columns that were asked for, with predictions where there are some.
        is_selected: whether the columns were asked for by name.
        failed: of the trials that failed, number and failure, in the table's order; None where not asked for.
        standing: how the trials stand where one metric does not tell it.
        notes: what a person should know of it.
        is_predicted: whether predictions were asked for.
        predicted: the names of their two columns; none where there are no predictions.
        best: the trial that is predicted best, and its prediction; None where that is the best by its score too.
        line: the same in words.
    """

    overview: Overview
    table: Table
    standing: Standing | None
    is_selected: bool = False
    failed: tuple[tuple[int, Failure], ...] | None = None
    notes: tuple[str, ...] = ()
    is_predicted: bool = False
    predicted: tuple[str, ...] = ()
    best: tuple[int, Prediction] | None = None
    line: str = ""


def results(
    folder: RunFolder,
    *,
    n_shown: int | None = None,
    is_predicted: bool = False,
    selection: Selection | None = None,
) -> Results:
    """The ranked table of everything that has ended.

    Args:
        folder: the run folder.
        n_shown: how many rows, from the first on; None: all.
        is_predicted: with what the Gaussian process of `bayes` holds each complete trial's score to be without its
            noise, whatever sampler proposed them.
        selection: which rows and columns, in place of ``n_shown``.

    Raises:
        UsageError: a column is asked for that is not there.
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    with look(folder) as study:
        trials, objective = study.log.trials(), study.spec.objective
        notes = tuple(mixtures(study.log, trials))
        seen = overview(study, trials)
        space, seed = study.spec.space, study.spec.settings.seed
    found = Results(seen, seen.table, seen.standing, notes=notes)
    if is_predicted:
        found = _predicted(found, trials, objective, space, seed)
    return _selected(found, trials, selection or Selection(n_shown))


def _selected(found: Results, trials: Sequence[Trial], asked: Selection) -> Results:
    """The rows and columns that were asked for."""
    sort_by = asked.sort_by.removeprefix("-")
    table = with_metrics(found.table, trials, (*asked.columns, sort_by))
    for name in (*asked.columns, sort_by):
        if name in _OF_PREDICTIONS and not matching(name, table.columns):
            why = found.notes[-1] if found.is_predicted else "add --predict"
            raise UsageError(f"there is no column `{name}`", hint=why)
    if asked.is_failed_only:
        table = failed_only(table)
    if sort_by:
        column = column_named(table, sort_by, "--sort")
        table = in_order(table, column, is_descending=asked.sort_by.startswith("-"))
    if asked.n_shown is not None:
        table = top(table, asked.n_shown)
    failed = None
    if asked.is_failed_only:
        at, failure_of = table.columns.index("trial"), _failures(trials)
        numbers = [number for row in table.rows if isinstance(number := row[at], int)]
        failed = tuple((number, failure_of[number]) for number in numbers)
    if asked.columns:
        named = dict.fromkeys(column_named(table, each, "--columns") for each in asked.columns)
        table = select(table, tuple(named))
    return replace(found, table=table, is_selected=bool(asked.columns), failed=failed)


def _failures(trials: Iterable[Trial]) -> dict[int, Failure]:
    ended = ((trial.number, trial.outcome.failure) for trial in trials if trial.outcome is not None)
    return {number: failure for number, failure in ended if failure is not None}


def _predicted(
    found: Results, trials: Sequence[Trial], objective: Objective, space: Space, seed: int
) -> Results:
    """With a model's estimate of each score, and of which trial is the best."""
    found = replace(found, is_predicted=True)
    history = History(trials, objective).up_to(len(trials))
    predictions = {
        number: Prediction(objective.sign * each.loss, each.deviation)
        for number, each in predict_trials(space, history, seed).items()
    }
    if not predictions:
        why_none = (
            f"no predictions: the model needs {n_initial(space)} complete trials, with scores that differ"
        )
        if len(space.parameters) > MAX_SOBOL_DIMENSIONS:
            why_none = f"no predictions: the model takes up to {MAX_SOBOL_DIMENSIONS:,} parameters"
        return replace(found, notes=(*found.notes, why_none))
    table = found.table
    surprised = None if found.standing else surprise(table, predictions, objective.sign)
    found = replace(
        found,
        table=with_predictions(table, objective.metric, predictions),
        predicted=predicted_columns(table.columns),
    )
    if surprised is None:
        return found
    best, scored = predictions[surprised.predicted_best], predictions[surprised.scored_best]
    return replace(found, best=(surprised.predicted_best, best), line=_said(surprised, best, scored))


def mixtures(log: Log, trials: Iterable[Trial]) -> list[str]:
    """What the trials of one table do not have in common though their scores may depend on it: devices and versions.

    Args:
        log: the record.
        trials: all on it.

    Raises:
        StoreDamaged: the database cannot be used.
    """
    ended = [trial.outcome for trial in trials if trial.outcome is not None]
    used = set(log.sessions_of_results().values())
    versions = [session["versions"] for session in log.sessions() if session["id"] in used]
    devices = sorted({outcome.device for outcome in ended if outcome.device})
    found = [f"the trials ran on several devices: {', '.join(devices)}"] if len(devices) > 1 else []
    for package in sorted({name for each in versions for name in each}):
        seen = sorted({each.get(package, "absent") for each in versions})
        if len(seen) > 1:
            found.append(f"the trials ran under several versions of {package}: {', '.join(seen)}")
    return found


def _said(found: PredictedBest, best: Prediction, scored: Prediction) -> str:
    return (
        f"trial {found.predicted_best} ({_shown(best)}), and not trial {found.scored_best} ({_shown(scored)}), "
        "whose score is the best"
    )


def _shown(prediction: Prediction) -> str:
    return f"{prediction.score:.4g} ± {prediction.uncertainty:.2g}"


def results_view(found: Results) -> View:
    """The ranked table, and which trial is predicted to be the best where that is not the one with the best score."""
    data: dict[str, Any] = {
        "columns": list(found.table.columns),
        "trials": records_of(found.table),
        **standing_data(found.standing),
    }
    if found.is_predicted:
        number, prediction = found.best or (None, None)
        data["predicted_best"] = prediction and {
            "trial": number,
            "predicted": prediction.score,
            "uncertainty": prediction.uncertainty,
        }
    if found.failed is not None and not found.is_selected:
        return _of_failed(found, data)
    seen = found.overview
    how = "--format csv" if found.is_selected else _HOW
    section = section_of(seen.with_table(found.table), how=how, is_asked=found.is_selected)
    if found.is_selected or found.failed is not None:
        return View("results", data, sections=(section,))
    lines = [*standing_lines(found.standing), *([("predicted best", found.line)] if found.line else [])]
    best_trial = "" if seen.best is None else f"--trial {seen.best.trial.number}"
    return View(
        "results", data, tuple(lines), (section,), asides=seen.failures, blocks=best_block(seen, best_trial)
    )


def _of_failed(found: Results, data: dict[str, Any]) -> View:
    """Each trial that failed, with its cause and where in the user's own code it failed."""
    path = quote(found.overview.path)
    if not found.failed:
        n = len(found.overview.table.rows)
        return View("results", data, (("failed", f"none of the {n:,} trials that have ended"),))
    rows = tuple((str(number), told(failure)) for number, failure in found.failed)
    more = ("more", f"tunecli results {path} --trial {found.failed[0][0]} shows a trial with its traceback")
    return View("results", data, (more,), (Section("", ("trial", "failure"), rows),))
