"""Data from the user's code: ``make_data(**args)`` is called once a process, and its result becomes a `Table`.

Owns the accepted forms of the result. A check never calls the function. Loads no torch, but accepts tensors.

Axes: N examples, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import DataError
from tunecli.train.data.arrays import as_inputs, as_target, as_tokens
from tunecli.train.data.role_arrays import ROLES, roles_of_arrays
from tunecli.train.data.table import Table
from tunecli.train.data.target import Origin, encode_array, label_notes
from tunecli.train.user_code.code import resolve, running

_SEED = 0
_KEYS = ("x", "y", "class_names", "n_tokens", *ROLES)
_ALSO = {"groups": "group"}
"""Other spellings of keys."""


def read_user_data(knob: UserCode, data: Data, base_path: Path) -> Table:
    """Call the user's function and read its result.

    The function returns ``(x, y)``, or a map with ``x``, ``y`` and optional keys: ``class_names``, the names of the
    classes 0, 1, … of ``y`` (N,) or of the columns of ``y`` (N, K); ``n_tokens``, with which ``x`` is read as tokens
    (N, T); ``weight``, the weights of the examples; and ``group``, ``time`` and ``split``, by which `data.validation`
    may split. Arrays, lists and tensors are accepted. Global generators get the same seed in every process, so all
    workers have the same data.

    Args:
        knob: the function and its arguments.
        data: the data's configuration: how inputs are read, and the task.
        base_path: the folder in which the user's module is searched first.

    Raises:
        DataError: the result has another form.
        ImportError, AttributeError: the function does not exist.
        Exception: any error that the function raises.
    """
    make = resolve(knob.python, base_path)
    with running(_SEED):
        made = make(**knob.args)
    return table_of(made, data, knob.python)


def table_of(made: Any, data: Data, name: str) -> Table:
    """The table from ``(x, y)`` or a map of arrays; see `read_user_data`.

    Args:
        made: the result of a function.
        data: the data's configuration: how inputs are read, and the task.
        name: the function's name, for messages.

    Raises:
        DataError: the result has another form.
    """
    arrays = _as_map(made, name)
    n_tokens = arrays.get("n_tokens", 0)
    if not isinstance(n_tokens, int) or isinstance(n_tokens, bool) or n_tokens < 0:
        raise DataError(f"`n_tokens` of {name} is {n_tokens!r}, but must be a whole number")
    x = _as_array(arrays["x"], f"`x` of {name}")
    if n_tokens:
        x = as_tokens(x, n_tokens, f"`x` of {name}", "data.source")
    else:
        x = as_inputs(x, data.inputs, f"`x` of {name}", "data.source")
    target_name = f"`y` of {name}"
    given = {role: _as_array(arrays[role], f"`{role}` of {name}") for role in ROLES if role in arrays}
    roles = roles_of_arrays(given, len(x), name)
    raw_N = as_target(_as_array(arrays["y"], target_name), len(x), target_name, "data.source")
    class_names = tuple(str(class_name) for class_name in arrays.get("class_names") or ())
    if class_names and raw_N.ndim == 1:
        y_N = _indices(raw_N, class_names, data, name)
        return Table(x, y_N, "classification", class_names, n_tokens=n_tokens, roles=roles)
    origin = Origin(lambda row: f"example {row} of {name}", "data.source")
    target = encode_array(raw_N, data.task, origin)
    names = class_names or target.class_names or target.names
    if raw_N.ndim == 2 and len(names) != raw_N.shape[1]:
        message = f"`y` of {name} has {raw_N.shape[1]} columns, but there are {len(names)} `class_names`"
        raise DataError(message, hint="name each column of `y`")
    is_of_labels, notes = target.task == "multilabel", label_notes(target) if data.task == "auto" else ()
    return Table(
        x,
        target.y,
        target.task,
        names if is_of_labels or raw_N.ndim == 1 else (),
        data_notes=notes,
        n_tokens=n_tokens,
        roles=roles,
        target_names=() if is_of_labels or raw_N.ndim == 1 else names,
    )


def _as_map(made: Any, name: str) -> Mapping[str, Any]:
    if isinstance(made, tuple | list) and len(made) == 2:
        return {"x": made[0], "y": made[1]}
    if not isinstance(made, Mapping):
        message = f"{name} returns a {type(made).__name__}, but must return (x, y) or a map with `x` and `y`"
        raise DataError(message)
    missing = next((key for key in ("x", "y") if key not in made), None)
    if missing is not None:
        raise DataError(f"the map that {name} returns has no key `{missing}`")
    arrays: dict[str, Any] = {_ALSO.get(str(key), str(key)): value for key, value in made.items()}
    unknown = next((key for key in arrays if key not in _KEYS), None)
    if unknown is not None:
        message = f"the map that {name} returns has an unknown key `{unknown}`"
        raise DataError(message, hint=f"known keys: {', '.join(_KEYS)}")
    return arrays


def _as_array(values: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:  # ragged lists; tensors with gradients, or on a device
        raise DataError(f"{name} cannot be read as an array: {error}") from error


def _indices(raw_N: NDArray[Any], class_names: tuple[str, ...], data: Data, name: str) -> NDArray[np.int64]:
    """The classes as indices of ``class_names``: numbers are indices already, texts are looked up."""
    if data.task == "regression":
        message = f"{name} returns `class_names`, so the task is classification"
        raise DataError(message, hint="remove `task`", parameter="data.task")
    if raw_N.dtype == object:
        index = {class_name: number for number, class_name in enumerate(class_names)}
        raw_N = np.array([index.get(value, -1) for value in raw_N.tolist()])
    is_class_N = np.isin(raw_N, np.arange(len(class_names)))
    if not is_class_N.all():
        message = f"`y` of {name} has an unknown class in example {int((~is_class_N).argmax())}"
        raise DataError(
            message, hint=f"use the numbers 0 to {len(class_names) - 1}, or the texts of `class_names`"
        )
    return raw_N.astype(np.int64)
