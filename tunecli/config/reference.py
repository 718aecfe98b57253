"""Markdown tables of every key of a file.

The tables are derived from the pydantic models, so they match the program.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunecli.config.json_schema.documentation import described_names, documentation
from tunecli.config.json_schema.range_definitions import range_texts
from tunecli.config.metric_names import MetricSettings
from tunecli.config.metrics import METRIC_LINES, METRICS
from tunecli.config.model_paths import fields_of, models_in, names_of
from tunecli.config.objectives import Aim
from tunecli.config.schema import CommandTrial, FunctionTrial, TrialConfig
from tunecli.config.schema.user_code import UserCode
from tunecli.config.study import StudySettings
from tunecli.knob import Values

_MOST_VALUES = 8


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key, or one name of a family: the values and the default of a key, and its meaning."""

    key: str
    values: str
    default: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """The keys of one group, in the order of the file."""

    title: str
    rows: tuple[KeyRow, ...]
    columns: tuple[str, str, str, str] = ("key", "values", "default", "meaning")


def sections() -> tuple[Section, ...]:
    """Every key of a file, by group; the names of a family have a section of their own, once."""
    by_title: dict[str, Section] = {}
    for section in _sections():
        by_title.setdefault(section.title, section)
    return tuple(by_title.values())


def _sections() -> Iterator[Section]:
    settings = StudySettings.model_fields
    yield Section("The file", tuple(_row(StudySettings, key, "") for key in ("study", "seed")))
    for key in ("objective", "search", "run"):
        yield from _group(settings[key], key, f"`{key}`")
    for key, field in TrialConfig.model_fields.items():
        if models_in(field.annotation):
            yield from _group(field, key, f"`trial.{key}`")
    yield Section("`trial.seed`", (_row(TrialConfig, "seed", ""),))
    for title, model in (
        ("Your own function: `trial`", FunctionTrial),
        ("Your own command: `trial`", CommandTrial),
    ):
        rows, families = _keys(model, "")
        yield Section(title, tuple(rows))
        yield from families
    metrics = (
        KeyRow(
            f"`{name}`",
            ", ".join(facts.tasks),
            "maximize" if facts.maximize else "minimize",
            METRIC_LINES[name],
        )
        for name, facts in METRICS.items()
    )
    yield Section("Metrics: `objective.metric`", tuple(metrics), ("metric", "tasks", "better", "meaning"))
    words = (KeyRow(f"`{word}`", "", "", text) for word, text in range_texts().items())
    yield Section("Ranges", tuple(words), ("word", "", "", "meaning"))


def markdown_table() -> str:
    """The keys as Markdown: a table for each section."""
    parts = []
    for section in sections():
        rows = [(row.key, row.values, row.default, row.text) for row in section.rows]
        shown = [column for column in range(4) if any(row[column] for row in rows)]
        lines = [f"## {section.title}", "", _line(section.columns, shown), "|---" * len(shown) + "|"]
        lines += [_line(row, shown) for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _group(field: FieldInfo, path: str, title: str) -> Iterator[Section]:
    members = models_in(field.annotation)
    if any(names_of(member) for member in members):
        yield _family(field, title)
        for member in members:
            yield from _keys(member, f"{path}.")[1]
        return
    rows: dict[str, KeyRow] = {}
    families: list[Section] = []
    for member in members:
        own, inner = _keys(member, f"{path}.")
        rows |= {row.key: row for row in own if row.key not in rows}
        families += [section for section in inner if section not in families]
    yield Section(title, tuple(rows.values()))
    yield from families


def _keys(model: type[BaseModel], prefix: str) -> tuple[list[KeyRow], list[Section]]:
    """The rows of a model's keys and of those below them, and the sections of the families that they name."""
    rows: list[KeyRow] = []
    families: list[Section] = []
    for key, field in fields_of(model).items():
        if key == "name":
            continue
        rows.append(_row(model, key, prefix))
        members = models_in(field.annotation)
        if any(names_of(member) for member in members if member is not UserCode):
            families.append(_family(field, f"`{prefix}{key}`"))
            continue
        for member in members:
            if member in (UserCode, MetricSettings) or model is Aim:
                continue
            below, inner = _keys(member, f"{prefix}{key}.")
            rows += below
            families += inner
    return rows, families


def _family(field: FieldInfo, title: str) -> Section:
    """The names of a family, each with the keys beside it."""
    members = models_in(field.annotation)
    has_settings = {name for member in members for name in names_of(member)}
    rows = [
        KeyRow(f"**`{value}`**", "", "", text)
        for value, text in _texts_of_values(field.annotation, field.metadata)
        if value not in has_settings
    ]
    for member in members:
        for name, text in described_names(member).items():
            rows.append(KeyRow(f"**`{name}`**", "", "", text))
        rows += [_row(member, key, "") for key in fields_of(member) if key != "name"]
    return Section(title, tuple(rows))


def _texts_of_values(annotation: Any, metadata: list[Any]) -> Iterator[tuple[Any, str]]:
    for part in metadata:
        if isinstance(part, Values):
            yield from part.texts
    for part in typing.get_args(annotation):
        inner = typing.get_args(part)[1:] if typing.get_origin(part) is typing.Annotated else ()
        yield from _texts_of_values(part, list(inner))


def _row(model: type[BaseModel], key: str, prefix: str) -> KeyRow:
    field = fields_of(model)[key]
    text = documentation(model)[1].get(key, "")
    return KeyRow(f"`{prefix}{key}`", _values(field), _default(field), text)


def _line(cells: tuple[str, ...], shown: list[int]) -> str:
    return (
        "| " + " | ".join(cells[column].replace("|", "\\|").replace("\n\n", " ") for column in shown) + " |"
    )


def _values(field: FieldInfo) -> str:
    members = models_in(field.annotation)
    kinds = [] if members else list(dict.fromkeys(_kinds(field.annotation, field.metadata)))
    if members:
        is_list = any(part is list for part in _origins(field.annotation))
        is_named = any(map(names_of, members))
        kinds = [("a list of names or maps" if is_list else "a name or a map") if is_named else "a map"]
    return ", ".join(kinds if len(kinds) <= _MOST_VALUES else [*kinds[:_MOST_VALUES], "…"])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, BaseModel):
        names = names_of(type(value))
        said = {key: getattr(value, key) for key in value.model_fields_set if key != "name"}
        text = (
            names[0]
            if names and not said
            else ", ".join(f"{key}: {setting}" for key, setting in said.items())
        )
        return f"`{text}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kinds(annotation: Any, metadata: list[Any]) -> Iterator[str]:
    """The possible values of a field that is not a knob, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        yield from (f"`{str(option).lower() if option is True else option}`" for option in arguments)
    elif origin is typing.Annotated:
        yield from _kinds(
            arguments[0],
            [
                *metadata,
                *(part for argument in arguments[1:] for part in _flat(argument)),
            ],
        )
    elif origin is list:
        yield "a list of " + ", ".join(_kinds(arguments[0], []))
    elif annotation is bool:
        yield "`true`, `false`"
    elif annotation in (int, float):
        yield ("a whole number" if annotation is int else "a number") + _bounds(metadata)
    elif annotation is str:
        yield "text"
    else:
        yield from (kind for part in arguments if part is not type(None) for kind in _kinds(part, metadata))


def _flat(annotation: Any) -> list[Any]:
    return annotation.metadata if isinstance(annotation, FieldInfo) else [annotation]


def _bounds(metadata: list[Any]) -> str:
    words = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
    limits = [
        f"{sign} {getattr(part, name):g}"
        for part in metadata
        for kind, (sign, name) in words.items()
        if isinstance(part, kind) and getattr(part, name) < 10**6
    ]
    return f" {' and '.join(limits)}" if limits else ""


def _origins(annotation: Any) -> Iterator[Any]:
    yield typing.get_origin(annotation)
    for part in typing.get_args(annotation):
        yield from _origins(part)
