"""A trial's data as tensors: read, split, prepared, and placed on the device or in host memory.

Owns the cache of prepared tensors. Its content is a function of the data's configuration, the files, the study's seed
and the device, so a trial's result does not depend on earlier trials.

Axes: N examples, K classes, labels or outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.config.schema.data import Data
from tunecli.config.schema.losses import Task
from tunecli.errors import DataError
from tunecli.train.data import preparation, splits
from tunecli.train.data.sources import read_source, read_test, read_validation
from tunecli.train.data.stamps import Stamp, stamps_of
from tunecli.train.data.table import Inputs, Table, TableSchema, joined

SHARE = 0.5
"""The part of a device's free memory that data may take; the rest is for weights, their states and activations."""

_Read = Literal["parts", "with test", "all rows"]
"""The training and validation parts, these and the test part, or all rows but those of the test part."""

_CHUNK_SHARE = 1 / 16
_MAX_CHUNK_BYTES = 256 << 20  # larger copies are not faster
_MIN_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Placement:
    """The place of a trial's data.

    Attributes:
        device: the device that trains on them.
        chunk_bytes: how many bytes are copied to the device at a time; 0 if all data are on the device.
    """

    device: torch.device
    chunk_bytes: int = 0

    @property
    def home(self) -> torch.device:
        """The device that holds the data: ``device``, or the CPU if they come in chunks."""
        return torch.device("cpu") if self.chunk_bytes else self.device


def placed(device: torch.device, n_bytes: int, n_epoch_bytes: int, free_bytes: int | None) -> Placement:
    """Choose the place of data by the device's free memory. The choice changes no result.

    Args:
        device: the device that trains on them.
        n_bytes: size of all data.
        n_epoch_bytes: size of the training part, which an epoch copies in its own order.
        free_bytes: the device's free memory; None: it has no limit of its own.
    """
    if free_bytes is None or n_bytes + n_epoch_bytes <= SHARE * free_bytes:
        return Placement(device)
    return Placement(device, max(_MIN_CHUNK_BYTES, min(_MAX_CHUNK_BYTES, int(_CHUNK_SHARE * free_bytes))))


def free_bytes_of(device: torch.device) -> int | None:
    """A device's free memory for this process, in bytes; None for the CPU."""
    if device.type == "cpu":
        return None
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    free_bytes, _ = torch.get_device_module(device).mem_get_info(device)
    return int(free_bytes)


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """The data of one model, on the device, or in host memory if they are too large for it.

    Attributes:
        x_train, x_valid: (N, *inputs.shape) float32, or int64 for tokens.
        y_train, y_valid: (N,) int64 classes; (N,) or (N, K) float32 standardised targets; or (N, K) float32, 1 where an
            example has a label. ``y_valid`` is always on the device.
        class_counts: training examples of each class; empty if the task is no classification into one class.
        target_center, target_scale: the target in its own units is ``y * target_scale + target_center``; 0 and 1 for
            classes and labels. Of several targets, each is (K,) float64 on the CPU.
        task: the kind of target.
        inputs: shape and kind of one example.
        placement: the device that trains on the data, and whether it holds them.
        class_names: one per class or label, in the order of the indices; empty for regression.
        x_test, y_test: the test part, like the validation part; None if it was not read or does not exist.
        w_train, w_valid, w_test: (N,) float64 weights of the examples, on the CPU; None: all count the same.
        schema: everything about the table except its rows; None for data that came from no table.
        preparation: how the rows were prepared, fitted to the training part; None for data that were not prepared.
    """

    x_train: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    class_counts: tuple[int, ...]
    target_center: float | Tensor
    target_scale: float | Tensor
    task: Task
    inputs: Inputs
    placement: Placement
    class_names: tuple[str, ...] = ()
    x_test: Tensor | None = None
    y_test: Tensor | None = None
    w_train: Tensor | None = None
    w_valid: Tensor | None = None
    w_test: Tensor | None = None
    schema: TableSchema | None = None
    preparation: preparation.Preparation | None = None

    @property
    def n_outputs(self) -> int:
        """Number of classes, labels or targets."""
        return self.y_train.shape[1] if self.y_train.dim() == 2 else len(self.class_counts) or 1

    @property
    def target_names(self) -> tuple[str, ...]:
        """One per output of a regression with several outputs; empty if there is one, or without names."""
        return () if self.schema is None else self.schema.target_names


def load(
    data: Data,
    base_path: Path,
    study_seed: int,
    device: torch.device,
    *,
    open_test: bool = False,
    free_bytes: int | None = None,
) -> tuple[Fold, ...]:
    """The data of a trial: one fold, or ``data.validation.folds``.

    Args:
        data: the data's configuration.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split.
        device: the device that trains on the data.
        open_test: whether to read the test part too. A search never does.
        free_bytes: the device's free memory; None: ask the device.

    Raises:
        DataError: the data cannot be read or split.
    """
    open_test = open_test and data.test is not None
    stamps = stamps_of(data, base_path, open_test=open_test)
    # Neither changes the prepared tensors, so trials that differ only in them share the tensors.
    shared = data.model_copy(update={"augment": [], "balance": "none"})
    read: _Read = "with test" if open_test else "parts"
    return _load(shared.model_dump_json(), str(base_path), stamps, study_seed, device, read, free_bytes)


def load_all_rows(
    data: Data, base_path: Path, study_seed: int, device: torch.device, *, free_bytes: int | None = None
) -> Fold:
    """The data of a trial that trains on all rows but those of the test part; no row is left to validate on.

    Args:
        data, base_path, study_seed, device, free_bytes: as for `load`; ``data.train_fraction`` has no effect.

    Raises:
        DataError: the data cannot be read.
    """
    stamps = stamps_of(data, base_path, open_test=False)
    shared = data.model_copy(update={"augment": [], "balance": "none"})
    key = (shared.model_dump_json(), str(base_path), stamps)
    return _load(*key, study_seed, device, "all rows", free_bytes)[0]


def forget() -> None:
    """Empty the cache, to free its memory."""
    _load.cache_clear()


@lru_cache(maxsize=4)
def _load(
    data_json: str,
    base_path: str,
    stamps: tuple[Stamp, ...],
    study_seed: int,
    device: torch.device,
    read: _Read,
    free_bytes: int | None,
) -> tuple[Fold, ...]:
    open_test = read == "with test"
    data = Data.model_validate_json(data_json)
    table = read_source(data, Path(base_path))
    validation = read_validation(data, Path(base_path))
    test = read_test(data, Path(base_path)) if open_test else None
    parts = []
    split = splits.split(table, data, study_seed, validation, test)
    if read == "all rows":
        rows = splits.rows_but_test(table, data, study_seed)
        if validation is not None:
            rows = np.concatenate([rows, len(table.y) + np.arange(len(validation.y))])
            table = joined(table, validation)
        split = [splits.Part(rows, rows[:0], rows[:0])]
    for part in split:
        fitted = preparation.fit(table, part.train_indices, data)
        train = _prepared(fitted, table, part.train_indices)
        valid = _prepared(fitted, validation or table, part.valid_indices)
        tested = _prepared(fitted, test or table, part.test_indices) if open_test else None
        parts.append((part, fitted, train, valid, tested))
    n_epoch_bytes = max(_n_bytes(train) for _, _, train, _, _ in parts)
    n_bytes = sum(_n_bytes(examples) for _, _, *all_examples in parts for examples in all_examples)
    free_bytes = free_bytes_of(device) if free_bytes is None else free_bytes
    placement = placed(device, n_bytes, n_epoch_bytes, free_bytes)
    folds, schema = [], table.schema
    for part, fitted, train, valid, tested in parts:
        vocabulary = fitted.vocabulary
        n_tokens = vocabulary.n_tokens if vocabulary else table.n_tokens
        text_length = vocabulary.length if vocabulary and table.kind == "mixed" else 0
        home = placement.home
        fold = Fold(
            train[0].to(home),
            train[1].to(home),
            valid[0].to(home),
            valid[1].to(device),
            class_counts=table.class_counts_of(part.train_indices),
            target_center=number_or_tensor(fitted.target_center),
            target_scale=number_or_tensor(fitted.target_scale),
            task=table.task,
            inputs=Inputs(
                tuple(train[0].shape[1:]), n_tokens, fitted.categories.n_codes, text_length=text_length
            ),
            placement=placement,
            class_names=table.class_names,
            x_test=None if tested is None else tested[0].to(home),
            y_test=None if tested is None else tested[1].to(device),
            w_train=_weights(table, part.train_indices, "training"),
            w_valid=_weights(validation or table, part.valid_indices, "validation"),
            w_test=_weights(test or table, part.test_indices, "test") if open_test else None,
            schema=schema,
            preparation=fitted,
        )
        folds.append(fold)
    return tuple(folds)


def _prepared(
    fitted: preparation.Preparation, table: Table, indices: splits.Indices
) -> tuple[Tensor, Tensor]:
    prepared = preparation.apply(fitted, table, indices)
    return torch.from_numpy(prepared.x), torch.from_numpy(prepared.y)


def _weights(table: Table, indices: splits.Indices, part: str) -> Tensor | None:
    if table.roles.weight is None:
        return None
    weight_N = table.roles.weight[indices]
    if len(weight_N) and not weight_N.sum() > 0:
        message = f"all examples of the {part} part have the weight 0"
        hint = "give some of them a weight above 0"
        raise DataError(message, hint=hint, parameter="data.columns.weight")
    return torch.from_numpy(weight_N)


def number_or_tensor(values_K: NDArray[np.float64]) -> float | Tensor:
    """The center or the scale of one target as a number, those of several as a tensor (K,)."""
    return values_K.item() if len(values_K) == 1 else torch.from_numpy(values_K)


def _n_bytes(examples: tuple[Tensor, Tensor] | None) -> int:
    return 0 if examples is None else sum(tensor.nbytes for tensor in examples)
