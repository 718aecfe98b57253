"""Places in the pydantic models: the key that a path leads to, every key by name, and an example value for a key.

A validator's path contains keys, list indices and the names of union members. Each example is validated before it is
shown, so no example can be wrong.
"""

from __future__ import annotations

import copy
import json
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tunecli.config.range_lines import short_flow
from tunecli.config.schema import CommandTrial, FunctionTrial, TrialConfig
from tunecli.config.study import StudySettings
from tunecli.config.suggestions import alias
from tunecli.knob import Knob
from tunecli.registry import plugins

_DEEPEST = 6


@dataclass(frozen=True)
class Place:
    """A key of a model; ``is_item`` if the path leads on to an item of the list at that key."""

    owner: type[BaseModel]
    key: str
    field: FieldInfo
    is_item: bool


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by their keys in a file; a key that Python reserves (`if`) is an alias."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def models_at(model: type[BaseModel], path: Iterable[str | int]) -> list[type[BaseModel]]:
    """The models that a validator's ``path`` below ``model`` can lead to."""
    models = [model]
    for step in path:
        fields = [
            fields_of(member)[step]
            for member in models
            if isinstance(step, str) and step in fields_of(member)
        ]
        inside = [inner for field in fields for inner in models_in(field.annotation)]
        # a tag may be called as a field is: `python`
        models = (
            inside
            or [member for member in models if step in names_of(member)]
            or _of_plug_ins(step)
            or models
        )
    return models


def _of_plug_ins(step: str | int) -> list[type[BaseModel]]:
    """The plug-in models with the name ``step``; none if it is a built-in name or no name."""
    return [*plugins.loaded_settings(step)] if isinstance(step, str) else []


def place_at(model: type[BaseModel], path: Iterable[str | int]) -> Place | None:
    """The deepest key on a validator's ``path``; None if the path contains no key."""
    models, place = [model], None
    for step in path:
        if step == "name" and place is not None:  # a tag: no path leads to the key of that name
            continue
        if isinstance(step, int):
            place = place and Place(place.owner, place.key, place.field, is_item=True)
            continue
        owners = [member for member in models if step in fields_of(member)]
        if owners:
            place = Place(owners[0], step, fields_of(owners[0])[step], is_item=False)
            inside = [inner for owner in owners for inner in models_in(fields_of(owner)[step].annotation)]
            models = inside or models
        else:
            models = [member for member in models if step in names_of(member)] or _of_plug_ins(step) or models
    return place


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def names_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The names of a member of a family; empty if the model has no name."""
    field = model.model_fields.get("name")
    return tuple(typing.get_args(field.annotation)) if field else ()


@lru_cache(maxsize=1)
def paths_by_key() -> dict[str, tuple[str, ...]]:
    """The paths at which each key may be written, from the top level on, the shortest first."""
    all_paths: dict[str, list[str]] = {"trial": ["trial"]}
    for model, prefix in (
        (StudySettings, ""),
        (TrialConfig, "trial"),
        (FunctionTrial, "trial"),
        (CommandTrial, "trial"),
    ):
        for key, path in _paths(model, prefix, 0):
            paths = all_paths.setdefault(key, [])
            if path not in paths:
                paths.append(path)
    return {key: tuple(sorted(paths, key=lambda path: path.count("."))) for key, paths in all_paths.items()}


def _paths(model: type[BaseModel], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _DEEPEST:
        return
    for key, field in fields_of(model).items():
        if key == "name":
            continue
        path = f"{prefix}.{key}" if prefix else key
        yield key, path
        is_chain = any(part is list or typing.get_origin(part) is list for part in _parts(field.annotation))
        if not is_chain:
            for inner in models_in(field.annotation):
                yield from _paths(inner, path, depth + 1)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)


_SAMPLES: tuple[Any, ...] = (
    *("val_accuracy", "digits", "mine:train", "mine.csv", "<= 5", "/home/me", "2h", "auto"),
    *(5, 1, 0.5, 1.0, 2.0, True, [64], ["python", "train.py"], {"lr": 0.001}),
    *({"val_loss": "loss=([0-9.eE+-]+)"}, {"val_loss": "<= 5"}),
)

_USUAL: dict[str, Any] = {
    "source": "digits",
    "path": "mine.csv",
    "file": "valid.csv",
    "target": "price",
    "hidden": [64, 64],
    "python": "mine:train",
    "metric": "val_accuracy",
    "at": [10],
    "if": "tied",
    "then": "--tied",
    "else": "--tied",
}

_NO_VALUES = ("yes", "no", "on", "off", "y", "n")
_TWO_GOALS = [{"metric": "val_loss"}, {"metric": "n_parameters"}]
_MOST_MODELS = 20
_LONGEST_GIVEN = 1000


def example_of(place: Place, given: Any) -> str:
    """``key: value`` with a value that ``place`` accepts, made from the ``given`` one if possible; else empty."""
    written = json.dumps(given, default=str)
    return _example(
        place.owner, place.key, place.is_item, written if len(written) <= _LONGEST_GIVEN else "null"
    )


@lru_cache(maxsize=1024)
def _example(owner: type[BaseModel], key: str, is_item: bool, written: str) -> str:
    place = Place(owner, key, fields_of(owner)[key], is_item)
    for candidate in _candidates(place, json.loads(written)):
        if is_taken(place, candidate):
            text = short_flow(candidate)
            return text if is_item else f"{key}: {text}"
    return ""


def is_taken(place: Place, value: Any) -> bool:
    """Whether the key accepts ``value``."""
    for shaped in ([value], [value, value]) if place.is_item else (value,):
        try:
            _checker(place.owner, place.key).model_validate({place.key: shaped})
        except (ValidationError, TypeError, ValueError, RecursionError):
            continue
        return True
    return False


@lru_cache(maxsize=256)
def _checker(owner: type[BaseModel], key: str) -> type[BaseModel]:
    """A model with this key only."""
    field = copy.copy(fields_of(owner)[key])
    field.alias = field.validation_alias = key  # a key such as `json` cannot be the name of a field
    fields: dict[str, Any] = {"checked": (field.annotation, field)}
    return create_model("One", __base__=Knob, **fields)


def _candidates(place: Place, given: Any) -> Iterator[Any]:
    is_text = isinstance(given, str)
    if is_text and (words := given.split()) and len(words) > 1 and place.key == "command":
        yield words
    if not isinstance(given, list | bool) and given is not None:
        for value in (given, *_renamed(given)):
            if value is not given:
                yield value
            yield [value]
    if isinstance(given, dict) and len(given) > 1:
        yield [{key: value} for key, value in given.items()]  # links in one map
    if isinstance(given, dict):
        yield from (
            [word] for value in given.values() for word in (value, *_renamed(value)) if isinstance(word, str)
        )
    if isinstance(given, list) and all(isinstance(item, str) for item in given):
        yield {"pareto": [{"metric": item} for item in given]}
    is_text = is_text and given.lower() not in _NO_VALUES
    if place.key in _USUAL and not is_text and not isinstance(given, dict):
        yield _USUAL[place.key]
    models = models_in(place.field.annotation)[:_MOST_MODELS]
    is_chain = place.is_item or _is_list(place.field.annotation)
    made = [] if given is None or isinstance(given, bool) else [
        shaped for model in models for value in _around(model, given) for shaped in _shapes(model, value, is_chain)
    ]  # fmt: skip
    default = place.field.default
    usual = [type(default)] if isinstance(default, BaseModel) else []
    plain = [
        shaped
        for model in [*usual, *models]
        for value in _plain(model)
        for shaped in _shapes(model, value, is_chain)
    ]
    yield from made
    if isinstance(default, str | list) and default not in ("none", "auto", "off", []):
        yield default
    for value in [*made, *plain]:
        yield value
        yield [value]
    yield from _SAMPLES
    yield _TWO_GOALS
    words = list(_words(place.field.annotation))
    yield from words
    yield from ([word] for word in words)
    yield list(default) if isinstance(default, tuple) else default


def _words(annotation: Any) -> Iterator[Any]:
    """The words that an annotation allows."""
    if typing.get_origin(annotation) is typing.Literal:
        yield from typing.get_args(annotation)
    else:
        for part in typing.get_args(annotation):
            yield from _words(part)


def _is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) is list or any(map(_is_list, typing.get_args(annotation)))


def _renamed(given: Any) -> Iterator[Any]:
    """The value with another library's name replaced by ours."""
    name = given if isinstance(given, str) else given.get("name") if isinstance(given, dict) else None
    if isinstance(name, str) and (ours := alias(name)):
        yield ours


def _shapes(model: type[BaseModel], value: dict[str, Any], is_chain: bool) -> Iterator[Any]:
    """A member of a family with its name; a link of a chain as ``{name: {…}}``."""
    names = names_of(model)
    if not names:
        yield value
    elif is_chain:
        yield {names[0]: value}
    else:
        yield {"name": names[0], **value}


def _around(model: type[BaseModel], given: Any) -> Iterator[dict[str, Any]]:
    """Maps of the model with the given value under each of its keys, its own keys first."""
    names = names_of(model)
    if isinstance(given, dict):
        if len(given) == 1:  # {adamw: {lr: 1e-3}}, {warmup: 5}
            ((word, body),) = given.items()
            ours = word if word in names else alias(str(word))
            if ours in names:
                if body is None or isinstance(body, dict):
                    yield dict(body or {})
                elif not isinstance(body, list):
                    yield from ({key: body} for key in _keys(model))
        return
    if isinstance(given, list) or (isinstance(given, str) and (names or given.lower() in _NO_VALUES)):
        return
    if not names:
        yield from ({key: given} for key in _keys(model))


def _keys(model: type[BaseModel]) -> list[str]:
    own = [field.alias or name for name, field in model.model_fields.items() if name in model.__annotations__]
    return [key for key in (*own, *(set(fields_of(model)) - set(own))) if key != "name"] if own else []


def _plain(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """Maps of the model with its required keys, and with one optional key each."""
    required = {
        key: field for key, field in fields_of(model).items() if field.is_required() and key != "name"
    }
    filled: dict[str, Any] = {}
    for key, field in required.items():
        place = Place(model, key, field, is_item=False)
        nested = (value for inner in models_in(field.annotation) for value in _plain(inner))
        usual = [_USUAL[key]] if key in _USUAL else []
        pool = [*usual, *typing.get_args(field.annotation), *_SAMPLES, *nested]
        fitting = next(
            (
                candidate
                for candidate in pool
                if not isinstance(candidate, type) and is_taken(place, candidate)
            ),
            None,
        )
        filled[key] = fitting
    if required:
        yield filled
    for key in _keys(model):
        field = fields_of(model)[key]
        if key in required:
            continue
        pool = [] if field.default in (None, PydanticUndefined) else [field.default]
        for sample in (*pool, *_SAMPLES):
            if isinstance(sample, BaseModel):
                sample = names_of(type(sample))[0] if names_of(type(sample)) else {}
            yield {**filled, key: sample}
