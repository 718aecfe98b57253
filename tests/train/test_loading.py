"""Prepared data is kept for the next trial, and shared only where it is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tunecli.spec.knobs.data import Data
from tunecli.train import loading

CPU = torch.device("cpu")


def data(**knobs: object) -> Data:
    return Data.model_validate({"source": "iris", **knobs})


def test_trials_that_prepare_the_same_share_it() -> None:
    first = loading.load(data(), Path(), 7, CPU)
    assert loading.load(data(augment=["noise"], balance="weight"), Path(), 7, CPU) is first
    assert loading.load(data(normalize="none"), Path(), 7, CPU) is not first
    assert loading.load(data(), Path(), 8, CPU) is not first


def test_a_fold_knows_its_shapes_and_counts() -> None:
    folds = loading.load(data(validation={"folds": 5}), Path(), 7, CPU)
    assert len(folds) == 5
    assert folds[0].input_shape == (4,)
    assert folds[0].n_outputs == 3
    assert folds[0].class_counts == (40, 40, 40)
    assert folds[0].x_valid.shape == (30, 4)


def test_a_changed_file_is_loaded_anew(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    knob = data(source="d.npz")
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(20, 2)), y=rng.normal(size=20))
    first = loading.load(knob, tmp_path, 7, CPU)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(30, 2)), y=rng.normal(size=30))
    assert len(loading.load(knob, tmp_path, 7, CPU)[0].y_train) > len(first[0].y_train)


def test_a_validation_file_is_scaled_by_the_training_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n0,0.5\n10,1.5\n20,4\n")
    (tmp_path / "v.csv").write_text("a,y\n40,2\n")
    knob = data(source="t.csv", target="y", normalize="minmax", validation={"file": "v.csv"})
    (fold,) = loading.load(knob, tmp_path, 7, CPU)
    assert fold.x_train[:, 0].tolist() == [0.0, 0.5, 1.0]
    assert fold.x_valid.tolist() == [[2.0]]
    assert fold.y_valid.item() * fold.target_scale + 2.0 == 2.0
