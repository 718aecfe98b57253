"""`tunecli predict`: the predictions of trained models for new rows.

The models come from a model file, or from a study: its best trial, one of its trials, or the mean of its best ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.commands.export import confirmed_number
from tunecli.commands.prediction_files import PredictionRows, csv_text, require_ending, write_predictions
from tunecli.commands.trial_model import model_file_of
from tunecli.config.concrete_trial import concrete
from tunecli.config.paths import is_file
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.results.ranking import rank
from tunecli.results.view import View
from tunecli.store.destination import require_destination
from tunecli.store.folder import RunFolder
from tunecli.study.record.confirmation import confirmed_of_study
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.study.refitting import recorded_refit
from tunecli.text import counted
from tunecli.train.artifact.loading import load_model, model_of
from tunecli.train.artifact.model import TrainedModel, mean
from tunecli.train.data.file_patterns import is_pattern
from tunecli.train.data.table import Table
from tunecli.trial import Trial

_KNOWN = ("one_hot", "texts")
"""The kinds of notes that say nothing new: the training data gave them too."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to predict with.

    Attributes:
        number: the trial; None: the best one.
        n_best: number of best trials whose predictions are averaged; None: one trial.
        device: where to compute; None: where the trial was trained, if that is here.
        code_path: the folder of the user's own code, for a model that is such code; None: that of the study.
        has_probabilities: whether to give the probability of each class too.
        is_confirmed: take the trial that the last confirmation quotes; the two numbers are None.
    """

    number: int | None = None
    n_best: int | None = None
    device: str | None = None
    code_path: Path | None = None
    has_probabilities: bool = False
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Predictions for new rows.

    Attributes:
        rows: the predictions, by row.
        models: what predicted them, in words, one entry for each trial.
        metrics: metrics on the rows, if they have targets.
        notes: how the rows were read, a sentence each.
        n_not_finite: number of rows for which the model gives no finite prediction.
    """

    rows: PredictionRows
    models: tuple[str, ...]
    metrics: Mapping[str, float]
    notes: tuple[str, ...]
    n_not_finite: int = 0


def predict(
    source: str, data_path: Path, request: Request, say: Callable[[str], None] = lambda _: None
) -> Predicted:
    """Predict the rows of a file or of a folder of images.

    Args:
        source: a model file, a run folder, or a study's name.
        data_path: the new rows.
        request: which trials predict, and where.
        say: shows a line to the person.

    Raises:
        UsageError: there is no such model, or its file is unsound.
        NoTrialSucceeded: the study has no complete trial.
        DataError: the rows cannot be read, or differ from the training data.
    """
    if not data_path.exists() and not is_pattern(data_path):
        raise UsageError(f"there is no file or folder {data_path}", hint="name the rows to predict")
    with _models(source, request, say) as models:
        table: Table | None = None
        values: list[NDArray[np.float64]] = []
        metrics: Mapping[str, float] = {}
        names: list[str] = []
        first: TrainedModel | None = None
        measured: Table | None = None
        known: NDArray[np.int64] | slice = slice(None)
        reader: TrainedModel | None = None
        for name, model in models:
            if reader is None or (model.schema, model.config.data) != (reader.schema, reader.config.data):
                table, reader = _read_alike(model, data_path, table), model
            assert table is not None
            if request.device is None and str(model.device) != model.facts.device:
                say(f"{name} was trained on {model.facts.device}, and is used on {model.device}")
            outputs = model.outputs(table)
            values.append(model.values(outputs))
            names.append(name)
            if first is None:
                first, (measured, known) = model, model.measured(table)
                metrics = {} if measured is None else model.metrics(measured, [one[known] for one in outputs])
    assert table is not None
    assert first is not None
    found = mean(values)
    if len(values) > 1 and measured is not None:
        metrics = first.metrics_of(measured, found[known])
    return _predicted(first, table, found, request, metrics, tuple(names))


def _read_alike(model: TrainedModel, data_path: Path, other: Table | None) -> Table:
    """Read the rows for a model; trials with other settings of the data must predict the same rows.

    Raises:
        UsageError: they do not.
    """
    table = model.read(data_path)
    if other is not None and not np.array_equal(_ids(table), _ids(other)):
        raise _different_windows()
    return table


def _different_windows() -> UsageError:
    return UsageError(
        "the trials of the ensemble predict different rows, because their windows differ",
        hint="use --trial for each of them, or a smaller --ensemble",
    )


def _ids(table: Table) -> NDArray[Any]:
    """The ids of the rows; without ids, their numbers from 1."""
    return np.arange(1, len(table.y) + 1) if table.roles.id is None else table.roles.id


def _predicted(
    model: TrainedModel,
    table: Table,
    values: NDArray[np.float64],
    request: Request,
    metrics: Mapping[str, float],
    names: tuple[str, ...],
) -> Predicted:
    if request.has_probabilities and model.task == "regression":
        raise UsageError("this model predicts numbers, so there are no probabilities", hint="drop --proba")
    is_finite_N = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    columns = _columns(model, values)
    for row in np.flatnonzero(~is_finite_N).tolist():
        for column in columns.values():
            column[row] = None
    rows = PredictionRows(
        "row" if table.roles.id is None else "id",
        _ids(table).tolist(),
        columns,
        model.classes if request.has_probabilities else (),
        values if request.has_probabilities else None,
    )
    notes = tuple(note.text for note in table.data_notes if not note.is_detail and note.kind not in _KNOWN)
    return Predicted(rows, names, metrics, notes, int((~is_finite_N).sum()))


def _columns(model: TrainedModel, values: NDArray[np.float64]) -> dict[str, list[Any]]:
    """The predictions by the name of their column: one, or one for each of several targets."""
    targets, found = model.config.data.targets, model.decided(values)
    if found.ndim == 1:
        return {targets[0] if targets else "prediction": found.tolist()}
    if model.task == "multilabel" and len(targets) < 2:
        labels = [
            "|".join(name for name, is_there in zip(model.classes, row, strict=True) if is_there)
            for row in found.tolist()
        ]
        return {targets[0] if targets else "prediction": labels}
    names = model.classes or model.schema.target_names or [f"y{k}" for k in range(found.shape[1])]
    return dict(zip(names, found.T.tolist(), strict=True))


@contextmanager
def _models(
    source: str, request: Request, say: Callable[[str], None]
) -> Iterator[Iterator[tuple[str, TrainedModel]]]:
    """The models, each with its name in words, loaded one after the other."""
    if is_file(Path(source)):
        if request.number is not None or request.n_best is not None or request.is_confirmed:
            hint = "name a run folder in place of the model file"
            options = "--trial, --ensemble and --confirmed need a study"
            raise UsageError(f"a model file holds one trial: {options}", hint=hint)
        model = load_model(source, device=request.device, code=request.code_path)
        yield iter([(f"the model file {source}", model)])
        return
    with open_to_read(RunFolder.find(source)) as study:
        yield _models_of_study(study, request, say)


def _models_of_study(
    study: Study, request: Request, say: Callable[[str], None]
) -> Iterator[tuple[str, TrainedModel]]:
    is_best = request.number is None and request.n_best is None and not request.is_confirmed
    trials = _chosen(study, request)
    _require_equal_windows(study, trials)
    for trial in trials:
        refit = recorded_refit(study, trial) if is_best else None
        content = model_file_of(study, trial, say) if refit is None else refit.content
        code = request.code_path or study.spec.base_path
        name = f"trial {trial.number}" if refit is None else f"trial {trial.number}, trained on all rows"
        yield name, model_of(content, name, device=request.device, code=code)


def _require_equal_windows(study: Study, trials: Sequence[Trial]) -> None:
    """Refuse trials that predict different rows, before any of them is trained again.

    Raises:
        UsageError: the lengths of their windows differ.
    """
    configs = [concrete(study.spec.space, trial.parameters) for trial in trials] if len(trials) > 1 else []
    if len({(config.get("data", {}).get("series") or {}).get("window") for config in configs}) > 1:
        raise _different_windows()


def _chosen(study: Study, request: Request) -> list[Trial]:
    """The trials that predict, the best first."""
    if request.is_confirmed:
        if request.number is not None or request.n_best is not None:
            raise UsageError("--confirmed excludes --trial and --ensemble", hint="use one of them")
        return [study.log.trial(confirmed_number(study, confirmed_of_study(study)))]
    if request.number is not None and request.n_best is not None:
        raise UsageError("--trial and --ensemble exclude each other", hint="use one of them")
    if request.number is not None:
        return [study.log.trial(request.number)]
    ranked = [one.trial for one in rank(study.log.trials(), study.spec.objective) if one.rank is not None]
    if not ranked:
        hint = f"tunecli status {quote(str(study.folder.path))}"
        raise NoTrialSucceeded("no trial of this study has a score yet", hint=hint)
    n_best = request.n_best or 1
    if n_best > len(ranked):
        raise UsageError(
            f"--ensemble {n_best}: the study has only {counted(len(ranked), 'trial')} with a score",
            hint=f"--ensemble {len(ranked)}",
        )
    return ranked[:n_best]


def predict_view(
    source: str,
    data_path: Path,
    out_path: Path | None,
    request: Request,
    say: Callable[[str], None] = lambda _: None,
) -> View:
    """Predict as `predict` does, and write the predictions.

    Args:
        source, data_path, request, say: as for `predict`.
        out_path: the file to write, whose ending decides its form; None: the view holds CSV.

    Raises:
        UsageError, NoTrialSucceeded, DataError: as `predict`; or the file cannot be written.
    """
    if out_path is not None:
        require_destination(out_path)
        require_ending(out_path)
    predicted = predict(source, data_path, request, say)
    messages = [f"note: {note}" for note in predicted.notes]
    if predicted.n_not_finite:
        messages.append(
            f"note: the model gives no finite number for {counted(predicted.n_not_finite, 'row')}: "
            "their predictions are empty"
        )
    if len(predicted.models) > 1:
        messages.append(f"the mean of {', '.join(predicted.models)}")
    messages += [f"{name} {value:.6g}" for name, value in predicted.metrics.items()]
    rows = predicted.rows
    data: dict[str, Any] = {
        "models": list(predicted.models),
        "rows": len(rows.ids),
        "out": out_path and str(out_path),
        "metrics": dict(predicted.metrics),
        "notes": list(predicted.notes),
    }
    if out_path is not None:
        messages.append(f"wrote {write_predictions(out_path, rows)}")
        return View("predict", data, messages=tuple(messages))
    data |= rows.as_data()
    return View("predict", data, raw=csv_text(rows), messages=tuple(messages))
