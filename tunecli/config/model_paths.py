"""Where in the models a validator's path leads, and every key that a file may have, by its name.

A validator's path names keys, places of lists and which member of a union was tried.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunecli.config.schema import CommandTrial, FunctionTrial, TrialConfig
from tunecli.config.study import StudySettings

_DEEPEST = 6


@dataclass(frozen=True)
class Place:
    """A key of a model; ``is_item`` where the path leads on to one item of the list that it holds."""

    owner: type[BaseModel]
    key: str
    field: FieldInfo
    is_item: bool


def models_at(model: type[BaseModel], path: Iterable[str | int]) -> list[type[BaseModel]]:
    """The models that a validator's ``path`` below ``model`` may lead to."""
    found = [model]
    for step in path:
        fields = [
            each.model_fields[step] for each in found if isinstance(step, str) and step in each.model_fields
        ]
        inside = [inner for field in fields for inner in models_in(field.annotation)]
        # a tag may be called as a field is: `python`
        found = inside or [each for each in found if step in names_of(each)] or found
    return found


def place_at(model: type[BaseModel], path: Iterable[str | int]) -> Place | None:
    """The deepest key on a validator's ``path``; None where the path names none."""
    found, place = [model], None
    for step in path:
        if step == "name" and place is not None:  # a tag: no path leads to the key of that name
            continue
        if isinstance(step, int):
            place = place and Place(place.owner, place.key, place.field, is_item=True)
            continue
        owners = [each for each in found if step in each.model_fields]
        if owners:
            place = Place(owners[0], step, owners[0].model_fields[step], is_item=False)
            inside = [inner for owner in owners for inner in models_in(owner.model_fields[step].annotation)]
            found = inside or found
        else:
            found = [each for each in found if step in names_of(each)] or found
    return place


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation names, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def names_of(model: type[BaseModel]) -> tuple[str, ...]:
    """What a member of a family is called; empty where the model is none."""
    field = model.model_fields.get("name")
    return tuple(typing.get_args(field.annotation)) if field else ()


@lru_cache(maxsize=1)
def paths_by_key() -> dict[str, tuple[str, ...]]:
    """By a key's name: the paths, from the file's top level on, at which it may stand, the shortest first."""
    found: dict[str, list[str]] = {"trial": ["trial"]}
    for model, prefix in (
        (StudySettings, ""),
        (TrialConfig, "trial"),
        (FunctionTrial, "trial"),
        (CommandTrial, "trial"),
    ):
        for key, path in _paths(model, prefix, 0):
            paths = found.setdefault(key, [])
            if path not in paths:
                paths.append(path)
    return {key: tuple(sorted(paths, key=lambda path: path.count("."))) for key, paths in found.items()}


def _paths(model: type[BaseModel], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _DEEPEST:
        return
    for key, field in model.model_fields.items():
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
