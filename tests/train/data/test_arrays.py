"""Arrays are read as configured, or refused with their shape and dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.train.data.arrays import InputsKnob, as_inputs, as_target, as_tokens


@pytest.mark.parametrize(
    ("inputs", "shape", "expected"),
    [
        ("auto", (4, 3), (4, 3)),
        ("auto", (4, 5, 6), (4, 1, 5, 6)),
        ("auto", (4, 2, 5, 6), (4, 2, 5, 6)),
        ("features", (4, 3), (4, 3)),
        ("features", (4, 5, 6), (4, 30)),
        ("features", (4, 2, 5, 6), (4, 60)),
        ("sequence", (4, 5, 6), (4, 5, 6)),
        ("sequence", (4, 5), (4, 5, 1)),
        ("image", (4, 5, 6), (4, 1, 5, 6)),
        ("image", (4, 2, 5, 6), (4, 2, 5, 6)),
    ],
)
def test_inputs_have_the_configured_shape(
    inputs: InputsKnob, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    found = as_inputs(x, inputs, "x", "data.source")
    assert found.shape == expected
    assert found.dtype == (np.float64 if len(expected) == 2 else np.float32)
    np.testing.assert_array_equal(found.ravel(), x.ravel())


@pytest.mark.parametrize(
    ("x", "inputs", "message", "parameter"),
    [
        (np.ones(3), "auto", r"float64 of shape \(3,\): it must hold numbers, \(N, F\)", "data.source"),
        (np.ones((3, 0)), "auto", "must hold numbers", "data.source"),
        (np.array([["a"]]), "image", "must hold numbers", "data.source"),
        (np.ones((3, 2)), "image", r"\(N, H, W\) or", "data.inputs"),
        (np.ones((3, 2, 2, 2)), "sequence", r"\(N, T, F\)", "data.inputs"),
        (np.array([[0.0], [np.inf]]), "auto", "NaN or infinity in example 1", "data.source"),
        (np.full((2, 2, 2), 1e300), "image", "NaN or infinity in example 0", "data.source"),
    ],
)
def test_inputs_of_another_kind_are_refused(
    x: NDArray[Any], inputs: InputsKnob, message: str, parameter: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        as_inputs(x, inputs, "x", "data.source")
    assert caught.value.parameter == parameter


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[0, 5]]), "the token 5, but tokens must be from 0 to 4"),
        (np.array([[-1, 2]]), "the token -1"),
        (np.ones((2, 2)), "tokens must be whole numbers"),
        (np.ones(2, dtype=int), "tokens must be whole numbers"),
    ],
)
def test_tokens_are_whole_numbers_in_range(x: NDArray[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_tokens(x, 5, "x", "data.source")


def test_tokens_of_any_whole_type_become_int64() -> None:
    assert as_tokens(np.array([[0, 4]], dtype=np.uint8), 5, "x", "data.source").dtype == np.int64


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array([[1], [2]]), [1.0, 2.0]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([True, False]), [True, False]),
    ],
)
def test_targets_are_numbers_texts_or_truth_values(y: NDArray[Any], expected: list[Any]) -> None:
    assert as_target(y, 2, "y", "data.target").tolist() == expected


@pytest.mark.parametrize(
    "y",
    [
        np.ones(3),
        np.ones((2, 2, 2)),
        np.ones(()),
        np.array([["a", "b"]] * 2),
        np.array([{}, {}]),
        np.array([1j, 2j]),
    ],
)
def test_targets_of_another_shape_or_type_are_refused(y: NDArray[Any]) -> None:
    with pytest.raises(DataError, match="for 2 examples"):
        as_target(y, 2, "y", "data.target")


def test_inputs_and_targets_are_copies() -> None:
    x, y = np.ones((2, 3)), np.array([True, False])
    assert not np.shares_memory(as_inputs(x, "auto", "x", ""), x)
    assert not np.shares_memory(as_target(y, 2, "y", ""), y)
