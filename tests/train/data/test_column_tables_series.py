"""A file of a time series, or of texts with columns, is read and prepared as the configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.files import read_table
from tunecli.train.data.loading import Fold, load
from tunecli.train.data.sources import facts_of

N_ROWS = 40


def series_data(folder: Path, **knobs: Any) -> Data:
    """Two series of shops, mixed in one file, with a number, a gap, a category and a date."""
    r = np.random.default_rng(0)
    lines = []
    for row in r.permutation(2 * N_ROWS).tolist():
        day, shop = row % N_ROWS, "ab"[row // N_ROWS]
        price = "" if day == 3 else f"{day + 100 * (shop == 'b')}"
        lines.append(f"2024-{1 + day // 28:02d}-{1 + day % 28:02d},{shop},{price},{'xy'[day % 2]},{day / 2}")
    (folder / "t.csv").write_text("\n".join(["day,shop,price,kind,sold", *lines]) + "\n")
    settings = {"source": "t.csv", "target": "sold", "columns": {"time": "day", "group": "shop"}}
    settings |= {"series": {"window": 4, "horizon": 2}, "validation": {"fraction": 0.25, "by": "time"}}
    return Data.model_validate(settings | knobs)


def fold_of(data: Data, folder: Path) -> Fold:
    (fold,) = load(data, folder, 0, torch.device("cpu"))
    return fold


def test_windows_hold_prepared_rows_in_order_and_the_target_is_later(tmp_path: Path) -> None:
    data = series_data(tmp_path)
    fold = fold_of(data, tmp_path)
    facts = facts_of(data, tmp_path)
    assert facts is not None
    assert fold.inputs == facts.inputs
    assert fold.inputs.shape == (4, 4)  # price, sold, kind x, kind y
    assert fold.inputs.kind == "sequence"
    assert (len(fold.x_train), len(fold.x_valid)) == (
        2 * 20,
        2 * 10,
    )  # windows of 6 rows, none of them after day 24
    sold_NT = fold.x_valid[:, :, 1]
    steps = sold_NT.diff(dim=1)
    torch.testing.assert_close(
        steps, steps[:1, :1].expand_as(steps)
    )  # each row is one day after the row before
    center, scale = fold.target_center, fold.target_scale
    target_N = fold.y_valid * scale + center
    assert sorted(target_N.tolist()) == pytest.approx(sorted([day / 2 for day in range(30, 40)] * 2))
    # a step of the inputs is half a unit; the target is two days after the last row
    last_N = sold_NT[:, -1] / steps[0, 0] * 0.5
    torch.testing.assert_close(target_N - last_N, (target_N - last_N)[:1].expand_as(target_N))
    assert set(fold.x_train[:, :, 2:].unique().tolist()) == {0.0, 1.0}
    assert torch.isfinite(fold.x_train).all()


def test_past_targets_are_left_out_and_all_later_rows_predicted_on_request(tmp_path: Path) -> None:
    series = {"window": 4, "horizon": 3, "outputs": "all", "past_target": False}
    fold = fold_of(series_data(tmp_path, series=series), tmp_path)
    assert fold.inputs.shape == (4, 3)
    assert fold.y_valid.shape == (len(fold.x_valid), 3)
    assert fold.target_names == ("sold+1", "sold+2", "sold+3")
    assert isinstance(fold.target_scale, torch.Tensor)
    steps = (fold.y_valid * fold.target_scale + fold.target_center).diff(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 0.5))


def test_new_rows_of_a_series_end_with_the_last_known_target(tmp_path: Path) -> None:
    data = series_data(tmp_path)
    known = read_table(tmp_path / "t.csv", data).schema
    lines = [f"2024-05-{day + 1:02d},c,{day},x,{'' if day > 6 else day}" for day in range(9)]
    (tmp_path / "new.csv").write_text("\n".join(["day,shop,price,kind,sold", *lines]) + "\n")
    table = read_table(tmp_path / "new.csv", data, "DATA", known, needs_target=False)
    assert not table.has_target
    assert table.roles.id is not None
    assert table.roles.id.tolist() == ["4", "5", "6", "7"]
    assert "2 windows with a missing value of 'sold' left out" in table.notes
    (tmp_path / "short.csv").write_text("\n".join(["day,shop,price,kind,sold", *lines[:3]]) + "\n")
    with pytest.raises(DataError, match="a window takes 4 rows, but the data has 3 rows"):
        read_table(tmp_path / "short.csv", data, "DATA", known, needs_target=False)


def test_a_series_needs_columns_and_no_texts(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.zeros((9, 2)), y=np.arange(9.0))
    data = series_data(tmp_path, source="t.npz", target=None, columns={})
    with pytest.raises(DataError, match="windows are cut from a table of columns"):
        read_table(tmp_path / "t.npz", data)
    with pytest.raises(DataError, match="has no rows in time"):
        facts_of(series_data(tmp_path, source="digits", target=None, columns={}), tmp_path)
    with pytest.raises(ValidationError, match="a series has no texts"):
        series_data(tmp_path, text="kind")


TEXTS = """review,stars,shop,mood
good film,3,a,pos
bad film,,b,neg
good good,5,a,pos
bad,1,b,neg
,2,a,pos
bad plot,4,b,neg
"""


def text_data(folder: Path, **knobs: Any) -> Data:
    (folder / "r.csv").write_text(TEXTS)
    settings = {"source": "r.csv", "target": "mood", "text": "review", "text_with_columns": True}
    settings |= {"tokens": "words", "validation": {"file": "r.csv"}}
    return Data.model_validate(settings | knobs)


def test_a_row_of_a_text_with_columns_holds_the_columns_then_the_tokens(tmp_path: Path) -> None:
    data = text_data(tmp_path)
    fold = fold_of(data, tmp_path)
    facts = facts_of(data, tmp_path)
    assert facts is not None
    assert fold.inputs == facts.inputs
    assert (fold.inputs.kind, fold.inputs.shape, fold.inputs.text_length) == ("mixed", (5,), 2)
    assert fold.x_train.dtype == torch.float32
    assert fold.x_train[:, 3:].tolist() == [[3, 4], [2, 4], [3, 3], [2, 0], [0, 0], [2, 5]]
    assert fold.x_train[:, 1:3].tolist() == [[1, 0], [0, 1]] * 3
    assert fold.x_train[1, 0] == pytest.approx(
        fold.x_train[:, 0].median().item(), abs=0.5
    )  # the missing number


def test_new_texts_with_columns_need_both(tmp_path: Path) -> None:
    data = text_data(tmp_path)
    known = read_table(tmp_path / "r.csv", data).schema
    (tmp_path / "new.csv").write_text("shop,stars,review\nb,2,good plot\n")
    table = read_table(tmp_path / "new.csv", data, "DATA", known, needs_target=False)
    assert table.kind == "mixed"
    (tmp_path / "new.csv").write_text("shop,review\nb,good plot\n")
    with pytest.raises(DataError, match=r"column `stars` of the training data is missing in new\.csv"):
        read_table(tmp_path / "new.csv", data, "DATA", known, needs_target=False)


def test_a_text_without_other_columns_is_plain_tokens(tmp_path: Path) -> None:
    table = read_table(tmp_path / "r.csv", text_data(tmp_path, columns={"drop": ["stars", "shop"]}))
    assert table.kind == "tokens"
