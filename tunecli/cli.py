"""The command line: options → commands → console → exit code.

Each verb imports its command when it is called, so `--help` is fast and only verbs that train load torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunecli.console.options import (
    STDOUT,
    Agreed,
    BestOrTrial,
    Columns,
    ConfigFile,
    Device,
    DryRun,
    EndedTrial,
    Exact,
    ExportFile,
    Failed,
    Follow,
    ForeignFile,
    Fork,
    Form,
    Json,
    Kind,
    LogTrial,
    Metrics,
    NextConfig,
    NoWait,
    OneTrial,
    Predict,
    Restart,
    Run,
    RunFolderPath,
    RunOne,
    Sample,
    SchemaForm,
    Sets,
    SortBy,
    Tested,
    Top,
    Trials,
    WeightsFile,
    Workers,
    file_name,
    overrides_of,
)
from tunecli.console.streams import prepare
from tunecli.console.usage import Verb, Verbs, run_verb
from tunecli.errors import StoreDamaged, TunecliError

if TYPE_CHECKING:
    from tunecli.console import Console
    from tunecli.study.sweep import Ending

app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tune deep-learning models from one YAML file.",
)
verb = partial(app.command, cls=Verb)


@verb(short_help="Run a sweep and rank its trials.")
def search(
    config: ConfigFile,
    out: RunFolderPath = None,
    sets: Sets = None,
    trials: Trials = None,
    workers: Workers = None,
    device: Device = None,
    dry_run: DryRun = False,
    is_restarted: Restart = False,
    is_agreed: Agreed = False,
    is_json: Json = False,
) -> None:
    """Run the sweep that CONFIG describes and rank its trials.

    Progress goes to stderr, the ranked table to stdout. `tunecli resume` continues an interrupted sweep.
    """
    from tunecli.commands.check import dry_run_view, load_checked
    from tunecli.commands.search import search
    from tunecli.console import Console
    from tunecli.console.live import display_for

    console = Console(is_json=is_json)
    flags = {"search.trials": trials, "run.workers": workers, "run.device": device}
    spec = load_checked(config, overrides_of(sets, flags))
    if dry_run:
        console.show(dry_run_view(spec))
    else:
        restart = (lambda question: is_agreed or console.confirms(question)) if is_restarted else None
        _show_ending(console, search(spec, out, display_for(console), console.say, restart))


@verb(short_help="Continue an interrupted or extended sweep.")
def resume(
    run: Run,
    trials: Trials = None,
    workers: Workers = None,
    device: Device = None,
    sets: Sets = None,
    config: NextConfig = None,
    name: Fork = None,
    is_json: Json = False,
) -> None:
    """Continue a study up to its total number of trials. Finished trials are not run again."""
    from tunecli.commands.search import resume
    from tunecli.console import Console
    from tunecli.console.live import display_for

    console = Console(is_json=is_json)
    ending = resume(
        run,
        {"n_trials": trials, "n_workers": workers, "device": device},
        overrides_of(sets),
        config_path=config,
        fork_name=name,
        display=display_for(console),
        say=console.say,
    )
    _show_ending(console, ending)


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


@verb(short_help="Show the progress of a study.")
def status(run: Run, is_json: Json = False) -> None:
    """Show whether a study is running, interrupted, finished or damaged, and the best trial so far."""
    from tunecli.commands.status import damage_view, status, status_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    folder = RunFolder.find(run)
    console = Console(is_json=is_json)
    try:
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


@verb(short_help="Write a trial as a runnable YAML file.")
def export(
    run: Run,
    trial: BestOrTrial = None,
    out: ExportFile = None,
    weights: WeightsFile = None,
    is_tested: Tested = False,
    is_json: Json = False,
) -> None:
    """Write the best trial, or trial N, as a complete YAML file that `tunecli train` runs."""
    from tunecli.commands.export import export_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    folder, out_path = RunFolder.find(run), None if out == STDOUT else out
    Console(is_json=is_json).show(export_view(folder, trial, out_path, weights, open_test=is_tested))


@verb(short_help="Re-run trials and compare their scores.")
def verify(
    run: Run,
    trial: BestOrTrial = None,
    is_all: Annotated[bool, typer.Option("--all", help="Verify every complete trial.")] = False,
    sample: Sample = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="Device to use [default: as recorded].")
    ] = None,
    is_exact: Exact = False,
    is_json: Json = False,
) -> None:
    """Run recorded trials again and compare their scores. The exit code is 3 if a score is not reproduced."""
    from tunecli.commands.verify import require_reproduced, verify, verify_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    console = Console(is_json=is_json)
    verification = verify(
        RunFolder.find(run),
        number=trial,
        is_all=is_all,
        n_sampled=sample,
        device=device,
        is_exact=is_exact,
        progress=lambda one: console.say(f"trial {one.number}: {one.comparison.verdict.value}"),
    )
    console.show(verify_view(verification))
    require_reproduced(verification)


@verb(short_help="Run one training without a search.")
def train(
    config: ConfigFile,
    sets: Sets = None,
    device: Device = None,
    weights: WeightsFile = None,
    is_json: Json = False,
) -> None:
    """Train once with a file without ranges, and show the metrics."""
    from tunecli.commands.check import load_checked
    from tunecli.commands.train import require_complete, train, train_view
    from tunecli.console import Console

    console, spec = Console(is_json=is_json), load_checked(config, overrides_of(sets, {"run.device": device}))
    trained = train(spec, weights, console.say)
    console.show(train_view(trained))
    require_complete(trained)


@verb(short_help="Check a file: errors, size, cost.")
def check(config: ConfigFile, sets: Sets = None, is_run: RunOne = False, is_json: Json = False) -> None:
    """Check CONFIG: errors, size of the search space, estimated cost; with `--run` also the first epoch of a trial."""
    from tunecli.commands.check import check, check_view, load_checked
    from tunecli.commands.check_run import run_and_show
    from tunecli.console import Console

    console, spec = Console(is_json=is_json), load_checked(config, overrides_of(sets))
    if is_run:
        run_and_show(spec, check_view(check(spec)), console.show, is_json=is_json)
    else:
        console.show(check_view(check(spec)))


@verb(short_help="Write a YAML file to start from.")
def init(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write; `-` is stdout.", parser=file_name)
    ] = Path("study.yaml"),
) -> None:
    """Write a YAML file to start from, and beside it the JSON Schema for editors."""
    from tunecli.commands.init import init_view
    from tunecli.console import Console

    Console().show(init_view(None if path == STDOUT else path))


@verb(name="import", short_help="Convert another tool's sweep file.")
def import_file(
    path: ForeignFile,
    out: ExportFile = None,
    kind: Kind = None,
    is_json: Json = False,
) -> None:
    """Convert FILE, a sweep of W&B, Hydra, Ray Tune, NNI, Katib or Determined, into a study's YAML file.

    The file goes to stdout or to `-o FILE`. stderr lists each key, with the key that it becomes.
    """
    from tunecli.commands.import_sweep import import_sweep, import_view
    from tunecli.console import Console

    Console(is_json=is_json).show(import_view(import_sweep(path, None if out == STDOUT else out, kind)))


@verb(short_help="Print the JSON Schema, or a table of keys.")
def schema(
    form: SchemaForm = "json",
) -> None:
    """Print the JSON Schema of a study's file, or a table of its keys."""
    from tunecli.commands.schema import schema_text
    from tunecli.console import Console

    Console().raw(schema_text(form))


@verb(short_help="Show devices and versions.")
def doctor(is_json: Json = False) -> None:
    """Show the devices and the versions of packages on this machine."""
    from tunecli.commands.doctor import doctor, doctor_view
    from tunecli.console import Console

    Console(is_json=is_json).show(doctor_view(doctor()))


def _version(is_asked: bool) -> None:
    if is_asked:
        from tunecli.console import Console
        from tunecli.study.record.versions import tunecli_version

        Console().raw(f"tunecli {tunecli_version()}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tune deep-learning models from one YAML file."""


def _show_ending(console: Console, ending: Ending) -> None:
    from tunecli.commands.search import ending_view, require_score

    console.show(ending_view(ending))
    require_score(ending)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb and exit with its code."""
    from tunecli.study.prefork import head_start
    from tunecli.study.runner.signals import ended_by_signals

    prepare()
    words = sys.argv[1:] if arguments is None else [*arguments]
    try:
        with ended_by_signals(), head_start(words):
            code = run_verb(app, words or ["--help"])
        sys.exit(code if words else 2)
    except TunecliError as error:
        from tunecli.console import Console

        Console(is_json="--json" in words).error(error)
        sys.exit(error.exit_code)
