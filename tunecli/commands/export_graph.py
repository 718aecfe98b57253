"""A trial's model as a file for other programs, compared with the model on the study's validation rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError, UsageError
from tunecli.study.record.lifecycle import Study
from tunecli.train.data.sources import read_source, read_validation
from tunecli.train.data.splits import split
from tunecli.train.data.table import Table

if TYPE_CHECKING:
    from tunecli.train.artifact.model import TrainedModel

ModelFormat = Literal["safetensors", "onnx", "pt2"]
FORMATS: tuple[ModelFormat, ...] = get_args(ModelFormat)


def format_of(path: Path | None, asked: str | None) -> ModelFormat:
    """The format of a model file: the one asked for, or the one of the file's ending; else tunecli's own.

    Raises:
        UsageError: a format is asked for without a file, or there is no such format.
    """
    if asked is not None and path is None:
        raise UsageError("--format needs --model FILE", hint="name the file to write")
    if asked is not None and asked not in FORMATS:
        raise UsageError(f"--format: `{asked}` is not known", hint=f"use one of {', '.join(FORMATS)}")
    ending = "" if path is None else path.suffix.lower().removeprefix(".")
    return next((form for form in FORMATS if form == (asked or ending)), "safetensors")


def graph_content(
    study: Study, content: bytes, form: Literal["onnx", "pt2"]
) -> tuple[bytes, tuple[str, ...]]:
    """A model file in another format, and lines about it.

    Args:
        study: the study of the model, open.
        content: the model file.
        form: the format.

    Raises:
        UsageError: as `graph_files.graph_file`.
    """
    from tunecli.train.artifact.graph_files import graph_file
    from tunecli.train.artifact.loading import model_of

    model = model_of(content, "the model", device="cpu", code=study.spec.base_path)
    table, rows = _validation_rows(study, model)
    made = graph_file(model, form, table, rows)
    what = "random rows" if table is None else "validation rows"
    lines = [f"{form}: differs from the model by at most {made.difference:.1g} on {made.n_checked} {what}"]
    if table is None:
        lines.append("note: the study's data cannot be read, so the file was compared on random rows")
    lines += [f"your program must {sentence}" for sentence in made.outside]
    return made.content, tuple(lines)


def _validation_rows(study: Study, model: TrainedModel) -> tuple[Table | None, NDArray[np.int64]]:
    """The rows that some fold validates on, with their table; None if the data cannot be read."""
    data, base_path = model.config.data, study.spec.base_path
    none = np.zeros(0, dtype=np.int64)
    try:
        table, validation = read_source(data, base_path), read_validation(data, base_path)
        parts = split(table, data, study.spec.settings.seed, validation)
    except (DataError, OSError):
        return None, none
    shown = table if validation is None else validation
    if shown.schema.shape != model.schema.shape:  # the files have changed since
        return None, none
    return shown, np.unique(np.concatenate([part.valid_indices for part in parts]))
