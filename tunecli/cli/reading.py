"""Verbs that show a study: `status`, `results`, `report`, `compare`, `curve` and `logs`."""

from __future__ import annotations

from tunecli.cli.app import verb
from tunecli.console.options import (
    STDOUT,
    Columns,
    CurveForm,
    CurveMetric,
    CurveTrial,
    Failed,
    Follow,
    Form,
    Json,
    LogTrial,
    Metrics,
    NextFile,
    OneTrial,
    PageFile,
    Predict,
    Run,
    Runs,
    SortBy,
    Top,
    Watch,
    WatchStatus,
)
from tunecli.errors import StoreDamaged


@verb(short_help="Show the progress of a study.")
def status(run: Run, interval_s: WatchStatus = None, is_json: Json = False) -> None:
    """Show whether a study is running, interrupted, finished or damaged, its progress, and the best trial so far."""
    from tunecli.commands.status import damage_view, status, status_view
    from tunecli.commands.status_watch import moments
    from tunecli.console import Console
    from tunecli.console.following import follow
    from tunecli.store.folder import RunFolder

    folder = RunFolder.find(run)
    console = Console(is_json=is_json)
    try:
        if interval_s is not None:
            follow(console, moments(folder, interval_s))
            return
        state = status(folder)
    except StoreDamaged as error:
        if not is_json:  # there the error is the one document
            console.show(damage_view(str(folder.path), error.message))
        raise
    console.show(status_view(state))


@verb(short_help="Show the ranked table, or one trial.")
def results(
    run: Run,
    top: Top = None,
    form: Form = "table",
    sort_by: SortBy = None,
    columns: Columns = None,
    metrics: Metrics = None,
    is_failed: Failed = False,
    number: OneTrial = None,
    predict: Predict = False,
    is_json: Json = False,
) -> None:
    """Show the ranked table, or everything about one trial.

    A terminal shows the columns that fit: the score, and the parameters that matter most for it. A pipe gets all
    columns. A column is named in full (`optimizer.lr`) or by its unique end (`lr`).
    """
    from tunecli.commands.one_trial import one_trial, one_trial_view
    from tunecli.commands.results import ResultsOptions, results, results_view, selection_of
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    options = ResultsOptions(form, is_json, number, top, sort_by, columns, is_failed, predict, metrics)
    selection = selection_of(options)
    console, folder = Console(is_json=is_json or form == "json"), RunFolder.find(run)
    if number is not None:
        console.show(one_trial_view(one_trial(folder, number)))
    else:
        console.show(results_view(results(folder, is_predicted=predict, selection=selection), form))


@verb(short_help="Show advice, certainty and importance.")
def report(
    runs: Runs,
    out: PageFile = None,
    interval_s: Watch = None,
    next_path: NextFile = None,
    is_json: Json = False,
) -> None:
    """Show advice with commands, how sure the best score is, which parameters matter, and the failures.

    The command also writes a page with figures for a browser, RUN/report.html. With several studies it compares
    them.
    """
    from tunecli.commands.compare import compare, compare_view, require_several
    from tunecli.commands.next_config import next_config, next_config_view
    from tunecli.commands.report import report, report_view
    from tunecli.commands.report_page import Request, Watcher, page_view, require_page_file, write_page
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    console, folders = Console(is_json=is_json), [RunFolder.find(run) for run in runs]
    request = Request(
        len(folders),
        out,
        is_stdout=out == STDOUT,
        is_json=is_json,
        interval_s=interval_s,
        next_path=next_path,
    )
    request.require_possible()
    folder = folders[0]
    if next_path is not None:
        console.show(next_config_view(next_config(folder, report(folder), next_path)))
        return
    if len(folders) > 1:
        require_several(folders)
    require_page_file(None if len(folders) > 1 else folder, None if out == STDOUT else out)
    if interval_s is not None:
        Watcher(folder, out, interval_s, console.say).until_the_end()
        return
    found = [report(one, fits_baseline=True) for one in folders]
    if out == STDOUT:
        console.show(page_view(found))
        return
    if len(folders) > 1 and out is None:
        console.show(compare_view(compare(folders)))
        return
    written = write_page(found, folder, out)
    note = written.note if written.error is None else ""
    view = report_view(found[0], written.place, note) if len(found) == 1 else compare_view(compare(folders))
    console.show(view)
    if len(found) > 1 and written.place and not is_json:
        console.say(f"wrote {written.place}")
    if written.error is not None:
        raise written.error


@verb(short_help="Compare studies side by side.")
def compare(runs: Runs, form: Form = "table", is_json: Json = False) -> None:
    """Show several studies side by side: best and confirmed scores, budgets, and where their files differ."""
    from tunecli.commands.compare import compare, compare_view
    from tunecli.console import Console
    from tunecli.results.table import require_form
    from tunecli.store.folder import RunFolder

    require_form(form, is_json=is_json)
    console = Console(is_json=is_json or form == "json")
    console.show(compare_view(compare([RunFolder.find(run) for run in runs]), form))


@verb(short_help="Draw a metric of a trial, epoch by epoch.")
def curve(
    run: Run,
    number: CurveTrial = None,
    metric: CurveMetric = None,
    form: CurveForm = "table",
    is_json: Json = False,
) -> None:
    """Draw a metric of a trial, epoch by epoch. A pipe gets a table.

    Without `--trial` it draws the best trial, or the first one that has begun.
    """
    from tunecli.commands.curve import curve, curve_view, require_form
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    form = require_form(form, is_json=is_json)
    Console(is_json=form == "json").show(curve_view(curve(RunFolder.find(run), number, metric), form))


@verb(short_help="Show the output of a trial.")
def logs(run: Run, number: LogTrial = None, is_followed: Follow = False, is_json: Json = False) -> None:
    """List the logs of your own code. `--trial N` shows one log, and `--follow` alone that of the running trial."""
    from tunecli.commands.logs import log_of, log_view, logs, logs_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    console, folder = Console(is_json=is_json), RunFolder.find(run)
    if number is None and not is_followed:
        console.show(logs_view(logs(folder)))
    elif is_json:
        console.show(log_view(folder, number, is_followed=is_followed))
    else:
        console.stream(log_of(folder, number, console.say, is_followed=is_followed))
