"""The rules for the target of a table: which task it is, and which class has which index. Loads no torch.

Axes: N examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.losses import Task
from tunecli.errors import DataError
from tunecli.train.data.number_text import DECIMAL_COMMA, NUMBER
from tunecli.train.data.scaling import is_lost
from tunecli.train.data.table import TableSchema

MAX_INTEGER_CLASSES = 20
INEXACT = 2.0**53  # from this size on, two whole numbers may be the same float64

TaskKnob = Literal["auto", "classification", "regression"]
Place = Callable[[int], str]
"""The place of a row in its file, in words: 0 -> ``line 2 of wine.csv``."""


def encode_target(
    raw_N: NDArray[Any],
    task: TaskKnob,
    place: Place,
    known: TableSchema | None = None,
    parameter: str = "data.target",
    mark: str = "",
) -> tuple[NDArray[Any], Task, tuple[str, ...]]:
    """Turn a raw target into class indices or numbers.

    Under ``auto``, text and truth values are classes, and so are whole numbers with at most
    `MAX_INTEGER_CLASSES` distinct values; everything else is a number to predict.

    Args:
        raw_N: (N,) bool, float64 (NaN if missing) or object (str, or None if missing).
        task: the configured task.
        place: the place of a row in words, for messages.
        known: for a validation or test file, the schema of the training table, whose task and classes the target must
            have.
        parameter: the configuration key that errors name.
        mark: the text of the first target that was read as missing; empty if there is none.

    Returns:
        The target (N,), int64 class indices or float64; its task; and its class names.

    Raises:
        DataError: a target is missing or infinite; has a class that the training data lacks; never varies, or by no
            more than the rounding of its numbers; or its classes are numbers too large to tell apart.
    """
    if raw_N.dtype == object:
        is_missing_N = np.array([value is None for value in raw_N], dtype=bool)
    else:
        is_missing_N = np.zeros(len(raw_N), dtype=bool) if raw_N.dtype == bool else ~np.isfinite(raw_N)
    if is_missing_N.any():
        message = f"the target is missing or infinite in {place(int(is_missing_N.argmax()))}"
        hint = "remove such rows"
        if mark:
            message += f": `{mark}` counts as missing"
            hint = f"remove such rows; if `{mark}` is a class, give it another name"
        raise DataError(message, hint=hint, parameter=parameter)

    task_found = known.task if known else (_task_of(raw_N) if task == "auto" else task)
    if task_found == "regression":
        return _as_numbers(raw_N, place, parameter, is_alone=known is None), task_found, ()

    if raw_N.dtype == np.float64 and (np.abs(raw_N) >= INEXACT).any():
        where = place(int((np.abs(raw_N) >= INEXACT).argmax()))
        raise DataError(
            f"the class in {where} is a number of 2^53 or more: float64 cannot distinguish such classes",
            hint="name the classes by text or smaller numbers; to predict a number, set `data.task: regression`",
            parameter=parameter,
        )
    names_N = [category_name(value) for value in raw_N.tolist()]
    if known:
        class_names = known.class_names
        known_names = set(class_names)
        unknown = next((row for row, name in enumerate(names_N) if name not in known_names), None)
        if unknown is not None:
            message = f"class `{names_N[unknown]}` in {place(unknown)} is not in the training data"
            hint = "correct it, remove such rows, or add the class to the training data"
            raise DataError(message, hint=hint, parameter=parameter)
    else:
        class_names = tuple(category_name(value) for value in sorted(set(raw_N.tolist())))
        if len(class_names) < 2:
            raise DataError("the target has only one class", hint="name another column", parameter=parameter)
    index = {name: number for number, name in enumerate(class_names)}
    return np.array([index[name] for name in names_N], dtype=np.int64), task_found, class_names


def _task_of(raw_N: NDArray[Any]) -> Task:
    if raw_N.dtype == object or raw_N.dtype == bool:
        return "classification"
    is_whole = bool(np.all(raw_N == np.round(raw_N)))
    return "classification" if is_whole and len(np.unique(raw_N)) <= MAX_INTEGER_CLASSES else "regression"


def _as_numbers(raw_N: NDArray[Any], place: Place, parameter: str, *, is_alone: bool) -> NDArray[np.float64]:
    if raw_N.dtype == object:
        row = next((row for row, text in enumerate(raw_N.tolist()) if not NUMBER.fullmatch(text)), 0)
        message = f"the target is text (`{raw_N[row]}` in {place(row)}), but regression needs numbers"
        hint = "write a number there, or set `data.task: classification`"
        if DECIMAL_COMMA.fullmatch(raw_N[row]):
            hint = "write decimal points instead of commas"
        raise DataError(message, hint=hint, parameter=parameter)
    y_N = raw_N.astype(np.float64)
    if is_alone and y_N.min() == y_N.max():
        raise DataError("the target never varies", hint="name another column", parameter=parameter)
    if is_alone and is_lost(np.ptp(y_N), y_N):
        message = f"the target varies by {np.ptp(y_N):.3g} in all, no more than the rounding of its numbers"
        hint = "subtract a constant from it before you write the file, or name another column"
        raise DataError(message, hint=hint, parameter=parameter)
    return y_N


def category_name(value: str | bool | float) -> str:
    """The name of a class or category: ``3.0`` is named ``3``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
