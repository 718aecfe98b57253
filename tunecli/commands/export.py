"""`tunecli export`: a recorded trial as a file that runs.

Nothing is trained, except for weights or test metrics that were not kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from shlex import quote
from typing import Literal, NamedTuple

from tunecli.commands.export_graph import ModelFormat, format_of, graph_content
from tunecli.commands.trial_model import (
    kept_file_of,
    model_file_of,
    require_complete,
    require_model,
    train_again,
)
from tunecli.config.concrete_trial import concrete
from tunecli.config.schema import TrialConfig, trial_model
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.results.confirmed import Confirmed
from tunecli.results.ranking import best
from tunecli.results.view import View
from tunecli.store.destination import (
    as_argument,
    is_stream,
    require_destination,
    write_where_asked,
)
from tunecli.store.folder import RunFolder
from tunecli.study.record.confirmation import confirmed_of_study
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.study.record.publish import document
from tunecli.study.refitting import recorded_refit, train_refit
from tunecli.text import counted
from tunecli.train.artifact.layout import bare_weights
from tunecli.trial import FailureKind, State, Trial


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported trial.

    Attributes:
        text: the trial as a complete YAML file.
        tested: its metrics on the test part of the data; empty: they were not requested.
        weights_place: the file with its weights, in words; empty: no weights were written.
        model_place: likewise, the model file.
        note: how a model file in another format was compared, how a training with the file differs from the recorded
            one, and which other trial was confirmed; a line each, or empty.
    """

    text: str
    tested: Mapping[str, float]
    weights_place: str = ""
    model_place: str = ""
    note: str = ""


def export(
    folder: RunFolder,
    number: int | Literal["confirmed"] | None,
    weights_path: Path | None,
    model_path: Path | None = None,
    *,
    open_test: bool = False,
    is_refit: bool = False,
    form: ModelFormat = "safetensors",
) -> Exported:
    """Export a trial, and write its weights to ``weights_path`` and its model file to ``model_path``.

    Args:
        folder: the run folder.
        number: the trial's number; ``confirmed``: the trial that the last confirmation quotes; None: the best trial.
        weights_path: the file for the weights; None: no weights.
        model_path: the model file; None: no such file.
        open_test: train the trial again, to the recorded score, and measure it on ``data.test``.
        is_refit: write the files of the trial trained on all rows; it is trained now if the study does not have it.
        form: the format of the model file.

    Raises:
        NoTrialSucceeded: ``number`` is None and no trial has a score.
        UsageError: there is no such trial, it has no weights, or the study has no ``data.test``.
    """
    if is_refit and weights_path is None and model_path is None:
        raise UsageError("--refit needs --model FILE or --weights FILE", hint="name the file to write")
    for path in (weights_path, model_path):
        if path is not None:
            require_destination(path)
    with open_to_read(folder) as study:
        trials, confirmed = study.log.trials(), confirmed_of_study(study)
        if number == "confirmed":
            number = confirmed_number(study, confirmed)
        trial = best(trials, study.spec.objective) if number is None else study.log.trial(number)
        if trial is None:
            raise NoTrialSucceeded(
                "no trial of this study has a score yet", hint=f"tunecli status {quote(str(folder.path))}"
            )
        weights, model, said = _write_files(study, trial, weights_path, model_path, form, is_refit=is_refit)
        tested = _tested(study, trial) if open_test else {}
        notes = (*said, _note(study, trial), _confirmed_note(study, trial, confirmed))
        return Exported(
            document(study, trial, tested), tested, weights, model, "\n".join(filter(None, notes))
        )


class ExportFiles(NamedTuple):
    """The files to write; None: no such file.

    Attributes:
        out: the trial as YAML.
        weights: the weights alone.
        model: the model file.
        model_format: the format of the model file; None: that of its ending.
    """

    out: Path | None = None
    weights: Path | None = None
    model: Path | None = None
    model_format: str | None = None


def export_view(
    folder: RunFolder,
    number: int | None,
    files: ExportFiles,
    *,
    open_test: bool = False,
    is_confirmed: bool = False,
    is_refit: bool = False,
) -> View:
    """Export a trial as `export` does, and write the file. Without ``files.out``, the view holds the text.

    Args:
        folder, number, open_test, is_refit: as for `export`.
        files: the files to write.
        is_confirmed: take the trial that the last confirmation quotes; ``number`` is None.

    Raises:
        NoTrialSucceeded, UsageError: as `export`; two paths name one file, or ``number`` is given too.
    """
    if is_confirmed and number is not None:
        raise UsageError("--confirmed and --trial exclude each other", hint="use one of them")
    out_path, weights_path, model_path, asked_format = files
    named = {"-o": out_path, "--weights": weights_path, "--model": model_path}
    for (one, path), (other, other_path) in combinations(named.items(), 2):
        if path is not None and path == other_path:
            raise UsageError(f"{one} and {other} name the same file", hint="name two files")
    form = format_of(model_path, asked_format)
    if out_path is not None:
        require_destination(out_path)
    exported = export(
        folder,
        "confirmed" if is_confirmed else number,
        weights_path,
        model_path,
        open_test=open_test,
        is_refit=is_refit,
        form=form,
    )
    messages = [f"{name} {value:.6g}" for name, value in exported.tested.items()]
    if out_path is not None:
        place = write_where_asked(out_path, exported.text)
        how = "" if is_stream(out_path) else f": `tunecli train {as_argument(out_path)}` runs it"
        messages.append(f"wrote {place}{how}")
    messages += [f"wrote {place}" for place in (exported.weights_place, exported.model_place) if place]
    messages += exported.note.splitlines()
    data = {
        "config": exported.text,
        "out": out_path and str(out_path),
        "weights": weights_path and str(weights_path),
        "model": model_path and str(model_path),
        "format": form if model_path else None,
        "test": dict(exported.tested),
    }
    raw = exported.text if out_path is None else ""
    return View("export", data, raw=raw, messages=tuple(messages))


def confirmed_number(study: Study, confirmed: Confirmed | None) -> int:
    """The number of the trial that the last confirmation quotes.

    Raises:
        UsageError: it quotes none.
    """
    if confirmed is None or confirmed.quote is None:
        raise not_quoted(study, confirmed)
    return confirmed.quote.number


def not_quoted(study: Study, confirmed: Confirmed | None) -> UsageError:
    """The error that no trial of the study has a confirmed score, and why."""
    path = quote(str(study.folder.path))
    if confirmed is not None and confirmed.is_seed_ignored:
        return UsageError(
            "no trial is quoted: the training does not use its seed, so fresh runs show no noise",
            hint=f"tunecli export {path} takes the best score",
        )
    if confirmed is not None and not confirmed.n_missing:
        return UsageError("no trial is quoted: its fresh runs failed", hint=f"tunecli report {path}")
    if confirmed is not None:
        return UsageError(
            f"no trial is quoted yet: {counted(confirmed.n_missing, 'fresh run')} are missing",
            hint=f"tunecli confirm {path}{confirmed.options}",
        )
    return UsageError("no trial of this study is confirmed", hint=f"tunecli confirm {path}")


def _confirmed_note(study: Study, trial: Trial, confirmed: Confirmed | None) -> str:
    """A note that another trial was confirmed."""
    if confirmed is None or confirmed.quote is None or confirmed.quote.number == trial.number:
        return ""
    found, metric = confirmed.quote, study.spec.objective.metric
    score = "" if found.score is None else f" ({metric} {found.score})"
    return (
        f"note: trial {found.number} was confirmed{score}, and this is trial {trial.number}; see --confirmed"
    )


def _note(study: Study, trial: Trial) -> str:
    limit = study.log.ended_by(trial.number)
    is_own = trial_model(concrete(study.spec.space, trial.parameters)) is not TrialConfig
    if limit is None or limit.kind is not FailureKind.TIMEOUT or is_own or trial.outcome is None:
        return ""
    return (
        f"note: a time limit ended trial {trial.number} after epoch {trial.outcome.epochs}; the file trains "
        "all epochs, so its score will differ"
    )


def _refit_content(study: Study, trial: Trial) -> bytes:
    """The model file of a trial trained on all rows: the one on record, or that of a training now."""
    recorded = recorded_refit(study, trial)
    if recorded is not None:
        return recorded.content
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "refit.safetensors"
        train_refit(study, trial, path)
        return path.read_bytes()


def _write_files(
    study: Study,
    trial: Trial,
    weights_path: Path | None,
    model_path: Path | None,
    form: ModelFormat,
    *,
    is_refit: bool,
) -> tuple[str, str, tuple[str, ...]]:
    """Write the weights alone and the model file, to the paths that are not None; the places in words, and lines."""
    named = {"--weights": weights_path, "--model": model_path}
    for option, path in named.items():
        if path is not None and path.exists() and not path.is_file():
            raise UsageError(f"{option}: {path} is not a regular file", hint="name another file")
    if weights_path is None and model_path is None:
        return "", "", ()
    require_model(study, trial)
    kept = kept_file_of(study, trial)
    # Weights of an earlier version are weights all the same.
    is_enough = kept is not None and model_path is None
    if is_refit:
        content = _refit_content(study, trial)
    else:
        content = kept if kept is not None and is_enough else model_file_of(study, trial)
    weights = write_where_asked(weights_path, bare_weights(content)) if weights_path is not None else ""
    if model_path is None:
        return weights, "", ()
    said: tuple[str, ...] = ()
    if form != "safetensors":
        content, said = graph_content(study, content, form)
    return weights, write_where_asked(model_path, content), said


def _tested(study: Study, trial: Trial) -> Mapping[str, float]:
    if trial.outcome is None or trial.state is State.FAILED:
        raise UsageError(f"trial {trial.number} is {trial.state.shown.value}, so there is nothing to test")
    require_complete(study, trial)
    if not concrete(study.spec.space, trial.parameters).get("data", {}).get("test"):
        raise UsageError(
            "this study has no test data", hint="set `data.test` in the file before the study begins"
        )
    metrics = train_again(study, trial, open_test=True).metrics
    return {name: value for name, value in metrics.items() if name.startswith("test_")}
