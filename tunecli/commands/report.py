"""`tunecli report`: the meaning of a sweep, as text, as JSON and as a page, all from one `Report`."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.commands.report_axes import axes_of, positions_of
from tunecli.commands.report_data import report_data
from tunecli.commands.report_record import curves_of, least_step, study_facts
from tunecli.commands.report_text import chapters_of
from tunecli.effects import Effects, Reliability
from tunecli.results.failures import ended_early_lines, grouped
from tunecli.results.ranking import front_summary, rank
from tunecli.results.report import Report
from tunecli.results.view import View
from tunecli.store.folder import RunFolder
from tunecli.store.lock import holder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.trial import State, Trial

MIN_MODELLED = 20
"""With fewer complete trials no model is fitted: it would say nothing reliable, and loading it takes a second."""


def report(folder: RunFolder) -> Report:
    """The report of the study in ``folder``, which another process may hold.

    Raises:
        ConfigError: this version refuses the study's file, which another version accepted.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    held_by = holder(folder.path)
    with open_to_read(folder) as study:
        trials, objective, space = study.log.trials(), study.spec.objective, study.spec.space
        facts = study_facts(study, trials, held_by)
        ranked = tuple(rank(trials, objective, include_unfinished=True))
        return Report(
            facts=facts,
            objective=objective,
            ranked=ranked,
            axes=axes_of(space),
            positions=positions_of(space, trials),
            effects=_effects(trials),
            curves=curves_of(study.log, ranked, objective),
            front=front_summary(trials, objective),
            failures=(*grouped(trials), *ended_early_lines(study.log.ended_early())),
            step=least_step(trials, objective, facts),
        )


def _effects(trials: Sequence[Trial]) -> Effects:
    """The model's statements on the parameters; unknown for a small study, for which no model is loaded."""
    n_complete = sum(trial.state is State.COMPLETE for trial in trials)
    if n_complete < MIN_MODELLED:
        why = f"a model needs {MIN_MODELLED} complete trials, and the study has {n_complete}"
        return Effects(Reliability.UNKNOWN, n_missing=MIN_MODELLED - n_complete, reason=why)
    return Effects(Reliability.UNKNOWN, reason="no model was fitted")


def report_view(report: Report) -> View:
    """The report as chapters of text and as JSON data."""
    return View("report", report_data(report), chapters=chapters_of(report))
