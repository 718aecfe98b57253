"""Frozen dataclasses as JSON and arrays, and back, by the type hints of their fields.

A field that is added to a stored dataclass is carried without a change here. Supported: str, int, float, bool, None,
literals, tuples, mappings by text, NumPy arrays of numbers or truth values, unions of these, and frozen dataclasses of
these. Reading checks every value against its hint, so a hostile file cannot bring in another type.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

Json = Any
"""A value that `json` writes and reads."""

_SCALARS: tuple[type, ...] = (bool, int, float, str, type(None))
_ARRAY_KINDS = "biuf"


class NotStorable(ValueError):  # noqa: N818  (named after the value)
    """A value or a type that cannot be stored, or JSON of another type; the message names the field."""


def encode(value: Any, hint: Any, path: str, arrays: dict[str, NDArray[Any]]) -> Json:
    """A value as JSON; its arrays are added to ``arrays`` under names that begin with ``path``.

    Args:
        value: of the type ``hint``.
        hint: a supported type.
        path: the name of the value, for the arrays and for errors.
        arrays: is filled.

    Raises:
        NotStorable: the value or its type is not supported.
    """
    kind = _kind_of(hint, path)
    match kind:
        case "union":
            member = _member_of(value, hint, path)
            return encode(value, member, path, arrays)
        case "array":
            if not isinstance(value, np.ndarray) or value.dtype.kind not in _ARRAY_KINDS:
                raise NotStorable(f"{path} is not an array of numbers")
            arrays[path] = np.ascontiguousarray(value).reshape(value.shape)
            return {"array": path}
        case "tuple":
            hints = _items(hint, len(value), path)
            return [
                encode(one, item, f"{path}/{n}", arrays)
                for n, (one, item) in enumerate(zip(value, hints, strict=True))
            ]
        case "mapping":
            item = get_args(hint)[1]
            if not all(isinstance(key, str) for key in value):
                raise NotStorable(f"{path} has a key that is not text")
            return {key: encode(one, item, f"{path}/{key}", arrays) for key, one in value.items()}
        case "dataclass":
            if not isinstance(value, hint):
                raise NotStorable(f"{path} is a {type(value).__name__}, not a {hint.__name__}")
            return {
                name: encode(getattr(value, name), item, f"{path}/{name}", arrays)
                for name, item in fields_of(hint).items()
            }
    if not _is_scalar(value, hint):
        raise NotStorable(f"{path} is {value!r:.40}, not {_shown(hint)}")
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value.item() if isinstance(value, np.generic) else value


def decode(node: Json, hint: Any, path: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The value that `encode` turned into JSON. A field that the JSON lacks gets its default.

    Raises:
        NotStorable: the JSON is not that of a value of this type.
    """
    kind = _kind_of(hint, path)
    match kind:
        case "union":
            return _decode_union(node, hint, path, arrays)
        case "array":
            name = node.get("array") if isinstance(node, dict) else None
            array = arrays.get(name) if isinstance(name, str) else None
            if array is None or not _has_dtype(array, hint):
                raise NotStorable(f"{path} is not an array of the expected type")
            return array
        case "tuple":
            if not isinstance(node, list):
                raise NotStorable(f"{path} is not a list")
            hints = _items(hint, len(node), path)
            return tuple(
                decode(one, item, f"{path}/{n}", arrays)
                for n, (one, item) in enumerate(zip(node, hints, strict=True))
            )
        case "mapping":
            if not isinstance(node, dict):
                raise NotStorable(f"{path} is not a map")
            item = get_args(hint)[1]
            return {key: decode(one, item, f"{path}/{key}", arrays) for key, one in node.items()}
        case "dataclass":
            return _decode_dataclass(node, hint, path, arrays)
    if isinstance(node, dict) and [*node] == ["float"] and node["float"] in ("nan", "inf", "-inf"):
        node = float(node["float"])
    if not _is_scalar(node, hint):
        raise NotStorable(f"{path} is {node!r:.40}, not {_shown(hint)}")
    return float(node) if hint is float else node


def unsupported(hint: Any, path: str = "") -> list[str]:
    """The fields below a type that cannot be stored, by their paths; empty: all can."""
    try:
        kind = _kind_of(hint, path)
    except NotStorable:
        return [path or _shown(hint)]
    if kind == "array" and _has_dtype(np.zeros(0, dtype=object), hint):
        return [path or _shown(hint)]
    if kind == "dataclass":
        return [bad for name, item in fields_of(hint).items() for bad in unsupported(item, f"{path}/{name}")]
    if kind in ("union", "tuple", "mapping"):
        return [bad for item in get_args(hint) if item is not Ellipsis for bad in unsupported(item, path)]
    return []


@cache
def fields_of(kind: Any) -> dict[str, Any]:
    """The type hint of each field of a dataclass that its constructor takes."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _decode_dataclass(node: Json, hint: Any, path: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    hints = fields_of(hint)
    if not isinstance(node, dict):
        raise NotStorable(f"{path} is not a map")
    if unknown := sorted(set(node) - set(hints)):
        raise NotStorable(f"{path} has the unknown field `{unknown[0]:.40}`")
    values = {name: decode(one, hints[name], f"{path}/{name}", arrays) for name, one in node.items()}
    try:
        return hint(**values)
    except TypeError as error:  # a field without a default is missing
        raise NotStorable(f"{path} is incomplete: {error}") from error


def _decode_union(node: Json, hint: Any, path: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    for member in get_args(hint):
        try:
            return decode(node, member, path, arrays)
        except NotStorable:
            continue
    raise NotStorable(f"{path} is {node!r:.40}, not {_shown(hint)}")


def _kind_of(hint: Any, path: str) -> str:
    """The kind of a type: ``scalar``, ``array``, ``tuple``, ``mapping``, ``dataclass`` or ``union``.

    Raises:
        NotStorable: the type is not supported.
    """
    origin = get_origin(hint)
    if hint in _SCALARS or origin is Literal:
        return "scalar"
    if origin in (Union, types.UnionType):
        return "union"
    if origin is np.ndarray or hint is np.ndarray:
        return "array"
    if origin is tuple and get_args(hint):
        return "tuple"
    if origin in (Mapping, dict) and get_args(hint)[0] is str:
        return "mapping"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return "dataclass"
    raise NotStorable(f"{path} is of the type {_shown(hint)}, which cannot be stored")


def _items(hint: Any, n: int, path: str) -> tuple[Any, ...]:
    items = get_args(hint)
    if len(items) == 2 and items[1] is Ellipsis:
        return (items[0],) * n
    if len(items) != n:
        raise NotStorable(f"{path} has {n} entries, not {len(items)}")
    return items


def _member_of(value: Any, hint: Any, path: str) -> Any:
    """The member of a union that a value is of."""
    for member in get_args(hint):
        try:
            encode(value, member, path, {})
        except (NotStorable, TypeError):
            continue
        return member
    raise NotStorable(f"{path} is a {type(value).__name__}, not {_shown(hint)}")


def _is_scalar(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    if isinstance(value, np.generic):
        value = value.item()
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint


def _has_dtype(array: NDArray[Any], hint: Any) -> bool:
    """Whether an array has the dtype of its hint; a hint without one takes numbers and truth values."""
    for argument in get_args(hint):
        for kind in get_args(argument):
            if isinstance(kind, type) and issubclass(kind, np.generic):
                return bool(np.issubdtype(array.dtype, kind))
    return array.dtype.kind in _ARRAY_KINDS


def _shown(hint: Any) -> str:
    return getattr(hint, "__name__", None) or str(hint)
