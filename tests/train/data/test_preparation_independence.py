"""The content of the validation and test parts does not change training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.train.data import preparation
from tunecli.train.data.splits import split
from tunecli.train.data.table import Table, TextColumn

N = 24
NORMALIZATIONS = ["standard", "minmax", "robust", "quantile", "none"]


def knobs_of(normalize: str, task: str, seed: int) -> Data:
    way = {"fraction": 0.3} if seed % 2 else {"folds": 3}
    return Data.model_validate(
        {
            "source": "iris",
            "normalize": normalize,
            "missing_indicators": seed % 3 == 0,
            "categories": "embedding" if seed % 5 < 2 else "one_hot",
            "min_category_count": 1 + seed % 2,
            "validation": way,
            "test": {"fraction": 0.2},
            "max_length": 5,
            "max_tokens": 6,
            "train_fraction": 0.8,
        }
    )


def random_table(rng: np.random.Generator, kind: str, task: str) -> Table:
    y: NDArray[Any] = np.repeat([0, 1, 2], N // 3) if task == "classification" else rng.normal(5, 3, N)
    classes = ("a", "b", "c") if task == "classification" else ()
    shape = {"features": (N, 3), "sequence": (N, 4, 2), "image": (N, 2, 3, 3), "prose": (N, 0)}[kind]
    x = rng.normal(rng.normal(0, 100), np.exp(rng.normal(0, 3)), shape)
    if kind == "features":
        x[rng.random(shape) < 0.2] = np.nan
        text = (TextColumn("t", rng.choice(np.array(["u", "v", None], dtype=object), N)),)
        return Table(x, y, task, classes, ("f", "g", "h"), text)  # type: ignore[arg-type]
    if kind == "prose":
        texts = ["".join(rng.choice([*"abcdefgh"], rng.integers(0, 9))) for _ in range(N)]
        return Table(x, y, task, classes, prose=TextColumn("p", np.array(texts, dtype=object)))  # type: ignore[arg-type]
    return Table(x.astype(np.float32), y, task, classes)  # type: ignore[arg-type]


def leaves(value: Any) -> Iterator[Any]:
    """The values of a dataclass and of those in its fields."""
    if not dataclasses.is_dataclass(value):
        yield value
        return
    for field in dataclasses.fields(value):
        yield from leaves(getattr(value, field.name))


def with_other_rows_wild(table: Table, kept: NDArray[np.int64], rng: np.random.Generator) -> Table:
    """The same training rows with any other rows; the classes stay, because the split depends on them."""
    is_other = np.ones(N, dtype=bool)
    is_other[kept] = False
    x, y = table.x.copy(), table.y.copy()
    x[is_other] = rng.normal(0, 1e6, x[is_other].shape)
    if table.kind == "features":
        x[is_other & (rng.random(N) < 0.3)] = np.nan
    if table.task == "regression":
        y[is_other] = rng.normal(0, 1e6, int(is_other.sum()))

    def wild(column: TextColumn) -> TextColumn:
        values = column.values.copy()
        values[is_other] = "never seen " * 9
        return TextColumn(column.name, values)

    prose = None if table.prose is None else wild(table.prose)
    return dataclasses.replace(table, x=x, y=y, text=tuple(map(wild, table.text)), prose=prose)


@example(3, "features", "regression", "power")
@given(
    st.integers(0, 2**32),
    st.sampled_from(["features", "sequence", "image", "prose"]),
    st.sampled_from(["classification", "regression"]),
    st.sampled_from(NORMALIZATIONS),
)
def test_validation_and_test_rows_do_not_change_training_tensors(
    seed: int, kind: str, task: str, normalize: str
) -> None:
    rng = np.random.default_rng(seed)
    before, knobs = random_table(rng, kind, task), knobs_of(normalize, task, seed)
    for number, part in enumerate(split(before, knobs, seed)):
        after = with_other_rows_wild(before, part.train_indices, rng)
        other_part = split(after, knobs, seed)[number]
        np.testing.assert_array_equal(part.train_indices, other_part.train_indices)
        one, other = (preparation.fit(table, part.train_indices, knobs) for table in (before, after))
        for leaf, other_leaf in zip(leaves(one), leaves(other), strict=True):
            np.testing.assert_array_equal(leaf, other_leaf)
        trained = [preparation.apply(one, table, part.train_indices) for table in (before, after)]
        np.testing.assert_array_equal(trained[0].x, trained[1].x)
        np.testing.assert_array_equal(trained[0].y, trained[1].y)
        assert not set(part.train_indices) & {*part.valid_indices, *part.test_indices}
        assert not set(part.valid_indices) & set(part.test_indices)
