"""Every key under ``trial`` and what it may be, read off the knobs themselves, so that it cannot drift from them."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunecli.config.schema import TrialConfig


@dataclass(frozen=True, slots=True)
class Row:
    """One key: its path under ``trial``, what it may be, and what it is where nothing is said."""

    key: str
    values: str
    default: str


def rows(model: type[BaseModel] = TrialConfig, prefix: str = "") -> Iterator[Row]:
    """The keys of a model of knobs, in its order, each family of named knobs as one row.

    What several members of a family share and is itself a family (a model's ``activation``) has a row of its own.
    """
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        members = [*_models(field.annotation)]
        if len(members) == 1 and not _names(members[0]):
            yield from rows(members[0], f"{key}.")
            continue
        yield Row(key, _values(field), _default(field))
        inner: dict[str, list[FieldInfo]] = {}
        for member in members:
            for inner_name, inner_field in member.model_fields.items():
                if any(_names(each) for each in _models(inner_field.annotation)):
                    inner.setdefault(inner_name, []).append(inner_field)
        for inner_name, fields in inner.items():
            defaults = dict.fromkeys(map(_default, fields))
            yield Row(f"{key}.{inner_name}", _values(fields[0]), " or ".join(defaults))


def markdown() -> str:
    """The keys as a Markdown table."""
    lines = ["| key | what it may be | default |", "|---|---|---|"]
    lines += [f"| `{row.key}` | {row.values} | {row.default} |" for row in rows()]
    return "\n".join(lines) + "\n"


def _values(field: FieldInfo) -> str:
    members = [*_models(field.annotation)]
    if not members:
        return ", ".join(dict.fromkeys(_kinds(field.annotation, field.metadata)))
    is_list = any(part is list for part in _origins(field.annotation))
    named = [set(member.model_fields) - {"name"} for member in members if "python" not in _names(member)]
    shared = set.intersection(*named) if len(named) > 2 else set()
    found = ", ".join(text for member in members for text in _member(member, shared))
    told = [name for name in members[0].model_fields if name in shared]
    found += f"; each with {', '.join(told)}" if told else ""
    return f"a list of {found}" if is_list else found


def _member(member: type[BaseModel], shared: set[str]) -> Iterator[str]:
    arguments = [
        _argument(name, field)
        for name, field in member.model_fields.items()
        if name != "name" and name not in shared
    ]
    for name in _names(member):
        if name == "python":
            yield "`{python: …, args: …}`"
        else:
            yield f"`{name}`" + (f" ({', '.join(arguments)})" if arguments else "")


def _argument(name: str, field: FieldInfo) -> str:
    """An argument's name, with the keys below it where it is a map."""
    below = [key for model in _models(field.annotation) if not _names(model) for key in model.model_fields]
    return f"{name}: {{{', '.join(below)}}}" if below else name


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, BaseModel):
        names = _names(type(value))
        said = {key: getattr(value, key) for key in value.model_fields_set if key != "name"}
        text = names[0] if names and not said else ", ".join(f"{key}: {each}" for key, each in said.items())
        return f"`{text}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kinds(annotation: Any, metadata: list[Any]) -> Iterator[str]:
    """What a value that is no knob may be, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        yield from (f"`{str(option).lower() if option is True else option}`" for option in arguments)
    elif origin is typing.Annotated:
        yield from _kinds(
            arguments[0], [*metadata, *(part for each in arguments[1:] for part in _flat(each))]
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
    found = [
        f"{sign} {getattr(part, name):g}"
        for part in metadata
        for kind, (sign, name) in words.items()
        if isinstance(part, kind) and getattr(part, name) < 10**6
    ]
    return f" {' and '.join(found)}" if found else ""


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)


def _origins(annotation: Any) -> Iterator[Any]:
    yield typing.get_origin(annotation)
    for part in typing.get_args(annotation):
        yield from _origins(part)


def _names(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("name")
    return typing.get_args(field.annotation) if field else ()
