"""A trial's data on its device: read, split, prepared, moved, and kept for the next trial that wants the same.

Owns the cache of prepared tensors; what it holds is a function of data knobs, files, the study's seed and
the device, so a trial's result does not depend on the trials before it.

Axes: N examples, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from tunecli.spec.knobs.data import Data, FileSource
from tunecli.spec.knobs.losses import Task
from tunecli.train import preparation, splits
from tunecli.train.sources import Stamp, read_source, read_validation, stamp_of


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One model's data, on the device.

    Attributes:
        x_train, x_valid: (N, F) or (N, C, H, W) float32.
        y_train, y_valid: (N,) int64 classes, or float32 standardised targets.
        class_counts: training examples of each class; empty for regression.
        target_scale: gives a standardised error its units back; 1 for classes.
        task: classification or regression.
    """

    x_train: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    class_counts: tuple[int, ...]
    target_scale: float
    task: Task

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(F,) or (C, H, W)."""
        return tuple(self.x_train.shape[1:])

    @property
    def n_outputs(self) -> int:
        """Classes, or 1 for regression."""
        return len(self.class_counts) or 1


def load(data: Data, base_path: Path, study_seed: int, device: torch.device) -> tuple[Fold, ...]:
    """The data of a trial: one fold, or as many as the knobs say.

    Args:
        data: the data's knobs.
        base_path: the folder that relative file names start from.
        study_seed: names the split.
        device: where the tensors go.

    Raises:
        DataError: the data cannot be read or split.
    """
    files = [(data.source.path, "data.source")] if isinstance(data.source, FileSource) else []
    if data.validation.file is not None:
        files.append((data.validation.file, "data.validation"))
    stamps = tuple(stamp_of(file, base_path, parameter) for file, parameter in files)
    # Neither changes what is prepared, and trials that differ in them alone should share it.
    same = data.model_copy(update={"augment": [], "balance": "none"})
    return _load(same.model_dump_json(), str(base_path), stamps, study_seed, device)


def forget() -> None:
    """Let go of everything kept, so that its memory can be used."""
    _load.cache_clear()


@lru_cache(maxsize=4)
def _load(
    data_json: str, base_path: str, stamps: tuple[Stamp, ...], study_seed: int, device: torch.device
) -> tuple[Fold, ...]:
    data = Data.model_validate_json(data_json)
    table = read_source(data, Path(base_path))
    validation = read_validation(data, Path(base_path))
    folds = []
    for part in splits.split(table, data, study_seed, validation):
        found = preparation.fit(table, part.train_indices, data.normalize)
        train = preparation.apply(found, table, part.train_indices)
        valid = preparation.apply(found, validation if validation else table, part.valid_indices)
        y_train = torch.from_numpy(train.y)
        counts = (
            torch.bincount(y_train, minlength=len(table.class_names)).tolist() if table.class_names else []
        )
        fold = Fold(
            torch.from_numpy(train.x).to(device),
            y_train.to(device),
            torch.from_numpy(valid.x).to(device),
            torch.from_numpy(valid.y).to(device),
            tuple(counts),
            found.target_scale,
            table.task,
        )
        folds.append(fold)
    return tuple(folds)
