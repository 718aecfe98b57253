"""A study's data as `check`, `search` and `train` show it before a trial runs: lines, notes and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from itertools import islice
from typing import Any

from tunecli.config.concrete_trial import concrete, points_to_check, resolve_trial
from tunecli.config.schema import TrialConfig
from tunecli.config.schema.data import TokenKind
from tunecli.config.secrets import names_in, redacted
from tunecli.config.study import StudySpec
from tunecli.text import counted
from tunecli.train.data.notes import listed, short
from tunecli.train.data.series import SeriesFacts
from tunecli.train.data.summary import DataSummary, summary_of
from tunecli.train.data.text_facts import TextFacts

_MAX_DATA_SETS = 4
_MAX_POINTS = 200
_NOT_READ = {"augment", "balance", "normalize"}
"""Knobs that no summary depends on."""
_MAX_CLASSES = 6
_MAX_COLUMNS = 6
_MAX_FIRST_NOTES = 3
_UNITS: dict[TokenKind, str] = {"characters": "characters", "words": "words", "bpe": "parts of words"}
_MAX_IN_JSON = 100


def data_of(spec: StudySpec) -> tuple[DataSummary, ...]:
    """A summary of each data set that trials may have, at most `_MAX_DATA_SETS`; empty for the user's own trial.

    A summary shows ``${env:NAME}``, never the variable's value.

    Raises:
        DataError: the data cannot be read or split.
    """
    summaries: dict[str, DataSummary] = {}
    for point in islice(points_to_check(spec.space), _MAX_POINTS):
        trial = resolve_trial(spec.space, point)
        if not isinstance(trial, TrialConfig):
            continue
        identity = trial.data.model_dump_json(exclude=_NOT_READ)
        if identity not in summaries:
            names = [*names_in(concrete(spec.space, point))]
            summary = summary_of(trial.data, spec.base_path, spec.settings.seed)
            summaries[identity] = _redacted(summary, names)
        if len(summaries) == _MAX_DATA_SETS:
            break
    return tuple(summaries.values())


def _redacted(value: Any, names: Iterable[str]) -> Any:
    """The value with every text in it redacted."""
    if not names:
        return value
    match value:
        case str():
            return redacted(value, names)
        case tuple() if hasattr(value, "_fields"):
            return value
        case tuple():
            return tuple(_redacted(item, names) for item in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            changed = {item.name: _redacted(getattr(value, item.name), names) for item in fields(value)}
            return replace(value, **changed)
        case _:
            return value


def data_lines(summaries: Sequence[DataSummary]) -> list[tuple[str, str]]:
    """Labelled lines on each data set: source, parts, target, inputs, missing values, columns left out."""
    lines: list[tuple[str, str]] = []
    for number, summary in enumerate(summaries, start=1):
        label = "data" if len(summaries) == 1 else f"data {number}"
        lines.append((label, _read(summary)))
        if summary.task is not None:
            lines.append(("target", _target(summary)))
        if summary.is_read:
            lines.append(("inputs", _inputs(summary)))
        if summary.n_effective is not None:
            text = f"the examples count as much as {summary.n_effective:,.0f} of equal weight"
            lines.append(("weights", text))
        if summary.series is not None:
            lines.append(("series", _series(summary.series)))
        if summary.texts is not None:
            lines.append(("texts", _texts(summary.texts)))
        if summary.roles:
            roles = [f"{role} '{short(name)}'" for role, name in summary.roles]
            lines.append(("roles", _listed(roles)))
        if summary.missing:
            lines.append(("missing", _missing(summary)))
        if summary.left_out:
            lines.append(("left out", f"columns {listed(summary.left_out, _MAX_COLUMNS)}"))
    return lines


def data_notes(summaries: Sequence[DataSummary]) -> tuple[str, ...]:
    """Notes on oddities of the data and on decisions made while reading them, each once."""
    notes = [
        text
        for summary in summaries
        for text in (*(odd.text for odd in summary.oddities), *(n.text for n in summary.notes))
    ]
    return tuple(dict.fromkeys(notes))


def first_lines(summaries: Sequence[DataSummary]) -> list[str]:
    """A short form of both, for the start of a sweep or of a training."""
    lines = [f"{label}: {text}" for label, text in data_lines(summaries[:1])]
    if len(summaries) > 1:
        lines.append(
            f"data: trials have {len(summaries)} or more data sets; `tunecli check` shows each of them"
        )
    odd = [odd.text for summary in summaries for odd in summary.oddities]
    unasked = [note.text for summary in summaries for note in summary.notes if not note.is_detail]
    notes = list(dict.fromkeys((*odd, *unasked)))
    lines += [f"note: {note}" for note in notes[:_MAX_FIRST_NOTES]]
    if len(notes) > _MAX_FIRST_NOTES:
        n_more = len(notes) - _MAX_FIRST_NOTES
        lines.append(f"note: {n_more} more {'note' if n_more == 1 else 'notes'} on the data: `tunecli check`")
    return lines


def data_json(summaries: Sequence[DataSummary]) -> list[dict[str, Any]]:
    """The data sets as JSON data."""
    return [_as_data(summary) for summary in summaries]


def _as_data(summary: DataSummary) -> dict[str, Any]:
    return {
        "source": summary.source,
        "is_read": summary.is_read,
        "n_examples": summary.n_examples if summary.is_read else None,
        "task": summary.task,
        "why": summary.why,
        "target": summary.target or None,
        "n_targets": summary.n_targets,
        "n_effective": summary.n_effective,
        "n_classes": len(summary.class_counts),
        "classes": [{"name": name, "n_examples": n} for name, n in summary.class_counts[:_MAX_IN_JSON]],
        "target_range": None if summary.target_range is None else list(summary.target_range),
        "inputs": None
        if summary.inputs is None
        else {
            "kind": summary.inputs.kind,
            "shape": list(summary.inputs.shape),
            "n_tokens": summary.inputs.n_tokens,
        },
        "n_numbers": summary.n_numbers,
        "text_columns": [{"name": name, "n_categories": n} for name, n in summary.n_categories],
        "prose": summary.texts.column if summary.texts else None,
        "series": None if summary.series is None else asdict(summary.series),
        "texts": None if summary.texts is None else _texts_as_data(summary.texts),
        "parts": [{"n_train": n_train, "n_valid": n_valid} for n_train, n_valid in summary.parts],
        "validation": summary.validation,
        "n_test": summary.n_test,
        "n_left_out": summary.n_left_out,
        "left_out": list(summary.left_out),
        "roles": [{"role": role, "column": name} for role, name in summary.roles],
        "dates": [{"column": name, "n_inputs": n} for name, n in summary.dates],
        "missing": [
            {"column": column.column, "n_missing": column.n_missing, "rule": column.rule}
            for column in summary.missing
        ],
        "oddities": [
            {"kind": odd.kind, "columns": list(odd.columns), "text": odd.text} for odd in summary.oddities
        ],
        "notes": [
            {
                "kind": note.kind,
                "columns": list(note.columns),
                "values": [{"value": value, "n": n} for value, n in note.values],
                "place": note.place,
                "text": note.text,
            }
            for note in summary.notes
        ],
        "n_rows_checked": summary.n_checked,
    }


def _read(summary: DataSummary) -> str:
    if not summary.is_read:
        return f"{summary.source}: your own function, which runs when trials start; validated by {summary.validation}"
    parts = _parts(summary)
    if summary.n_test is None:
        parts += ", a separate test set"
    elif summary.n_test:
        parts += f", {summary.n_test:,} test"
    if summary.n_left_out:
        parts += f", {summary.n_left_out:,} in no part"
    return f"{summary.source}, {counted(summary.n_examples, 'example')}: {parts}"


def _parts(summary: DataSummary) -> str:
    trains = sorted({n_train for n_train, _ in summary.parts})
    validates = sorted({n_valid for _, n_valid in summary.parts})
    return f"{_span(trains)} train, {_span(validates)} validate ({summary.validation})"


def _target(summary: DataSummary) -> str:
    named = "".join(f"'{short(name)}', " for name in summary.targets or (summary.target,) if name)
    text = f"{named}{summary.task}"
    if summary.class_counts:
        classes = summary.class_counts[:_MAX_CLASSES]
        more = len(summary.class_counts) - len(classes)
        names = ", ".join(f"'{short(name)}' {n:,}" for name, n in classes) + (
            f" and {more:,} more" if more else ""
        )
        text += f", {len(summary.class_counts):,} {'labels' if summary.task == 'multilabel' else 'classes'}: {names}"
    elif summary.target_range is not None:
        text += f", from {summary.target_range[0]:g} to {summary.target_range[1]:g}"
    elif summary.n_targets > 1:
        text += f", {summary.n_targets} targets"
    return f"{text} ({summary.why})"


def _inputs(summary: DataSummary) -> str:
    assert summary.inputs is not None
    inputs = summary.inputs
    shape = " × ".join(map(str, inputs.shape))
    if inputs.kind == "tokens":
        return (
            f"{shape} tokens, {inputs.n_tokens} different ones" if summary.texts is None else _text(summary)
        )
    if summary.n_numbers is None:
        kinds = {"features": "values", "sequence": "sequences (steps × values)", "image": "images"}
        return f"{shape} {kinds[inputs.kind]}"
    parts = [_numbers(summary)] if summary.n_numbers or not summary.n_categories else []
    if summary.n_categories:
        columns = _listed([f"'{short(name)}' {n}" for name, n in summary.n_categories])
        n_columns = counted(len(summary.n_categories), "text column")
        encoding = "embedded" if summary.inputs.categories else "one-hot"
        parts.append(f"{n_columns} {encoding}, by categories: {columns}")
    if inputs.kind == "mixed":
        parts.append(_text(summary))
    if summary.series is not None:
        return f"{inputs.shape[0]} rows of {counted(inputs.shape[1], 'value')}: {'; '.join(parts)}"
    return f"{'; '.join(parts)}; {shape} values in all" if summary.n_categories else "; ".join(parts)


def _text(summary: DataSummary) -> str:
    """``the words of 'review', at most 20 of them, 500 different tokens``."""
    facts = summary.texts
    assert facts is not None
    unit, column = _UNITS[facts.kind], short(facts.column)
    return f"the {unit} of '{column}', at most {facts.length} of them, {facts.n_tokens:,} different tokens"


def _series(facts: SeriesFacts) -> str:
    """``900 rows of 3 series; 870 windows of 24 rows, whose target is 6 rows later``."""
    rows = counted(facts.n_rows, "row")
    text = f"{rows} of {facts.n_series:,} series" if facts.n_series > 1 else f"{rows} of one series"
    text += f"; {counted(facts.n_windows, 'window')} of {counted(facts.window, 'row')}"
    text += f", whose {'last target' if facts.n_outputs > 1 else 'target'} is {counted(facts.horizon, 'row')} later"
    if facts.n_unused:
        text += f"; {counted(facts.n_unused, 'window')} between the parts left out"
    if facts.last_value_rmse is not None:
        text += f"; repeating the last value has val_rmse {facts.last_value_rmse:.4g}"
    return text


def _texts(facts: TextFacts) -> str:
    texts = [f"{facts.n_cut:,} of {counted(facts.n_texts, 'text')} cut after {facts.length:,} tokens"]
    if facts.n_empty:
        texts.append(f"{facts.n_empty:,} without a token")
    if math.isfinite(facts.unknown_fraction):
        texts.append(f"{facts.unknown_fraction:.2%} of the validation tokens unknown")
    return "; ".join(texts)


def _texts_as_data(facts: TextFacts) -> dict[str, Any]:
    known = math.isfinite(facts.unknown_fraction)
    return {**asdict(facts), "unknown_fraction": facts.unknown_fraction if known else None}


def _numbers(summary: DataSummary) -> str:
    """``7 numbers (5 of them from the dates 'sold')``."""
    assert summary.n_numbers is not None
    text = counted(summary.n_numbers, "number")
    if not summary.dates:
        return text
    n_made = sum(n_inputs for _, n_inputs in summary.dates)
    return f"{text} ({n_made} of them from the dates {listed([name for name, _ in summary.dates])})"


def _missing(summary: DataSummary) -> str:
    by_rule: dict[str, list[str]] = {}
    for column in summary.missing:
        by_rule.setdefault(column.rule, []).append(f"'{short(column.column)}' {column.n_missing:,}")
    texts = [f"{_listed(columns)} ({rule})" for rule, columns in by_rule.items()]
    return "; ".join(texts)


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _MAX_COLUMNS
    return ", ".join(texts[:_MAX_COLUMNS]) + (f" and {more:,} more" if more > 0 else "")


def _span(numbers: Sequence[int]) -> str:
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"
