"""The ends that the schema gives a key: dropout is at least 0 and below 1, a learning rate is above 0.

A range that already reaches such an end cannot be widened beyond it. Keys of the user's own code have no ends.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from tunecli.config.concrete_trial import concrete, parents_of
from tunecli.config.model_paths import place_at
from tunecli.config.paths import is_index
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.schema import trial_model
from tunecli.config.space import Condition, Parameter, Space, point_with

Ends = tuple[float | None, float | None]
NO_ENDS: Ends = (None, None)


def legal_ends(space: Space, parameters: Sequence[Parameter]) -> dict[str, Ends]:
    """The least and the greatest value that the key of each parameter allows, by the parameter's key.

    Args:
        space: the space of the parameters.
        parameters: numeric parameters of the space.

    Returns:
        For each parameter its two ends, in the unit of its key. An end that the key excludes, such as 1 for dropout,
        counts like one that it allows. None: there is no end, or it is unknown.
    """
    trees: dict[tuple[Condition, ...], Any] = {}
    ends: dict[str, Ends] = {}
    for parameter in parameters:
        if parameter.conditions not in trees:
            trees[parameter.conditions] = _tree(space, parameter)
        ends[parameter.key] = _ends_at(trees[parameter.conditions], parameter.name)
    return ends


def _tree(space: Space, parameter: Parameter) -> Any:
    """A concrete trial in which the parameter is active; None: there is none."""
    try:
        return concrete(space, point_with(space, parents_of(parameter)))
    except (KeyError, DanglingReferenceError):
        return None


def _ends_at(tree: Any, name: str) -> Ends:
    steps = name.split(".")
    is_length = steps[-1] == "length" and isinstance(_part(tree, steps[:-1]), list)
    if is_length:
        steps.pop()
    place = place_at(trial_model(tree), _validator_path(tree, steps))
    keys = [step for step in steps if not step.isdigit()]
    if place is None or not keys or place.key != keys[-1]:
        return (0.0, None) if is_length else NO_ENDS
    if is_length:
        limits = [*_flat(place.field.metadata)]
        longest = [float(limit.max_length) for limit in limits if isinstance(limit, MaxLen)]
        shortest = [float(limit.min_length) for limit in limits if isinstance(limit, MinLen)]
        return max(shortest, default=0.0), min(longest, default=None)
    found = list(_bounds(place.field.annotation, place.field.metadata))
    if not found:
        return NO_ENDS
    lows, highs = zip(*found, strict=True)
    least, greatest = min(lows), max(highs)
    return (None if math.isinf(least) else least), (None if math.isinf(greatest) else greatest)


def _part(tree: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(tree, list):
            tree = tree[int(step)] if is_index(step, len(tree)) else None
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def _validator_path(tree: Any, steps: Sequence[str]) -> Iterator[str | int]:
    """The path in the form that a validator reports: the name of a family's member follows the family's key."""
    for n, step in enumerate(steps, start=1):
        is_item = isinstance(_part(tree, steps[: n - 1]), list) and step.isdigit()
        yield int(step) if is_item else step
        part = _part(tree, steps[:n])
        if isinstance(part, dict) and isinstance(part.get("name"), str):
            yield part["name"]


def _bounds(annotation: Any, metadata: Sequence[Any] = ()) -> Iterator[tuple[float, float]]:
    """The ends of each number that an annotation allows, infinite where it has none."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _bounds(arguments[0], [*metadata, *arguments[1:]])
    elif annotation in (int, float):
        limits = [*_flat(metadata)]
        lows = [float(_number(limit)) for limit in limits if isinstance(limit, Ge | Gt)]
        highs = [float(_number(limit)) for limit in limits if isinstance(limit, Le | Lt)]
        yield max(lows, default=-math.inf), min(highs, default=math.inf)
    elif origin is not typing.Literal:
        for argument in arguments:
            # A limit beside a union or a list does not apply to each of its numbers, except beside an optional one.
            yield from _bounds(argument, metadata if type(None) in arguments else ())


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for item in metadata:
        yield item
        yield from getattr(item, "metadata", ())


def _number(limit: Any) -> float:
    return float(next(getattr(limit, word) for word in ("ge", "gt", "le", "lt") if hasattr(limit, word)))
