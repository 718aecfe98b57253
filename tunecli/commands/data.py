"""A study's data as `check`, `search` and `train` show it before a trial runs: lines, notes and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from typing import Any

from tunecli.config.concrete_trial import concrete, points_to_check, resolve_trial
from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import names_in, redacted
from tunecli.config.study import StudySpec
from tunecli.train.data.notes import listed, short
from tunecli.train.data.summary import DataSummary, summary_of

_MAX_DATA_SETS = 4
_MAX_POINTS = 200
_NOT_READ = {"augment", "balance", "normalize"}
"""Knobs that no summary depends on."""
_MAX_CLASSES = 6
_MAX_COLUMNS = 6
_MAX_FIRST_NOTES = 3
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
    for number, one in enumerate(summaries, start=1):
        label = "data" if len(summaries) == 1 else f"data {number}"
        lines.append((label, _read(one)))
        if one.task is not None:
            lines.append(("target", _target(one)))
        if one.is_read:
            lines.append(("inputs", _inputs(one)))
        if one.missing:
            lines.append(("missing", _missing(one)))
        if one.left_out:
            lines.append(("left out", f"columns {listed(one.left_out, _MAX_COLUMNS)}"))
    return lines


def data_notes(summaries: Sequence[DataSummary]) -> tuple[str, ...]:
    """Notes on oddities of the data and on decisions made while reading them, each once."""
    notes = [
        text
        for one in summaries
        for text in (*(odd.text for odd in one.oddities), *(n.text for n in one.notes))
    ]
    return tuple(dict.fromkeys(notes))


def first_lines(summaries: Sequence[DataSummary]) -> list[str]:
    """A short form of both, for the start of a sweep or of a training."""
    lines = [f"{label}: {text}" for label, text in data_lines(summaries[:1])]
    if len(summaries) > 1:
        lines.append(
            f"data: trials have {len(summaries)} or more data sets; `tunecli check` shows each of them"
        )
    odd = [odd.text for one in summaries for odd in one.oddities]
    unasked = [note.text for one in summaries for note in one.notes if not note.is_detail]
    notes = list(dict.fromkeys((*odd, *unasked)))
    lines += [f"note: {note}" for note in notes[:_MAX_FIRST_NOTES]]
    if len(notes) > _MAX_FIRST_NOTES:
        n_more = len(notes) - _MAX_FIRST_NOTES
        lines.append(f"note: {n_more} more {'note' if n_more == 1 else 'notes'} on the data: `tunecli check`")
    return lines


def data_json(summaries: Sequence[DataSummary]) -> list[dict[str, Any]]:
    """The data sets as JSON data."""
    return [_as_data(one) for one in summaries]


def _as_data(one: DataSummary) -> dict[str, Any]:
    return {
        "source": one.source,
        "is_read": one.is_read,
        "n_examples": one.n_examples if one.is_read else None,
        "task": one.task,
        "why": one.why,
        "target": one.target or None,
        "n_classes": len(one.class_counts),
        "classes": [{"name": name, "n_examples": n} for name, n in one.class_counts[:_MAX_IN_JSON]],
        "target_range": None if one.target_range is None else list(one.target_range),
        "inputs": None
        if one.inputs is None
        else {"kind": one.inputs.kind, "shape": list(one.inputs.shape), "n_tokens": one.inputs.n_tokens},
        "n_numbers": one.n_numbers,
        "text_columns": [{"name": name, "n_categories": n} for name, n in one.n_categories],
        "prose": one.prose or None,
        "parts": [{"n_train": n_train, "n_valid": n_valid} for n_train, n_valid in one.parts],
        "validation": one.validation,
        "n_test": one.n_test,
        "left_out": list(one.left_out),
        "missing": [
            {"column": each.column, "n_missing": each.n_missing, "rule": each.rule} for each in one.missing
        ],
        "oddities": [
            {"kind": odd.kind, "columns": list(odd.columns), "text": odd.text} for odd in one.oddities
        ],
        "notes": [
            {
                "kind": note.kind,
                "columns": list(note.columns),
                "values": [{"value": value, "n": n} for value, n in note.values],
                "place": note.place,
                "text": note.text,
            }
            for note in one.notes
        ],
        "n_rows_checked": one.n_checked,
    }


def _read(one: DataSummary) -> str:
    if not one.is_read:
        return f"{one.source}: your own function, which runs once trials do; validated by {one.validation}"
    parts = _parts(one)
    if one.n_test is None:
        parts += ", a test part of its own"
    elif one.n_test:
        parts += f", {one.n_test:,} test"
    return f"{one.source}, {_counted(one.n_examples, 'example')}: {parts}"


def _parts(one: DataSummary) -> str:
    trains = sorted({n_train for n_train, _ in one.parts})
    validates = sorted({n_valid for _, n_valid in one.parts})
    how = one.validation if len(one.parts) == 1 else f"{len(one.parts)} folds"
    return f"{_span(trains)} train, {_span(validates)} validate ({how})"


def _target(one: DataSummary) -> str:
    named = f"'{short(one.target)}', " if one.target else ""
    told = f"{named}{one.task}"
    if one.class_counts:
        classes = one.class_counts[:_MAX_CLASSES]
        more = len(one.class_counts) - len(classes)
        counted = ", ".join(f"'{short(name)}' {n:,}" for name, n in classes) + (
            f" and {more:,} more" if more else ""
        )
        told += f", {len(one.class_counts):,} classes: {counted}"
    elif one.target_range is not None:
        told += f", from {one.target_range[0]:g} to {one.target_range[1]:g}"
    return f"{told} ({one.why})"


def _inputs(one: DataSummary) -> str:
    assert one.inputs is not None
    shape = " × ".join(map(str, one.inputs.shape))
    if one.prose:
        n_tokens = one.inputs.n_tokens
        return f"the characters of '{short(one.prose)}', at most {shape} of them, {n_tokens} different tokens"
    if one.inputs.kind != "features" or one.n_numbers is None:
        kinds = {"features": "values", "sequence": "sequences (steps × values)", "image": "images"}
        if one.inputs.n_tokens:
            return f"{shape} tokens, {one.inputs.n_tokens} different ones"
        return f"{shape} {kinds[one.inputs.kind]}"
    told = [_counted(one.n_numbers, "number")] if one.n_numbers or not one.n_categories else []
    if one.n_categories:
        columns = _listed([f"'{short(name)}' {n}" for name, n in one.n_categories])
        n_columns = _counted(len(one.n_categories), "text column")
        told.append(f"{n_columns} one-hot, by categories: {columns}")
        return f"{'; '.join(told)}; {shape} values in all"
    return told[0]


def _missing(one: DataSummary) -> str:
    by_rule: dict[str, list[str]] = {}
    for each in one.missing:
        by_rule.setdefault(each.rule, []).append(f"'{short(each.column)}' {each.n_missing:,}")
    told = [f"{_listed(columns)} ({rule})" for rule, columns in by_rule.items()]
    return "; ".join(told)


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _MAX_COLUMNS
    return ", ".join(texts[:_MAX_COLUMNS]) + (f" and {more:,} more" if more > 0 else "")


def _span(numbers: Sequence[int]) -> str:
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
