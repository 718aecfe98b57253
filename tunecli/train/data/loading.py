"""A trial's data as tensors: read, split, prepared, and placed on the device or in host memory.

Owns the cache of prepared tensors. What it holds is a function of data knobs, files, the study's seed and the device,
so a trial's result does not depend on earlier trials.

Axes: N examples, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from tunecli.config.schema.data import Data
from tunecli.config.schema.losses import Task
from tunecli.train.data import preparation, splits
from tunecli.train.data.sources import read_source, read_test, read_validation
from tunecli.train.data.stamps import Stamp, stamps_of
from tunecli.train.data.table import Table
from tunecli.train.inputs import Inputs

SHARE = 0.5
"""Of a device's free memory, what data may take; the rest is for weights, their states and activations."""

_CHUNK_SHARE = 1 / 16
_MOST_BYTES = 256 << 20  # beyond, a copy is no faster
_LEAST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Placement:
    """Where data lie; ``chunk_bytes`` is how much of them comes to the device at a time, 0 where all lies there."""

    device: torch.device
    chunk_bytes: int = 0

    @property
    def home(self) -> torch.device:
        """The device that the data lie on."""
        return torch.device("cpu") if self.chunk_bytes else self.device


def placed(device: torch.device, n_bytes: int, n_epoch_bytes: int, free_bytes: int | None) -> Placement:
    """Where data lie that a device is to train on.

    Args:
        device: where they are used.
        n_bytes: all of them.
        n_epoch_bytes: those that train, of which an epoch makes a copy in its own order.
        free_bytes: the device's free memory; None: it has no limit of its own.
    """
    if free_bytes is None or n_bytes + n_epoch_bytes <= SHARE * free_bytes:
        return Placement(device)
    return Placement(device, max(_LEAST_BYTES, min(_MOST_BYTES, int(_CHUNK_SHARE * free_bytes))))


def free_bytes_of(device: torch.device) -> int | None:
    """A device's free memory, for this process; None where it is the host's or nobody tells."""
    if device.type == "cpu":
        return None
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    free_bytes, _ = torch.get_device_module(device).mem_get_info(device)
    return int(free_bytes)


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One model's data, on the device, or on the host where they are too large for it.

    Attributes:
        x_train, x_valid: (N, *inputs.shape) float32, or int64 for tokens.
        y_train, y_valid: (N,) int64 classes, or float32 standardised targets; ``y_valid`` is always on the device.
        class_counts: training examples of each class; empty for regression.
        target_center, target_scale: what standardised targets were; give them their units back. 0 and 1 for classes.
        task: classification or regression.
        inputs: what one example looks like.
        placement: the device that trains on them, and whether they lie there.
        x_test, y_test: as those that validate; None where the test part was not opened, or nothing tests.
    """

    x_train: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    class_counts: tuple[int, ...]
    target_center: float
    target_scale: float
    task: Task
    inputs: Inputs
    placement: Placement
    x_test: Tensor | None = None
    y_test: Tensor | None = None

    @property
    def n_outputs(self) -> int:
        """Classes, or 1 for regression."""
        return len(self.class_counts) or 1


def load(
    data: Data,
    base_path: Path,
    study_seed: int,
    device: torch.device,
    *,
    open_test: bool = False,
    free_bytes: int | None = None,
) -> tuple[Fold, ...]:
    """The data of a trial: one fold, or as many as the knobs say.

    Args:
        data: the data's knobs.
        base_path: the folder that relative file names start from.
        study_seed: names the split.
        device: where they are used.
        open_test: read the test part too. A search never does.
        free_bytes: the device's free memory; None: as it tells.

    Raises:
        DataError: the data cannot be read or split.
    """
    open_test = open_test and data.test is not None
    stamps = stamps_of(data, base_path, open_test=open_test)
    # Neither changes what is prepared, and trials that differ in them alone should share it.
    same = data.model_copy(update={"augment": [], "balance": "none"})
    return _load(same.model_dump_json(), str(base_path), stamps, study_seed, device, open_test, free_bytes)


def forget() -> None:
    """Let go of everything kept, so that its memory can be used."""
    _load.cache_clear()


@lru_cache(maxsize=4)
def _load(
    data_json: str,
    base_path: str,
    stamps: tuple[Stamp, ...],
    study_seed: int,
    device: torch.device,
    open_test: bool,
    free_bytes: int | None,
) -> tuple[Fold, ...]:
    data = Data.model_validate_json(data_json)
    table = read_source(data, Path(base_path))
    validation = read_validation(data, Path(base_path))
    test = read_test(data, Path(base_path)) if open_test else None
    parts = []
    for part in splits.split(table, data, study_seed, validation, test):
        found = preparation.fit(table, part.train_indices, data)
        train = _prepared(found, table, part.train_indices)
        valid = _prepared(found, validation or table, part.valid_indices)
        tested = _prepared(found, test or table, part.test_indices) if open_test else None
        parts.append((part, found, train, valid, tested))
    n_epoch_bytes = max(_n_bytes(train) for _, _, train, _, _ in parts)
    n_bytes = sum(_n_bytes(each) for _, _, *several in parts for each in several)
    free_bytes = free_bytes_of(device) if free_bytes is None else free_bytes
    placement = placed(device, n_bytes, n_epoch_bytes, free_bytes)
    folds = []
    for part, found, train, valid, tested in parts:
        n_tokens = found.alphabet.n_tokens if found.alphabet else table.n_tokens
        home = placement.home
        fold = Fold(
            train[0].to(home),
            train[1].to(home),
            valid[0].to(home),
            valid[1].to(device),
            class_counts=table.class_counts_of(part.train_indices),
            target_center=found.target_center,
            target_scale=found.target_scale,
            task=table.task,
            inputs=Inputs(tuple(train[0].shape[1:]), n_tokens),
            placement=placement,
            x_test=None if tested is None else tested[0].to(home),
            y_test=None if tested is None else tested[1].to(device),
        )
        folds.append(fold)
    return tuple(folds)


def _prepared(found: preparation.Preparation, table: Table, indices: splits.Indices) -> tuple[Tensor, Tensor]:
    prepared = preparation.apply(found, table, indices)
    return torch.from_numpy(prepared.x), torch.from_numpy(prepared.y)


def _n_bytes(examples: tuple[Tensor, Tensor] | None) -> int:
    return 0 if examples is None else sum(each.nbytes for each in examples)
