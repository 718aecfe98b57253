"""Prepared data is cached for the next trial, and shared only if it is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tunecli.config.schema.data import Data
from tunecli.train.data import loading
from tunecli.train.data.table import Inputs

CPU = torch.device("cpu")


def data(**knobs: object) -> Data:
    return Data.model_validate({"source": "iris", **knobs})


def test_trials_with_the_same_preparation_share_tensors() -> None:
    first = loading.load(data(), Path(), 7, CPU)
    assert loading.load(data(augment=["noise"], balance="weight"), Path(), 7, CPU) is first
    assert loading.load(data(normalize="none"), Path(), 7, CPU) is not first
    assert loading.load(data(), Path(), 8, CPU) is not first


def test_fold_has_shapes_and_counts() -> None:
    folds = loading.load(data(validation={"folds": 5}), Path(), 7, CPU)
    assert len(folds) == 5
    assert folds[0].inputs.shape == (4,)
    assert folds[0].n_outputs == 3
    assert folds[0].class_counts == (40, 40, 40)
    assert folds[0].x_valid.shape == (30, 4)


def test_changed_file_is_loaded_anew(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    knob = data(source="d.npz")
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(20, 2)), y=rng.normal(size=20))
    first = loading.load(knob, tmp_path, 7, CPU)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(30, 2)), y=rng.normal(size=30))
    assert len(loading.load(knob, tmp_path, 7, CPU)[0].y_train) > len(first[0].y_train)


def test_validation_file_is_scaled_by_the_training_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n0,0.5\n10,1.5\n20,4\n")
    (tmp_path / "v.csv").write_text("a,y\n40,2\n")
    knob = data(source="t.csv", target="y", normalize="minmax", validation={"file": "v.csv"})
    (fold,) = loading.load(knob, tmp_path, 7, CPU)
    assert fold.x_train[:, 0].tolist() == [0.0, 0.5, 1.0]
    assert fold.x_valid.tolist() == [[2.0]]
    assert fold.y_valid.item() * fold.target_scale + fold.target_center == pytest.approx(2.0)


def test_test_part_is_loaded_only_if_opened() -> None:
    knob = data(test={"fraction": 0.2})
    (closed,) = loading.load(knob, Path(), 7, CPU)
    assert closed.x_test is None
    assert closed.y_test is None
    (opened,) = loading.load(knob, Path(), 7, CPU, open_test=True)
    assert opened.x_test is not None
    assert opened.y_test is not None
    assert (opened.x_test.shape, opened.y_test.shape) == ((30, 4), (30,))
    assert torch.equal(opened.x_train, closed.x_train)
    assert len(closed.x_train) + len(closed.x_valid) == 120
    assert loading.load(knob, Path(), 7, CPU) == (closed,)


def test_data_without_a_test_part_has_no_test_tensors() -> None:
    first = loading.load(data(), Path(), 7, CPU)
    assert loading.load(data(), Path(), 7, CPU, open_test=True) is first
    assert first[0].x_test is None


def test_test_file_is_read_only_if_opened_and_scaled_by_training(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n0,0.5\n10,1.5\n20,4\n5,3\n")
    knob = data(
        source="t.csv", target="y", normalize="minmax", test={"file": "w.csv"}, validation={"file": "t.csv"}
    )
    (closed,) = loading.load(knob, tmp_path, 7, CPU)
    assert closed.x_test is None
    (tmp_path / "w.csv").write_text("a,y\n40,2\n")
    (opened,) = loading.load(knob, tmp_path, 7, CPU, open_test=True)
    assert opened.x_test is not None
    assert opened.x_test.tolist() == [[2.0]]
    (tmp_path / "w.csv").write_text("a,y\n60,2\n70,1\n")
    (again,) = loading.load(knob, tmp_path, 7, CPU, open_test=True)
    assert again.x_test is not None
    assert again.x_test.tolist() == [[3.0], [3.5]]


def test_tokens_are_int64_with_their_number(tmp_path: Path) -> None:
    lines = [f"{'ab' * (row % 3)}c,{row % 2}" for row in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["word,y", *lines]))
    (fold,) = loading.load(data(source="t.csv", target="y", text="word"), tmp_path, 7, CPU)
    assert fold.x_train.dtype == fold.x_valid.dtype == torch.int64
    assert fold.inputs == Inputs((5,), 5)
    assert fold.inputs.kind == "tokens"


def test_sequences_keep_their_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.ones((20, 7, 2)), y=np.arange(20) % 2)
    (fold,) = loading.load(data(source="d.npz", inputs="sequence"), tmp_path, 7, CPU)
    assert fold.inputs == Inputs((7, 2))
