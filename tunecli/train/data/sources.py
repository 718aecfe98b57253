"""Where data comes from: each source of the file, read into a `Table`; and its facts without training.

Owns the registry of sources and the cache that reads each of them once a process. Knows nothing of splits
or models; loads no torch, and scikit-learn only when one of its sets is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tunecli.config.schema.data import Data
from tunecli.config.schema.losses import Task
from tunecli.config.schema.sources import Bundled, FileSource, Images, Torchvision
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import DataError
from tunecli.registry.implementations import implementation_of
from tunecli.train.data import torchvision_sets
from tunecli.train.data.files import read_table
from tunecli.train.data.images import read_images
from tunecli.train.data.own_data import read_own, table_of
from tunecli.train.data.preparation import learn_alphabet
from tunecli.train.data.stamps import Stamp, shown, source_stamps, stamps_beside
from tunecli.train.data.table import Table
from tunecli.train.data.torchvision_sets import read_torchvision, require_torchvision
from tunecli.train.inputs import InputKind, Inputs


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is known of a data set before any training.

    Attributes:
        n_examples: rows in all, before validation and test are set apart.
        inputs: what one example looks like. Text columns count with all their values and characters; those that
            only validation or test has are not encoded, so a model may see a little less.
        task: classification or regression.
        n_classes: 0 for regression.
        class_counts: examples of each class; empty for regression.
        notes: what a person should know about how the data was understood.
        min_target: the least target of a regression, in its own units; None for classes.
    """

    n_examples: int
    inputs: Inputs
    task: Task
    n_classes: int
    class_counts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    min_target: float | None = None


BUNDLED_FACTS: dict[str, DataFacts] = {
    "digits": DataFacts(
        1797, Inputs((1, 8, 8)), "classification", 10, (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
    ),
    "iris": DataFacts(150, Inputs((4,)), "classification", 3, (50, 50, 50)),
    "wine": DataFacts(178, Inputs((13,)), "classification", 3, (59, 71, 48)),
    "breast_cancer": DataFacts(569, Inputs((30,)), "classification", 2, (212, 357)),
    "diabetes": DataFacts(442, Inputs((10,)), "regression", 0, min_target=25.0),
}
"""Kept here so that checking a file costs no import of scikit-learn; a test holds it to the sets themselves."""


def read_source(data: Data, base_path: Path) -> Table:
    """Read the training data; a source is read once a process, until its files change.

    Args:
        data: the data's knobs.
        base_path: the folder that relative file names start from.

    Raises:
        DataError: a file or its target is missing, unreadable or not what the knobs say.
        Exception: whatever the user's own function raises.
    """
    return _table_or_raise(_read(*_identity(data, base_path)))


def read_validation(data: Data, base_path: Path) -> Table | None:
    """Read the validation file, in the training data's columns and classes; None where there is none.

    Raises:
        DataError: as `read_source`; or a column or class differs from the training data's.
    """
    return _read_beside(data, base_path, data.validation.file, "data.validation")


def read_test(data: Data, base_path: Path) -> Table | None:
    """Read what tests, likewise, where it is a file or the source's own; None where it is a part of the training data.

    Raises:
        DataError: as `read_validation`; or the source has no test part of its own.
    """
    require_test(data, base_path)
    if data.test is None:
        return None
    if data.test.own and isinstance(data.source, Torchvision):
        return _read_own_test(data.source, str(base_path.resolve()))
    return _read_beside(data, base_path, data.test.file, "data.test")


def require_test(data: Data, base_path: Path) -> None:
    """Make sure that what tests is there, without looking into it: that is nobody's to know before the end.

    Raises:
        DataError: it is not; or does not go with the source.
    """
    if data.test is None:
        return
    if data.test.own and not isinstance(data.source, Torchvision):
        message = f"{shown(data)} has no test part of its own"
        raise DataError(message, hint="use `fraction` or `file`", parameter="data.test")
    if data.test.file is not None:
        stamps_beside(data, data.test.file, base_path, "data.test")


def facts_of(data: Data, base_path: Path) -> DataFacts | None:
    """What is known of a data set before any training; cached like `read_source`.

    Returns:
        The facts; None where the data is the user's own, whose code is not run to know them.

    Raises:
        DataError: as `read_source`.
    """
    match data.source:
        case UserCode():
            _require_no_columns(data)
            return None
        case Bundled(name=name):
            facts = BUNDLED_FACTS[name]
        case Torchvision(name=name):
            require_torchvision(data.source)
            counts = torchvision_sets.CLASS_COUNTS[name]
            inputs = Inputs(torchvision_sets.SHAPES[name])
            facts = DataFacts(sum(counts), inputs, "classification", len(counts), counts)
        case _:
            return _facts(data.max_length, data.max_tokens, *_identity(data, base_path))
    _require_agreement(data, facts.task, facts.inputs.kind)
    return facts


_TABLE_KEYS = {"source", "target", "task", "inputs", "text"}
"""The knobs that a table is a function of, beside its files."""


def _identity(data: Data, base_path: Path) -> tuple[str, str, tuple[Stamp, ...]]:
    """What a table is a function of."""
    knobs = data.model_dump_json(include=_TABLE_KEYS)
    return knobs, str(base_path.resolve()), tuple(source_stamps(data, base_path))


@lru_cache(maxsize=8)
def _read(knobs: str, base_path: str, stamps: tuple[Stamp, ...]) -> Table | DataError:
    """A table; or what is wrong, as a value, so that a bad file too is read once and not for every trial."""
    data = Data.model_validate_json(knobs)
    try:
        table = _made(data, Path(base_path))
        _require_agreement(data, table.task, table.kind)
    except DataError as error:
        return error
    if table.task == "classification" and min(table.class_counts) == 0:
        absent = table.class_names[table.class_counts.index(0)]
        message = f"{shown(data)}: too few samples to have every class, `{absent}` has none"
        return DataError(message, hint="raise `samples`" if hasattr(data.source, "samples") else "")
    return table


def _made(data: Data, base_path: Path) -> Table:
    if isinstance(data.source, UserCode):
        return read_own(data.source, data, base_path)
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
    """A validation or test file, in the columns and classes of the training data."""
    known = _read(knobs, base_path, stamps)
    if isinstance(known, DataError):
        return known
    data, path = Data.model_validate_json(knobs), Path(base_path) / file
    try:
        if isinstance(data.source, Images):
            return read_images(path, data.source, parameter, known)
        return read_table(path, data, parameter, known)
    except DataError as error:
        return error


@lru_cache(maxsize=2)
def _read_own_test(source: Torchvision, base_path: str) -> Table:
    return read_torchvision(source, Path(base_path), is_test=True)


@lru_cache(maxsize=64)
def _facts(
    max_length: int, max_tokens: int, knobs: str, base_path: str, stamps: tuple[Stamp, ...]
) -> DataFacts:
    table = _table_or_raise(_read(knobs, base_path, stamps))
    return DataFacts(
        len(table.y),
        _inputs_of(table, max_length, max_tokens),
        table.task,
        len(table.class_names),
        table.class_counts,
        table.notes,
        float(table.y.min()) if table.task == "regression" else None,
    )


def _inputs_of(table: Table, max_length: int, max_tokens: int) -> Inputs:
    """What an example of the whole table would look like."""
    if table.prose is not None:
        alphabet = learn_alphabet(table.prose.values.tolist(), max_length, max_tokens)
        return Inputs((alphabet.length,), alphabet.n_tokens)
    if table.kind == "features":
        return Inputs((table.x.shape[1] + sum(len(column.categories) for column in table.text),))
    return Inputs(tuple(table.x.shape[1:]), table.n_tokens)


def _table_or_raise(found: Table | DataError) -> Table:
    if isinstance(found, DataError):
        raise DataError(found.message, hint=found.hint, parameter=found.parameter)
    return found


def _require_no_columns(data: Data) -> None:
    """Refuse to name columns where there are none."""
    if data.target is not None:
        message = f"{shown(data)} brings its own target"
        raise DataError(message, hint="drop `target`", parameter="data.target")
    if data.text is not None:
        raise DataError(f"{shown(data)} has no columns", hint="drop `text`", parameter="data.text")


def _require_agreement(data: Data, task: Task, kind: InputKind) -> None:
    """Refuse knobs that say of the data what it is not."""
    if not isinstance(data.source, FileSource):
        _require_no_columns(data)
        if data.task not in ("auto", task):
            raise DataError(f"{shown(data)} is a {task} task", hint="drop `task`", parameter="data.task")
    if data.inputs not in ("auto", kind):
        message = f"{shown(data)} holds examples of the kind `{kind}`"
        raise DataError(message, hint="drop `inputs`", parameter="data.inputs")
