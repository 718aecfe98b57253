"""The weights, groups, times and parts of examples that come as arrays: from an NPZ file, or from the user's code.

Axes: N examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.train.data.table import RowRoles

ROLES = ("weight", "group", "time", "split")
"""The names of the arrays. ``split`` says ``train``, ``validation`` or ``test`` for each example."""


def roles_of_arrays(arrays: Mapping[str, NDArray[Any]], n_examples: int, name: str) -> RowRoles:
    """The roles that arrays give; None for those that are absent.

    Args:
        arrays: by name; those that are not in `ROLES` are ignored.
        n_examples: N.
        name: the file's or the function's name, for messages.

    Raises:
        DataError: an array does not hold one value for each example; times are neither numbers nor dates; or weights
            are no numbers of at least 0.
    """
    read = {
        role: _one_each(arrays[role], n_examples, f"`{role}` of {name}") for role in ROLES if role in arrays
    }
    return RowRoles(
        weight=_weights(read["weight"], f"`weight` of {name}") if "weight" in read else None,
        group=_texts(read["group"]) if "group" in read else None,
        time=_times(read["time"], f"`time` of {name}") if "time" in read else None,
        part=_texts(read["split"]) if "split" in read else None,
    )


def _one_each(values: NDArray[Any], n_examples: int, name: str) -> NDArray[Any]:
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.shape != (n_examples,):
        message = f"{name} has the shape {values.shape}, for {n_examples} examples"
        raise DataError(message, hint="give one value for each example", parameter="data.source")
    return flat


def _weights(values_N: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Numbers of at least 0, one of them above 0."""
    if values_N.dtype.kind not in "biuf":
        message = f"{name} is {values_N.dtype}: weights must be numbers"
        raise DataError(message, parameter="data.source")
    weight_N = values_N.astype(np.float64)
    is_bad_N = ~(np.isfinite(weight_N) & (weight_N >= 0))
    if is_bad_N.any():
        row = int(is_bad_N.argmax())
        message = f"{name} is {weight_N[row]:g} in example {row}"
        raise DataError(message, hint="weights must be at least 0", parameter="data.source")
    if not weight_N.any():
        raise DataError(
            f"{name} is 0 in every example", hint="weights must not all be 0", parameter="data.source"
        )
    return weight_N


def _texts(values_N: NDArray[Any]) -> NDArray[np.object_]:
    """The values as texts; None for NaN, None and an empty text."""
    is_missing_N = np.array([value is None or value != value for value in values_N.tolist()], dtype=bool)
    texts = np.empty(len(values_N), dtype=object)
    texts[:] = [str(value) or None for value in values_N.tolist()]
    texts[is_missing_N] = None
    return texts


def _times(values_N: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Seconds since 1970 for dates, and numbers as they are; NaN if missing."""
    if values_N.dtype.kind == "M":
        seconds_N = values_N.astype("datetime64[us]").astype(np.int64) / 1e6
        return np.where(np.isnat(values_N), np.nan, seconds_N)
    if values_N.dtype.kind not in "biuf":
        message = f"{name} is {values_N.dtype}: times must be numbers or dates (datetime64)"
        raise DataError(message, parameter="data.source")
    return values_N.astype(np.float64)
