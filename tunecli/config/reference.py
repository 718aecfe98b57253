"""A Markdown table of every key under ``trial``.

The table is derived from the pydantic models, so it matches the program.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunecli.config.model_paths import models_in, names_of
from tunecli.config.schema import TrialConfig


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key: its path under ``trial``, its possible values, and its default."""

    key: str
    values: str
    default: str


def key_rows(model: type[BaseModel] = TrialConfig, prefix: str = "") -> Iterator[KeyRow]:
    """The keys of a model of knobs, in its order, with one row per family of named knobs.

    A family that several members share (a model's ``activation``) has a row of its own.
    """
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        members = [*models_in(field.annotation)]
        if len(members) == 1 and not names_of(members[0]):
            yield from key_rows(members[0], f"{key}.")
            continue
        yield KeyRow(key, _values(field), _default(field))
        inner: dict[str, list[FieldInfo]] = {}
        for member in members:
            for inner_name, inner_field in member.model_fields.items():
                if any(names_of(inner_model) for inner_model in models_in(inner_field.annotation)):
                    inner.setdefault(inner_name, []).append(inner_field)
        for inner_name, fields in inner.items():
            defaults = dict.fromkeys(map(_default, fields))
            yield KeyRow(f"{key}.{inner_name}", _values(fields[0]), " or ".join(defaults))


def markdown_table() -> str:
    """The keys as a Markdown table."""
    lines = ["| key | values | default |", "|---|---|---|"]
    lines += [f"| `{row.key}` | {row.values} | {row.default} |" for row in key_rows()]
    return "\n".join(lines) + "\n"


def _values(field: FieldInfo) -> str:
    members = [*models_in(field.annotation)]
    if not members:
        return ", ".join(dict.fromkeys(_kinds(field.annotation, field.metadata)))
    is_list = any(part is list for part in _origins(field.annotation))
    named = [set(member.model_fields) - {"name"} for member in members if "python" not in names_of(member)]
    shared = set.intersection(*named) if len(named) > 2 else set()
    text_of_members = ", ".join(text for member in members for text in _member(member, shared))
    shared_names = [name for name in members[0].model_fields if name in shared]
    text_of_members += f"; each with {', '.join(shared_names)}" if shared_names else ""
    return f"a list of {text_of_members}" if is_list else text_of_members


def _member(member: type[BaseModel], shared: set[str]) -> Iterator[str]:
    arguments = [
        _argument(name, field)
        for name, field in member.model_fields.items()
        if name != "name" and name not in shared
    ]
    for name in names_of(member):
        if name == "python":
            yield "`{python: …, args: …}`"
        else:
            yield f"`{name}`" + (f" ({', '.join(arguments)})" if arguments else "")


def _argument(name: str, field: FieldInfo) -> str:
    """The name of an argument, with the keys below it if it is a map."""
    below = [
        key for model in models_in(field.annotation) if not names_of(model) for key in model.model_fields
    ]
    return f"{name}: {{{', '.join(below)}}}" if below else name


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
