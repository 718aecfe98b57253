"""The user's own data: ``make_data(**args)``, called once a process, and what it gives made a `Table`.

Owns what such a function may return; where its code is found is own/code.py's. Never run by a check. Loads no torch,
though what the function gives may be torch's tensors.

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
from tunecli.train.data.table import Table, encode_target
from tunecli.train.user_code.code import resolve, running

_SEED = 0
_KEYS = ("x", "y", "class_names", "n_tokens")


def read_own(knob: UserCode, data: Data, base_path: Path) -> Table:
    """Call the user's function and read what it gives.

    It gives ``(x, y)``, or a map with ``x``, ``y`` and perhaps ``class_names``, by which the classes 0, 1, … of ``y``
    are called, and ``n_tokens``, which makes ``x`` (N, T) tokens. Arrays, lists and tensors will do. Global generators
    are seeded alike wherever it is called, so that every worker has the same data.

    Args:
        knob: the function and its arguments.
        data: how inputs are to be read, and what the target asks for.
        base_path: the folder in which the user's module is looked for first.

    Raises:
        DataError: what it gives is not that.
        ImportError, AttributeError: it cannot be found.
        Exception: whatever the function itself raises.
    """
    make = resolve(knob.python, base_path)
    with running(_SEED):
        made = make(**knob.args)
    return table_of(made, data, knob.python)


def table_of(made: Any, data: Data, name: str) -> Table:
    """The table that ``(x, y)`` or a map of arrays stands for; see `read_own` for what may be in it.

    Args:
        made: what a function gave.
        data: how inputs are to be read, and what the target asks for.
        name: of the function, for messages.

    Raises:
        DataError: it is not that.
    """
    found = _as_map(made, name)
    n_tokens = found.get("n_tokens", 0)
    if not isinstance(n_tokens, int) or isinstance(n_tokens, bool) or n_tokens < 0:
        raise DataError(f"`n_tokens` of {name} is {n_tokens!r}: it is a whole number")
    x = _as_array(found["x"], f"`x` of {name}")
    if n_tokens:
        x = as_tokens(x, n_tokens, f"`x` of {name}", "data.source")
    else:
        x = as_inputs(x, data.inputs, f"`x` of {name}", "data.source")
    target_is = f"`y` of {name}"
    raw_N = as_target(_as_array(found["y"], target_is), len(x), target_is, "data.source")
    if found.get("class_names") is not None:
        class_names = tuple(str(name) for name in found["class_names"])
        y_N = _indices(raw_N, class_names, data, name)
        return Table(x, y_N, "classification", class_names, n_tokens=n_tokens)
    y_N, task, class_names = encode_target(
        raw_N, data.task, lambda row: f"example {row} of {name}", parameter="data.source"
    )
    return Table(x, y_N, task, class_names, n_tokens=n_tokens)


def _as_map(found: Any, name: str) -> Mapping[str, Any]:
    if isinstance(found, tuple | list) and len(found) == 2:
        return {"x": found[0], "y": found[1]}
    if not isinstance(found, Mapping):
        message = f"{name} gives a {type(found).__name__}, and not (x, y) or a map with `x` and `y`"
        raise DataError(message)
    missing = next((key for key in ("x", "y") if key not in found), None)
    if missing is not None:
        raise DataError(f"the map that {name} gives has no `{missing}`")
    unknown = next((key for key in found if key not in _KEYS), None)
    if unknown is not None:
        raise DataError(f"the map that {name} gives has a key `{unknown}`", hint=f"known: {', '.join(_KEYS)}")
    return found


def _as_array(values: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:  # ragged lists; tensors with gradients, or on a device
        raise DataError(f"{name} is no array: {error}") from error


def _indices(raw_N: NDArray[Any], class_names: tuple[str, ...], data: Data, name: str) -> NDArray[np.int64]:
    """Classes as indices of ``class_names``: numbers as they are, texts by their place there."""
    if data.task == "regression":
        raise DataError(f"{name} names classes", hint="drop `task`", parameter="data.task")
    if raw_N.dtype == object:
        index = {class_name: number for number, class_name in enumerate(class_names)}
        raw_N = np.array([index.get(value, -1) for value in raw_N.tolist()])
    is_class_N = np.isin(raw_N, np.arange(len(class_names)))
    if not is_class_N.all():
        message = f"`y` of {name} has no class in example {int((~is_class_N).argmax())}"
        raise DataError(message, hint=f"`class_names` has {len(class_names)}: 0 to {len(class_names) - 1}")
    return raw_N.astype(np.int64)
