"""The number of rows that a trial is trained on, as far as it is known without loading the data.

That is the number of a bundled, downloaded or generated data set, of an npz file by its header, and of a plain text
file by its lines.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from tunecli.config.priors.prior import number_of
from tunecli.config.schema.sources import BUILT_IN

_DEFAULT_VALIDATION = 0.2
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
_MAX_BYTES = 2**26  # of a text file whose lines are counted


def training_rows(data: Any, base_path: Path | None = None) -> float | None:
    """Return the number of rows that a trial is trained on; None if it is unknown.

    Args:
        data: `data` of a concrete trial.
        base_path: the folder that the path of a data file starts from; None: no file is read.
    """
    if not isinstance(data, dict):
        return None
    source = data.get("source")
    keys: dict[str, Any] = source if isinstance(source, dict) else {"name": source}
    name = keys.get("name")
    rows = _rows_of_source(keys)
    path = keys.get("path", name)
    if rows is None and base_path is not None and isinstance(path, str):
        rows = _rows_of_file(base_path / path, data.get("target"))
    if number_of(rows) is None:
        return None
    fraction = data.get("train_fraction", 1.0)
    if not isinstance(fraction, int | float):
        return None
    return (
        float(rows)
        * fraction
        * _kept(data.get("test"), 0.0)
        * _kept(data.get("validation"), _DEFAULT_VALIDATION)
    )


def _rows_of_source(keys: Mapping[str, Any]) -> Any:
    """Return the rows of a set that is always the same, or the samples of a generated one; else None."""
    name = keys.get("name")
    kind = BUILT_IN.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    samples = kind.model_fields.get("samples")
    return kind.n_rows.get(str(name)) if samples is None else keys.get("samples", samples.default)


def _kept(part: Any, default: float) -> float:
    """Return the share of the rows that a validation or test part leaves for the training."""
    if not isinstance(part, dict):
        return 1.0 - default
    if (fraction := number_of(part.get("fraction"))) is not None and 0.0 < fraction < 1.0:
        return 1.0 - fraction
    if (folds := number_of(part.get("folds"))) is not None and folds >= 2:
        return 1.0 - 1.0 / folds
    return 1.0


def _rows_of_file(path: Path, target: Any) -> int | None:
    """Return the rows of an npz file or of a plain text file with a header; None if it is neither, missing or large."""
    try:
        state = path.stat()
        return _counted_rows(path, str(target), state.st_mtime_ns, state.st_size)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


@lru_cache(maxsize=8)  # each rate of a space asks
def _counted_rows(path: Path, target: str, modified_ns: int, n_bytes: int) -> int | None:
    if path.suffix == ".npz":
        return _rows_of_array(path, f"{target}.npy")
    if path.suffix in _TEXT_SUFFIXES and n_bytes <= _MAX_BYTES:
        return max(path.read_bytes().count(b"\n") - 1, 1)
    return None


def _rows_of_array(path: Path, member: str) -> int | None:
    from numpy.lib import format as npy

    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(
            npy.read_magic(file)
        )
        shape = read(file)[0] if read else ()
    return int(shape[0]) if shape else None
