"""Problems of a split: columns that are missing or incomplete, parts that lack a class, groups in two parts.

Each problem comes with its remedy, and all of them are found at once.

Axes: N examples, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tunecli.config.schema.data import Data
from tunecli.config.schema.losses import Task
from tunecli.config.schema.sources import FileSource
from tunecli.config.schema.user_code import UserCode
from tunecli.config.schema.validation import By
from tunecli.errors import DataError
from tunecli.text import counted
from tunecli.train.data.notes import listed
from tunecli.train.data.splits.drawing import TEST, TRAIN, VALIDATION, parts_of, split_rows
from tunecli.train.data.splits.parts import Part, SplitProblem, problem_of
from tunecli.train.data.splits.windows import parts_of_windows, random_windows
from tunecli.train.data.table import Table

_KINDS: dict[By, str] = {"group": "group", "time": "time", "column": "split"}
"""By the kind of a split, the name of the column that it needs."""


def parts_and_problems(
    table: Table, data: Data, study_seed: int, validation: Table | None = None, test: Table | None = None
) -> tuple[list[Part], list[SplitProblem]]:
    """The parts of a table, and their problems; the parts are empty if they cannot be drawn.

    Args:
        table: the training data.
        data: the data's configuration.
        study_seed: the seed that determines the split.
        validation, test: the tables of the validation and the test file; None without such a file.
    """
    problems = [*_column_problems(table, data)]
    # a time series goes on from one part to the next
    problems += random_windows(data) if table.windows else _shared_groups(table, validation, test)
    if problems:
        return [], problems
    n_file = 0 if validation is None else len(validation.y)
    try:
        if table.windows is not None:
            parts = parts_of_windows(table, table.windows, data, study_seed, n_file)
        else:
            rows = split_rows(table, data)
            parts = parts_of(rows, data.validation, data.test, data.train_fraction, study_seed, n_file)
    except DataError as error:
        return [], [problem_of(error)]
    if is_plain(data, table.task):
        return parts, []
    problems = [*_missing_classes(table, data, parts)]
    if table.windows is None:
        problems += _straddling_groups(table, data, parts)
    return parts, problems


def is_plain(data: Data, task: Task) -> bool:
    """Whether sizes and classes of all parts follow from the number of examples of each class."""
    if task == "multilabel":  # rows are drawn by their sets of labels
        return False
    drawn = [part for part in (data.validation, data.test) if part is not None]
    return data.series is None and all(part.by == "row" and part.stratify == "auto" for part in drawn)


def _column_problems(table: Table, data: Data) -> Iterator[SplitProblem]:
    """Columns that a kind of split needs, and that are missing, incomplete, or hold other values."""
    seen = set[By]()
    for key, part in (("data.validation", data.validation), ("data.test", data.test)):
        if part is None or part.by == "row" or part.by in seen:
            continue
        seen.add(part.by)
        if _role_of(table, part.by) is None:
            message = f"`by: {part.by}` needs the {_of_each_row(part.by)}"
            yield SplitProblem(f"{key}.by", message, _how_to_give(part.by, data))
        else:
            yield from _value_problems(table, part.by, key)
    if data.validation.by == "column" and data.test is not None and data.test.fraction is not None:
        message = "`validation: {by: column}` assigns each row, so no fraction is left for the test part"
        yield SplitProblem("data.test", message, "write `test: {by: column}` or name a file")
    if "column" in seen and table.roles.part is not None:
        yield from _mark_problems(table, data)


def _role_of(table: Table, by: By) -> object:
    roles = {"group": table.roles.group, "time": table.roles.time, "column": table.roles.part}
    return roles.get(by)


def _of_each_row(by: By) -> str:
    return "part of each row" if by == "column" else f"{by} of each row"


def _how_to_give(by: By, data: Data) -> str:
    """Where a source of this kind has the column that a split needs."""
    name = _KINDS[by]
    match data.source:
        case FileSource(path=path) if path.lower().endswith(".npz"):
            return f"add an array `{name}` to {path}"
        case FileSource():
            return f"name the column in `data.columns.{name}`"
        case UserCode(python=code):
            return f"let {code} return a map with the key `{name}`"
    return "use another source, or split by `row`"


def _value_problems(table: Table, by: By, key: str) -> Iterator[SplitProblem]:
    roles = table.roles
    if by == "group" and roles.group is not None:
        is_missing_N = np.array([group is None or group == "" for group in roles.group.tolist()])
    elif by == "time" and roles.time is not None:
        is_missing_N = ~np.isfinite(roles.time)
    else:
        return
    if is_missing_N.any():
        n, first = int(is_missing_N.sum()), int(is_missing_N.argmax())
        verb = "has" if n == 1 else "have"
        message = f"{counted(n, 'row')} {verb} no {by}; the first is example {first}"
        yield SplitProblem(f"{key}.by", message, f"fill in the {by}, or remove the rows")


def _mark_problems(table: Table, data: Data) -> Iterator[SplitProblem]:
    """Marks of a split column that name no part, and parts that no row is marked for."""
    assert table.roles.part is not None
    marks = [*dict.fromkeys(table.roles.part.tolist())]
    key = "data.validation" if data.validation.by == "column" else "data.test"
    unknown = [mark for mark in marks if mark not in (TRAIN, VALIDATION, TEST)]
    if unknown:
        shown = listed(["(missing)" if mark is None else str(mark) for mark in unknown])
        message = f"the column of `by: column` has values that name no part: {shown}"
        yield SplitProblem(f"{key}.by", message, f"write `{TRAIN}`, `{VALIDATION}` or `{TEST}`")
        return
    wanted = [TRAIN]
    wanted += [VALIDATION] if data.validation.by == "column" else []
    wanted += [TEST] if data.test is not None and data.test.by == "column" else []
    for mark in wanted:
        if mark not in marks:
            is_test = mark == TEST
            message = f"no row is marked `{mark}`"
            yield SplitProblem(f"{'data.test' if is_test else key}.by", message, f"mark rows with `{mark}`")


def _missing_classes(table: Table, data: Data, parts: Sequence[Part]) -> Iterator[SplitProblem]:
    """Classes without a training example in some part, and parts without rows."""
    for number, part in enumerate(parts, start=1):
        where = f" of fold {number}" if len(parts) > 1 else ""
        for name, rows in (("training", part.train_indices), ("validation", part.valid_indices)):
            if not len(rows):
                yield SplitProblem("data.validation", f"the {name} part{where} has no rows", "add data")
        if table.task != "classification" or table.y.ndim != 1 or not len(part.train_indices):
            continue
        counts = table.class_counts_of(part.train_indices)
        absent = [table.class_names[k] for k, n in enumerate(counts) if not n]
        if absent:
            noun = "class" if len(absent) == 1 else "classes"
            verb = "has" if len(absent) == 1 else "have"
            shown = listed(absent)
            message = f"{noun} {shown} {verb} no training example{where}"
            yield SplitProblem("data.validation", message, _how_to_mend(data))


def _how_to_mend(data: Data) -> str:
    """The remedy that gives each training part an example of each class."""
    fewer = "use fewer folds, or " if data.validation.folds is not None else ""
    match data.validation.by:
        case "group":
            return f"{fewer}merge classes, or remove those that one group holds"
        case "time":
            return f"{fewer}validate on fewer rows, or remove classes that appear late"
        case "column":
            return f"mark a row of each class with `{TRAIN}`"
    return f"{fewer}merge classes, or remove rare ones"


def _shared_groups(table: Table, validation: Table | None, test: Table | None) -> Iterator[SplitProblem]:
    """Groups of the training data that a validation or test file has too."""
    for name, file in (("validation", validation), ("test", test)):
        if file is None or table.roles.group is None or file.roles.group is None:
            continue
        shared = {*table.roles.group.tolist()} & {*file.roles.group.tolist()} - {None, ""}
        if shared:
            noun = "group is" if len(shared) == 1 else "groups are"
            message = f"{len(shared):,} {noun} both in the training and in the {name} file: {_shown(shared)}"
            hint = "move their rows to one file, or give no groups"
            yield SplitProblem(f"data.{name}.file", message, hint)


def _straddling_groups(table: Table, data: Data, parts: Sequence[Part]) -> Iterator[SplitProblem]:
    """Groups with rows in two parts of a split column."""
    roles = table.roles
    if roles.group is None or roles.part is None:
        return
    if data.validation.by != "column" and (data.test is None or data.test.by != "column"):
        return
    first_of: dict[object, object] = {}
    pairs = zip(roles.group.tolist(), roles.part.tolist(), strict=True)
    straddling = {group for group, mark in pairs if first_of.setdefault(group, mark) != mark} - {None, ""}
    if straddling:
        key = "data.validation" if data.validation.by == "column" else "data.test"
        noun = "group has" if len(straddling) == 1 else "groups have"
        message = f"{len(straddling):,} {noun} rows in two parts of the split column: {_shown(straddling)}"
        hint = "mark all rows of a group alike, or give no groups"
        yield SplitProblem(f"{key}.by", message, hint)


def _shown(groups: set[object]) -> str:
    return listed(sorted(map(str, groups)))
