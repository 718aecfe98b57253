"""`tunecli search` and `tunecli resume`: run a sweep, then show its ranked table, why it ended, and its best trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import Any

from tunecli.commands.check import Check, check
from tunecli.commands.data import first_lines
from tunecli.commands.exports import with_exports
from tunecli.commands.logs import log_lines
from tunecli.commands.outcome_summary import (
    REASONS,
    best_block,
    front_data,
    front_lines,
    reason_line,
    resume_command,
    resume_options,
    section_of,
)
from tunecli.commands.report_page import written_at_end
from tunecli.config.study import StudySpec
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.messages import Display
from tunecli.results.baseline import baseline_data, baseline_lines
from tunecli.results.columns import failed_only, numbers_of
from tunecli.results.metric_columns import data_of
from tunecli.results.search_setup import earlier_lines
from tunecli.results.table import top
from tunecli.results.view import View
from tunecli.store.folder import RunFolder
from tunecli.study.baseline import baseline_at_end
from tunecli.study.plan.machines import machines_of
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import Study, begin, reopen
from tunecli.study.record.restart import make_room
from tunecli.study.refitting import refit_at_end
from tunecli.study.runner.signals import Signalled, resumable
from tunecli.study.sweep import Ending, sweep
from tunecli.text import counted

_SHOWN_AT_END = 10


def search(
    spec: StudySpec,
    folder_path: Path | None,
    display: Display,
    say: Callable[[str], None],
    restart: Callable[[str], bool] | None = None,
) -> Ending:
    """Begin a study and run its sweep.

    Args:
        spec: a loaded study.
        folder_path: the run folder; None: ``runs/<study>``.
        display: receives the events of the sweep.
        say: shows a line to the person.
        restart: makes room in an occupied run folder; asks whether to move a study with scores aside. None: such a
            folder is an error.

    Raises:
        UsageError: the run folder holds a study already, `check` refuses the study, or the machines of its engine do
            not answer.
        Interrupted: a signal ended the sweep.
    """
    machines = machines_of(spec.settings.run)  # before the folder is made: they may not answer
    checked = check(spec, machines)
    folder = folder_path or Path("runs") / spec.settings.study
    if restart is not None and (line := make_room(folder, restart)):
        say(line)
    with (
        resumable(folder, is_begun=False),
        begin(spec, folder, plan=checked.plan, machines=machines) as study,
    ):
        for line in opening_lines(checked):
            say(line)
        with with_exports(display, study, say) as shown:
            ending = _with_baseline(sweep(study, shown), study)
        ending = _with_refit(ending, study, say)
    return _with_page(ending, study)


def resume(
    run: str,
    changes: Mapping[str, Any],
    overrides: tuple[str, ...],
    *,
    config_path: Path | None,
    fork_name: str | None,
    display: Display,
    say: Callable[[str], None],
) -> Ending:
    """Continue a study, or a new study that reuses its trials.

    Args:
        run: a run folder, or a study's name under ``runs/``.
        changes: fields of the plan with their new values; None: as before.
        overrides: ``path=value`` texts.
        config_path: the file to continue with; None: the run folder's.
        fork_name: the name of the new study; None: continue the same one.
        display: receives the events of the sweep.
        say: shows a line to the person.

    Raises:
        UsageError: the changes do not fit the study.
        Interrupted: a signal ended the sweep.
    """
    folder = RunFolder.find(run)
    changes = {key: value for key, value in changes.items() if value is not None}
    if fork_name is None:
        opened, path = reopen(folder, changes, overrides, config_path=config_path, say=say), folder.path
    else:
        opened = fork(folder, fork_name, changes, overrides, config_path=config_path, say=say)
        path = folder.path.parent / fork_name
    with (
        resumable(path, is_begun=fork_name is None),
        opened as study,
        with_exports(display, study, say) as shown,
    ):
        ending = _with_baseline(sweep(study, shown), study)
        ending = _with_refit(ending, study, say)
    return _with_page(ending, study)


def _with_baseline(ending: Ending, study: Study) -> Ending:
    """Fit simple models to the data of the best trial, if the sweep was long enough to wait for them.

    An error is ignored, because the sweep itself has succeeded, and `tunecli report` fits them later.
    """
    try:
        return replace(ending, baseline=baseline_at_end(study))
    except (Signalled, Exception):
        return ending


def _with_refit(ending: Ending, study: Study, say: Callable[[str], None]) -> Ending:
    """Train the best trial on all rows if the file wants it. The sweep has succeeded, even if this training fails."""
    try:
        return replace(ending, refit=refit_at_end(study, say))
    except UsageError as error:
        return replace(ending, refit_note=error.message)


def _with_page(ending: Ending, study: Study) -> Ending:
    """Write the report's page unless ``run.report`` is off; the study is free by now, and reads as finished."""
    if study.spec.settings.run.report == "off":
        return ending
    try:
        written = written_at_end(study.folder)
    except Signalled:
        return replace(ending, page_note="no report was written: a signal came")
    return replace(ending, page=written.place, page_note=written.note)


def require_score(ending: Ending) -> None:
    """Refuse a sweep in which no trial has a score.

    Raises:
        NoTrialSucceeded: with the cause, and the command to run next.
    """
    if not ending.n_scored:
        why = f": {REASONS['alike'][1]}: {ending.cause}" if ending.cause else ""
        raise NoTrialSucceeded(f"no trial succeeded{why}", hint=_next_after_none(ending))


def _next_after_none(ending: Ending) -> str:
    path = quote(str(ending.path))
    if ending.cause:
        return f"fix the error and begin a new study, or continue: {resume_command(str(ending.path), ending.reason)}"
    if ending.n_failed:
        return f"tunecli results {path} --failed shows the cause of each failure"
    return f"no trial finished; continue: {resume_command(str(ending.path), ending.reason)}"


def ending_view(ending: Ending) -> View:
    """The first rows of the ranked table, why the sweep ended, the next commands, and the best trial."""
    seen, table, path = ending.overview, ending.table, quote(str(ending.path))
    n_hidden = max(0, len(table.rows) - _SHOWN_AT_END)
    lines = [reason_line(ending.reason, len(table.rows), ending.stagnation), *baseline_lines(ending.baseline)]
    lines += front_lines(ending.front_summary)
    if ending.refit is not None:
        epochs = counted(ending.refit.epochs, "epoch")
        text = (
            f"trial {ending.refit.trial} on all rows, {epochs}; no validation score; tunecli predict uses it"
        )
        lines.append(("refit", text))
    lines.append(("run folder", ending.path))
    if ending.page:
        lines.append(("report", ending.page))
    if seen.best is not None:
        number = seen.best.trial.number
        own = RunFolder(Path(ending.path)).own_files_paths(number)
        lines += [("files", f"{own_path} (trial {number})") for own_path in own]
    lines += log_lines(ending.path, numbers_of(failed_only(table)))
    if resume_options(ending.reason):
        lines.append(("continue", resume_command(str(ending.path), ending.reason)))
    if n_hidden:
        lines.append(("more", f"{counted(n_hidden, 'more trial')}: tunecli results {path}"))
    if ending.n_scored:
        lines.append(("next", f"tunecli export {path} -o best.yaml"))
    if ending.front_summary is not None and len(ending.front_summary.front) > 1:
        lines.append(("other trials", f"tunecli export {path} --trial N"))
    data = {
        "reason": ending.reason,
        "path": ending.path,
        "report": ending.page or None,
        "baseline": baseline_data(ending.baseline),
        "refit": None if ending.refit is None else asdict(ending.refit),
        "n_scored": ending.n_scored,
        "best_trial": None if seen.best is None else seen.best.trial.number,
        **front_data(ending.front_summary),
        **data_of(table, seen.metrics_of_rows(table)),
    }
    shown = seen.with_table(top(table, _SHOWN_AT_END))
    how = f"tunecli results {path} --format csv, or --columns NAMES"
    best_trial = "" if seen.best is None else f"tunecli results {path} --trial {seen.best.trial.number}"
    return View(
        "search",
        data,
        tuple(lines),
        (section_of(shown, how=how),),
        asides=seen.failures,
        blocks=best_block(seen, best_trial),
        messages=tuple(f"note: {note}" for note in (ending.refit_note, ending.page_note) if note),
    )


def opening_lines(checked: Check) -> list[str]:
    """Lines for the start of a sweep: data in short, earlier studies, a chosen sampler, and the notes of `check`."""
    earlier = (f"{label}: {text}" for label, text in earlier_lines(checked.earlier))
    chosen = [] if checked.choice is None else [f"sampler: {checked.choice}"]
    return [*first_lines(checked.data), *earlier, *chosen, *(f"note: {note}" for note in checked.notes)]
