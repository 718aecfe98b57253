"""The rows that a trial is trained on, from its file alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.config.priors.prior import shift_at
from tunecli.config.priors.space_priors import priors_of
from tunecli.config.priors.table import OPTIMIZERS
from tunecli.config.priors.training_size import training_rows
from tunecli.config.schema.sources import BUILT_IN, Bundled, Torchvision
from tunecli.train.data.bundled import bundled_table
from tunecli.train.data.datasets import CLASS_COUNTS


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ({"source": "wine", "validation": {"fraction": 0.5}}, 89),
        ({"source": "iris"}, 120),
        ({"source": {"name": "iris"}, "validation": {"folds": 5}, "train_fraction": 0.5}, 60),
        ({"source": {"name": "moons", "samples": 400}, "test": {"fraction": 0.25}}, 240),
        ({"source": {"name": "blobs"}, "validation": {"file": "more.csv"}}, 1000),
        ({"source": "mine.csv"}, None),
        ({"source": {"python": "mine:make"}}, None),
        ({"source": {"name": "moons", "samples": None}}, None),
        ({"source": "wine", "train_fraction": "half"}, None),
        (None, None),
    ],
)
def test_rows_of_the_training_part(data, rows):
    assert training_rows(data) == (None if rows is None else pytest.approx(rows))


@pytest.mark.parametrize("name", Bundled.model_fields["name"].annotation.__args__)
def test_the_rows_of_a_bundled_set_are_those_of_its_table(name):
    whole = {"source": name, "validation": {"file": "other.csv"}}
    assert training_rows(whole) == len(bundled_table(name).x)


@pytest.mark.parametrize("name", Torchvision.model_fields["name"].annotation.__args__)
def test_the_rows_of_a_downloaded_set_are_the_sum_of_its_classes(name):
    whole = {"source": {"name": name}, "validation": {"file": "other"}}
    assert training_rows(whole) == sum(CLASS_COUNTS[name])


@pytest.mark.parametrize("name", [name for name, kind in BUILT_IN.items() if "samples" in kind.model_fields])
def test_the_rows_of_a_generated_set_are_its_samples(name):
    whole = {"validation": {"file": "other.csv"}}
    assert training_rows({"source": {"name": name, "samples": 300}, **whole}) == 300
    assert training_rows({"source": name, **whole}) == BUILT_IN[name].model_fields["samples"].default


TEXT = """
data: {source: {name: moons, samples: SAMPLES}}
optimizer: {name: adamw, lr: {loguniform: [1e-5, 1]}}
training: {epochs: EPOCHS, batch_size: 64}
"""


def centre(samples="1000", epochs="10"):
    space = space_of(TEXT.replace("SAMPLES", samples).replace("EPOCHS", epochs))
    return priors_of(space)["optimizer.lr"].centre


def test_the_rate_falls_with_the_steps_by_the_power_of_its_optimizer():
    power = OPTIMIZERS["adamw"].short.steps_power
    assert power > 0
    for more in (centre("4000"), centre(epochs="40")):
        assert math.log(more / centre()) == pytest.approx(-power * math.log(4))


def test_the_rate_of_a_long_training_does_not_depend_on_the_steps():
    assert centre("100_000") == centre(epochs="1000") == OPTIMIZERS["adamw"].rate.centre


def test_searched_epochs_move_the_rate_as_fixed_ones_do():
    space = space_of(TEXT.replace("SAMPLES", "1000").replace("EPOCHS", "{logint: [10, 90]}"))
    prior = priors_of(space)["optimizer.lr"]
    assert prior.centre == pytest.approx(centre(epochs="30"))
    (shift,) = prior.shifts
    assert shift.key == "training.epochs"
    assert math.log10(centre(epochs="10") / prior.centre) == pytest.approx(shift_at(shift, 10))


def test_unknown_rows_leave_the_rate_of_long_trainings():
    space = space_of("{data: {source: mine.csv}, optimizer: {name: adamw, lr: {loguniform: [1e-5, 1]}}}")
    assert priors_of(space)["optimizer.lr"].centre == OPTIMIZERS["adamw"].rate.centre


def test_the_rate_of_a_short_training_falls_with_the_width_and_the_depth_of_the_model():
    text = "model: {name: mlp, width: WIDTH, depth: {int: [1, 4]}}"
    spaces = [
        space_of(TEXT.replace("SAMPLES", "1000").replace("EPOCHS", "10") + text.replace("WIDTH", width))
        for width in ("64", "256")
    ]
    narrow, wide = (priors_of(space)["optimizer.lr"] for space in spaces)
    assert wide.centre < narrow.centre
    (shift,) = [shift for shift in wide.shifts if shift.key == "model.depth"]
    assert shift_at(shift, 4) < shift_at(shift, 1) == 0


def test_the_rows_of_a_file_are_counted_without_loading_it(tmp_path):
    (tmp_path / "mine.csv").write_text("x,y\n" + "1,2\n" * 30)
    np.savez(tmp_path / "mine.npz", x=np.zeros((50, 3)), y=np.zeros(50))
    whole = {"validation": {"file": "other.csv"}, "target": "y"}
    assert training_rows({"source": "mine.csv", **whole}, tmp_path) == 30
    assert training_rows({"source": {"name": "file", "path": "mine.npz"}, **whole}, tmp_path) == 50


@pytest.mark.parametrize("name", ["missing.csv", "missing.npz", "broken.npz", "mine.parquet", "folder.csv"])
def test_the_rows_of_other_files_are_unknown(tmp_path, name):
    (tmp_path / "broken.npz").write_text("no archive")
    (tmp_path / "mine.parquet").write_text("no table")
    (tmp_path / "folder.csv").mkdir()
    assert training_rows({"source": name, "target": "y"}, tmp_path) is None
