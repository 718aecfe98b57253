"""The summary of a trial's data before any training: task, classes, inputs, parts, missing values, oddities.

Owns the facts, not their wording, except for oddities. The user's code is never run. Loads no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tunecli.config.schema.data import Data
from tunecli.config.schema.losses import Task
from tunecli.config.schema.sources import Bundled, FileSource, Images, Torchvision
from tunecli.text import counted
from tunecli.train.data.leakage import MAX_SAMPLED
from tunecli.train.data.notes import DataNote, Oddity, short
from tunecli.train.data.number_forms import PLAIN, form_of
from tunecli.train.data.oddities import oddities, target_oddities
from tunecli.train.data.part_facts import facts_of_texts, last_value_rmse, unseen_categories
from tunecli.train.data.series import SeriesFacts, series_facts
from tunecli.train.data.sources import DataFacts, facts_of, read_source, read_test
from tunecli.train.data.split_facts import split_facts
from tunecli.train.data.stamps import shown
from tunecli.train.data.table import Inputs, Table
from tunecli.train.data.target import MAX_INTEGER_CLASSES
from tunecli.train.data.text_facts import TextFacts, text_column_oddities
from tunecli.train.workload import sizes_of_parts


@dataclass(frozen=True, slots=True)
class Missing:
    """A column with missing values, their number, and their replacement in words."""

    column: str
    n_missing: int
    rule: str


@dataclass(frozen=True, slots=True)
class DataSummary:
    """The facts about a data set and its use.

    Attributes:
        source: its name in the configuration.
        is_read: False for data from the user's code, of which nothing else is known.
        validation: how the validation part is chosen, in words.
        n_examples: rows of the training source.
        task: the kind of target; None if unknown.
        why: the reason for the task, in words.
        target: the target's column, or all of them; empty if it has no name.
        targets: the target's columns by name; empty if they have none.
        class_counts: each class or label with its number of examples; empty for regression. A class without a name is a
            number.
        target_range: the smallest and the largest target of a regression with one target; None if unknown.
        n_targets: number of labels, or of targets of a regression.
        n_effective: with weights, the number of equally weighted examples that count as much; None without weights.
        inputs: shape and kind of one example; None if unknown.
        n_numbers: number of numeric columns; None if the inputs are not columns.
        n_categories: each one-hot column with the number of its categories in the whole source.
        texts: the column of texts, and its vocabulary; None if there is none.
        series: the windows of time series; None if each row is an example.
        parts: number of training and validation examples, for each fold.
        n_test: number of test examples; None if unknown.
        n_left_out: number of examples that are in no part, such as those of a gap; of folds by time, in the last fold.
        left_out: columns that no model sees.
        roles: columns that are no inputs: role and column.
        dates: columns of dates, each with the number of its inputs.
        missing: columns with missing values.
        oddities: what looks wrong, the worst first.
        notes: decisions made while the data was read, except those that other attributes show.
        n_checked: number of rows in which oddities were searched.
    """

    source: str
    is_read: bool
    validation: str
    n_examples: int = 0
    task: Task | None = None
    why: str = ""
    target: str = ""
    targets: tuple[str, ...] = ()
    class_counts: tuple[tuple[str, int], ...] = ()
    target_range: tuple[float, float] | None = None
    n_targets: int = 1
    n_effective: float | None = None
    inputs: Inputs | None = None
    n_numbers: int | None = None
    n_categories: tuple[tuple[str, int], ...] = ()
    texts: TextFacts | None = None
    series: SeriesFacts | None = None
    parts: tuple[tuple[int, int], ...] = ()
    n_test: int | None = 0
    n_left_out: int = 0
    left_out: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    dates: tuple[tuple[str, int], ...] = ()
    missing: tuple[Missing, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    notes: tuple[DataNote, ...] = ()
    n_checked: int = 0


def summary_of(data: Data, base_path: Path, study_seed: int) -> DataSummary:
    """The summary of a trial's data, without training and without running the user's code.

    Args:
        data: the data's configuration.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split.

    Raises:
        DataError: the data cannot be read or split.
    """
    validation = _validation(data)
    facts = facts_of(data, base_path)
    if facts is None:
        task: Task | None = None if data.task == "auto" else data.task
        why = f"`data.task: {task}`" if task else "the target's values decide when the function has run"
        return DataSummary(shown(data), is_read=False, validation=validation, task=task, why=why)
    parts = sizes_of_parts(data, facts, base_path, study_seed)
    n_test = n_test_of(data, facts, base_path, study_seed)
    if isinstance(data.source, Bundled | Torchvision):
        counts = tuple((str(number), n) for number, n in enumerate(facts.class_counts))
        return DataSummary(
            shown(data),
            is_read=True,
            validation=validation,
            n_examples=facts.n_examples,
            task=facts.task,
            why="known for this data set",
            class_counts=counts,
            inputs=facts.inputs,
            parts=parts,
            n_test=n_test,
            n_left_out=split_facts(data, facts, base_path, study_seed).n_left_out,
        )
    table = read_source(data, base_path)
    is_inferred = isinstance(data.source, FileSource) and data.task == "auto"
    target = _target_name(data) if isinstance(data.source, FileSource) else ""
    text_counts = {column.name: Counter(column.values.tolist()) for column in table.text}
    n_none = {name: counts_of_column.pop(None, 0) for name, counts_of_column in text_counts.items()}
    texts = facts_of_texts(table, data, base_path, study_seed)
    odd = (
        *oddities(table, target, text_counts, is_inferred=is_inferred),
        *unseen_categories(table, text_counts, data, base_path, study_seed),
        *(text_column_oddities(texts) if texts else ()),
    )
    n_unused = split_facts(data, facts, base_path, study_seed).n_left_out if data.series else 0
    is_one_number = table.task == "regression" and table.y.ndim == 1
    return DataSummary(
        shown(data),
        is_read=True,
        validation=validation,
        n_examples=facts.n_examples,
        task=facts.task,
        why=_why(table, data, is_inferred=is_inferred),
        target=target,
        targets=data.targets if target else (),
        class_counts=tuple(zip(table.class_names, table.class_counts or table.label_counts, strict=True)),
        target_range=(float(table.y.min()), float(table.y.max())) if is_one_number else None,
        n_targets=facts.n_targets,
        n_effective=facts.n_effective,
        inputs=facts.inputs,
        n_numbers=table.x.shape[1] if table.row_kind == "features" else None,
        n_categories=tuple((name, len(counts_of_column)) for name, counts_of_column in text_counts.items()),
        texts=texts,
        series=series_facts(
            table, data.series, n_unused, last_value_rmse(table, data, base_path, study_seed)
        ),
        parts=parts,
        n_test=n_test,
        n_left_out=split_facts(data, facts, base_path, study_seed).n_left_out,
        left_out=tuple(
            name
            for note in table.data_notes
            if note.kind in ("left_out", "stored_index")
            for name in note.columns
        ),
        roles=tuple((role, name) for name, of_column in data.columns.roles.items() for role in of_column),
        dates=tuple((date.name, len(date.parts)) for date in table.dates if date.parts),
        missing=tuple(_missing(table, n_none, data)),
        oddities=tuple(_placed(one, table.data_notes) for one in odd),
        notes=_further(table.data_notes, odd),
        n_checked=min(MAX_SAMPLED, facts.n_examples),
    )


_KINDS_SHOWN_ELSEWHERE = ("one_hot", "texts", "left_out", "imputed")
"""Kinds of notes that a summary shows in other attributes."""


def _placed(odd: Oddity, notes: tuple[DataNote, ...]) -> Oddity:
    """An oddity with the place of its first value in the file, if a note has it."""
    if odd.kind not in ("numbers_as_classes", "numbers_as_text"):
        return odd
    same = (
        note
        for note in notes
        if note.kind in ("mostly_numbers", "decimal_commas") and note.columns == odd.columns
    )
    place = next((note.place for note in same if note.place), "")
    return replace(odd, text=f"{odd.text} (the first is in {place})") if place else odd


def target_note(data: Data, base_path: Path) -> str:
    """A warning that the target's many classes are probably a mistake; empty if they look right.

    Raises:
        DataError: the data cannot be read.
    """
    if not isinstance(data.source, FileSource) or data.task != "auto":
        return ""
    table = read_source(data, base_path)
    if table.task != "classification":
        return ""
    target = _target_name(data)
    all_oddities = target_oddities(table, target, is_inferred=True)
    oddity = next((one for one in all_oddities if one.kind in ("numbers_as_classes", "ratings")), None)
    if oddity is not None:
        return _placed(oddity, table.data_notes).text
    if len(table.class_names) > len(table.y) / 2:
        return (
            f"most values of '{short(target)}' are classes of one row: name another target, or merge classes"
        )
    return ""


def _further(notes: tuple[DataNote, ...], odd: tuple[Oddity, ...]) -> tuple[DataNote, ...]:
    """The notes whose facts neither an oddity nor another attribute shows."""
    looked_odd = {
        name for one in odd if one.kind in ("numbers_as_classes", "numbers_as_text") for name in one.columns
    }
    constant = {name for one in odd if one.kind == "constant" for name in one.columns}
    shown_columns = {"mostly_numbers": looked_odd, "decimal_commas": looked_odd, "near_constant": constant}
    return tuple(
        note
        for note in notes
        if note.kind not in _KINDS_SHOWN_ELSEWHERE
        and not (note.columns and set(note.columns) <= shown_columns.get(note.kind, set()))
    )


def _validation(data: Data) -> str:
    validation = data.validation
    if validation.file is not None:
        return validation.file
    if validation.by == "column":
        return "the rows that a column marks"
    text = f"{validation.folds} folds" if validation.folds else f"a fraction of {validation.fraction:g}"
    text += "" if validation.by == "row" else f" by {validation.by}"
    if validation.gap:
        gap = validation.gap if isinstance(validation.gap, str) else counted(validation.gap, "row")
        text += f" after a gap of {gap}"
    return text if validation.repeats == 1 else f"{text}, {validation.repeats} times"


def n_test_of(data: Data, facts: DataFacts, base_path: Path, study_seed: int = 0) -> int | None:
    """The number of test examples; None: the user's own function makes the test part.

    Raises:
        DataError: the data cannot be read or split.
    """
    if data.test is None:
        return 0
    if data.test.own:
        return None
    if data.test.file is not None:
        test = read_test(data, base_path)
        return None if test is None else len(test.y)
    return split_facts(data, facts, base_path, study_seed).n_test


def _target_name(data: Data) -> str:
    return ", ".join(data.targets) or "y"


def _why(table: Table, data: Data, *, is_inferred: bool) -> str:
    """The reason for the task, in words."""
    if isinstance(data.source, Images):
        return "each folder is a class"
    if not isinstance(data.source, FileSource):
        return "known for this data set"
    if not is_inferred:
        return f"`data.task: {data.task}`"
    if table.task == "multilabel":
        return "inferred: the targets hold only true and false, or 1 and 0; `data.task: regression` predicts numbers"
    if len(data.targets) > 1:
        return "inferred: several targets of numbers"
    if table.task == "regression":
        if not np.array_equal(table.y, np.round(table.y)):
            return "inferred: the target's values are numbers, not all of them whole"
        n_values = len(np.unique(table.y))
        return f"inferred: {n_values:,} different whole numbers, more than {MAX_INTEGER_CLASSES}"
    if {*table.class_names} == {"False", "True"}:
        return "inferred: the target's values are true and false"
    if all(form_of(name) == PLAIN and float(name).is_integer() for name in table.class_names):
        n_classes = len(table.class_names)
        return (
            f"inferred: {n_classes} different whole numbers, at most {MAX_INTEGER_CLASSES}; "
            "`data.task: regression` predicts them as numbers"
        )
    return "inferred: the target's values are text"


def _missing(table: Table, n_none: Mapping[str, int], data: Data) -> Iterator[Missing]:
    median = "the training part's median" + (", and an input that says so" if data.missing_indicators else "")
    none = "no category: all zeros" if data.categories == "one_hot" else "no category: code 0"
    if table.row_kind == "features":
        n_missing_F = np.isnan(table.x).sum(axis=0).tolist()
        names = table.feature_names or tuple(f"x{number}" for number in range(len(n_missing_F)))
        column_of = {made: date.name for date in table.dates for made in date.inputs}
        counts = {column_of.get(name, name): n for name, n in zip(names, n_missing_F, strict=True)}
        yield from (Missing(name, n_missing, median) for name, n_missing in counts.items() if n_missing)
    for name, n_missing in n_none.items():
        if n_missing:
            yield Missing(name, n_missing, none)
    if table.prose is not None:
        n_missing = sum(not value for value in table.prose.values.tolist())
        if n_missing:
            yield Missing(table.prose.name, n_missing, "an empty text")
