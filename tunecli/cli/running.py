"""Verbs that run a sweep: `search`, `resume` and `stop`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from tunecli.cli.app import verb
from tunecli.console.options import (
    Address,
    Agreed,
    ConfigFile,
    Confirm,
    Device,
    DryRun,
    EndedTrial,
    EngineName,
    Fork,
    Json,
    NextConfig,
    NoWait,
    Restart,
    Run,
    RunFolderPath,
    Sets,
    Trials,
    Workers,
)
from tunecli.console.overrides import engine_flags, overrides_of

if TYPE_CHECKING:
    from tunecli.api.study import Study
    from tunecli.console import Console
    from tunecli.study.sweep import Ending


From = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="RUN",
        help="Learn from the trials of an earlier study; repeat it for several. It replaces `search.from`.",
    ),
]


@verb(short_help="Run a sweep and rank its trials.")
def search(
    config: ConfigFile,
    out: RunFolderPath = None,
    sets: Sets = None,
    trials: Trials = None,
    workers: Workers = None,
    device: Device = None,
    engine: EngineName = None,
    address: Address = None,
    earlier: From = None,
    dry_run: DryRun = False,
    is_restarted: Restart = False,
    is_agreed: Agreed = False,
    is_confirmed: Confirm = False,
    is_json: Json = False,
) -> None:
    """Run the sweep that CONFIG describes and rank its trials.

    Progress goes to stderr, the ranked table to stdout. `tunecli resume` continues an interrupted sweep.
    """
    from tunecli.api.configs import checked, run_paths
    from tunecli.api.running import search
    from tunecli.commands.check import dry_run_view
    from tunecli.console import Console
    from tunecli.console.live import display_for

    console = Console(is_json=is_json)
    flags = {
        "search.trials": trials,
        "run.workers": workers,
        "run.device": device,
        **engine_flags(engine, address),
        "search.from": json.dumps(run_paths(earlier)) if earlier else None,
    }
    spec = checked(config, overrides_of(sets, flags))
    if is_confirmed:
        from tunecli.commands.confirm import require_one_goal

        require_one_goal(spec.objective)
    if dry_run:
        console.show(dry_run_view(spec))
    else:
        restart = (lambda question: is_agreed or console.confirms(question)) if is_restarted else False
        display, show = display_for(console), _show_confirmed if is_confirmed else _show_ending
        _run(console, lambda: search(spec, out=out, restart=restart, progress=display, say=console.say), show)


@verb(short_help="Continue an interrupted or extended sweep.")
def resume(
    run: Run,
    trials: Trials = None,
    workers: Workers = None,
    device: Device = None,
    engine: EngineName = None,
    address: Address = None,
    sets: Sets = None,
    config: NextConfig = None,
    name: Fork = None,
    is_json: Json = False,
) -> None:
    """Continue a study up to its total number of trials. Finished trials are not run again.

    A study that began on one engine may continue on another: its trials and its table stay the same.
    """
    from tunecli.api.running import resumed
    from tunecli.console import Console
    from tunecli.console.live import display_for

    console, texts = Console(is_json=is_json), overrides_of(sets, engine_flags(engine, address))
    changes = {"n_trials": trials, "n_workers": workers, "device": device}
    display = display_for(console)
    _run(console, lambda: resumed(run, changes, texts, config, name, display, console.say), _show_ending)


@verb(short_help="End a running sweep, or one of its trials.")
def stop(
    run: Run,
    number: EndedTrial = None,
    is_at_once: NoWait = False,
    is_json: Json = False,
) -> None:
    """End the running sweep of a study in order, so that `tunecli resume` continues it; or end one running trial."""
    from tunecli.commands.stop import stop, stop_trial, stop_trial_view, stop_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    folder, console = RunFolder.find(run), Console(is_json=is_json)
    if number is None:
        console.show(stop_view(stop(folder, is_waiting=not is_at_once)))
    else:
        console.show(stop_trial_view(stop_trial(folder, number, is_waiting=not is_at_once)))


def _run(console: Console, run: Callable[[], Study], show: Callable[[Console, Ending], None]) -> None:
    """Run a sweep and show how it ended, also if no trial has a score."""
    from tunecli.errors import NoTrialSucceeded

    try:
        study = run()
    except NoTrialSucceeded as error:
        if error.study is not None:
            _show_ending(console, error.study.ending)
        raise
    assert study.ending is not None
    show(console, study.ending)


def _show_ending(console: Console, ending: Ending) -> None:
    from tunecli.commands.search import ending_view

    console.show(ending_view(ending))


def _show_confirmed(console: Console, ending: Ending) -> None:
    """Show the sweep's end, confirm its best trials, and show that; with `--json` as one document."""
    from dataclasses import replace
    from pathlib import Path

    from tunecli.commands.confirm import confirm, require_confirmed
    from tunecli.commands.confirm_view import confirm_view
    from tunecli.commands.search import ending_view
    from tunecli.store.folder import RunFolder
    from tunecli.study.record.candidates import Request

    view = ending_view(ending)
    if not console.is_json:
        console.show(view)
    confirmation = confirm(RunFolder(Path(ending.path)), Request(), console.say)
    confirmed = confirm_view(confirmation)
    if console.is_json:
        console.show(replace(view, data={**view.data, "confirmation": confirmed.data}))
    else:
        console.show(confirmed)
    require_confirmed(confirmation)
