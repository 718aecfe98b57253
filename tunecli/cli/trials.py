"""Verbs for single trials: `export`, `verify`, `confirm` and `train`."""

from __future__ import annotations

from typing import Annotated

import typer

from tunecli.cli.app import verb
from tunecli.console.options import (
    STDOUT,
    Address,
    BestOrTrial,
    Candidates,
    CandidateTrials,
    ConfigFile,
    ConfirmedRun,
    ConfirmedTrial,
    Cost,
    Device,
    EngineName,
    Exact,
    ExportFile,
    Json,
    ModelFile,
    ModelFormat,
    OpenTest,
    OptunaFile,
    Refitted,
    Repeats,
    Run,
    Sample,
    Sets,
    Splits,
    Tested,
    WeightsFile,
)
from tunecli.console.overrides import engine_flags, overrides_of
from tunecli.errors import UsageError


@verb(short_help="Write a trial as a runnable YAML file.")
def export(
    run: Run,
    trial: BestOrTrial = None,
    out: ExportFile = None,
    weights: WeightsFile = None,
    model: ModelFile = None,
    model_format: ModelFormat = None,
    is_tested: Tested = False,
    is_confirmed: ConfirmedTrial = False,
    is_refit: Refitted = False,
    optuna: OptunaFile = None,
    is_json: Json = False,
) -> None:
    """Write the best trial, or trial N, as a complete YAML file that `tunecli train` runs.

    `--optuna FILE` writes all trials instead, into an Optuna storage.
    """
    from tunecli.commands.export import ExportFiles, export_view
    from tunecli.commands.export_optuna import export_optuna, require_alone
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    folder, out_path = RunFolder.find(run), None if out == STDOUT else out
    if optuna is not None:
        one = {"--trial": trial, "-o": out, "--weights": weights, "--model": model, "--format": model_format}
        flags = {"--test": is_tested, "--confirmed": is_confirmed, "--refit": is_refit}
        require_alone({**one, **{flag: True for flag, is_given in flags.items() if is_given}})
        Console(is_json=is_json).show(export_optuna(folder, optuna))
        return
    view = export_view(
        folder,
        trial,
        ExportFiles(out_path, weights, model, model_format),
        open_test=is_tested,
        is_confirmed=is_confirmed,
        is_refit=is_refit,
    )
    Console(is_json=is_json).show(view)


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
    is_confirmed: ConfirmedRun = False,
    is_json: Json = False,
) -> None:
    """Run recorded trials again and compare their scores. The exit code is 3 if a score is not reproduced."""
    from tunecli.commands.verify import require_reproduced, verify, verify_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    console, folder = Console(is_json=is_json), RunFolder.find(run)
    if is_confirmed:
        if trial is not None or is_all or sample is not None:
            raise UsageError(
                "--confirmed selects the run itself", hint="leave out --trial, --all and --sample"
            )
        from tunecli.commands.verify_confirmed import verify_confirmed

        verification = verify_confirmed(folder, device, is_exact=is_exact)
        console.show(verify_view(verification))
        require_reproduced(verification)
        return
    verification = verify(
        folder,
        number=trial,
        is_all=is_all,
        n_sampled=sample,
        device=device,
        is_exact=is_exact,
        progress=lambda one: console.say(f"trial {one.number}: {one.comparison.verdict.value}"),
    )
    console.show(verify_view(verification))
    require_reproduced(verification)


@verb(short_help="Re-train the best trials with fresh seeds.")
def confirm(
    run: Run,
    top: Candidates = None,
    repeats: Repeats = None,
    trials: CandidateTrials = None,
    is_split: Splits = False,
    is_test_opened: OpenTest = False,
    engine: EngineName = None,
    address: Address = None,
    is_dry: Cost = False,
    is_json: Json = False,
) -> None:
    """Train the best trials again with fresh seeds. Show which cannot be distinguished, and a confirmed score.

    The study's first trial is trained too. The confirmed score comes from further runs, which take no part in the
    choice of the best trial. After an interruption, the same command continues. A larger `--repeats` adds runs.
    """
    from tunecli.commands.confirm import confirm, require_confirmed
    from tunecli.commands.confirm_view import confirm_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder
    from tunecli.study.record.candidates import Request

    console, folder = Console(is_json=is_json), RunFolder.find(run)
    if top is not None and trials:
        raise UsageError("--top and --trial exclude each other", hint="--trial N names every candidate")
    n_top = Request().n_top if top is None else top
    request = Request(n_top, repeats, tuple(trials or ()), is_split, is_test_opened)
    texts = overrides_of(None, engine_flags(engine, address))
    confirmation = confirm(folder, request, console.say, is_dry=is_dry, overrides=texts)
    console.show(confirm_view(confirmation))
    require_confirmed(confirmation)


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
