"""The formats of tables, by the ending of a file's name. Each is read in its own module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tunecli.train.data.columns import Columns, Request
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.npz_files import read_npz
from tunecli.train.data.parquet_files import read_parquet

__all__ = ["READERS", "read_csv", "read_npz", "read_parquet"]

READERS: dict[str, Callable[[Path, Request], Columns]] = {".csv": read_csv, ".parquet": read_parquet}
"""(path, columns to read) → columns. NPZ holds arrays and has its own way."""
