"""Dataclasses are stored by their type hints; every stored value comes back, and no other type comes in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from tunecli.train.artifact.plain import NotStorable, decode, encode, unsupported
from tunecli.train.artifact.writing import ModelFacts, stored_fields


@dataclass(frozen=True)
class Inner:
    name: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Outer:
    values: NDArray[np.float64]
    by_name: Mapping[str, Inner | None]
    pair: tuple[str, float]
    kind: Literal["a", "b"] = "a"
    is_on: bool = False
    limit: float | None = None
    added_later: tuple[Inner, ...] = field(default=())


VALUE = Outer(np.array([1.0, np.nan]), {"x": Inner("é", (1, 2)), "y": None}, ("p", math.inf), "b", True)


def test_a_value_comes_back_as_it_was() -> None:
    arrays: dict[str, NDArray[Any]] = {}
    node = encode(VALUE, Outer, "v", arrays)
    again = decode(node, Outer, "v", arrays)
    assert np.array_equal(again.values, VALUE.values, equal_nan=True)
    assert (again.by_name, again.pair, again.kind, again.is_on, again.limit) == (
        VALUE.by_name,
        VALUE.pair,
        "b",
        True,
        None,
    )


def test_a_field_that_an_older_file_lacks_gets_its_default() -> None:
    arrays: dict[str, NDArray[Any]] = {}
    node = encode(VALUE, Outer, "v", arrays)
    del node["added_later"]
    assert decode(node, Outer, "v", arrays).added_later == ()
    del node["pair"]
    with pytest.raises(NotStorable, match="incomplete"):
        decode(node, Outer, "v", arrays)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "c"),
        ("is_on", 1),
        ("limit", True),
        ("pair", ["p"]),
        ("values", {"array": "w"}),
        ("values", 3.0),
        ("by_name", {"x": {"name": 4}}),
        ("by_name", []),
        ("more", 1),
        ("limit", {"float": "1"}),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any) -> None:
    arrays: dict[str, NDArray[Any]] = {"w": np.array([1])}
    node = encode(VALUE, Outer, "v", arrays)
    with pytest.raises(NotStorable, match=name):
        decode({**node, name: value}, Outer, "v", arrays)


@pytest.mark.parametrize(
    "hint", [Tensor, Any, dict[int, str], set[str], NDArray[np.object_], list[int], Exception]
)
def test_an_unsupported_type_is_found_wherever_it_is(hint: Any) -> None:
    assert unsupported(hint, "f") == ["f"]
    assert unsupported(Mapping[str, hint | None], "f") == ["f"]


def test_every_field_that_a_model_file_holds_can_be_stored() -> None:
    """It fails for a field of another type in `TableSchema`, `Preparation`, `Inputs` or `Fold`."""
    hints = stored_fields()
    assert {"schema", "preparation", "inputs", "class_names"} <= set(hints)
    assert not [bad for name, hint in hints.items() for bad in unsupported(hint, name)]
    assert not unsupported(ModelFacts)
