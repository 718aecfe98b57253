"""Oddities of a data set before training, in its target and in each of its columns.

Nothing here changes how data is read. Loads no torch.

Axes: N examples.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.train.data.leakage import (
    MAX_CODED_CLASSES,
    SampledColumn,
    duplicates,
    leaks,
    leave_out,
    names_of,
    numeric_columns,
    sampled_rows,
    text_columns,
)
from tunecli.train.data.notes import (
    MIN_ROWS,
    Oddity,
    drop_key,
    listed,
    not_numbers,
    short,
    type_key,
    variants,
)
from tunecli.train.data.number_forms import PLAIN, form_of, stray_texts, written_numbers
from tunecli.train.data.table import Table, TextColumn
from tunecli.train.data.target import labels_of

_FEW_MEMBERS = 5
_IMBALANCED = 0.9
_RATING_CLASSES = 5
_MAX_OF_A_KIND = 10
_MAX_LISTED = 3


def oddities(
    table: Table, target: str, text_counts: Mapping[str, Mapping[str, int]], *, is_inferred: bool
) -> tuple[Oddity, ...]:
    """The oddities of a table, the worst first; at most `_MAX_OF_A_KIND` of each kind.

    Args:
        table: the training data.
        target: the target's name; empty if it has no name.
        text_counts: by text column, how often each text occurs.
        is_inferred: whether the task was inferred from the target's values.
    """
    all_oddities = list(target_oddities(table, target, is_inferred=is_inferred))
    if table.row_kind == "features" and table.windows is None:
        rows = sampled_rows(len(table.y))
        columns = [*numeric_columns(table, rows), *text_columns(table, rows)]
        all_oddities += leaks(columns, table, rows)
        all_oddities += numeric_oddities(table, columns)
        ambiguous = {
            name for note in table.data_notes if note.kind == "ambiguous_dates" for name in note.columns
        }
        for column in table.text:
            if column.name in ambiguous:  # the note says what to do
                continue
            all_oddities += text_oddities(column, text_counts[column.name])
        all_oddities += duplicates(columns, table, len(rows))
    worst = ("numbers_as_classes", "leak", "few_members")
    ranked = sorted(all_oddities, key=lambda one: worst.index(one.kind) if one.kind in worst else len(worst))
    n_kinds: Counter[str] = Counter()
    kept = []
    for one in ranked:
        n_kinds[one.kind] += 1
        if n_kinds[one.kind] <= _MAX_OF_A_KIND:
            kept.append(one)
    return tuple(kept)


def target_oddities(table: Table, target: str, *, is_inferred: bool) -> Iterator[Oddity]:
    """The oddities of the target alone. The arguments are those of `oddities`."""
    named = f"the target '{short(target)}'" if target else "the target"
    columns = (target,) if target else ()
    if table.y.ndim == 2:
        return
    if table.task == "regression":
        if is_inferred:
            yield from _perhaps_classes(table, named, columns)
        return
    counts = dict(zip(table.class_names, table.class_counts, strict=True))
    if is_inferred:
        yield from _perhaps_numbers(counts, named, columns)
        yield from _perhaps_labels(counts, named, columns)
    spelled = variants(counts)
    if spelled:
        text = f"{named} has classes that differ only in case or blanks: {listed(spelled)}; write each in one way"
        yield Oddity("spellings", columns, text)
    few = [name for name, n in counts.items() if n < _FEW_MEMBERS]
    if few:
        first = ", ".join(f"'{short(name)}' {counts[name]}" for name in few[:_MAX_LISTED])
        more = f" and {len(few) - _MAX_LISTED:,} more classes" if len(few) > _MAX_LISTED else ""
        text = f"{named} has classes of fewer than {_FEW_MEMBERS} examples: {first}{more}; add examples or merge them"
        yield Oddity("few_members", columns, text)
    most = max(counts, key=lambda name: counts[name])
    share = counts[most] / sum(counts.values())
    if share >= _IMBALANCED:
        text = (
            f"{share:.1%} of the examples are of class '{short(most)}': a model that always predicts it has that "
            "accuracy; compare by val_balanced_accuracy, val_f1 or val_auroc, or set `data.balance`"
        )
        yield Oddity("imbalanced", columns, text)


def _perhaps_numbers(counts: Mapping[str, int], named: str, columns: tuple[str, ...]) -> Iterator[Oddity]:
    n_classes = len(counts)
    written = written_numbers(counts)
    strays = stray_texts(counts)
    if written is not None:
        form, example = written
        text = (
            f"{named} is read as {n_classes:,} classes, but they look like numbers with {form} (`{short(example)}`); "
            "to predict numbers, write them as 1234.5; if they are classes, set `data.task: classification`"
        )
        yield Oddity("numbers_as_classes", columns, text)
    elif strays:
        first, n_strays = next(iter(strays)), sum(strays.values())
        text = (
            f"{named} is read as {n_classes:,} classes, because {not_numbers(n_strays, sum(counts.values()))} "
            f"(`{short(first)}`); correct them to predict numbers; if they are classes, set "
            "`data.task: classification`"
        )
        yield Oddity("numbers_as_classes", columns, text)
    elif all(form_of(name) == PLAIN for name in counts):
        numbers = [float(name) for name in counts]
        if not all(number.is_integer() for number in numbers):
            text = (
                f"{named} is stored as text, so its numbers are read as {n_classes:,} classes; store them as "
                "numbers to predict them; if they are classes, set `data.task: classification`"
            )
            yield Oddity("numbers_as_classes", columns, text)
        elif n_classes >= _RATING_CLASSES:
            text = (
                f"{named} holds {n_classes} whole numbers ({min(numbers):g} to {max(numbers):g}), read as classes "
                "without an order; if they are grades or counts, `data.task: regression` predicts numbers; "
                "if they are classes, set `data.task: classification`"
            )
            yield Oddity("ratings", columns, text)


def _perhaps_labels(counts: Mapping[str, int], named: str, columns: tuple[str, ...]) -> Iterator[Oddity]:
    """Classes such as ``red|round``, whose parts are fewer than they are."""
    joined = [name for name in counts if "|" in name or ";" in name]
    labels = set[str]().union(*map(labels_of, counts))
    if len(joined) >= 2 and len(labels) < len(counts):
        text = (
            f"{named} has classes that look like several labels (`{short(joined[0])}`); set `data.task: multilabel` "
            f"to predict the {len(labels)} labels"
        )
        yield Oddity("labels_as_classes", columns, text)


def _perhaps_classes(table: Table, named: str, columns: tuple[str, ...]) -> Iterator[Oddity]:
    values, counts = np.unique(table.y, return_counts=True)
    is_coded = values[0] in (0, 1) and np.array_equal(values, np.arange(values[0], values[0] + len(values)))
    if is_coded and len(values) <= MAX_CODED_CLASSES and counts.min() >= _FEW_MEMBERS:
        text = (
            f"{named} holds the whole numbers {values[0]:g} to {values[-1]:g}, read as numbers to predict; if they "
            "are classes, set `data.task: classification`"
        )
        yield Oddity("classes_as_numbers", columns, text)


_COLLISIONS = 10.0
_MOST = 0.9
_MOSTLY_OWN = 0.8
_ID_NAME = re.compile(
    r"(?i:(^|[_ .-])(id|ids|uid|uuid|guid|key|index|idx|row|no|nr)$|^(id|index)[_ .-])|[a-z](Id|ID)$"
)
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_TIME = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]m)?( ?(z|utc|[-+]\d{2}:?\d{2}))?"
_DATE = re.compile(
    rf"((\d{{4}}[-/.](0?[1-9]|1[0-2])[-/.](0?[1-9]|[12]\d|3[01])"
    rf"|(0?[1-9]|[12]\d|3[01])[-/.](0?[1-9]|[12]\d|3[01])[-/.](\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}(st|nd|rd|th)?[ -]{_MONTH},?[ -](\d{{4}}|\d{{2}})|{_MONTH} \d{{1,2}}(st|nd|rd|th)?,? \d{{4}}"
    rf"|(\d{{4}}[ -]?(q[1-4]|w[0-5]\d|{_MONTH}|(0[1-9]|1[0-2])))|{_MONTH}[ -]\d{{4}})([ t]{_TIME})?|{_TIME})",
    re.IGNORECASE | re.ASCII,
)


def numeric_oddities(table: Table, columns: list[SampledColumn]) -> Iterator[Oddity]:
    """The oddities of the columns of numbers, which come first among ``columns``."""
    n_examples = len(table.y)
    made = {name for date in table.dates for name in date.inputs}
    for place, name in enumerate(names_of(table)):
        column = columns[place]
        if name in made:  # a time that rises from row to row is no id
            continue
        if column.n_values <= 2:
            if value := _only_value(table.x[:, place]):
                text = f"column '{short(name)}' has {value}: a model learns nothing from it; {leave_out(table, name)}"
                yield Oddity("constant", (name,), text)
            continue
        row_number = _row_number_form(table.x[:, place], name, column) if n_examples >= MIN_ROWS else ""
        if row_number:
            text = (
                f"column '{short(name)}' {row_number}: a model can memorize it; {leave_out(table, name)} if it is only "
                "an id"
            )
            yield Oddity("id", (name,), text)
        elif n_examples >= MIN_ROWS and (form := _time_form(table.x[:, place], column)):
            text = f"column '{short(name)}' looks like {form}, but is read as a plain number; {_dates(table, name)}"
            yield Oddity("date", (name,), text)


def _dates(table: Table, name: str) -> str:
    """How to read a column of numbers as dates."""
    if name in table.kinds:
        return f"{type_key(name, 'datetime')} reads dates"
    return "write year, month or hour as columns of numbers"


def _only_value(values_N: NDArray[Any]) -> str:
    """The only value of a column in words, missing values aside; empty if it has two or more."""
    is_present_N = ~np.isnan(values_N)
    present = values_N[is_present_N]
    if not len(present):
        return "no value at all"
    if present.min() != present.max():
        return ""
    return f"one value ({present[0]:g}{'' if is_present_N.all() else ', or none'})"


def _row_number_form(values_N: NDArray[np.float64], name: str, column: SampledColumn) -> str:
    """How a column of numbers identifies its rows, in words; empty if it does not."""
    sampled_share = column.n_values / len(column.ranks)
    is_named = _ID_NAME.search(name) is not None
    if not column.is_whole or sampled_share < (0.5 if is_named else 1.0):
        return ""
    if np.isnan(values_N).any() or not np.array_equal(values_N, np.round(values_N)):
        return ""
    ordered_N = np.sort(values_N)
    is_unique = bool((np.diff(ordered_N) > 0).all())
    if not is_unique:
        return "has the name of an id, and most rows have a value of their own" if is_named else ""
    n, spread = len(values_N), float(ordered_N[-1] - ordered_N[0])
    if spread == n - 1:
        return "numbers the rows (consecutive whole numbers)"
    if is_named:
        return "has the name of an id, and is different in each row"
    steps_N = np.diff(values_N)
    if (steps_N > 0).all() or (steps_N < 0).all():
        return "only increases or only decreases from row to row, like a row number or a time"
    # n random draws from a range of `spread` values collide about n²/2/spread times (the birthday problem).
    return "is a different whole number in each row, like an id" if n * n / 2 / spread >= _COLLISIONS else ""


def _time_form(values_N: NDArray[np.float64], column: SampledColumn) -> str:
    """The form of dates or times that a column of whole numbers may hold, in words; empty if there is none."""
    if column.n_values < MIN_ROWS or not column.is_whole:
        return ""
    low, high = np.nanmin(values_N), np.nanmax(values_N)
    present_N = values_N[~np.isnan(values_N)]
    if not np.array_equal(present_N, np.round(present_N)):
        return ""
    if low >= 19_000_101 and high <= 21_001_231:
        month_N, day_N = present_N // 100 % 100, present_N % 100
        if ((month_N >= 1) & (month_N <= 12) & (day_N >= 1) & (day_N <= 31)).all():
            return "dates (as 20240131)"
    for unit, name in ((1.0, "seconds"), (1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")):
        if low >= 9.46e8 * unit and high <= 2.1e9 * unit:  # 2000 to 2036
            return f"Unix time in {name}"
    return ""


def text_oddities(column: TextColumn, counts: Mapping[str, int]) -> Iterator[Oddity]:
    """The oddities of a column of text; ``counts`` says how often each of its texts occurs."""
    name, n_present = column.name, sum(counts.values())
    if len(counts) <= 1 and n_present in (0, len(column.values)):
        value = f"one value ('{short(next(iter(counts)))}')" if counts else "no value at all"
        yield Oddity(
            "constant",
            (name,),
            f"column '{short(name)}' has {value}: a model learns nothing from it; leave it out ({drop_key([name])})",
        )
        return
    if sum(_DATE.fullmatch(text) is not None for text in counts) >= _MOST * len(counts):
        text = (
            f"column '{short(name)}' looks like dates or times (`{short(next(iter(counts)))}`), "
            f"and each becomes a category of its own; write dates as 2024-01-31, or leave it out ({drop_key([name])})"
        )
        yield Oddity("date", (name,), text)
        return
    written, strays = written_numbers(counts), stray_texts(counts)
    if written is not None:
        form, example = written
        text = (
            f"column '{short(name)}' is read as text, but looks like numbers with {form} (`{short(example)}`); "
            "write them as 1234.5"
        )
        yield Oddity("numbers_as_text", (name,), text)
    elif strays:
        first, n_strays = next(iter(strays)), sum(strays.values())
        text = (
            f"column '{short(name)}' is read as text, because {not_numbers(n_strays, n_present)} "
            f"(the first is `{short(first)}`); correct them, or leave the field empty where a value is missing; "
            f"if they are categories, {type_key(name, 'category')} says so"
        )
        yield Oddity("numbers_as_text", (name,), text)
    elif n_present >= MIN_ROWS and len(counts) >= _MOSTLY_OWN * n_present:
        text = (
            f"column '{short(name)}' is a different text in most rows, like a name or an id; leave it out "
            f"({drop_key([name])})"
        )
        yield Oddity("id", (name,), text)
    spelled = variants(counts)
    if spelled:
        text = (
            f"column '{short(name)}' has categories that differ only in case or blanks: {listed(spelled)}; "
            "write each in one way"
        )
        yield Oddity("spellings", (name,), text)
