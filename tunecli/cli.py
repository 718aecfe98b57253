"""The verbs: flags → study → console → exit code. No logic of their own.

Each verb imports what it needs when it is called, so that `--help` costs little and only verbs that train load
torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from tunecli.errors import (
    NotReproduced,
    NoTrialSucceeded,
    StoreDamaged,
    TunecliError,
    UsageError,
)

if TYPE_CHECKING:
    from tunecli.console import Console
    from tunecli.study.sweep import Ending

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Tune deep-learning models from one YAML file.",
)

ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The study's YAML file.", show_default=False)
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder, or a study's name.", show_default=False)
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override one key; may be a range.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document on stdout.")]
Trials = Annotated[int | None, typer.Option("--trials", metavar="N", min=1, help="How many trials in all.")]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, help="How many trials at a time.")
]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps, xpu.")
]
Top = Annotated[int | None, typer.Option("--top", metavar="N", min=1, help="Only the first N.")]


@app.command()
def search(
    config: ConfigFile,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The run folder [runs/<study>].")
    ] = None,
    sets: Sets = None,
    trials: Trials = None,
    workers: Workers = None,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be tried; train nothing.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Run the sweep that CONFIG describes and rank its trials."""
    from tunecli.console import Console
    from tunecli.console.live import display_for
    from tunecli.study.answers.check import of_check
    from tunecli.study.questions.check import check, first_suggestions, load_checked
    from tunecli.study.record.opening import begin
    from tunecli.study.sweep import sweep

    console = Console(is_json=is_json)
    flags = {"search.trials": trials, "run.workers": workers, "run.device": device}
    overrides = [*(sets or []), *(f"{path}={value}" for path, value in flags.items() if value is not None)]
    spec = load_checked(config, tuple(overrides))
    found = check(spec)
    if dry_run:
        console.show(of_check(found, first_suggestions(spec, min(10, found.plan.n_trials))))
        return
    for note in found.notes:
        console.say(f"note: {note}")
    folder = out or Path("runs") / spec.settings.study
    with begin(spec, folder) as study:
        ending = sweep(study, display_for(console))
    _show_ending(console, ending)


@app.command()
def resume(
    run: Run,
    trials: Trials = None,
    workers: Workers = None,
    device: Device = None,
    sets: Sets = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Go on as this file asks [as RUN/config.yaml does]."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--fork", metavar="NAME", help="Begin the study NAME beside it, with the trials that still fit."
        ),
    ] = None,
    is_json: Json = False,
) -> None:
    """Go on with a study to its total: nothing finished is run again, nothing is lost."""
    from tunecli.console import Console
    from tunecli.console.live import display_for
    from tunecli.store.folder import RunFolder
    from tunecli.study.record.fork import fork
    from tunecli.study.record.opening import reopen
    from tunecli.study.sweep import sweep

    console = Console(is_json=is_json)
    asked = {"n_trials": trials, "n_workers": workers, "device": device}
    folder = RunFolder.find(run)
    changes = {key: value for key, value in asked.items() if value is not None}
    opened = (
        reopen(folder, changes, tuple(sets or []), config_path=config, say=console.say)
        if name is None
        else fork(folder, name, changes, tuple(sets or []), config_path=config, say=console.say)
    )
    with opened as study:
        ending = sweep(study, display_for(console))
    _show_ending(console, ending)


@app.command()
def status(run: Run, is_json: Json = False) -> None:
    """Say where a study stands: running, interrupted, finished or damaged, and the best so far."""
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder
    from tunecli.study.answers.status import of_damage, of_status
    from tunecli.study.questions.status import status as ask

    folder = RunFolder.find(run)
    console = Console(is_json=is_json)
    try:
        found = ask(folder)
    except StoreDamaged as error:
        if not is_json:  # there the error is the one document
            console.show(of_damage(str(folder.path), error.message))
        raise
    console.show(of_status(found))


@app.command()
def results(
    run: Run,
    top: Top = None,
    form: Annotated[
        str, typer.Option("--format", metavar="FORM", help="table, csv, json or markdown.")
    ] = "table",
    predict: Annotated[
        bool, typer.Option("--predict", help="With what a model holds each score to be without its noise.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Show the ranked table."""
    from tunecli.console import Console
    from tunecli.results.table import to_csv, to_markdown
    from tunecli.store.folder import RunFolder
    from tunecli.study.answers.results import of_results
    from tunecli.study.questions.results import results as ask

    if form not in ("table", "csv", "json", "markdown"):
        raise UsageError(f"--format {form}: there is no such form", hint="table, csv, json or markdown")
    if is_json and form in ("csv", "markdown"):
        raise UsageError(f"--format {form} and --json ask for two forms", hint="give one of them")
    found = ask(RunFolder.find(run), n_shown=top, is_predicted=predict)
    console = Console(is_json=is_json or form == "json")
    is_text = form in ("csv", "markdown")
    for note in (*found.notes, *([f"predicted best: {found.line}"] if is_text and found.line else [])):
        console.say(f"note: {note}")
    if is_text:
        console.raw(to_csv(found.table) if form == "csv" else to_markdown(found.table))
    else:
        console.show(of_results(found))


@app.command()
def export(
    run: Run,
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="N", min=0, help="This trial [the best].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write it here [stdout].")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Write the weights here, as safetensors.")
    ] = None,
    is_tested: Annotated[
        bool, typer.Option("--test", help="Train it again and measure it on what `data.test` sets apart.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Write the best trial as a complete runnable file."""
    if out is not None and out == weights:
        raise UsageError("-o and --weights name the same file")
    from tunecli.console import Console
    from tunecli.store.files import write_where_asked
    from tunecli.store.folder import RunFolder
    from tunecli.study.questions.export import export as ask

    console = Console(is_json=is_json)
    exported = ask(RunFolder.find(run), trial, weights, open_test=is_tested)
    for name, value in exported.tested.items():
        console.say(f"{name} {value:.6g}")
    if out is not None:
        write_where_asked(out, exported.text)
        console.say(f"wrote {out}: `tunecli train {quote(str(out))}` runs it")
    if weights is not None:
        console.say(f"wrote {weights}")
    if is_json:
        written = {"out": out and str(out), "weights": weights and str(weights)}
        console.document("export", {"config": exported.text, **written, "test": dict(exported.tested)})
    elif out is None:
        console.raw(exported.text)


@app.command()
def verify(
    run: Run,
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="N", min=0, help="This trial [the best].")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every complete trial.")] = False,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", min=1, help="N complete trials, drawn by the study's seed."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="Run on this device [where each ran].")
    ] = None,
    is_exact: Annotated[
        bool, typer.Option("--exact", help="Only the same bits will do, not 1e-6 relative.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Run a recorded trial again and say whether its score is reproduced; exits 3 where it is not."""
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder
    from tunecli.study.answers.verify import of_verification
    from tunecli.study.questions.verify import verify as ask

    console = Console(is_json=is_json)
    found = ask(
        RunFolder.find(run),
        number=trial,
        is_all=is_all,
        n_sampled=sample,
        device=device,
        is_exact=is_exact,
        told=lambda one: console.say(f"trial {one.number}: {one.comparison.verdict.value}"),
    )
    console.show(of_verification(found))
    if found.unreproduced:
        numbers = ", ".join(map(str, found.unreproduced))
        raise NotReproduced(
            f"{len(found.unreproduced)} of {len(found.trials)} not reproduced: trial {numbers}"
        )


@app.command()
def train(
    config: ConfigFile,
    sets: Sets = None,
    device: Device = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Write the weights here, as safetensors.")
    ] = None,
    is_json: Json = False,
) -> None:
    """Run one concrete file once and show its metrics."""
    from tunecli.console import Console
    from tunecli.study.answers.train import of_training
    from tunecli.study.questions.check import load_checked
    from tunecli.study.questions.train import train as run_once

    overrides = [*(sets or []), *([f"run.device={device}"] if device else [])]
    trained = run_once(load_checked(config, tuple(overrides)), weights)
    Console(is_json=is_json).show(of_training(trained))
    if trained.outcome.failure is not None:
        raise NoTrialSucceeded(
            f"the trial failed: {trained.outcome.failure.kind}: {trained.outcome.failure.cause}"
        )


@app.command()
def check(config: ConfigFile, sets: Sets = None, is_json: Json = False) -> None:
    """Say everything that can be known of CONFIG before spending: errors, size, cost."""
    from tunecli.console import Console
    from tunecli.study.answers.check import of_check
    from tunecli.study.questions.check import check as ask
    from tunecli.study.questions.check import load_checked

    Console(is_json=is_json).show(of_check(ask(load_checked(config, tuple(sets or [])))))


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("study.yaml"),
) -> None:
    """Write a file to start from."""
    from tunecli.console import Console
    from tunecli.spec.starter import STARTER
    from tunecli.store.files import write_atomically

    if path.exists():
        raise UsageError(f"{path} exists already", hint="name another file")
    write_atomically(path, STARTER)
    Console().say(f"wrote {path}: `tunecli check {path}`, then `tunecli search {path}`")


@app.command()
def schema(
    form: Annotated[
        str,
        typer.Option("--format", metavar="FORM", help="json, for editors; markdown, every key in a table."),
    ] = "json",
) -> None:
    """Print the JSON Schema of a study's file, or a table of its keys."""
    import json

    from tunecli.console import Console

    if form not in ("json", "markdown"):
        raise UsageError(f"--format {form}: there is no such form", hint="json or markdown")
    if form == "markdown":
        from tunecli.spec.reference import markdown

        Console().raw(markdown())
        return
    from tunecli.spec.json_schema import json_schema

    Console().raw(json.dumps(json_schema(), indent=2) + "\n")


@app.command()
def doctor(is_json: Json = False) -> None:
    """Say what devices and versions are here."""
    from tunecli.console import Console
    from tunecli.study.answers.doctor import of_examination
    from tunecli.study.questions.doctor import examine

    Console(is_json=is_json).show(of_examination(examine()))


def _version(is_asked: bool) -> None:
    if is_asked:
        import tunecli

        typer.echo(f"tunecli {tunecli.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Tune deep-learning models from one YAML file."""


def _show_ending(console: Console, ending: Ending) -> None:
    from tunecli.study.answers.search import next_after_none, of_ending, why_none

    console.show(of_ending(ending))
    if not ending.n_scored:
        raise NoTrialSucceeded(why_none(ending), hint=next_after_none(ending))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb and exit with the contract's code."""
    from tunecli.study.headstart import head_start

    words = sys.argv[1:] if arguments is None else [*arguments]
    try:
        with head_start(words):
            app(args=words, standalone_mode=True)
    except TunecliError as error:
        from tunecli.console import Console

        Console(is_json="--json" in sys.argv).error(error)
        sys.exit(error.exit_code)
