"""The plan of a study for a data set: columns, types, task and oddities, from the reading that `check` uses.

The plan is made in rounds. Each round reads the data with the decisions so far, and decides on the oddities and notes
that are left, until none of them can be settled by a key. Loads no torch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import relpath
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.config.schema.columns import ColumnSettings
from tunecli.config.schema.data import Data
from tunecli.config.suggestions import nearest
from tunecli.errors import DataError, UsageError
from tunecli.train.data.columns import Columns, Request
from tunecli.train.data.date_inputs import form_of
from tunecli.train.data.files import READERS
from tunecli.train.data.notes import Oddity
from tunecli.train.data.sources import read_source
from tunecli.train.data.summary import DataSummary, summary_of
from tunecli.train.data.table import MAX_CATEGORIES, MAX_CODES, Table
from tunecli.train.data.target import labels_of
from tunecli.train.data.unpacking import ending_of

_SEED = 7
_MOST_ROUNDS = 12
_LIKELY_TARGETS = ("target", "label", "class", "y", "outcome", "response")
_MOST_LISTED = 60
_SENTENCE_WORDS = 3.0
_MOSTLY_OWN, _MOSTLY_ID = 0.5, 0.8
_MOST_TOKENS = 200
_SEVERAL = "its values are several labels, separated by `|` or `;`"
_GROUP = re.compile(
    r"(?i)(patient|subject|user|customer|client|household|session|person|student|group|site|machine|device)"
)


@dataclass(frozen=True, slots=True)
class DataPlan:
    """The decisions about a data set, each with its reason.

    Attributes:
        source: the data's name in the study's file, relative to that file; a folder ends with a slash.
        target: the column to predict; empty: the source has no columns.
        columns: the names of all columns.
        id: the column that names the rows; empty: there is none.
        drop: by column to leave out, the reason.
        types: by column, the type to read it as, and the reason.
        task: the task and the reason; empty: the target decides.
        text: the column of texts; empty: there is none.
        tokens: the unit of a token.
        max_length: the number of tokens of a text that are read.
        group: a column that looks like a group of rows; empty: none does.
        needs_embedding: whether a column has too many categories for an input each.
        is_skewed: whether an input is skewed.
        has_outliers: whether the target of a regression has outliers.
        summary: the summary with these decisions.
        notes: sentences about what only a person can decide.
    """

    source: str
    target: str
    columns: tuple[str, ...] = ()
    id: str = ""
    drop: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    task: tuple[str, str] = ("", "")
    text: str = ""
    tokens: str = "words"
    max_length: int = 0
    group: str = ""
    needs_embedding: bool = False
    is_skewed: bool = False
    has_outliers: bool = False
    summary: DataSummary = field(default_factory=lambda: DataSummary("", False, ""))
    notes: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """The plan as keys under `data`, without the validation."""
        columns: dict[str, Any] = {}
        if self.id:
            columns["id"] = self.id
        if self.drop:
            columns["drop"] = [*self.drop]
        if self.types:
            columns["types"] = {name: kind for name, (kind, _) in self.types.items()}
        plain: dict[str, Any] = {"source": self.source}
        if self.target:
            plain["target"] = self.target
        if self.task[0]:
            plain["task"] = self.task[0]
        if self.text:
            plain |= {
                "text": self.text,
                "tokens": self.tokens,
                "max_length": self.max_length,
                "lowercase": True,
            }
            plain |= {"text_with_columns": True} if self.has_further_columns else {}
        if self.needs_embedding:
            plain["categories"] = "embedding"
        return plain | ({"columns": columns} if columns else {})

    @property
    def has_further_columns(self) -> bool:
        """Whether columns beside the text are inputs."""
        used = {self.target, self.text, self.id, *self.drop}
        return any(name not in used for name in self.columns)


def plan_of(source: Path, target: str | None, folder: Path) -> DataPlan:
    """The plan for a file or a folder of images.

    Args:
        source: the data.
        target: the column to predict; None: the source has no columns.
        folder: the folder of the study's file, from which it names the data.

    Raises:
        UsageError: no target is named, or the source has no such column; the message lists the columns.
        DataError: the data cannot be read.
    """
    name, is_folder = _name_from(source, folder), source.is_dir()
    is_npz = source.suffix.lower() == ".npz"
    if is_folder or is_npz:
        if target is not None:
            kind = "a folder of images" if is_folder else "a file of arrays"
            raise UsageError(f"{source} is {kind}, which has no columns", hint="leave out --target")
        plan = DataPlan(f"{name}/" if is_folder else name, "")
    else:
        columns = _columns(source)
        _require_target(source, target, columns)
        plan = _screened(DataPlan(name, str(target), columns.names), columns)
    return _settled(plan, folder)


def _name_from(source: Path, folder: Path) -> str:
    """The path of the data as the study's file writes it."""
    if source.is_absolute():
        return str(source)
    name = relpath(source, folder)
    return name if "/" in name or "." in name or source.is_dir() else f"./{name}"


def _columns(source: Path) -> Columns:
    reader = READERS.get(ending_of(source))
    if reader is None:
        hint = "use a csv, tsv, txt, npz or parquet file, or a folder of images"
        raise DataError(f"{source.name} has no known file ending", hint=hint, parameter="--data")
    return reader(source, Request("--data"))


def _require_target(source: Path, target: str | None, columns: Columns) -> None:
    names = [*columns.names]
    if target is not None and target in names:
        return
    if target is not None:
        hint = nearest(target, names) or f"its columns: {', '.join(names[:_MOST_LISTED])}"
        raise UsageError(f"{source} has no column `{target}`", hint=hint)
    by_name = {name.lower(): name for name in names}
    likely = next((by_name[word] for word in _LIKELY_TARGETS if word in by_name), names[-1])
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    listed = ", ".join(f"{name} ({columns.kinds.get(name, 'unreadable')})" for name in names[:_MOST_LISTED])
    raise UsageError(
        f"--data needs --target, the column to predict; {source} has {len(names)} columns: {listed}{more}",
        hint=f"--target {likely!r}, if that is the column to predict",
    )


def _settled(plan: DataPlan, folder: Path) -> DataPlan:
    """The plan after all rounds."""
    for _ in range(_MOST_ROUNDS):
        data = Data.model_validate(plan.data())
        before = plan = replace(plan, summary=summary_of(data, folder, _SEED))
        for odd in plan.summary.oddities:
            plan = _decided(plan, odd)
        if plan == before:
            break
    left = [odd.text for odd in plan.summary.oddities if odd.kind not in ("imbalanced",)]
    return replace(_with_figures(plan, folder), notes=tuple(dict.fromkeys(left)))


def _decided(plan: DataPlan, odd: Oddity) -> DataPlan:
    """The plan with the key that settles an oddity, if there is one."""
    name = _column_of(plan, odd)
    is_target = name == plan.target
    match odd.kind:
        case "ratings" | "numbers_as_classes":
            return replace(
                plan, task=("classification", "its values are classes; `regression` predicts numbers")
            )
        case "classes_as_numbers":
            return replace(
                plan, task=("regression", "its values are numbers; `classification` predicts classes")
            )
        case "labels_as_classes":
            return replace(plan, task=("multilabel", _SEVERAL))
        case "cut" | "unknown_tokens":
            return plan
    if is_target or not name or name == plan.text:
        return plan
    match odd.kind:
        case "id" if not plan.id and name not in plan.types:
            return replace(plan, id=name)
        case "id":
            return _dropped(plan, name, "differs in nearly every row, like an id")
        case "constant":
            return _dropped(plan, name, "has one value")
        case "leak":
            return _dropped(
                plan, name, "tells the target alone: keep it only if it is known before the target"
            )
        case "duplicate":
            return _dropped(plan, name, f"says the same as {odd.columns[0]}")
        case "date" if name in plan.types or "datetime" not in odd.text:
            return _dropped(plan, name, "holds dates in a form that is not read")
        case "date":
            return _typed(plan, (name,), "datetime", "its numbers are dates")
        case "numbers_as_text":
            return _typed(
                plan, (name,), "category", "not all its values are numbers: correct them, or keep categories"
            )
    return plan


def _column_of(plan: DataPlan, odd: Oddity) -> str:
    """The column that a key about an oddity names; empty: none, as for one of the inputs of a date."""
    if not odd.columns or odd.columns[-1] in plan.columns:
        return odd.columns[-1] if odd.columns else ""
    date = odd.columns[-1].rpartition(".")[0]
    is_whole = odd.kind == "leak" or (odd.kind == "duplicate" and odd.columns[0] not in plan.columns)
    return date if date in plan.columns and is_whole else ""


def _dropped(plan: DataPlan, name: str, why: str) -> DataPlan:
    if name == plan.id:
        return plan
    types = {key: kind for key, kind in plan.types.items() if key != name}
    return replace(plan, drop={**plan.drop, name: why}, types=types)


def _typed(plan: DataPlan, names: Iterable[str], kind: str, why: str) -> DataPlan:
    new = {name: (kind, why) for name in names if name != plan.target and name not in plan.types}
    return replace(plan, types={**plan.types, **new})


def _screened(plan: DataPlan, columns: Columns) -> DataPlan:
    """The plan after a look at each column alone: the texts, the dates, and the columns that cannot be used."""
    texts: dict[str, list[str]] = {}
    if columns.kinds.get(plan.target) == "text" and _are_labels(columns.values[plan.target].tolist()):
        plan = replace(plan, task=("multilabel", _SEVERAL))
    for name in columns.names:
        if name == plan.target:
            continue
        problem = next((one for one in columns.problems if one.short.startswith(f"`{name}` ")), None)
        if problem is not None:
            plan = _dropped(plan, name, problem.short.removeprefix(f"`{name}` "))
        elif columns.kinds.get(name) == "text":
            recognised = form_of(columns, name, ColumnSettings())
            if recognised.is_ambiguous:
                plan = _typed(
                    plan, (name,), "dmy", "its dates have two readings: check whether the day comes first"
                )
            elif recognised.form is None:
                texts[name] = [value for value in columns.values[name].tolist() if value is not None]
    n_others = len(columns.names) - 1 - len(plan.drop)
    plan = _with_text(plan, texts, is_alone=n_others == 1)
    for name, values in texts.items():
        n_values = len({*values})
        if name == plan.text or n_values <= MAX_CATEGORIES:
            continue
        if n_values < _MOSTLY_ID * len(values) and n_values <= MAX_CODES:
            plan = replace(plan, needs_embedding=True)
        elif plan.id or len(values) < len(columns.row_numbers):
            plan = _dropped(plan, name, f"has {n_values:,} different texts, like a name or an id")
        else:
            plan = replace(plan, id=name)
    return plan


def _are_labels(values: Sequence[str | None]) -> bool:
    """Whether texts such as ``red|round`` hold several labels, which are fewer than the texts."""
    texts = {value for value in values if value is not None}
    n_joined = sum("|" in text or ";" in text for text in texts)
    return n_joined >= 2 and len(set[str]().union(*map(labels_of, texts))) < len(texts)


def _with_text(plan: DataPlan, columns: Mapping[str, list[str]], *, is_alone: bool) -> DataPlan:
    """The plan with the column of the longest texts, if one holds sentences or is the only column."""
    found: tuple[float, str, list[str]] | None = None
    for name, texts in columns.items():
        if not texts or len({*texts}) < _MOSTLY_OWN * len(texts):
            continue
        n_words = float(np.mean([len(text.split()) for text in texts[:1000]]))
        if found is None or n_words > found[0]:
            found = (n_words, name, texts)
    if found is None or not (found[0] >= _SENTENCE_WORDS or is_alone):
        return plan
    n_words, name, texts = found
    is_sentence = n_words >= _SENTENCE_WORDS
    lengths = [len(re.findall(r"\w+|[^\w\s]", text)) if is_sentence else len(text) for text in texts]
    most = min(_MOST_TOKENS, int(np.quantile(lengths, 0.98)) + 1)
    return replace(
        plan, text=name, tokens="words" if is_sentence else "characters", max_length=-(-most // 8) * 8
    )


def _with_figures(plan: DataPlan, folder: Path) -> DataPlan:
    """The plan with the facts that its ranges depend on."""
    table = read_source(Data.model_validate(plan.data()), folder)
    is_skewed = has_outliers = False
    if table.row_kind == "features" and table.x.size:
        x_NF = np.asarray(table.x[:5000], dtype=np.float64)
        with np.errstate(all="ignore"):
            low, middle, high = np.nanquantile(x_NF, [0.05, 0.5, 0.95], axis=0)
            is_skewed = bool(((high - middle) > 4 * np.maximum(middle - low, 1e-12)).any())
    if table.task == "regression" and table.y.ndim == 1:
        low, middle, high = np.quantile(table.y, [0.25, 0.5, 0.75])
        has_outliers = bool(np.abs(table.y - middle).max() > 10 * max(high - low, 1e-12))
    return replace(plan, group=_group(plan, table), is_skewed=is_skewed, has_outliers=has_outliers)


def _group(plan: DataPlan, table: Table) -> str:
    """A column of text whose name and repeated values look like groups of rows."""
    for column in table.text:
        counts = Counter(value for value in column.values.tolist() if value)
        if _GROUP.search(column.name) and 5 <= len(counts) <= len(table.y) / 2:
            return column.name
    return ""
