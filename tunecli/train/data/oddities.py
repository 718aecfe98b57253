"""What looks wrong with a table before anything is trained on it: its target, its columns, and both together.

Owns the rules for the target and the order in which oddities are told. Nothing here changes how data is read; loads no
torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from tunecli.train.data.agreement import MAX_CODED_CLASSES, duplicates, leaks
from tunecli.train.data.column_oddities import numeric_oddities, text_oddities
from tunecli.train.data.number_forms import PLAIN, form_of, stray_texts, written_numbers
from tunecli.train.data.oddity import Oddity, listed, not_numbers, short, variants
from tunecli.train.data.sampled import numeric_columns, sampled_rows, text_columns
from tunecli.train.data.table import Table

_FEW_MEMBERS = 5
_IMBALANCED = 0.9
_RATING_CLASSES = 5
_MAX_OF_A_KIND = 10
_MAX_LISTED = 3


def oddities(
    table: Table, target: str, text_counts: Mapping[str, Mapping[str, int]], *, is_inferred: bool
) -> tuple[Oddity, ...]:
    """What looks wrong with a table, the worst first; of each kind so many that a person reads them.

    Args:
        table: the training data.
        target: the target's name, empty where it has none.
        text_counts: by text column, how often each text occurs.
        is_inferred: whether the target's values alone decided between classes and numbers.
    """
    found = list(target_oddities(table, target, is_inferred=is_inferred))
    if table.kind == "features" and table.prose is None:
        rows = sampled_rows(len(table.y))
        columns = [*numeric_columns(table, rows), *text_columns(table, rows)]
        found += leaks(columns, table, rows)
        found += numeric_oddities(table, columns)
        for column in table.text:
            found += text_oddities(column, text_counts[column.name])
        found += duplicates(columns, table, len(rows))
    order = ("numbers_as_classes", "leak", "few_members")
    ranked = sorted(found, key=lambda one: order.index(one.kind) if one.kind in order else len(order))
    n_kinds: Counter[str] = Counter()
    kept = []
    for one in ranked:
        n_kinds[one.kind] += 1
        if n_kinds[one.kind] <= _MAX_OF_A_KIND:
            kept.append(one)
    return tuple(kept)


def target_oddities(table: Table, target: str, *, is_inferred: bool) -> Iterator[Oddity]:
    """What looks wrong with the target alone; the arguments are those of `oddities`."""
    named = f"the target '{short(target)}'" if target else "the target"
    columns = (target,) if target else ()
    if table.task == "regression":
        if is_inferred:
            yield from _perhaps_classes(table, named, columns)
        return
    counts = dict(zip(table.class_names, table.class_counts, strict=True))
    if is_inferred:
        yield from _perhaps_numbers(counts, named, columns)
    spelled = variants(counts)
    if spelled:
        text = f"{named} has classes that differ in case or blanks alone: {listed(spelled)}; write each in one way"
        yield Oddity("spellings", columns, text)
    few = [name for name, n in counts.items() if n < _FEW_MEMBERS]
    if few:
        told = ", ".join(f"'{short(name)}' {counts[name]}" for name in few[:_MAX_LISTED])
        more = f" and {len(few) - _MAX_LISTED:,} more classes" if len(few) > _MAX_LISTED else ""
        text = f"{named} has classes of fewer than {_FEW_MEMBERS} examples: {told}{more}; add examples or merge them"
        yield Oddity("few_members", columns, text)
    most = max(counts, key=lambda name: counts[name])
    share = counts[most] / sum(counts.values())
    if share >= _IMBALANCED:
        text = (
            f"{share:.1%} of the examples are of class '{short(most)}': a model that always says so has that accuracy; "
            "compare by val_balanced_accuracy, val_f1 or val_auroc, or set `data.balance`"
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
            "to predict numbers, write them as 1234.5; if they are classes, say `data.task: classification`"
        )
        yield Oddity("numbers_as_classes", columns, text)
    elif strays:
        first, n_strays = next(iter(strays)), sum(strays.values())
        text = (
            f"{named} is read as {n_classes:,} classes, because {not_numbers(n_strays, sum(counts.values()))} "
            f"(`{short(first)}`); correct this to predict numbers; if they are classes, say "
            "`data.task: classification`"
        )
        yield Oddity("numbers_as_classes", columns, text)
    elif all(form_of(name) == PLAIN for name in counts):
        numbers = [float(name) for name in counts]
        if not all(number.is_integer() for number in numbers):
            text = (
                f"{named} is stored as text, so its numbers are read as {n_classes:,} classes; store them as "
                "numbers to predict them; if they are classes, say `data.task: classification`"
            )
            yield Oddity("numbers_as_classes", columns, text)
        elif n_classes >= _RATING_CLASSES:
            text = (
                f"{named} holds {n_classes} whole numbers ({min(numbers):g} to {max(numbers):g}), read as classes "
                "without an order; if they are grades or counts, `data.task: regression` predicts numbers; "
                "if they are classes, say `data.task: classification`"
            )
            yield Oddity("ratings", columns, text)


def _perhaps_classes(table: Table, named: str, columns: tuple[str, ...]) -> Iterator[Oddity]:
    values, counts = np.unique(table.y, return_counts=True)
    is_coded = values[0] in (0, 1) and np.array_equal(values, np.arange(values[0], values[0] + len(values)))
    if is_coded and len(values) <= MAX_CODED_CLASSES and counts.min() >= _FEW_MEMBERS:
        text = (
            f"{named} holds the whole numbers {values[0]:g} to {values[-1]:g}, read as numbers to predict; if they "
            "are classes, say `data.task: classification`"
        )
        yield Oddity("classes_as_numbers", columns, text)
