"""`tunecli report`: the meaning of a sweep, as text, as JSON and as a page, all from one `Report`."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tunecli.commands.report_axes import axes_of, positions_of
from tunecli.commands.report_data import report_data
from tunecli.commands.report_record import classes_of, curves_of, least_step, study_facts
from tunecli.commands.report_text import chapters_of
from tunecli.config.axes import varying_parameters
from tunecli.effects import Effects, Reliability
from tunecli.results.advice import findings
from tunecli.results.failures import ended_early_lines, grouped
from tunecli.results.ranking import front_summary, rank
from tunecli.results.report import Report
from tunecli.results.view import View
from tunecli.search.importance import effects_of, why_too_few
from tunecli.search.reliability import n_needed
from tunecli.store.folder import RunFolder
from tunecli.store.lock import holder
from tunecli.study.baseline import baseline, recorded_baseline
from tunecli.study.record.confirmation import confirmed_of_study
from tunecli.study.record.history import History
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.trial import Trial

MIN_MODELLED = 20
"""Trials with a score. With fewer, no model is fitted: it would not be reliable, and loading it takes a second."""
_MAX_MODELLED = 200  # of more trials, the model is fitted to as many
MAX_SIZE_AT_END = 2_400
"""Trials of the model times parameters: a larger one takes more than about 2 s, for which the end of a sweep does not
wait. 60 parameters and 200 trials take 8 s."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A report, and the seconds that its model took."""

    report: Report
    model_s: float


def report(folder: RunFolder, *, fits_baseline: bool = False) -> Report:
    """The report of the study in ``folder``, which another process may hold.

    Args:
        folder: the run folder.
        fits_baseline: whether to fit the baseline if the folder does not have it, and no process runs the study.

    Raises:
        ConfigError: this version refuses the study's file, which another version accepted.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    return read_report(folder, fits_baseline=fits_baseline).report


def read_report(
    folder: RunFolder,
    effects: Effects | None = None,
    *,
    is_at_end: bool = False,
    fits_baseline: bool = False,
) -> Reading:
    """Fill the report of a study from its record.

    Args:
        folder: the run folder.
        effects: those of an earlier reading, to save the fit of the model; None: fit it.
        is_at_end: whether a sweep waits for it. Then no trial is predicted, which a page does not show, and a model
            that takes longer than about two seconds is not fitted.
        fits_baseline: as for `report`.

    Raises:
        ConfigError: this version refuses the study's file, which another version accepted.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    held_by = holder(folder.path)
    with _without_collections(), open_to_read(folder) as study:
        trials, objective, space = study.log.trials(), study.spec.objective, study.spec.space
        facts = study_facts(study, trials, held_by)
        ranked = tuple(rank(trials, objective, include_unfinished=True))
        confirmed = confirmed_of_study(study)
        is_fitted = fits_baseline and held_by is None
        simple = (baseline if is_fitted else recorded_baseline)(study, trials)
        began_s = time.monotonic()
        noise_floor = confirmed.seed_deviation if confirmed is not None else None
        effects = effects or _effects(study, trials, noise_floor, is_at_end=is_at_end)
        model_s = time.monotonic() - began_s
        found = Report(
            facts=facts,
            objective=objective,
            ranked=ranked,
            axes=axes_of(space),
            positions=positions_of(space, trials),
            effects=effects,
            curves=curves_of(study.log, ranked, objective),
            front=front_summary(trials, objective),
            failures=(*grouped(trials), *ended_early_lines(study.log.ended_early())),
            step=least_step(trials, objective, facts),
            confirmed=confirmed,
            baseline=simple,
            classes=classes_of(folder, ranked, tunes_threshold=study.spec.objective.tunes_threshold),
            earlier=space.earlier,
        )
        advised, n_silenced = findings(found)
    return Reading(replace(found, findings=advised, n_silenced=n_silenced), model_s)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Suspend the collection of cycles: a record has none, and to search 100,000 trials for them takes 2 of 10 s."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _effects(study: Study, trials: Sequence[Trial], noise_floor: float | None, *, is_at_end: bool) -> Effects:
    """The model's statements on the parameters; unknown for a small study, for which no model is loaded."""
    spec = study.spec
    n_scored = sum(trial.outcome is not None and trial.outcome.score is not None for trial in trials)
    if n_scored < MIN_MODELLED:
        n_missing = n_needed(len(varying_parameters(spec.space))) - n_scored
        return Effects(
            Reliability.UNKNOWN, n_trials=n_scored, n_missing=n_missing, reason=why_too_few(n_scored)
        )
    n_varying = len(varying_parameters(spec.space))
    if is_at_end and n_varying * min(n_scored, _MAX_MODELLED) > MAX_SIZE_AT_END:
        why = f"a sweep does not wait for a model of {n_varying} parameters, and `tunecli report` fits it"
        return Effects(Reliability.UNKNOWN, n_trials=n_scored, reason=why, is_deferred=True)
    return effects_of(
        spec.space,
        History(trials, spec.objective).up_to(len(trials)),
        spec.settings.seed,
        sign=spec.objective.sign,
        noise_floor=noise_floor,
        with_improvement=not spec.objective.further_objectives,
        with_predictions=not is_at_end,
    )


def report_view(found: Report, place: str = "", note: str = "") -> View:
    """The report as chapters of text and as JSON data.

    Args:
        found: the report.
        place: the file of its page; empty: none was written.
        note: a line for the person; may be empty.
    """
    data = {**report_data(found), "page": place or None, "notes": [note] if note else []}
    lines = (("page", place),) if place else ()
    return View("report", data, lines, notes=(note,) if note else (), chapters=chapters_of(found))
