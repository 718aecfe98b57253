"""Rows to predict are read like those of a validation file, with or without a target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import Images
from tunecli.errors import DataError
from tunecli.train.data.files import read_table
from tunecli.train.data.images import read_images
from tunecli.train.data.table import Table

TRAINING = "a,b,city,y\n1,2,Rome,yes\n3,4,Oslo,no\n5,,Rome,yes\n"
DATA = Data.model_validate({"source": "t.csv", "target": "y"})


def read(folder: Path, text: str) -> Table:
    """The table of new rows, read with the schema of `TRAINING`."""
    (folder / "t.csv").write_text(TRAINING)
    (folder / "new.csv").write_text(text)
    known = read_table(folder / "t.csv", DATA).schema
    return read_table(folder / "new.csv", DATA, "DATA", known, needs_target=False)


def test_columns_are_matched_by_name_and_the_target_may_be_absent(tmp_path: Path) -> None:
    table = read(tmp_path, "city,b,note,a\nOslo,,x,7\nBern,9,y,8\n")
    assert not table.has_target
    assert table.x[0].tolist()[0] == 7
    assert np.isnan(table.x[0, 1])
    assert table.feature_names == ("a", "b")
    notes = " ".join(table.notes)
    assert "'note'" in notes
    assert "`Bern`" in notes
    assert "1 of 2 rows" in notes


def test_a_target_is_read_if_it_is_there_and_left_out_if_it_cannot_be_used(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b,city,y\n1,2,Rome,no\n").y.tolist() == [0]
    for text in ("a,b,city,y\n1,2,Rome,perhaps\n", "a,b,city,y\n1,2,Rome,\n"):
        table = read(tmp_path, text)
        assert not table.has_target
        assert "the target column 'y' is not used" in " ".join(table.notes)


def test_one_error_names_all_columns_that_are_missing_or_hold_text(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "city,a\nOslo,7\nOslo,many\n")
    assert "`b` is missing" in caught.value.message
    assert "`many` in line 3" in caught.value.message


@pytest.mark.parametrize("has_target", [True, False])
def test_an_npz_file_of_inputs_alone_is_enough(tmp_path: Path, has_target: bool) -> None:
    data = Data.model_validate({"source": "t.npz"})
    x, y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])
    np.savez(tmp_path / "t.npz", x=x, y=y)
    np.savez(tmp_path / "new.npz", x=x[:2], **({"y": y[:2]} if has_target else {}))
    known = read_table(tmp_path / "t.npz", data).schema
    table = read_table(tmp_path / "new.npz", data, "DATA", known, needs_target=False)
    assert table.has_target is has_target
    assert table.x.tolist() == x[:2].tolist()


def test_a_flat_folder_of_images_has_no_targets_and_its_files_are_ids(tmp_path: Path) -> None:
    for name in ("t/cat/1.png", "t/dog/1.png", "flat/b.png", "flat/a.png", "flat/more/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    knob = Images(path="t/", size=4)
    known = read_images(tmp_path / "t", knob).schema
    flat = read_images(tmp_path / "flat", knob, "DATA", known, needs_target=False)
    same = read_images(tmp_path / "t", knob, "DATA", known, needs_target=False)
    assert flat.roles.id is not None
    assert (flat.roles.id.tolist(), flat.has_target) == (["a.png", "b.png", "more/c.png"], False)
    assert (same.y.tolist(), same.has_target) == ([0, 1], True)
