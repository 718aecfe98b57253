"""The facts about a trial's data before any training: task, classes, inputs, parts, missing values, oddities.

Owns the facts that a person is shown; how they are worded is not decided here, except for what looks wrong
(oddities.py). The user's own function is never called for them. Loads no torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tunecli.config.schema.data import Data
from tunecli.config.schema.losses import Task
from tunecli.config.schema.sources import Bundled, FileSource, Images, Torchvision
from tunecli.train.data import splits
from tunecli.train.data.leakage import MAX_SAMPLED
from tunecli.train.data.notes import DataNote, Oddity, listed, short
from tunecli.train.data.number_text import PLAIN, form_of
from tunecli.train.data.oddities import oddities, target_oddities
from tunecli.train.data.sources import DataFacts, facts_of, read_source, read_test, read_validation
from tunecli.train.data.stamps import shown
from tunecli.train.data.table import MAX_INTEGER_CLASSES, Table
from tunecli.train.inputs import Inputs
from tunecli.train.workload import sizes_of_parts


@dataclass(frozen=True, slots=True)
class Missing:
    """A column's missing values, and their replacement."""

    column: str
    n_missing: int
    rule: str


@dataclass(frozen=True, slots=True)
class DataSummary:
    """The facts about a data set and its use.

    Attributes:
        source: as the file names it.
        is_read: False where it is the user's own function, of which nothing else is known.
        n_examples: rows of the training source.
        task: classification or regression; None where it is not known.
        why: how the task was settled, in words.
        target: the target's column; empty where it has none.
        class_counts: each class with its examples; empty for regression. Names are numbers where none are known.
        target_range: the least and the greatest target of a regression, where known.
        inputs: what one example looks like; None where it is not known.
        n_numbers: numeric columns; None where the inputs are no columns.
        n_categories: each one-hot column with its categories, all of the source.
        prose: the column that is read character by character; empty where there is none.
        parts: examples that train and validate, in each fold.
        validation: how the validation part is chosen, in words.
        n_test: examples that no trial of a search reads; None where their number is not known.
        left_out: columns that no model sees.
        missing: columns that miss values.
        oddities: what looks wrong, the worst first.
        notes: what was decided while the data was read, beside what the other attributes tell.
        n_checked: rows that the oddities were looked for in.
    """

    source: str
    is_read: bool
    validation: str
    n_examples: int = 0
    task: Task | None = None
    why: str = ""
    target: str = ""
    class_counts: tuple[tuple[str, int], ...] = ()
    target_range: tuple[float, float] | None = None
    inputs: Inputs | None = None
    n_numbers: int | None = None
    n_categories: tuple[tuple[str, int], ...] = ()
    prose: str = ""
    parts: tuple[tuple[int, int], ...] = ()
    n_test: int | None = 0
    left_out: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    notes: tuple[DataNote, ...] = ()
    n_checked: int = 0


def summary_of(data: Data, base_path: Path, study_seed: int) -> DataSummary:
    """The facts about a trial's data, found without training and without running the user's code.

    Args:
        data: the data's knobs.
        base_path: the folder that relative file names start from.
        study_seed: names the split.

    Raises:
        DataError: the data cannot be read or split.
    """
    validation = _validation(data)
    facts = facts_of(data, base_path)
    if facts is None:
        task: Task | None = None if data.task == "auto" else data.task
        why = f"`data.task: {task}`" if task else "its values decide once the function has run"
        return DataSummary(shown(data), is_read=False, validation=validation, task=task, why=why)
    parts = sizes_of_parts(data, facts, base_path)
    n_test = _n_test(data, facts, base_path)
    if isinstance(data.source, Bundled | Torchvision):
        counts = tuple((str(number), n) for number, n in enumerate(facts.class_counts))
        return DataSummary(
            shown(data),
            is_read=True,
            validation=validation,
            n_examples=facts.n_examples,
            task=facts.task,
            why="known of this set",
            class_counts=counts,
            inputs=facts.inputs,
            parts=parts,
            n_test=n_test,
        )
    table = read_source(data, base_path)
    is_inferred = isinstance(data.source, FileSource) and data.task == "auto"
    target = (data.target or "y") if isinstance(data.source, FileSource) else ""
    text_counts = {column.name: Counter(column.values.tolist()) for column in table.text}
    n_none = {name: each.pop(None, 0) for name, each in text_counts.items()}
    odd = (
        *oddities(table, target, text_counts, is_inferred=is_inferred),
        *_unseen(table, text_counts, data, base_path, study_seed),
    )
    y_range = (float(table.y.min()), float(table.y.max())) if table.task == "regression" else None
    return DataSummary(
        shown(data),
        is_read=True,
        validation=validation,
        n_examples=facts.n_examples,
        task=facts.task,
        why=_why(table, data, is_inferred=is_inferred),
        target=target,
        class_counts=tuple(zip(table.class_names, table.class_counts, strict=True))
        if y_range is None
        else (),
        target_range=y_range,
        inputs=facts.inputs,
        n_numbers=table.x.shape[1] if table.kind == "features" else None,
        n_categories=tuple((name, len(each)) for name, each in text_counts.items()),
        prose=table.prose.name if table.prose else "",
        parts=parts,
        n_test=n_test,
        left_out=tuple(
            name
            for note in table.data_notes
            if note.kind in ("left_out", "stored_index")
            for name in note.columns
        ),
        missing=tuple(_missing(table, n_none)),
        oddities=tuple(_placed(one, table.data_notes) for one in odd),
        notes=_further(table.data_notes, odd),
        n_checked=min(MAX_SAMPLED, facts.n_examples),
    )


_UNLIKELY = 1e-9  # that a training part misses a category that is not rare
_TOLD = ("one_hot", "characters", "left_out", "imputed")
"""Kinds of notes that a summary tells in other attributes."""


def _placed(odd: Oddity, notes: tuple[DataNote, ...]) -> Oddity:
    """An oddity with the place of its first value in the file, where the reader noted it."""
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
    """Why a target has so many classes, in words, where its values are likely none; else empty.

    Raises:
        DataError: the data cannot be read.
    """
    if not isinstance(data.source, FileSource) or data.task != "auto":
        return ""
    table = read_source(data, base_path)
    if table.task != "classification":
        return ""
    target = data.target or "y"
    found = [
        one
        for one in target_oddities(table, target, is_inferred=True)
        if one.kind in ("numbers_as_classes", "ratings")
    ]
    if found:
        return _placed(found[0], table.data_notes).text
    if len(table.class_names) > len(table.y) / 2:
        return f"most values of '{short(target)}' are a class of their own: name another target, or merge classes"
    return ""


def _further(notes: tuple[DataNote, ...], odd: tuple[Oddity, ...]) -> tuple[DataNote, ...]:
    """The notes that say something which nothing else here says."""
    looked_odd = {
        name for one in odd if one.kind in ("numbers_as_classes", "numbers_as_text") for name in one.columns
    }
    constant = {name for one in odd if one.kind == "constant" for name in one.columns}
    said = {"mostly_numbers": looked_odd, "decimal_commas": looked_odd, "near_constant": constant}
    return tuple(
        note
        for note in notes
        if note.kind not in _TOLD and not (note.columns and set(note.columns) <= said.get(note.kind, set()))
    )


def _validation(data: Data) -> str:
    validation = data.validation
    if validation.folds is not None:
        return f"{validation.folds} folds"
    return validation.file if validation.file is not None else f"a fraction of {validation.fraction:g}"


def _n_test(data: Data, facts: DataFacts, base_path: Path) -> int | None:
    if data.test is None:
        return 0
    if data.test.own:
        return None
    if data.test.file is not None:
        test = read_test(data, base_path)
        return None if test is None else len(test.y)
    whole = data.model_copy(update={"train_fraction": 1.0})
    n_train, n_valid = sizes_of_parts(whole, facts, base_path)[0]
    return facts.n_examples - n_train - (0 if data.validation.file is not None else n_valid)


def _why(table: Table, data: Data, *, is_inferred: bool) -> str:
    """How the task was settled."""
    if isinstance(data.source, Images):
        return "each folder is a class"
    if not isinstance(data.source, FileSource):
        return "known of this set"
    if not is_inferred:
        return f"`data.task: {data.task}`"
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


def _missing(table: Table, n_none: Mapping[str, int]) -> Iterator[Missing]:
    if table.kind == "features" and table.prose is None:
        n_missing_F = np.isnan(table.x).sum(axis=0).tolist()
        names = table.feature_names or tuple(f"x{number}" for number in range(len(n_missing_F)))
        for name, n_missing in zip(names, n_missing_F, strict=True):
            if n_missing:
                yield Missing(name, n_missing, "the training part's median")
    for name, n_missing in n_none.items():
        if n_missing:
            yield Missing(name, n_missing, "no category: all zeros")
    if table.prose is not None:
        n_missing = sum(not value for value in table.prose.values.tolist())
        if n_missing:
            yield Missing(table.prose.name, n_missing, "an empty text")


def _unseen(
    table: Table, counts: Mapping[str, Mapping[str, int]], data: Data, base_path: Path, study_seed: int
) -> Iterator[Oddity]:
    """Categories that a validation part has and the part that trains has not."""
    if not table.text:
        return
    validation = read_validation(data, base_path)
    parts = splits.split(table, data, study_seed, validation)
    n_valid = len({*np.concatenate([part.valid_indices for part in parts]).tolist()})
    # A category that is frequent is in every random training part: only the rare ones are looked for.
    share_left = 1 - min(len(part.train_indices) for part in parts) / len(table.y)
    n_rare = math.log(_UNLIKELY) / math.log(share_left) if share_left > 0 else 0.0
    for number, column in enumerate(table.text):
        known = counts[column.name]
        rare = {value for value, n in known.items() if n <= n_rare}
        beside = None if validation is None else Counter(validation.text[number].values.tolist())
        if not rare and (beside is None or known.keys() >= beside.keys() - {None}):
            continue
        n_rows, unseen = 0, dict[str, None]()
        for part in parts:
            absent = rare.difference(column.values[part.train_indices].tolist())
            if beside is None:
                strange = [each for each in column.values[part.valid_indices].tolist() if each in absent]
                n_rows += len(strange)
            else:
                strange = [
                    each for each in beside if each is not None and (each not in known or each in absent)
                ]
                n_rows += sum(beside[each] for each in strange)
            unseen.update(dict.fromkeys(strange))
        if unseen:
            text = (
                f"column '{short(column.name)}': {n_rows:,} of {n_valid:,} validation rows have a category that "
                f"is not in the training part ({listed([*unseen])}); a model sees all zeros for it"
            )
            yield Oddity("unseen", (column.name,), text)
