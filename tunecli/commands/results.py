"""`tunecli results`: the ranked table, whole or selected, with predictions by ``--predict``.

The model of the predictions takes a second to load, and its fit takes longer with every trial, so only ``--predict``
loads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from tunecli.commands.logs import log_lines
from tunecli.commands.outcome_summary import best_block, front_data, front_lines, section_of
from tunecli.config.space import Space
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.results.baseline import Baseline, baseline_data, baseline_lines
from tunecli.results.columns import (
    Prediction,
    column_named,
    failed_only,
    in_order,
    matching,
    numbers_of,
    predicted_best,
    predicted_columns,
    select,
    with_confirmed,
    with_predictions,
)
from tunecli.results.failures import failure_line
from tunecli.results.metric_columns import (
    data_of,
    metric_names,
    metrics_named,
    with_metric_columns,
    with_metrics,
)
from tunecli.results.ranking import FrontSummary
from tunecli.results.table import Table, to_csv, to_markdown, top
from tunecli.results.view import Section, View
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS
from tunecli.search.prediction import predict_trials
from tunecli.search.samplers.bayes import n_initial_without_priors
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.baseline import recorded_baseline
from tunecli.study.record.confirmation import confirmed_of_study
from tunecli.study.record.history import History
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.record.publish import Overview, overview
from tunecli.trial import Failure, Trial

FORMS = ("table", "csv", "json", "markdown")
_PREDICTION_COLUMNS = ("predicted", "uncertainty")
_HOW_TO_SEE_MORE = "--format csv, or --columns NAMES"


@dataclass(frozen=True, slots=True)
class ResultsOptions:
    """The options of `results` as the person gave them.

    Attributes:
        form: ``--format``.
        is_json: ``--json``.
        number: ``--trial``.
        n_shown: ``--top``.
        sort_by: ``--sort``.
        columns: ``--columns``, names separated by commas.
        is_failed_only: ``--failed``.
        is_predicted: ``--predict``.
        metrics: ``--metrics``, names separated by commas, or `all`.
    """

    form: str = "table"
    is_json: bool = False
    number: int | None = None
    n_shown: int | None = None
    sort_by: str | None = None
    columns: str | None = None
    is_failed_only: bool = False
    is_predicted: bool = False
    metrics: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected rows and columns of the ranked table.

    Attributes:
        n_shown: the number of rows, from the first; None: all.
        sort_by: the column to sort by, with a `-` in front to sort from high to low; empty: by rank.
        columns: names of columns, each in full or as an ending that no other column has; empty: all columns.
        is_failed_only: only the trials that failed.
        metrics: metrics that get a column each, or the one word `all`.
    """

    n_shown: int | None = None
    sort_by: str = ""
    columns: tuple[str, ...] = ()
    is_failed_only: bool = False
    metrics: tuple[str, ...] = ()


def selection_of(options: ResultsOptions) -> Selection:
    """The rows and columns that the options select.

    Raises:
        UsageError: two options exclude each other, or an option has no valid value.
    """
    form = options.form
    if form not in FORMS:
        raise UsageError(f"--format: unknown format `{form}`", hint="use table, csv, json or markdown")
    is_text = form in ("csv", "markdown")
    if options.is_json and is_text:
        raise UsageError(f"--format {form} and --json exclude each other", hint="use one of them")
    used = {
        "--top": options.n_shown is not None,
        "--sort": options.sort_by is not None,
        "--columns": options.columns is not None,
        "--failed": options.is_failed_only,
        "--predict": options.is_predicted,
        "--metrics": options.metrics is not None,
        f"--format {form}": is_text,
    }
    for option in [name for name, is_used in used.items() if is_used and options.number is not None]:
        raise UsageError(f"{option} does not work with --trial", hint="use one of them")
    if options.is_failed_only and options.is_predicted:
        raise UsageError("--predict does not work with --failed", hint="failed trials have no score")
    if options.columns is not None and options.metrics is not None:
        hint = "--columns takes the names of metrics too"
        raise UsageError("--metrics and --columns exclude each other", hint=hint)
    columns, metrics = _names_in(options.columns), _names_in(options.metrics)
    if options.metrics is not None and not metrics:
        raise UsageError("--metrics names no metric", hint="for example: --metrics all")
    if options.columns is not None and not columns:
        raise UsageError("--columns names no column", hint="for example: --columns rank,trial")
    sort_by = (options.sort_by or "").strip()
    if options.sort_by is not None and not sort_by.removeprefix("-"):
        raise UsageError("--sort names no column", hint="for example: --sort trial")
    return Selection(options.n_shown, sort_by, columns, options.is_failed_only, metrics)


def _names_in(text: str | None) -> tuple[str, ...]:
    return tuple(name for part in (text or "").split(",") if (name := part.strip()))


@dataclass(frozen=True)
class Results:
    """A ranked table, with notes and predictions.

    Attributes:
        overview: of all trials of the study.
        table: the selected rows and columns, with the columns of predictions if there are any.
        front_summary: the Pareto front and the feasible trials; None: there is one goal and no constraint.
        is_selected: whether columns were selected by name.
        failed: number and failure of each failed trial, in the table's order; None: `is_failed_only` is off.
        metrics: all metrics of the trial of each row.
        notes: notes on the table.
        is_predicted: whether predictions were requested.
        predicted: the names of the two columns of predictions; empty: there are no predictions.
        best: the number of the trial with the best prediction, and the prediction. None: there are no predictions,
            there is more than one goal or a constraint, or it is the trial with the best score.
        line: ``best`` in words, for the screen.
        baseline: the scores of simple models on the same data; None: they were not fitted.
    """

    overview: Overview
    table: Table
    front_summary: FrontSummary | None
    is_selected: bool = False
    failed: tuple[tuple[int, Failure], ...] | None = None
    metrics: tuple[Mapping[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    is_predicted: bool = False
    predicted: tuple[str, ...] = ()
    best: tuple[int, Prediction] | None = None
    line: str = ""
    baseline: Baseline | None = None


def results(
    folder: RunFolder,
    *,
    n_shown: int | None = None,
    is_predicted: bool = False,
    selection: Selection | None = None,
) -> Results:
    """The ranked table of all trials that have ended.

    Args:
        folder: the run folder.
        n_shown: the number of rows, from the first; None: all.
        is_predicted: add the noise-free estimate of each complete trial's score by the Gaussian process of `bayes`,
            with any sampler.
        selection: rows and columns, in place of ``n_shown``.

    Raises:
        UsageError: a selected column does not exist.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    with open_to_read(folder) as study:
        trials, objective = study.log.trials(), study.spec.objective
        notes = tuple(mixtures(study.log, trials))
        study_overview = overview(study, trials)
        space, seed = study.spec.space, study.spec.settings.seed
        confirmed = confirmed_of_study(study)
        simple = recorded_baseline(study, trials)
    summary = study_overview.front_summary
    whole = Results(study_overview, study_overview.table, summary, notes=notes, baseline=simple)
    if confirmed is not None and confirmed.intervals:
        whole = replace(whole, table=with_confirmed(whole.table, objective.metric, confirmed.intervals))
    if is_predicted:
        noise = (confirmed and confirmed.seed_deviation) or 0.0
        whole = _with_predictions(whole, trials, objective, space, seed, noise)
    return _selected(whole, trials, selection or Selection(n_shown))


def _selected(whole: Results, trials: Sequence[Trial], selection: Selection) -> Results:
    """The selected rows and columns."""
    sort_by = selection.sort_by.removeprefix("-")
    table = whole.table
    if selection.metrics:
        names = metrics_named(selection.metrics, metric_names(trials), "--metrics")
        table = with_metric_columns(table, trials, names, whole.overview.objective)
    table = with_metrics(table, trials, (*selection.columns, sort_by))
    for name in (*selection.columns, sort_by):
        if name in _PREDICTION_COLUMNS and not matching(name, table.columns):
            why = whole.notes[-1] if whole.is_predicted else "add --predict"
            raise UsageError(f"there is no column `{name}`", hint=why)
    if selection.is_failed_only:
        table = failed_only(table)
    if sort_by:
        column = column_named(table, sort_by, "--sort")
        table = in_order(table, column, is_descending=selection.sort_by.startswith("-"))
    if selection.n_shown is not None:
        table = top(table, selection.n_shown)
    failed = None
    if selection.is_failed_only:
        failures = _failures(trials)
        failed = tuple((number, failures[number]) for number in numbers_of(table))
    metrics = tuple(whole.overview.metrics_of_rows(table))
    if selection.columns:
        columns = dict.fromkeys(column_named(table, name, "--columns") for name in selection.columns)
        table = select(table, tuple(columns))
    return replace(whole, table=table, is_selected=bool(selection.columns), failed=failed, metrics=metrics)


def _failures(trials: Iterable[Trial]) -> dict[int, Failure]:
    ended = ((trial.number, trial.outcome.failure) for trial in trials if trial.outcome is not None)
    return {number: failure for number, failure in ended if failure is not None}


def _with_predictions(
    whole: Results,
    trials: Sequence[Trial],
    objective: Objective,
    space: Space,
    seed: int,
    noise_floor: float = 0.0,
) -> Results:
    """Add the columns of predictions, and the trial with the best prediction."""
    whole = replace(whole, is_predicted=True)
    history = History(trials, objective).up_to(len(trials))
    predictions = {
        number: Prediction(objective.sign * forecast.loss, forecast.deviation)
        for number, forecast in predict_trials(space, history, seed, noise_floor).items()
    }
    if not predictions:
        n_needed = n_initial_without_priors(space)
        why_none = f"no predictions: the model needs {n_needed} complete trials with different scores"
        if len(space.parameters) > MAX_SOBOL_DIMENSIONS:
            why_none = f"no predictions: the model takes up to {MAX_SOBOL_DIMENSIONS:,} parameters"
        return replace(whole, notes=(*whole.notes, why_none))
    table = whole.table
    # With several goals or constraints, the best score alone does not make a trial the best.
    disagreement = None if whole.front_summary else predicted_best(table, predictions, objective.sign)
    whole = replace(
        whole,
        table=with_predictions(table, objective.metric, predictions),
        predicted=predicted_columns(table.columns),
    )
    if disagreement is None:
        return whole
    number, other_number = disagreement.predicted_best, disagreement.scored_best
    best, scored = predictions[number], predictions[other_number]
    line = (
        f"trial {number} ({_estimate(best)}), not trial {other_number} ({_estimate(scored)}), "
        "which has the best score"
    )
    return replace(whole, best=(number, best), line=line)


def _estimate(prediction: Prediction) -> str:
    return f"{prediction.score:.4g} ± {prediction.uncertainty:.2g}"


def mixtures(log: Log, trials: Iterable[Trial]) -> list[str]:
    """Notes on devices and package versions that differ between trials, because scores may depend on them.

    Args:
        log: the record.
        trials: all trials on record.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    ended = [trial.outcome for trial in trials if trial.outcome is not None]
    used = set(log.sessions_of_results().values())
    of_used = {session["id"]: session["versions"] for session in log.sessions() if session["id"] in used}
    hosts, of_hosts = set(log.hosts().values()), log.host_versions()
    there = [{**of_used[one], **of} for one, host, of in of_hosts if one in of_used and host in hosts]
    versions = [*of_used.values(), *there]
    devices = sorted({outcome.device for outcome in ended if outcome.device})
    notes = [f"the trials ran on different devices: {', '.join(devices)}"] if len(devices) > 1 else []
    for package in sorted({name for of_session in versions for name in of_session}):
        different = sorted({of_session.get(package, "absent") for of_session in versions})
        if len(different) > 1:
            notes.append(f"the trials ran with different versions of {package}: {', '.join(different)}")
    return notes


def results_view(results: Results, form: str = "table") -> View:
    """The ranked table, its best trial, and the trial with the best prediction if that is another one.

    Args:
        results: a table and its notes.
        form: one of the formats of ``--format``.
    """
    data: dict[str, Any] = {
        **data_of(results.table, results.metrics),
        **front_data(results.front_summary),
        "baseline": baseline_data(results.baseline),
    }
    if results.is_predicted:
        number, prediction = results.best or (None, None)
        data["predicted_best"] = prediction and {
            "trial": number,
            "predicted": prediction.score,
            "uncertainty": prediction.uncertainty,
        }
    notes = tuple(f"note: {note}" for note in results.notes)
    if form in ("csv", "markdown"):
        if results.line:
            notes = (*notes, f"note: predicted best: {results.line}")
        text = to_csv(results.table) if form == "csv" else to_markdown(results.table)
        return View("results", data, raw=text, messages=notes)
    view = (
        _failed_view(results)
        if results.failed is not None and not results.is_selected
        else _table_view(results)
    )
    return replace(view, data=data, messages=notes)


def _table_view(results: Results) -> View:
    study_overview = results.overview
    how = "--format csv" if results.is_selected else _HOW_TO_SEE_MORE
    shown = study_overview.with_table(results.table)
    section = section_of(shown, how=how, is_selected=results.is_selected)
    if not results.table.rows and not results.is_selected:
        state = f"tunecli status {quote(study_overview.path)} shows the state of the study"
        return View("results", {}, (("trials", f"none has ended so far; {state}"),))
    if results.is_selected:
        return View("results", {}, sections=(section,))
    lines = [*baseline_lines(results.baseline), *front_lines(results.front_summary)]
    if results.line:
        lines.append(("predicted best", results.line))
    best = study_overview.best
    best_trial = "" if best is None else f"--trial {best.trial.number}"
    blocks = best_block(study_overview, best_trial)
    return View("results", {}, tuple(lines), (section,), asides=study_overview.failures, blocks=blocks)


def _failed_view(results: Results) -> View:
    """The failed trials, each with its cause and the line of the user's own code that failed."""
    if not results.failed:
        n = len(results.overview.table.rows)
        return View("results", {}, (("failed", f"none of the {n:,} trials that have ended"),))
    rows = tuple((str(number), failure_line(failure)) for number, failure in results.failed)
    path = quote(results.overview.path)
    more = ("traceback", f"tunecli results {path} --trial {results.failed[0][0]}")
    log = log_lines(results.overview.path, (number for number, _ in results.failed))
    return View("results", {}, (more, *log), (Section("", ("trial", "failure"), rows),))
