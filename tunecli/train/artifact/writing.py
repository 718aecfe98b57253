"""From a trial's kept weights to the bytes of its model file.

Owns the facts beside the weights: how new rows are read and prepared, the classes, and how the score was computed.
Equal trials give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.messages import Job
from tunecli.train.artifact.layout import ENTRY, FORMAT
from tunecli.train.artifact.plain import encode, fields_of
from tunecli.train.data.loading import Fold, Placement
from tunecli.train.evaluation import ROWS_PER_PASS


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """How a model was made.

    Attributes:
        metric: the objective's metric.
        maximize: whether a higher value of it is better.
        score: its value for this trial: with several models, the mean of theirs on their own validation parts. None for
            a refit, which has no validation part.
        recorded: the metrics that the file names.
        trial: the trial's number.
        kept_epoch: the epoch whose weights these are.
        study_seed: seed of the split of the data.
        seed: seed of the trial.
        n_folds: number of folds of the data; 1 without folds.
        n_repeats: number of trainings with seeds of their own. Model ``r * n_folds + f`` is fold f of repeat r.
        device, threads, rows_per_pass: how the score was computed, besides the precision that the trial sets.
        tunecli, torch: the versions that trained it.
        note: what to know about it, for people.
        decided: by class or label, the number (or weight) of validation examples that have it and get it, have it, and
            get it, added up over the models; empty for regression.
        threshold: the probability above which the second of two classes, or a label, is decided; None: one half.
    """

    metric: str
    maximize: bool
    score: float | None
    recorded: tuple[str, ...]
    trial: int
    kept_epoch: int
    study_seed: int
    seed: int
    n_folds: int
    n_repeats: int
    device: str
    threads: int
    rows_per_pass: int
    tunecli: str
    torch: str
    note: str = ""
    threshold: float | None = None
    decided: tuple[tuple[float, float, float], ...] = ()


def without_rows(fold: Fold) -> Fold:
    """The fold without its examples, which a model file does not hold."""
    empty: dict[str, Any] = {
        name: torch.zeros((0, *value.shape[1:]), dtype=value.dtype)
        for name in examples_fields()
        if (value := getattr(fold, name)) is not None
    }
    return replace(fold, placement=Placement(torch.device("cpu")), **empty)


SHAPES = "example_shapes"
"""The key of a fold for the shape of one example of each of its tensors."""

DERIVED = ("target_center", "target_scale")
"""The fields of a `Fold` that follow from its preparation."""


def stored_fields() -> dict[str, Any]:
    """The fields of a `Fold` that a model file holds, with their type hints: all but its examples and their place."""
    examples, hints = examples_fields(), fields_of(Fold)
    return {
        name: hint
        for name, hint in hints.items()
        if hint is not Placement and name not in examples and name not in DERIVED
    }


def examples_fields() -> tuple[str, ...]:
    """The fields of a `Fold` that hold examples: tensors, and tensors that may be absent."""
    hints = fields_of(Fold).items()
    return tuple(name for name, hint in hints if hint is Tensor or {*get_args(hint)} == {Tensor, type(None)})


def facts_of_job(job: Job, score: float | None, kept_epoch: int, n_folds: int, device: str) -> ModelFacts:
    """The facts about a complete trial.

    Args:
        job: the trial.
        score: its score; None for a refit.
        kept_epoch: the epoch whose weights are kept.
        n_folds: number of folds.
        device: the device that trained it.
    """
    task = job.task
    n_models = n_folds * task.repeats
    parts = [f"{n_folds} folds"] if n_folds > 1 else []
    parts += [f"{task.repeats} repeats"] if task.repeats > 1 else []
    refit = "trained on all rows but those of the test part, so it has no validation score"
    note = f"{n_models} models, of {' and '.join(parts)}: their predictions are averaged" if parts else ""
    note = "; ".join(filter(None, (refit if task.refit is not None else "", note)))
    return ModelFacts(
        metric=task.objective.metric,
        maximize=task.objective.maximize,
        score=score,
        recorded=task.objective.recorded,
        trial=job.number,
        kept_epoch=kept_epoch,
        study_seed=task.study_seed,
        seed=task.seed,
        n_folds=n_folds,
        n_repeats=task.repeats,
        device=device,
        threads=job.execution.threads,
        rows_per_pass=max(1, ROWS_PER_PASS // job.execution.micro_batches),
        tunecli=_own_version(),
        torch=str(torch.__version__),
        note=note,
    )


def packed(
    weights: Sequence[Mapping[str, Tensor]],
    folds: Sequence[Fold],
    config: Mapping[str, Any],
    facts: ModelFacts,
) -> bytes:
    """The bytes of a model file.

    Args:
        weights: by model, its weights by name, on any device.
        folds: the data of each fold; their examples are left out.
        config: the trial, as JSON data.
        facts: how the model was made.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in with_unique_names(weights).items()
    }
    prefix = "folds/"
    while any(name.startswith(prefix) for name in tensors):
        prefix = f"_{prefix}"
    arrays: dict[str, NDArray[Any]] = {}
    nodes = [_fold_node(fold, folds[0], f"{prefix}{number}", arrays) for number, fold in enumerate(folds)]
    entry = {
        "format": FORMAT,
        "arrays": prefix,
        "config": config,
        "folds": nodes,
        "facts": encode(facts, ModelFacts, "facts", arrays),
    }
    # One entry only: safetensors writes several in varying order, but equal models should give equal files.
    text = json.dumps(entry, sort_keys=True, allow_nan=False, separators=(",", ":"))
    arrays = {name: _little_endian(array) for name, array in arrays.items()}
    return safetensors.torch.save(
        {**tensors, **{name: torch.from_numpy(array) for name, array in arrays.items()}}, {ENTRY: text}
    )


def with_unique_names(models: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """The weights of all models in one map, with ``model<n>.`` before each name if there are several models."""
    if len(models) == 1:
        return models[0]
    return {
        f"model{number}.{name}": tensor
        for number, model in enumerate(models)
        for name, tensor in model.items()
    }


@cache
def _own_version() -> str:
    try:
        return version("tunecli")
    except PackageNotFoundError:  # run from its sources
        return "unknown"


def _fold_node(fold: Fold, first: Fold, path: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """A fold as JSON. The schema of the table is the same for all folds, so only the first one has it."""
    kept = fold if fold is first or fold.schema != first.schema else replace(fold, schema=None)
    shapes = {
        name: list(value.shape[1:])
        for name in examples_fields()
        if (value := getattr(fold, name)) is not None
    }
    stored = {
        name: encode(getattr(kept, name), hint, f"{path}/{name}", arrays)
        for name, hint in stored_fields().items()
    }
    return {**stored, SHAPES: shapes}


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """A writable copy in the byte order of the machine, which torch needs."""
    return np.array(array, dtype=array.dtype.newbyteorder("="))
