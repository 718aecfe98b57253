"""The sources of data, each read into a `Table`, and the facts about them before any training.

A source's knob names the function that reads it (`SourceKnob.implementation`). Owns the cache that reads each source
once a process. Loads no torch, and scikit-learn only when one of its sets is read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tunecli.config.schema.data import Data
from tunecli.config.schema.losses import Task
from tunecli.config.schema.sources import Bundled, FileSource, Images, Torchvision
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import DataError
from tunecli.registry.implementations import implementation_of
from tunecli.train.data import datasets
from tunecli.train.data.category_inputs import ColumnEncoding
from tunecli.train.data.datasets import read_torchvision, require_torchvision
from tunecli.train.data.files import read_table
from tunecli.train.data.images import read_images
from tunecli.train.data.stamps import Stamp, shown, source_stamps, stamps_beside
from tunecli.train.data.table import InputKind, Inputs, Table
from tunecli.train.data.texts import TextSettings, learn_vocabulary
from tunecli.train.data.user_data import read_user_data, table_of


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The facts about a data set before any training.

    Attributes:
        n_examples: all rows, before the validation and test parts are taken from them.
        inputs: shape and kind of one example. Text columns count with all their values and tokens; byte pairs with
            those of a sample. A model may have fewer inputs: values that only the validation or test part has are not
            encoded.
        task: the kind of target.
        n_classes: 0 if the task is no classification into one class.
        class_counts: examples of each class; empty if the task is no classification into one class.
        notes: decisions that the user should know, made while the data was read.
        min_target: the smallest target of a regression, in its own units; None for classes and labels.
        class_names: one per class or label; empty for regression, and where they are unknown until the data is read.
        has_zero_target: whether a target of a regression is 0.
        n_targets: number of labels, or of targets of a regression.
        target_names: one per target of a regression with several targets; empty otherwise.
        n_effective: with weights, the number of equally weighted examples that count as much: (Σ w)² / Σ w² (Kish
            1965). None without weights.
    """

    n_examples: int
    inputs: Inputs
    task: Task
    n_classes: int
    class_counts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    min_target: float | None = None
    class_names: tuple[str, ...] = ()
    has_zero_target: bool = False
    n_targets: int = 1
    target_names: tuple[str, ...] = ()
    n_effective: float | None = None

    @property
    def n_outputs(self) -> int:
        """Number of classes, labels or targets."""
        return self.n_classes or self.n_targets


BUNDLED_FACTS: dict[str, DataFacts] = {
    "digits": DataFacts(
        Bundled.n_rows["digits"],
        Inputs((1, 8, 8)),
        "classification",
        10,
        (178, 182, 177, 183, 181, 182, 181, 179, 174, 180),
        class_names=tuple("0123456789"),
    ),
    "iris": DataFacts(
        Bundled.n_rows["iris"],
        Inputs((4,)),
        "classification",
        3,
        (50, 50, 50),
        class_names=("setosa", "versicolor", "virginica"),
    ),
    "wine": DataFacts(
        Bundled.n_rows["wine"],
        Inputs((13,)),
        "classification",
        3,
        (59, 71, 48),
        class_names=("class_0", "class_1", "class_2"),
    ),
    "breast_cancer": DataFacts(
        Bundled.n_rows["breast_cancer"],
        Inputs((30,)),
        "classification",
        2,
        (212, 357),
        class_names=("malignant", "benign"),
    ),
    "diabetes": DataFacts(Bundled.n_rows["diabetes"], Inputs((10,)), "regression", 0, min_target=25.0),
}
"""Constants, so that a check need not import scikit-learn; a test compares them with the sets."""


def read_source(data: Data, base_path: Path) -> Table:
    """Read the training data. A source is read once a process, and again when its files change.

    Args:
        data: the data's configuration.
        base_path: the folder that relative file names start from.

    Raises:
        DataError: a file or its target is missing or unreadable, or disagrees with the configuration.
        Exception: any error that the user's function raises.
    """
    return _table_or_raise(_read(*_identity(data, base_path)))


def read_validation(data: Data, base_path: Path) -> Table | None:
    """Read the validation file, with the training data's columns and classes; None without such a file.

    Raises:
        DataError: as for `read_source`; or a column or class differs from the training data's.
    """
    return _read_beside(data, base_path, data.validation.file, "data.validation")


def read_test(data: Data, base_path: Path) -> Table | None:
    """Read the test file, or the source's own test part; None if the test part is taken from the training data.

    Raises:
        DataError: as for `read_validation`; or the source has no test part of its own.
    """
    require_test(data, base_path)
    if data.test is None:
        return None
    if data.test.own and isinstance(data.source, Torchvision):
        return _read_own_test(data.source, str(base_path.resolve()))
    return _read_beside(data, base_path, data.test.file, "data.test")


def require_test(data: Data, base_path: Path) -> None:
    """Check that the test part exists, without reading it: nothing before the study's end may depend on its content.

    Raises:
        DataError: it does not exist, or the source cannot have it.
    """
    if data.test is None:
        return
    if data.test.own and not isinstance(data.source, Torchvision):
        message = f"{shown(data)} has no test part of its own"
        raise DataError(message, hint="use `fraction` or `file` instead of `own`", parameter="data.test")
    if data.test.file is not None:
        stamps_beside(data, data.test.file, base_path, "data.test")


def facts_of(data: Data, base_path: Path) -> DataFacts | None:
    """The facts about a data set before any training; cached like `read_source`.

    Returns:
        The facts; None for data from the user's code, which is not run to learn them.

    Raises:
        DataError: as for `read_source`.
    """
    match data.source:
        case UserCode():
            _require_no_columns(data)
            return None
        case Bundled(name=name):
            facts = BUNDLED_FACTS[name]
        case Torchvision(name=name):
            require_torchvision(data.source)
            counts = datasets.CLASS_COUNTS[name]
            inputs = Inputs(datasets.SHAPES[name])
            facts = DataFacts(sum(counts), inputs, "classification", len(counts), counts)
        case _:
            return _facts(TextSettings.of(data), ColumnEncoding.of(data), *_identity(data, base_path))
    _require_agreement(data, facts.task, facts.inputs.kind)
    return facts


_MAX_TEXTS = 2000
_TABLE_KEYS = {
    "source",
    "target",
    "columns",
    "categories",
    "task",
    "inputs",
    "text",
    "text_with_columns",
    "series",
}
"""The keys of the data's configuration that determine a table, besides its files."""


def _identity(data: Data, base_path: Path) -> tuple[str, str, tuple[Stamp, ...]]:
    """The values that determine a table: configuration, folder and file stamps. They are the cache's key."""
    knobs = data.model_dump_json(include=_TABLE_KEYS)
    return knobs, str(base_path.resolve()), tuple(source_stamps(data, base_path))


@lru_cache(maxsize=8)
def _read(knobs: str, base_path: str, stamps: tuple[Stamp, ...]) -> Table | DataError:
    """A table, or the error as a value, so that the cache keeps it and a bad file is not read for every trial."""
    data = Data.model_validate_json(knobs)
    try:
        table = _call_reader(data, Path(base_path))
        _require_agreement(data, table.task, table.kind)
    except DataError as error:
        return error
    if table.task == "classification" and min(table.class_counts) == 0:
        absent = table.class_names[table.class_counts.index(0)]
        message = f"{shown(data)} has too few samples: class `{absent}` has none"
        return DataError(message, hint="raise `samples`" if hasattr(data.source, "samples") else "")
    return table


def _call_reader(data: Data, base_path: Path) -> Table:
    if isinstance(data.source, UserCode):
        return read_user_data(data.source, data, base_path)
    made = implementation_of(data.source)(data.source, data, base_path)
    return made if isinstance(made, Table) else table_of(made, data, f"the source `{data.source.name}`")


def _read_beside(data: Data, base_path: Path, file: str | None, parameter: str) -> Table | None:
    if file is None:
        return None
    stamps = stamps_beside(data, file, base_path, parameter)
    return _table_or_raise(_read_like(*_identity(data, base_path), file, stamps, parameter))


@lru_cache(maxsize=8)
def _read_like(
    knobs: str,
    base_path: str,
    stamps: tuple[Stamp, ...],
    file: str,
    own_stamps: tuple[Stamp, ...],
    parameter: str,
) -> Table | DataError:
    """A validation or test file, with the columns and classes of the training data."""
    known = _read(knobs, base_path, stamps)
    if isinstance(known, DataError):
        return known
    data, path = Data.model_validate_json(knobs), Path(base_path) / file
    try:
        if isinstance(data.source, Images):
            return read_images(path, data.source, parameter, known.schema)
        return read_table(path, data, parameter, known.schema)
    except DataError as error:
        return error


@lru_cache(maxsize=2)
def _read_own_test(source: Torchvision, base_path: str) -> Table:
    return read_torchvision(source, Path(base_path), is_test=True)


@lru_cache(maxsize=64)
def _facts(
    settings: TextSettings, encoding: ColumnEncoding, knobs: str, base_path: str, stamps: tuple[Stamp, ...]
) -> DataFacts:
    table = _table_or_raise(_read(knobs, base_path, stamps))
    return DataFacts(
        len(table.y),
        _inputs_of(table, encoding, lambda: _text_size(settings, (knobs, base_path, stamps))),
        table.task,
        len(table.class_counts),
        table.class_counts,
        table.notes,
        float(table.y.min()) if table.task == "regression" else None,
        table.class_names,
        table.task == "regression" and bool((table.y == 0).any()),
        table.y.shape[1] if table.y.ndim == 2 else 1,
        table.target_names,
        None
        if (weight_N := table.roles.weight) is None
        else float(weight_N.sum() ** 2 / (weight_N @ weight_N)),
    )


def _inputs_of(table: Table, encoding: ColumnEncoding, text_size: Callable[[], tuple[int, int]]) -> Inputs:
    """Shape and kind of an example, if all rows of the table were training rows."""
    n_values, n_codes = encoding.sizes(table)
    if table.prose is not None:
        n_tokens, length = text_size()
        return Inputs((n_values + length,), n_tokens, n_codes, text_length=length if n_values else 0)
    if table.windows is not None:
        return Inputs((table.windows.length, n_values))
    if table.kind == "features":
        return Inputs((n_values,), categories=n_codes)
    return Inputs(tuple(table.x.shape[1:]), table.n_tokens)


def _text_size(settings: TextSettings, identity: tuple[str, str, tuple[Stamp, ...]]) -> tuple[int, int]:
    """The number of different tokens of all texts, and the length of an example.

    A search may try many values of ``max_tokens``. So the words of a table are counted once for all of them, and byte
    pairs are learnt from a sample of the texts, for the next power of two.
    """
    limit = 1 << (settings.max_tokens - 1).bit_length() if settings.kind == "bpe" else sys.maxsize
    n_tokens, length = _learnt_size(replace(settings, max_tokens=limit), *identity)
    return min(n_tokens, settings.max_tokens), length


@lru_cache(maxsize=64)
def _learnt_size(
    settings: TextSettings, knobs: str, base_path: str, stamps: tuple[Stamp, ...]
) -> tuple[int, int]:
    table = _table_or_raise(_read(knobs, base_path, stamps))
    assert table.prose is not None
    texts = table.prose.values.tolist()
    if settings.kind == "bpe":
        texts = texts[:: -(-len(texts) // _MAX_TEXTS) or 1]
    vocabulary = learn_vocabulary(texts, settings)
    return vocabulary.n_tokens, vocabulary.length


def _table_or_raise(result: Table | DataError) -> Table:
    if isinstance(result, DataError):  # a new one: a cached error would collect tracebacks
        raise DataError(result.message, hint=result.hint, parameter=result.parameter)
    return result


def _require_no_columns(data: Data) -> None:
    """Refuse names of columns for a source without columns.

    Raises:
        DataError: the configuration names a target or a text column.
    """
    if data.target is not None:
        message = f"{shown(data)} has its own target"
        raise DataError(message, hint="remove `target`", parameter="data.target")
    if data.text is not None:
        raise DataError(f"{shown(data)} has no columns", hint="remove `text`", parameter="data.text")
    if data.series is not None:
        raise DataError(f"{shown(data)} has no rows in time", hint="remove `series`", parameter="data.series")
    if [*data.columns.named]:
        message = f"{shown(data)} has no columns"
        raise DataError(message, hint="remove `columns`", parameter="data.columns")


def _require_agreement(data: Data, task: Task, kind: InputKind) -> None:
    """Refuse a configuration that disagrees with the data.

    Raises:
        DataError: `target`, `text`, `task` or `inputs` does not fit.
    """
    if not isinstance(data.source, FileSource):
        _require_no_columns(data)
        if data.task not in ("auto", task):
            raise DataError(f"{shown(data)} is a {task} task", hint="remove `task`", parameter="data.task")
    if data.inputs not in ("auto", kind):
        message = f"{shown(data)} has inputs of the kind `{kind}`"
        raise DataError(message, hint="remove `inputs`", parameter="data.inputs")
