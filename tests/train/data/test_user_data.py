"""The user's data function is called once, and its result is checked like arrays from a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.sources import facts_of, read_source

MODULE = """
import numpy as np
import torch

n_calls = 0

def make(n=6, kind="arrays"):
    global n_calls
    n_calls += 1
    x, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2
    if kind == "lists":
        return [x.tolist(), y.tolist()]
    if kind == "tensors":
        return {"x": torch.from_numpy(x), "y": torch.from_numpy(y)}
    return x, y

def give(**parts):
    return parts

def give_any(value):
    return value

def images():
    return np.ones((4, 5, 6)), np.arange(4) % 2

def ragged():
    return [[1, 2], [3]], [0, 1]

def with_gradients():
    return torch.ones(4, 2, requires_grad=True), [0, 1, 0, 1]

def broken():
    raise RuntimeError("the disk is on fire")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine_data.py").write_text(MODULE)
    return tmp_path


def own(name: str, args: dict[str, Any] | None = None, **knobs: object) -> Data:
    return Data.model_validate({"source": {"python": f"mine_data:{name}", "args": args or {}}, **knobs})


def calls(folder: Path) -> int:
    from tunecli.train.user_code.code import resolve

    return int(resolve("mine_data:n_calls", folder))


@pytest.mark.parametrize("kind", ["arrays", "lists", "tensors"])
def test_arrays_lists_and_tensors_are_the_same_data(folder: Path, kind: str) -> None:
    table = read_source(own("make", {"kind": kind}), folder)
    np.testing.assert_array_equal(table.x, np.arange(12.0).reshape(6, 2))
    assert table.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert (table.kind, table.task, table.class_names) == ("features", "classification", ("0", "1"))


def test_function_is_called_once_until_its_module_changes(folder: Path) -> None:
    first = read_source(own("make", {"n": 8}), folder)
    assert read_source(own("make", {"n": 8}, normalize="none"), folder) is first
    assert calls(folder) == 1
    assert len(read_source(own("make", {"n": 10}), folder).y) == 10
    assert calls(folder) == 2
    os.utime(folder / "mine_data.py", ns=(1, 1))
    read_source(own("make", {"n": 8}), folder)
    assert calls(folder) == 3


def test_facts_are_none_and_the_function_is_not_run(folder: Path) -> None:
    assert facts_of(own("broken"), folder) is None


def test_error_of_the_function_is_raised_unchanged(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="the disk is on fire"):
        read_source(own("broken"), folder)


def test_inputs_are_read_as_configured(folder: Path) -> None:
    assert read_source(own("images"), folder).x.shape == (4, 1, 5, 6)
    assert read_source(own("images", inputs="sequence"), folder).x.shape == (4, 5, 6)


def test_n_tokens_makes_the_inputs_tokens(folder: Path) -> None:
    parts = {"x": [[0, 3], [4, 1]], "y": ["a", "b"], "n_tokens": 5}
    table = read_source(own("give", parts), folder)
    assert (table.kind, table.n_tokens, table.class_names) == ("tokens", 5, ("a", "b"))
    assert table.x.tolist() == parts["x"]


@pytest.mark.parametrize("y", [[1, 0, 1], ["no", "yes", "no"]])
def test_class_names_keep_their_order(folder: Path, y: list[Any]) -> None:
    table = read_source(own("give", {"x": [[1], [2], [3]], "y": y, "class_names": ["yes", "no"]}), folder)
    assert table.class_names == ("yes", "no")
    assert table.y.tolist() == [1, 0, 1]


def test_configured_regression_wins(folder: Path) -> None:
    table = read_source(own("make", task="regression"), folder)
    assert table.task == "regression"


@pytest.mark.parametrize(
    ("name", "args", "knobs", "message", "parameter"),
    [
        ("give_any", {"value": 3}, {}, "returns a int, but must return", "data.source"),
        ("give", {"x": [[1]]}, {}, "has no key `y`", "data.source"),
        ("give", {"x": [[1]], "y": [1], "z": 1}, {}, "has an unknown key `z`", "data.source"),
        ("give", {"x": [[1], [2]], "y": [0, 1, 1]}, {}, "for 2 examples", "data.source"),
        ("give", {"x": [1, 2], "y": [0, 1]}, {}, "it must hold numbers", "data.source"),
        ("give", {"x": [[1], [2]], "y": [0, 0]}, {}, "only one class", "data.source"),
        ("give", {"x": [[1], [2]], "y": [0, 1], "n_tokens": 2}, {}, "the token 2", "data.source"),
        (
            "give",
            {"x": [[1], [2]], "y": [0, 1], "n_tokens": "2"},
            {},
            "must be a whole number",
            "data.source",
        ),
        (
            "give",
            {"x": [[1], [2]], "y": [0, 2], "class_names": ["a", "b"]},
            {},
            "an unknown class in example 1",
            "data.source",
        ),
        (
            "give",
            {"x": [[1], [2]], "y": [0, 1], "class_names": ["a", "b", "c"]},
            {},
            "`c` has none",
            "data.source",
        ),
        (
            "give",
            {"x": [[1], [2]], "y": [0, 1], "class_names": ["a", "b"]},
            {"task": "regression"},
            "returns `class_names`",
            "data.task",
        ),
        ("ragged", {}, {}, "`x` of mine_data:ragged cannot be read as an array", "data.source"),
        (
            "with_gradients",
            {},
            {},
            "`x` of mine_data:with_gradients cannot be read as an array",
            "data.source",
        ),
        ("make", {}, {"inputs": "image"}, r"\(N, H, W\) or", "data.inputs"),
        ("make", {}, {"target": "y"}, "has its own target", "data.target"),
        ("make", {}, {"text": "x"}, "has no columns", "data.text"),
    ],
)
def test_invalid_results_are_refused(
    folder: Path, name: str, args: dict[str, Any], knobs: dict[str, Any], message: str, parameter: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_source(own(name, args, **knobs), folder)
    assert caught.value.parameter == parameter


def test_code_that_removes_its_folder_from_the_path_leaves_the_path_intact(
    folder: Path, tmp_path: Path
) -> None:
    read_source(own("make"), folder)
    sys.path.remove(str(folder))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine_data.py").write_text("def make():\n    return [[1.0], [2.0]], [0, 1]\n")
    assert len(read_source(own("make"), tmp_path / "other").y) == 2
    sys.path.remove(str(tmp_path / "other"))
    assert len(read_source(own("make", {"n": 12}), folder).y) == 12
