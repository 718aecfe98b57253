"""Predictions as CSV, Parquet or NPZ. The ending of the file's name decides.

Axes: N rows, K classes.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import UsageError
from tunecli.registry.packages import install_command
from tunecli.results.table import defused
from tunecli.store.destination import is_stream, write_where_asked
from tunecli.train.data.number_text import NUMBER


@dataclass(frozen=True, slots=True, eq=False)
class PredictionRows:
    """Predictions, one for each row.

    Attributes:
        id_name: the name of the column of ids: ``id``, or ``row`` if they are row numbers.
        ids: names of the rows, or their numbers from 1.
        predictions: by target, names of classes, texts with the labels, truth values, or numbers in the target's units;
            None for a row without a prediction.
        classes: the classes of ``probabilities``.
        probabilities: (N, K); None: they are not given.
    """

    id_name: str
    ids: Sequence[Any]
    predictions: Mapping[str, Sequence[Any]]
    classes: tuple[str, ...] = ()
    probabilities: NDArray[np.float64] | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns; a name that would occur twice gets a longer form."""
        id_name = self.id_name
        while id_name in self.predictions:
            id_name += "_"
        return [id_name, *self.predictions, *(f"p({name})" for name in self.classes)]

    def columns(self) -> list[Sequence[Any]]:
        """The columns, in the order of ``names``."""
        probabilities = [] if self.probabilities is None else self.probabilities.T.tolist()
        return [self.ids, *self.predictions.values(), *probabilities]

    def as_data(self) -> dict[str, Any]:
        """The rows as JSON data."""
        predictions = {name: list(column) for name, column in self.predictions.items()}
        found: dict[str, Any] = {"ids": list(self.ids), "predictions": predictions}
        if self.probabilities is not None:
            found["classes"] = list(self.classes)
            found["probabilities"] = [
                [value if math.isfinite(value) else None for value in row]
                for row in self.probabilities.tolist()
            ]
        return found


def csv_text(rows: PredictionRows) -> str:
    """The predictions as CSV with a header; numbers in full precision, an empty field for None.

    An apostrophe precedes text that a spreadsheet would read as a formula, but never a number such as ``-1``.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_without_formulas(rows.names))
    writer.writerows(zip(*map(_without_formulas, rows.columns()), strict=True))
    return file.getvalue()


def _without_formulas(column: Sequence[Any]) -> Sequence[Any]:
    texts = {one for one in column if isinstance(one, str)}
    changed = {one: text for one in texts if (text := defused(one)) != one and not NUMBER.fullmatch(one)}
    return [changed.get(one, one) for one in column] if changed else column


def require_ending(path: Path) -> None:
    """Check that predictions can be written in the form that the ending of a file's name asks for.

    Raises:
        UsageError: the ending is unknown, or pyarrow is not installed.
    """
    ending = path.suffix.lower()
    if not is_stream(path) and ending not in _WRITERS:
        endings = ", ".join(_WRITERS)
        raise UsageError(f"{path} has no known file ending", hint=f"use one of {endings}")
    if ending == ".parquet":
        _pyarrow()


def write_predictions(path: Path, rows: PredictionRows) -> str:
    """Write predictions to the file that the user named; its ending decides the form, and a stream gets CSV.

    Returns:
        The path for a message.

    Raises:
        DiskFull, UsageError, StoreFailed: as `write_where_asked`.
    """
    return write_where_asked(path, _WRITERS.get(path.suffix.lower(), _csv_bytes)(rows))


def _csv_bytes(rows: PredictionRows) -> bytes:
    return csv_text(rows).encode()


def _npz_bytes(rows: PredictionRows) -> bytes:
    """Arrays ``id``, ``targets`` and ``predictions`` (N, K), and with probabilities ``classes`` and ``probabilities``.

    A missing prediction is empty or NaN.
    """
    file = io.BytesIO()
    columns = [*rows.predictions.values()]
    is_text = any(isinstance(one, str) for column in columns for one in column)
    missing: Any = "" if is_text else math.nan
    filled = [[missing if one is None else one for one in column] for column in columns]
    arrays: dict[str, Any] = {
        "id": np.array(rows.ids),
        "targets": np.array([*rows.predictions]),
        "predictions": np.array(filled).T,
    }
    if rows.probabilities is not None:
        arrays |= {"classes": np.array(rows.classes), "probabilities": rows.probabilities}
    np.savez(file, **arrays)
    return file.getvalue()


def _parquet_bytes(rows: PredictionRows) -> bytes:
    pyarrow, parquet = _pyarrow()
    file = io.BytesIO()
    arrays = [pyarrow.array(list(column)) for column in rows.columns()]
    parquet.write_table(pyarrow.table(arrays, names=rows.names), file)
    return file.getvalue()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        hint = install_command("pyarrow", "parquet")
        raise UsageError("writing Parquet needs pyarrow", hint=hint) from error
    return pyarrow, pyarrow.parquet


_WRITERS: dict[str, Callable[[PredictionRows], bytes]] = {
    ".csv": _csv_bytes,
    ".parquet": _parquet_bytes,
    ".npz": _npz_bytes,
}
"""By the ending of a file's name: rows → the file's bytes."""
