from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.store.rows import decode, encode

TEXT = st.text(st.characters())  # lone surrogates too
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=12)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal in type and to the bit; for ``==``, 1 is True and NaN equals nothing."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and a == b


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@given(VALUES)
def test_every_value_is_restored_from_strict_ascii_json(value: Any) -> None:
    text = encode(value)
    assert same(decode(text), value)
    assert text.isascii()
    assert "\n" not in text
    json.loads(text, parse_constant=refuse)


def test_text_that_spells_nan_stays_text() -> None:
    assert decode(encode({"a": "nan", "b": "$float"})) == {"a": "nan", "b": "$float"}


def test_a_value_that_is_not_json_raises() -> None:
    with pytest.raises(TypeError, match="complex"):
        encode({"a": 1j})
    with pytest.raises(TypeError, match="complex"):
        encode([math.nan, 1j])
