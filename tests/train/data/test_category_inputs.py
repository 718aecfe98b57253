"""Categories become 0/1 inputs or codes, and a row has the size that a check expects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunecli.config.schema.augmentations import Mask, Noise
from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data import preparation
from tunecli.train.data.augmentation import augment
from tunecli.train.data.category_inputs import apply_categories, fit_categories
from tunecli.train.data.sources import facts_of, read_source
from tunecli.train.data.table import TextColumn

CITIES = np.array(["Rome", "Bern", "Rome", None, "Oslo", "Bern"], dtype=object)
COLUMNS = (TextColumn("city", CITIES),)
TRAIN, ALL = np.arange(4), np.arange(6)


def knobs(**others: Any) -> Data:
    return Data.model_validate({"source": "t.csv", "target": "y", **others})


def test_a_code_names_the_category_of_a_0_1_input_and_0_an_unknown_one() -> None:
    (one_hot,) = apply_categories(fit_categories(COLUMNS, TRAIN, knobs()), COLUMNS, ALL)
    assert one_hot.tolist() == [[0, 1], [1, 0], [0, 1], [0, 0], [0, 0], [1, 0]]
    categories = fit_categories(COLUMNS, TRAIN, knobs(categories="embedding"))
    (codes,) = apply_categories(categories, COLUMNS, ALL)
    assert codes.tolist() == [[2], [1], [2], [0], [0], [1]]
    assert categories.n_codes == (3,)


def test_a_rare_category_counts_as_unknown() -> None:
    categories = fit_categories(COLUMNS, TRAIN, knobs(min_category_count=2))
    assert categories.values == (("Rome",),)
    (one_hot,) = apply_categories(categories, COLUMNS, ALL)
    assert one_hot.tolist() == [[1], [0], [1], [0], [0], [0]]


@pytest.mark.parametrize(
    "encoding",
    [
        {"categories": categories, "min_category_count": count, "missing_indicators": has_indicators}
        for categories in ("one_hot", "embedding")
        for count in (1, 2)
        for has_indicators in (False, True)
    ],
    ids=str,
)
def test_a_row_has_the_size_that_a_check_expects(tmp_path: Path, encoding: dict[str, Any]) -> None:
    (tmp_path / "t.csv").write_text("a,b,c,d,y\n1,,u,k,0\n2,5,v,l,1\n,6,u,m,0\n4,7,,l,1\n")
    data = knobs(**encoding)
    table, facts = read_source(data, tmp_path), facts_of(data, tmp_path)
    assert facts is not None
    fitted = preparation.fit(table, np.arange(4), data)
    prepared = preparation.apply(fitted, table, np.arange(4))
    assert prepared.x.shape[1:] == facts.inputs.shape
    assert fitted.categories.n_codes == facts.inputs.categories
    n_codes = len(facts.inputs.categories)
    assert not n_codes or set(prepared.x[:, -n_codes:].ravel()) <= {0, 1, 2, 3}


def test_a_text_column_of_which_all_categories_are_rare_is_refused() -> None:
    with pytest.raises(DataError, match="no category of a text column has 9 training rows") as caught:
        fit_categories(COLUMNS, TRAIN, knobs(min_category_count=9))
    assert caught.value.parameter == "data.min_category_count"


def test_embedded_columns_may_have_more_values(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"n{i}x,{i % 2}\n" for i in range(150)))
    assert len(read_source(knobs(categories="embedding"), tmp_path).text[0].categories) == 150
    with pytest.raises(DataError, match="is text with 150 distinct values") as caught:
        read_source(knobs(), tmp_path)
    assert "`data.columns.drop: [a]`" in caught.value.hint
    assert "10,000 with `data.categories: embedding`" in caught.value.hint


def test_augmentations_do_not_change_codes() -> None:
    x = torch.cat([torch.randn(50, 3), torch.randint(0, 9, (50, 2))], dim=1)
    changed = augment([Noise(std=1.0), Mask(p=0.5)], x, torch.Generator().manual_seed(0), n_numbers=3)
    assert torch.equal(changed[:, 3:], x[:, 3:])
    assert not torch.equal(changed[:, :3], x[:, :3])
