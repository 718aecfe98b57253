"""The rules for the target of a table: which task it is, and which class or label has which index. Loads no torch.

Axes: N examples, K outputs, L labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.losses import Task
from tunecli.errors import DataError
from tunecli.text import counted
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import DECIMAL_COMMA, NUMBER
from tunecli.train.data.scaling import is_lost
from tunecli.train.data.table import TableSchema

MAX_INTEGER_CLASSES = 20
INEXACT = 2.0**53  # from this size on, two whole numbers may be the same float64
MAX_LABELS = 10_000
_MAX_SHOWN = 6

TaskKnob = Literal["auto", "classification", "regression", "multilabel"]
Place = Callable[[int], str]
"""The place of a row in its file, in words: 0 -> ``line 2 of wine.csv``."""

_SEPARATORS = re.compile(r"[|;]")
"""Between the labels of a text, as in ``red|round``."""


class Target(NamedTuple):
    """A target that is read.

    Attributes:
        y: (N,) int64 class indices; (N,) or (N, K) float64 numbers; or (N, L) int64, 1 where a row has a label.
        task: the task.
        class_names: one per class or label, in the order of the indices; empty for regression.
        names: one per output of a regression with several outputs; empty otherwise.
    """

    y: NDArray[Any]
    task: Task
    class_names: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Origin(NamedTuple):
    """Where a target comes from, for messages.

    Attributes:
        place: the place of a row in words.
        parameter: the configuration key that errors name.
        marks: by column, the text of the first value that was read as missing.
    """

    place: Place
    parameter: str = "data.target"
    marks: Mapping[str, str] = {}


def encode_targets(
    columns: Mapping[str, NDArray[Any]], task: TaskKnob, origin: Origin, known: TableSchema | None = None
) -> Target:
    """Turn the columns of a target into class indices, numbers or labels.

    One column is read as `encode_target` says, or with ``multilabel`` as texts of labels. Under ``auto``, several
    columns are labels if all of them hold only truth values or 0 and 1; everything else is numbers to predict.

    Args:
        columns: by name, (N,) bool, float64 (NaN if missing) or object (str, or None if missing).
        task: the configured task.
        origin: where the columns come from.
        known: for a validation or test file, the schema of the training table.

    Raises:
        DataError: as for `encode_target`; or a column of several fits neither task.
    """
    task_wanted = known.task if known else task
    if len(columns) == 1:
        ((name, raw_N),) = columns.items()
        if task_wanted == "multilabel":
            return _of_texts(raw_N, origin, known)
        mark = origin.marks.get(name, "")
        return Target(*encode_target(raw_N, task, origin.place, known, origin.parameter, mark))
    if task_wanted == "classification":
        raise DataError(
            f"a classification has one target, not {len(columns)}",
            hint="name one column, or set `data.task: multilabel` to predict several labels",
            parameter="data.task" if known is None else origin.parameter,
        )
    for name, raw_N in columns.items():
        if _is_missing(raw_N).any():
            _raise_missing(f"the target `{name}`", raw_N, origin, origin.marks.get(name, ""))
    if task_wanted == "auto":
        task_wanted = "multilabel" if all(map(is_truth, columns.values())) else "regression"
    if task_wanted == "multilabel":
        y_NL = np.stack([_as_truth(name, raw_N, origin) for name, raw_N in columns.items()], axis=1)
        return Target(y_NL, "multilabel", tuple(columns))
    numbers = [
        _as_numbers(raw_N, origin.place, origin.parameter, f"the target `{name}`", is_alone=known is None)
        for name, raw_N in columns.items()
    ]
    return Target(np.stack(numbers, axis=1), "regression", (), tuple(columns))


def unknown_target(n_examples: int, known: TableSchema) -> Target:
    """The target of rows to predict, of which no target is known: zeros."""
    names = known.target_names or (known.class_names if known.task == "multilabel" else ())
    shape = (n_examples, len(names)) if names else (n_examples,)
    dtype = np.float64 if known.task == "regression" else np.int64
    return Target(np.zeros(shape, dtype=dtype), known.task, known.class_names, known.target_names)


def label_notes(target: Target) -> tuple[DataNote, ...]:
    """Notes on a target that is read as labels."""
    if target.task != "multilabel":
        return ()
    names, y_NL = target.class_names, target.y
    shown = ", ".join(f"'{name}'" for name in names[:_MAX_SHOWN]) + (", …" if len(names) > _MAX_SHOWN else "")
    text = f"{len(names)} labels, any number of them an example: {shown}"
    if n_without := int((y_NL.sum(1) == 0).sum()):
        text += f"; {counted(n_without, 'example')} without a label"
    notes = [DataNote("labels", text, is_detail=True)]
    if len(names) > 1 and bool((y_NL.sum(1) == 1).all()):
        text = (
            "each example has exactly one label: to predict one class, write the class into one target column"
        )
        notes.append(DataNote("labels", text))
    same = [name for name, y_N in zip(names, y_NL.T, strict=True) if y_N.min() == y_N.max()]
    if same:
        shown = ", ".join(f"'{name}'" for name in same[:_MAX_SHOWN])
        text = f"all examples agree on these labels, so no score shows how well they are predicted: {shown}"
        notes.append(DataNote("labels", text))
    return tuple(notes)


def encode_array(
    raw: NDArray[Any], task: TaskKnob, origin: Origin, known: TableSchema | None = None, name: str = "y"
) -> Target:
    """Turn an array from `as_target`, (N,) or (N, K), into a target; its columns are named ``y0``, ``y1``, ….

    Args:
        raw: bool, float64 or object; object only with one axis.
        task, origin, known: as for `encode_targets`.
        name: the array's name.

    Raises:
        DataError: as for `encode_targets`; or it has another number of columns than the training data.
    """
    columns = {name: raw} if raw.ndim == 1 else {f"{name}{k}": raw[:, k] for k in range(raw.shape[1])}
    if known is not None:
        names = known.target_names or (known.class_names if known.task == "multilabel" else ())
        if raw.ndim == 2 and len(names) != raw.shape[1]:
            message = f"`{name}` has {raw.shape[1]} columns, but the training data {max(1, len(names))}"
            raise DataError(message, parameter=origin.parameter)
        if raw.ndim == 2:
            columns = {column: raw[:, k] for k, column in enumerate(names)}
    return encode_targets(columns, task, origin, known)


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
        task: the configured task, not ``multilabel``.
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
    if _is_missing(raw_N).any():
        _raise_missing("the target", raw_N, Origin(place, parameter), mark)

    task_found = known.task if known else (_task_of(raw_N) if task == "auto" else task)
    if task_found == "regression":
        return _as_numbers(raw_N, place, parameter, "the target", is_alone=known is None), task_found, ()

    if raw_N.dtype == np.float64 and (np.abs(raw_N) >= INEXACT).any():
        where = place(int((np.abs(raw_N) >= INEXACT).argmax()))
        raise DataError(
            f"the class in {where} is a number of 2^53 or more: float64 cannot distinguish such classes",
            hint="name the classes by text or smaller numbers; to predict a number, set `data.task: regression`",
            parameter=parameter,
        )
    values = raw_N.tolist()
    name_of = {value: category_name(value) for value in {*values}}
    if known:
        class_names = known.class_names
        if not {*name_of.values()} <= {*class_names}:
            sets_N = [{name_of[value]} for value in values]
            _require_known("class", sets_N, class_names, Origin(place, parameter))
    else:
        class_names = tuple(name_of[value] for value in sorted(name_of))
        if len(class_names) < 2:
            raise DataError("the target has only one class", hint="name another column", parameter=parameter)
    index = {name: number for number, name in enumerate(class_names)}
    index_of = {value: index[name] for value, name in name_of.items()}
    return np.array([index_of[value] for value in values], dtype=np.int64), task_found, class_names


def _require_known(word: str, sets_N: Sequence[set[str]], names: Sequence[str], origin: Origin) -> None:
    """Refuse a class or label that the training data lacks."""
    known = set(names)
    row = next((row for row, values in enumerate(sets_N) if not values <= known), None)
    if row is not None:
        unknown = min(sets_N[row] - known)
        message = f"{word} `{unknown}` in {origin.place(row)} is not in the training data"
        hint = f"correct it, remove such rows, or add the {word} to the training data"
        raise DataError(message, hint=hint, parameter=origin.parameter)


def _is_missing(raw_N: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values (N,) are missing or infinite."""
    if raw_N.dtype == object:
        return np.array([value is None for value in raw_N.tolist()], dtype=bool)
    return np.zeros(len(raw_N), dtype=bool) if raw_N.dtype == bool else ~np.isfinite(raw_N)


def _raise_missing(named: str, raw_N: NDArray[Any], origin: Origin, mark: str) -> None:
    message = f"{named} is missing or infinite in {origin.place(int(_is_missing(raw_N).argmax()))}"
    hint = "remove such rows"
    if mark:
        message += f": `{mark}` counts as missing"
        hint = f"remove such rows; if `{mark}` is a class, give it another name"
    raise DataError(message, hint=hint, parameter=origin.parameter)


def _task_of(raw_N: NDArray[Any]) -> Task:
    if raw_N.dtype == object or raw_N.dtype == bool:
        return "classification"
    is_whole = bool(np.all(raw_N == np.round(raw_N)))
    return "classification" if is_whole and len(np.unique(raw_N)) <= MAX_INTEGER_CLASSES else "regression"


def is_truth(raw_N: NDArray[Any]) -> bool:
    """Whether a column holds only truth values, the numbers 0 and 1, or the texts ``true`` and ``false``."""
    return bool(_truth_of(raw_N)[1].all())


def _truth_of(raw_N: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which values (N,) are true, and which are truth values at all."""
    if raw_N.dtype == object:
        texts = [str(value).lower() for value in raw_N.tolist()]
        is_true_N = np.array([text == "true" for text in texts], dtype=bool)
        return is_true_N, is_true_N | np.array([text == "false" for text in texts], dtype=bool)
    return raw_N == 1, (raw_N == 1) | (raw_N == 0)


def _as_truth(name: str, raw_N: NDArray[Any], origin: Origin) -> NDArray[np.int64]:
    """One column of labels (N,), 1 where a row has the label."""
    is_true_N, is_truth_N = _truth_of(raw_N)
    if is_truth_N.all():
        return is_true_N.astype(np.int64)
    row = int(is_truth_N.argmin())
    shown = category_name(raw_N[row] if raw_N.dtype == object else raw_N[row].item())
    raise DataError(
        f"the target `{name}` is `{shown}` in {origin.place(row)}, but a label is true or false, or 1 or 0",
        hint="correct it, or set `data.task: regression` to predict numbers",
        parameter=origin.parameter,
    )


def _of_texts(raw_N: NDArray[Any], origin: Origin, known: TableSchema | None) -> Target:
    """The labels of a column of texts such as ``red|round``. A missing text has no label."""
    values = raw_N.tolist()
    is_absent_N = _is_missing(raw_N)
    sets_N = [
        set() if is_absent else labels_of(category_name(value))
        for value, is_absent in zip(values, is_absent_N.tolist(), strict=True)
    ]
    if known:
        names = known.class_names
        _require_known("label", sets_N, names, origin)
    else:
        names = tuple(sorted(set[str]().union(*sets_N)))
        if not 1 <= len(names) <= MAX_LABELS:
            what = f"{len(names):,} different labels, more than {MAX_LABELS:,}" if names else "no label"
            hint = "name another column; labels are separated by `|` or `;`"
            raise DataError(f"the target has {what}", hint=hint, parameter=origin.parameter)
    index = {name: number for number, name in enumerate(names)}
    y_NL = np.zeros((len(values), len(names)), dtype=np.int64)
    for row, labels in enumerate(sets_N):
        y_NL[row, [index[name] for name in labels]] = 1
    return Target(y_NL, "multilabel", names)


def labels_of(text: str) -> set[str]:
    """The labels that a text names: ``red|round`` names two."""
    return {label.strip() for label in _SEPARATORS.split(text)} - {""}


def _as_numbers(
    raw_N: NDArray[Any], place: Place, parameter: str, named: str, *, is_alone: bool
) -> NDArray[np.float64]:
    if raw_N.dtype == object:
        row = next((row for row, text in enumerate(raw_N.tolist()) if not NUMBER.fullmatch(text)), 0)
        message = f"{named} is text (`{raw_N[row]}` in {place(row)}), but regression needs numbers"
        hint = "write a number there, or set `data.task: classification`"
        if named != "the target":
            hint = "write a number there, or leave the column out"
        if DECIMAL_COMMA.fullmatch(raw_N[row]):
            hint = "write decimal points instead of commas"
        raise DataError(message, hint=hint, parameter=parameter)
    y_N = raw_N.astype(np.float64)
    if is_alone and y_N.min() == y_N.max():
        raise DataError(f"{named} never varies", hint="name another column", parameter=parameter)
    if is_alone and is_lost(np.ptp(y_N), y_N):
        message = f"{named} varies by {np.ptp(y_N):.3g} in all, no more than the rounding of its numbers"
        hint = "subtract a constant from it before you write the file, or name another column"
        raise DataError(message, hint=hint, parameter=parameter)
    return y_N


def category_name(value: str | bool | float) -> str:
    """The name of a class or category: ``3.0`` is named ``3``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
