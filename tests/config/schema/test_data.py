"""Data sources in a file, and their absolute paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tunecli.config.schema.data import Data, with_absolute_paths
from tunecli.config.schema.sources import Bundled, FileSource, Images, Torchvision
from tunecli.config.schema.user_code import UserCode


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("iris", Bundled(name="iris")),
        ("mine.csv", FileSource(path="mine.csv")),
        ("data/mine", FileSource(path="data/mine")),
        ("photos/", Images(path="photos/")),
        ({"name": "images", "path": "photos", "size": [8, 16], "mode": "gray"}, None),
        ("mnist", Torchvision(name="mnist")),
        ({"python": "mine:make", "args": {"n": 3}}, UserCode(python="mine:make", args={"n": 3})),
    ],
)
def test_a_source_is_read_from_its_text(source: Any, expected: Any) -> None:
    found = Data.model_validate({"source": source}).source
    assert found == (expected or Images(path="photos", size=(8, 16), mode="gray"))
    assert Data.model_validate_json(Data(source=found).model_dump_json()).source == found


def test_an_image_has_a_shape() -> None:
    assert Images(path="p").shape == (3, 32, 32)
    assert Images(path="p", size=(8, 16), mode="gray").shape == (1, 8, 16)


@pytest.mark.parametrize(
    "knobs",
    [
        {"test": {}},
        {"test": {"fraction": 0.2, "own": True}},
        {"test": {"own": False}},
        {"validation": {"fraction": 0.2, "folds": 3}},
        {"max_tokens": 2},
        {"source": {"name": "images", "path": "p", "size": 5000}},
    ],
)
def test_impossible_settings_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Data.model_validate({"source": "iris", **knobs})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"source": "iris"}, {"source": "iris"}),
        ({"source": "t.csv"}, {"source": "/base/t.csv"}),
        ({"source": {"name": "file", "path": "t.csv"}}, {"source": "/base/t.csv"}),
        ({"source": "photos/"}, {"source": {"name": "images", "path": "/base/photos"}}),
        (
            {"source": {"name": "images", "path": "../p", "size": 8}, "test": {"file": "q/"}},
            {"source": {"name": "images", "path": "/p", "size": 8}, "test": {"file": "/base/q"}},
        ),
        ({"source": "mnist"}, {"source": {"name": "mnist", "root": "/base/data"}}),
        (
            {"source": {"name": "svhn", "root": "/sets"}},
            {"source": {"name": "svhn", "root": "/sets"}},
        ),
        ({"source": {"python": "mine:make"}}, {"source": {"python": "mine:make"}}),
        (
            {"source": "t.csv", "validation": {"file": "v.csv"}, "test": {"file": "w.csv"}},
            {
                "source": "/base/t.csv",
                "validation": {"file": "/base/v.csv"},
                "test": {"file": "/base/w.csv"},
            },
        ),
        (
            {"source": "t.csv", "validation": {"folds": 3}, "test": {"fraction": 0.1}},
            {"source": "/base/t.csv", "validation": {"folds": 3}, "test": {"fraction": 0.1}},
        ),
    ],
)
def test_files_and_folders_are_named_from_the_root(data: dict[str, Any], expected: dict[str, Any]) -> None:
    found = with_absolute_paths({"data": data, "model": "mlp"}, Path("/base"))
    assert found == {"data": expected, "model": "mlp"}
    Data.model_validate(found["data"])
    assert with_absolute_paths(found, Path("/elsewhere")) == found


def test_a_file_of_trained_weights_is_named_from_the_root() -> None:
    def found(model: Any) -> Any:
        return with_absolute_paths({"data": {"source": "digits"}, "model": model}, Path("/base"))["model"]

    backbone = {"name": "backbone", "weights": "w.pth"}
    assert found(backbone) == {"name": "backbone", "weights": "/base/w.pth"}
    for model in ({"name": "backbone", "weights": "default"}, {"name": "backbone"}, "backbone"):
        assert found(model) == model
