"""`tunecli curve`: a metric of one trial, epoch by epoch, as a chart, a table, CSV or JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from shlex import quote

from tunecli.errors import UsageError
from tunecli.messages import EpochEnded
from tunecli.results.metric_columns import metrics_named
from tunecli.results.ranking import best
from tunecli.results.table import Table, to_csv
from tunecli.results.view import Chart, Section, View
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.text import shown_number
from tunecli.trial import Trial

FORMS = ("table", "csv", "json")


@dataclass(frozen=True)
class CurveOfTrial:
    """The metrics of one trial at each of its epochs.

    Attributes:
        study, path: the study's name and its run folder.
        number: the trial's number.
        status: the trial's state, as tables show it.
        metrics: the selected metrics; the first one is drawn.
        epochs: the epochs on record, ascending, from 1.
        values: by metric, its value at each epoch; NaN where the trial did not report it.
        kept_epoch: the epoch whose values are the trial's result; 0: it has not ended, or no epoch ended.
        total_epochs: the planned number of epochs; 0: unknown.
    """

    study: str
    path: str
    number: int
    status: str
    metrics: tuple[str, ...]
    epochs: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    kept_epoch: int
    total_epochs: int


def require_form(form: str, *, is_json: bool) -> str:
    """The format of the output.

    Raises:
        UsageError: it is unknown, or excludes ``--json``.
    """
    if form not in FORMS:
        raise UsageError(f"--format: unknown format `{form}`", hint="use table, csv or json")
    if is_json and form == "csv":
        raise UsageError("--format csv and --json exclude each other", hint="use one of them")
    return "json" if is_json else form


def curve(folder: RunFolder, number: int | None = None, metrics: str | None = None) -> CurveOfTrial:
    """The metrics of a trial at each of its epochs.

    Args:
        folder: the run folder.
        number: the trial; None: the best one, or the first running one while no trial has a rank.
        metrics: names of metrics, separated by commas, or `all`; None: the objective.

    Raises:
        UsageError: there is no such trial or metric, or the trial has no epoch on record.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    with open_to_read(folder) as study:
        trial = study.log.trial(number) if number is not None else _most_interesting(study)
        epochs = study.log.epochs(trial.number)
        metric = study.spec.objective.metric
        name = study.spec.settings.study
    if not epochs:
        raise UsageError(
            f"trial {trial.number} is {trial.state.shown.value} and has no epoch on record",
            hint=f"tunecli results {quote(str(folder.path))} --trial {trial.number}",
        )
    known = sorted({name for epoch in epochs for name in epoch.metrics})
    words = [word for part in (metrics or metric).split(",") if (word := part.strip())]
    if not words:
        raise UsageError("--metric names no metric", hint="for example: --metric val_loss")
    chosen = metrics_named(words, known, "--metric")
    return CurveOfTrial(
        name,
        str(folder.path),
        trial.number,
        trial.state.shown.value,
        tuple(chosen),
        tuple(epoch.epoch for epoch in epochs),
        {name: _values(epochs, name) for name in chosen},
        trial.outcome.kept_epoch if trial.outcome else 0,
        epochs[-1].total_epochs,
    )


def _most_interesting(study: Study) -> Trial:
    trials = study.log.trials()
    winner = best(trials, study.spec.objective)
    if winner is not None:
        return winner
    begun = [trial for trial in trials if study.log.epochs(trial.number)]
    if not begun:
        raise UsageError(
            "no trial of this study has an epoch on record yet",
            hint=f"tunecli status {quote(str(study.folder.path))}",
        )
    return begun[0]


def _values(epochs: list[EpochEnded], metric: str) -> tuple[float, ...]:
    return tuple(epoch.metrics.get(metric, math.nan) for epoch in epochs)


def curve_view(course: CurveOfTrial, form: str = "table") -> View:
    """A chart of each metric for a terminal, a table of all epochs for a pipe; or the epochs as CSV or JSON.

    Args:
        course: the curve.
        form: ``table``, ``csv`` or ``json``.
    """
    columns = ("epoch", *course.metrics)
    rows = list(zip(course.epochs, *(course.values[name] for name in course.metrics), strict=True))
    data = {
        "study": course.study,
        "path": course.path,
        "trial": course.number,
        "status": course.status,
        "kept_epoch": course.kept_epoch or None,
        "total_epochs": course.total_epochs or None,
        "epochs": list(course.epochs),
        "metrics": {name: [_finite(value) for value in course.values[name]] for name in course.metrics},
    }
    if form == "csv":
        cells = tuple((row[0], *map(_finite, row[1:])) for row in rows)
        return View("curve", data, raw=to_csv(Table(columns, cells)))
    texts = tuple((str(row[0]), *map(_cell, row[1:])) for row in rows)
    section = Section("", columns, texts)
    charts = tuple(_chart(course, name) for name in course.metrics)
    return View("curve", data, sections=(section,), charts=charts)


def _chart(course: CurveOfTrial, metric: str) -> Chart:
    values = course.values[metric]
    mark = ""
    if course.kept_epoch in course.epochs:
        value = values[course.epochs.index(course.kept_epoch)]
        mark = f"kept: epoch {course.kept_epoch}, {metric} {_cell(value)}"
    title = f"{metric} of trial {course.number} ({course.status})"
    return Chart(title, tuple(map(float, course.epochs)), values, "epoch", mark)


def _cell(value: float) -> str:
    return "—" if math.isnan(value) else shown_number(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
