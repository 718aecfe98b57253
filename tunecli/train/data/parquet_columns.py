"""Columns of Parquet files, collected batch by batch into the arrays that training needs.

No batch is kept: numbers become float64, truth values bytes, and texts share one string for each value. pyarrow is
imported only when a file is read.

Axes: N rows, B rows of a batch, F numeric columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.train.data.columns import Request
from tunecli.train.data.number_text import ColumnKind
from tunecli.train.data.target import INEXACT, category_name

Mode = Literal["prose", "nothing", "truth", "number", "number_text", "text", "moment", "other"]
"""How a column is collected, by its type and by the kind that it must have."""

_MISSING_TRUTH = -1
_MAX_SHARED = 100_000


@dataclass(slots=True, eq=False)
class Store:
    """The values of one column so far.

    Attributes:
        name: the column's name.
        mode: how it is collected.
        type_name: Arrow's name of its type.
        values: (N,) float64, int8 or object, filled from the first row on.
        first_large: the row and the text of the first whole number that float64 rounds; None if there is none.
        problem: why the column cannot be read; empty if it can.
        shared: the texts so far, so that equal ones are one object.
        place_in_block: the column's place among the numbers of the inputs; None if it has none.
    """

    name: str
    mode: Mode
    type_name: str
    values: NDArray[Any]
    first_large: tuple[int, str] | None = None
    problem: str = ""
    shared: dict[str, str] = field(default_factory=dict)
    place_in_block: NDArray[np.float64] | None = None


def mode_of(kind: Any, name: str, request: Request, types: ModuleType) -> Mode:
    """How a column of an Arrow type, dictionaries resolved, is collected."""
    wanted = request.kind_of(name)
    if name == request.text:
        return "prose"
    if wanted == "empty" or types.is_null(kind):
        return "nothing"
    if types.is_boolean(kind):
        return "truth"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number_text" if wanted == "text" else "number"
    if types.is_string(kind) or types.is_large_string(kind) or _is_string_view(kind, types):
        return "text"
    is_moment = types.is_date(kind) or types.is_timestamp(kind)
    if is_moment and wanted in (None, "text") and name not in request.targets:
        return "moment"
    return "moment" if wanted == "text" and types.is_temporal(kind) else "other"


def value_type(kind: Any, types: ModuleType) -> Any:
    """A type, or the type of a dictionary's values."""
    return kind.value_type if types.is_dictionary(kind) else kind


def empty_store(
    name: str, mode: Mode, type_name: str, n_rows: int, place_in_block: NDArray[np.float64] | None
) -> Store:
    """A store without values; ``place_in_block`` is the place for numbers, if they have one."""
    if mode == "number":
        values = np.empty(n_rows) if place_in_block is None else place_in_block
    elif mode == "truth":
        values = np.empty(n_rows, dtype=np.int8)
    else:
        values = np.empty(n_rows if mode not in ("nothing", "other") else 0, dtype=object)
    return Store(name, mode, type_name, values, place_in_block=place_in_block)


def take(store: Store, array: Any, start: int, pa: ModuleType) -> None:
    """Add a batch's values from row ``start`` on. An error of one column becomes its problem."""
    if store.problem or store.mode in ("nothing", "other"):
        return
    rows = slice(start, start + len(array))
    try:
        if store.mode == "number":
            store.values[rows] = _numbers(store, array, start, pa)
        elif store.mode == "truth":
            truths = array.cast(pa.bool_()).cast(pa.int8()).fill_null(_MISSING_TRUTH)
            store.values[rows] = truths.to_numpy(zero_copy_only=False)
        elif store.mode == "text":
            store.values[rows] = _texts(store, array, pa)
        else:
            store.values[rows] = _as_objects(_written(store.mode, array, pa))
    except (pa.ArrowException, ValueError, OverflowError, LookupError, ImportError, MemoryError) as error:
        store.problem = " ".join(str(error).split())[:200] or type(error).__name__


def _numbers(store: Store, array: Any, start: int, pa: ModuleType) -> NDArray[np.float64]:
    """Each number as the nearest float64; NaN if missing."""
    kind = value_type(array.type, pa.types)
    array = array.cast(kind) if kind != array.type else array
    if pa.types.is_decimal(kind):
        # Arrow's own cast of decimals does not always round to the nearest.
        numbers = [math.nan if value is None else float(value) for value in array.to_pylist()]
        return np.array(numbers, dtype=np.float64)
    exact = array.cast(pa.float32()) if pa.types.is_float16(kind) else array
    values_B: NDArray[np.float64] = exact.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if store.first_large is None and pa.types.is_integer(kind):
        is_large_B = np.abs(values_B) > INEXACT
        if is_large_B.any():
            row = int(is_large_B.argmax())
            store.first_large = (start + row, str(array[row]))
    return values_B


def _texts(store: Store, array: Any, pa: ModuleType) -> NDArray[np.object_]:
    """The texts (B,), or None; equal texts are one object."""
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.large_string()).dictionary_encode()
    if len(store.shared) > _MAX_SHARED:
        store.shared.clear()
    words = [
        None if word is None else store.shared.setdefault(word, word) for word in array.dictionary.to_pylist()
    ]
    lookup = _as_objects([*words, None])
    places_B = array.indices.cast(pa.int64()).fill_null(len(words)).to_numpy(zero_copy_only=False)
    texts_B: NDArray[np.object_] = lookup[places_B]
    return texts_B


def _written(mode: Mode, array: Any, pa: ModuleType) -> list[str | None]:
    kind = value_type(array.type, pa.types)
    array = array.cast(kind) if kind != array.type else array
    if (
        mode == "moment" and pa.types.is_timestamp(kind) and kind.unit == "ns"
    ):  # Python's times have microseconds
        array = array.cast(pa.timestamp("us", kind.tz), safe=False)
    values = array.to_pylist()
    if mode == "prose":
        return ["" if value is None else str(value) for value in values]
    if mode == "number_text":
        return [_as_text(value) for value in values]
    return [None if value is None else str(value) for value in values]


def truths_of(store: Store, wanted: ColumnKind | None) -> tuple[ColumnKind, NDArray[Any]]:
    """A column of truth values as its kind: with missing values they are text, unless another file decides."""
    has_missing = bool((store.values == _MISSING_TRUTH).any())
    if store.place_in_block is not None:
        store.place_in_block[:] = np.where(store.values == _MISSING_TRUTH, math.nan, store.values)
    if wanted == "text" or (wanted is None and has_missing):
        return "text", _as_objects(
            [(False, True, None)[value] for value in store.values.tolist()], as_text=True
        )
    if has_missing or wanted == "number":
        return wanted or "truth", np.where(
            store.values == _MISSING_TRUTH, math.nan, store.values.astype(np.float64)
        )
    return "truth", store.values.astype(bool)


def _as_objects(values: Sequence[Any], *, as_text: bool = False) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = [None if value is None else str(value) for value in values] if as_text else values
    return array


def _is_string_view(kind: Any, types: ModuleType) -> bool:
    return bool(getattr(types, "is_string_view", lambda _: False)(kind))


def _as_text(value: Any) -> str | None:
    """A number as text; ``3.0`` becomes ``3``."""
    if value is None or value != value:
        return None
    return category_name(value) if isinstance(value, float) else str(value)
