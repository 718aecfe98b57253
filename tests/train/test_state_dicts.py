"""State is saved and restored to the last bit, or it is refused."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tunecli.train.state_dicts import NotPlain, put_together, take_apart

CPU = torch.device("cpu")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    SCALARS,
    lambda each: st.lists(each) | st.lists(each).map(tuple) | st.dictionaries(KEYS, each),
    max_leaves=20,
)


def through(tree: Any, device: torch.device = CPU) -> Any:
    node, tensors = take_apart(tree, "t", device)
    return put_together(json.loads(json.dumps(node, allow_nan=False)), tensors, device)


def spelled(tree: Any) -> str:
    """The value's ``repr``, which distinguishes -0.0 from 0.0, tuples from lists and True from 1."""
    return repr(tree)


@given(TREES)
def test_plain_data_is_restored_unchanged(tree: Any) -> None:
    assert spelled(through(tree)) == spelled(tree)


def test_infinities_and_nan_are_restored() -> None:
    low, high, nan = through([-math.inf, math.inf, math.nan])
    assert (low, high, math.isnan(nan)) == (-math.inf, math.inf, True)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool],
)
def test_tensors_are_restored_as_copies_with_the_same_bits(dtype: torch.dtype) -> None:
    tensor = (torch.randn(3, 4, dtype=torch.float64) * 3).to(dtype)
    tree = {"a": [tensor, {"b": torch.zeros((), dtype=dtype)}], "none": torch.zeros(0, 2, dtype=dtype)}
    found = through(tree)
    assert found["a"][0].dtype is dtype
    assert torch.equal(found["a"][0], tensor)
    assert found["a"][0].data_ptr() != tensor.data_ptr()
    assert found["a"][1]["b"].shape == ()
    assert found["none"].shape == (0, 2)


def test_a_tensor_that_occurs_twice_is_restored_as_one() -> None:
    tensor = torch.ones(2)
    first, second, other = through([tensor, tensor, tensor.clone()])
    assert first is second
    assert other is not first


def test_tensors_have_unique_names_from_their_paths() -> None:
    tree = {"a": {"b": torch.zeros(1)}, "a.b": torch.ones(1), "c": [torch.ones(2)]}
    _, tensors = take_apart(tree, "t", CPU)
    assert list(tensors) == ["t.a.b", "t.a.b (1)", "t.c.0"]
    assert [each.tolist() for each in (through(tree)["a"]["b"], through(tree)["a.b"])] == [[0.0], [1.0]]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.randn(3, 4).T,
        torch.randn(6, 4)[::2],
        torch.randn(1, 4).expand(3, 4),
    ],
    ids=["channels last", "transposed", "strided", "expanded"],
)
def test_a_dense_tensor_keeps_its_layout(tensor: torch.Tensor) -> None:
    found = through(tensor)
    assert torch.equal(found, tensor)
    assert found.stride() == torch.empty_like(tensor).stride()


def test_a_tensor_on_the_cpu_beside_another_device_stays_there() -> None:
    meta = torch.device("meta")
    node, tensors = take_apart([torch.zeros(1), torch.zeros(1, device=meta)], "t", meta)
    on_cpu, on_device = put_together(node, tensors, meta)
    assert (on_cpu.device, on_device.device) == (CPU, meta)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        OrderedDict(),
        {1, 2},
        b"bytes",
        1j,
        {(1, 2): 3},
        {math.inf: 1},
        {torch.zeros(1): 1},
        torch.zeros(2).to_sparse(),
        torch.zeros(2, dtype=torch.complex128),
        nn.parameter.UninitializedParameter(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_other_value_is_refused_with_its_path(value: Any) -> None:
    with pytest.raises(NotPlain, match=r"t\.deep\.1"):
        take_apart({"deep": [0, value]}, "t", CPU)


@pytest.mark.parametrize("node", [{}, {"other": 1}, {"tensor": ["t", [1], False]}, {"list": [1], "dict": []}])
def test_json_of_another_origin_is_refused(node: Any) -> None:
    with pytest.raises((KeyError, ValueError)):
        put_together(node, {}, CPU)
