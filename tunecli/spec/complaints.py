"""What pydantic says of a concrete value, in the words of a person and at the place in the file.

One validation error becomes one `Problem`: the union members that pydantic tried vanish from its path, an
unknown key is held against the keys known there, several refusals of one value are told as one.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from tunecli.errors import Problem
from tunecli.spec.expressions import Broken, Group, Numeric
from tunecli.spec.grammar import RANGE_KEYS
from tunecli.spec.knobs.base import CODE_NAME
from tunecli.spec.knobs.own import METRIC_KEY
from tunecli.spec.run import DEVICE, FOLDER
from tunecli.spec.space import Space, locate
from tunecli.spec.wording import nearest
from tunecli.trial import Parameters

_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "dict_type": "a map",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}

_PATTERNS = {
    CODE_NAME: "`module:name`, such as `mine:Net`",
    METRIC_KEY: "a metric's name: a letter, then letters, digits and `_./-`",
    DEVICE: "`auto`, `cpu`, `mps`, `cuda`, `xpu`, or one of several, such as `cuda:1`",
    FOLDER: "a folder from the root on: it begins with `/`",
}


def problems_of(
    error: ValidationError, model: type[BaseModel], space: Space, point: Parameters, prefix: str
) -> Iterator[Problem]:
    """The problems in ``error``, each at its place.

    Args:
        error: what validating the concrete tree at ``point`` raised.
        model: the model it was validated against.
        space, point: where the concrete tree came from.
        prefix: what parameter paths begin with, ``trial`` or nothing.
    """
    by_place: dict[tuple[str | int, ...], list[dict[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        taken, _ = locate(space, point, detail["loc"])
        missing = detail["loc"][-1:] if detail["type"] == "missing" else ()
        by_place.setdefault((*taken, *missing), []).append(dict(detail))
    for place, details in by_place.items():
        taken, found = locate(space, point, place)
        if isinstance(found, Broken):
            continue
        mark = found.mark
        message, hint = _worded(details, model)
        if details[0]["type"] == "extra_forbidden" or "[key]" in details[0]["loc"]:
            _, parent = locate(space, point, place[:-1])
            if isinstance(parent, Group):
                mark = parent.marks.get(str(place[-1]), mark)
        if isinstance(found, Numeric):
            hint = hint or "every value of the range must be valid"
        parameter = ".".join(str(step) for step in ((prefix,) if prefix else ()) + place)
        yield Problem(message, mark.file, mark.line, mark.column, parameter, hint)


def _worded(details: list[dict[str, Any]], model: type[BaseModel]) -> tuple[str, str]:
    wanted = [want for detail in details if (want := _wanted(detail))]
    given = details[0]["input"]
    if wanted:
        options = [word for detail in details for word in _words(detail)]
        near = nearest(given, options) if isinstance(given, str) else _meant_range(given)
        return f"must be {', or '.join(dict.fromkeys(wanted))}; this is {_shown(given)}", near
    detail = details[0]
    kind, path = detail["type"], detail["loc"]
    match kind:
        case "extra_forbidden":
            models, key = _models_at(model, path[:-1]), str(path[-1])
            known = [name for found in models for name in found.model_fields]
            absent = {name: why for found in models for name, why in _absent(found).items()}
            if key in absent:
                return f"`{key}` cannot stand here", absent[key]
            hint = nearest(key, known) or f"known here: {', '.join(dict.fromkeys(known))}"
            return f"`{key}` is not known here", hint
        case "missing":
            return f"`{path[-1]}` is missing", ""
        case "union_tag_invalid":
            tag = str(detail["ctx"]["tag"])
            options = _words(detail)
            return f"`{tag}` is not known here", nearest(tag, options) or f"one of {', '.join(options)}"
        case "union_tag_not_found":
            options = [name for found in _models_at(model, path) for name in _names(found)]
            if isinstance(path[-1], int) and isinstance(given, dict) and len(given) > 1:
                return _too_many_keys(given, options)
            if near := _meant_range(given):
                return f"{_shown(given)} does not say which it is", near
            return f"{_shown(given)} does not say which it is", f"say `name`: one of {', '.join(options)}"
        case "value_error" | "assertion_error":
            return str(detail["ctx"]["error"]), ""
        case "too_short":
            least, held = detail["ctx"]["min_length"], detail["ctx"]["actual_length"]
            return f"must hold at least {least}; this holds {held or 'none'}", ""
        case "too_long":
            most, held = detail["ctx"]["max_length"], detail["ctx"]["actual_length"]
            return f"must hold at most {most}; this holds {held}", ""
        case "string_pattern_mismatch":
            pattern = detail["ctx"]["pattern"]
            return f"must be {_PATTERNS.get(pattern, pattern)}; this is {_shown(given)}", ""
        case _:
            return f"{detail['msg']}; this is {_shown(given)}", ""


def _meant_range(given: Any) -> str:
    """The hint for a map that was to be a range, where its key was mistyped."""
    return (
        next(filter(None, (nearest(key, RANGE_KEYS) for key in given)), "") if isinstance(given, dict) else ""
    )


def _too_many_keys(given: Mapping[str, Any], options: Sequence[str]) -> tuple[str, str]:
    """A link of a chain is told by its one key."""
    message = f"a link is a map with one key, and this has {', '.join(f'`{key}`' for key in given)}"
    links, others = ([key for key in given if (key in options) is known] for known in (True, False))
    if not links:
        return message, f"one of {', '.join(options)}"
    inside = f"{{{', '.join(('…', *(f'{key}: …' for key in others)))}}}" if others else "…"
    return message, "write " + ", ".join(f"{{{link}: {inside}}}" for link in links)


def _wanted(detail: dict[str, Any]) -> str:
    kind = detail["type"]
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"{word} {detail['ctx'][key]:g}"
    if kind == "literal_error":
        return "one of " + ", ".join(f"`{word}`" for word in _words(detail))
    return ""


def _words(detail: dict[str, Any]) -> list[str]:
    context = detail.get("ctx", {})
    text = str(context.get("expected") or context.get("expected_tags") or "").replace(" or ", ", ")
    return [word.strip("'\" ") for word in text.split(",") if word.strip()]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) < 60 else "a long text"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | tuple):
        return "a map" if isinstance(value, dict) else "a list"
    return repr(value)


def _names(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("name")
    return tuple(typing.get_args(field.annotation)) if field else ()


def _absent(model: type[BaseModel]) -> Mapping[str, str]:
    """What a person might look for in a model and is not there on purpose, and why."""
    return getattr(model, "ABSENT", {})


def _models_at(model: type[BaseModel], path: Iterable[str | int]) -> list[type[BaseModel]]:
    """The models that may stand at a validator's ``path`` below ``model``."""
    found = [model]
    for step in path:
        fields = [
            each.model_fields[step] for each in found if isinstance(step, str) and step in each.model_fields
        ]
        inside = [inner for field in fields for inner in _models_in(field.annotation)]
        # a tag may be called as a field is: `python`
        found = inside or [each for each in found if step in _names(each)] or found
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
