"""Groups stay whole, parts have about their size and classes, and the split is a function of the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.splits import split
from tunecli.train.data.splits.groups import assigned, folds_of, groups_of
from tunecli.train.data.table import RowRoles, Table


def table_of(groups: list[int], classes: list[int] | None = None) -> Table:
    names = np.array([f"g{group}" for group in groups], dtype=object)
    roles = RowRoles(group=names)
    x = np.zeros((len(groups), 1))
    if classes is None:
        return Table(x, np.arange(len(groups), dtype=float), "regression", roles=roles)
    _, y = np.unique(classes, return_inverse=True)
    return Table(x, y, "classification", tuple(map(str, range(y.max() + 1))), roles=roles)


def data(**knobs: object) -> Data:
    return Data.model_validate({"source": "iris", **knobs})


def groups_in(table: Table, rows: NDArray[np.int64]) -> set[str]:
    assert table.roles.group is not None
    return set(table.roles.group[rows])


some_groups = st.lists(st.integers(0, 11), min_size=8, max_size=60).filter(lambda groups: len({*groups}) > 3)


@given(some_groups, st.floats(0.05, 0.9), st.floats(0.1, 1.0), st.integers(0, 2**40))
def test_no_group_is_in_two_parts(groups: list[int], fraction: float, kept: float, seed: int) -> None:
    table = table_of(groups)
    drawn = {"fraction": fraction, "by": "group"}
    knob = data(validation=drawn, test={"fraction": 0.2, "by": "group"})
    (part,) = split(table, knob, seed)
    rows = [part.train_indices, part.valid_indices, part.test_indices]
    assert sorted(np.concatenate(rows)) == list(range(len(groups)))
    assert all(len(of_part) for of_part in rows)
    names = [groups_in(table, of_part) for of_part in rows]
    assert sum(map(len, names)) == len(set.union(*names))
    (again,) = split(table, knob, seed)
    np.testing.assert_array_equal(part.valid_indices, again.valid_indices)
    (fewer,) = split(table, knob.model_copy(update={"train_fraction": kept}), seed)
    assert {*fewer.train_indices} <= {*part.train_indices}


@given(some_groups, st.integers(2, 4), st.integers(1, 3), st.integers(0, 2**40))
def test_repeated_folds_validate_each_row_once_in_each_repeat(
    groups: list[int], folds: int, repeats: int, seed: int
) -> None:
    table = table_of(groups)
    knob = data(validation={"folds": folds, "by": "group", "repeats": repeats})
    parts = split(table, knob, seed)
    assert len(parts) == folds * repeats
    for repeat in range(repeats):
        own = parts[repeat * folds : (repeat + 1) * folds]
        assert sorted(np.concatenate([part.valid_indices for part in own])) == list(range(len(groups)))
        for part in own:
            assert not groups_in(table, part.train_indices) & groups_in(table, part.valid_indices)


def test_a_fraction_has_the_nearest_size_that_equal_groups_allow() -> None:
    table = table_of([group for group in range(20) for _ in range(5)])
    (part,) = split(table, data(validation={"fraction": 0.23, "by": "group"}), 3)
    assert len(part.valid_indices) == 25
    assert (
        len(
            set(
                map(
                    tuple,
                    (
                        split(table, data(validation={"fraction": 0.2, "by": "group"}), seed)[0].valid_indices
                        for seed in range(4)
                    ),
                )
            )
        )
        > 1
    )


def distances(y: NDArray[np.int64], parts: list[NDArray[np.int64]]) -> tuple[float, float]:
    """How far folds are from equal sizes, and from equal shares of each class: means, relative to a fold."""
    n_classes, share = int(y.max()) + 1, 1 / len(parts)
    counts = np.array([np.bincount(y[rows], minlength=n_classes) for rows in parts])
    of_size = np.abs(counts.sum(axis=1) / len(y) - share).mean() / share
    return of_size, np.abs(counts / np.bincount(y) - share).mean() / share


def test_folds_are_nearer_to_equal_than_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    theirs, ours = [], []
    for seed in range(15):
        n_folds, n_classes = int(generator.integers(2, 6)), int(generator.integers(2, 5))
        sizes = generator.geometric(1 / 8, 40)
        groups = np.repeat(np.arange(40), sizes)
        shares = generator.dirichlet(np.full(n_classes, 0.7), 40).cumsum(axis=1)
        drawn = (generator.random(len(groups))[:, None] > shares[groups]).sum(axis=1)
        _, y = np.unique(np.minimum(drawn, n_classes - 1), return_inverse=True)
        reference = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, groups)
        theirs.append(distances(y, [rows for _, rows in reference]))
        found = groups_of(np.arange(len(y)), groups.astype(object), y)
        cuts = folds_of(found, n_folds, np.random.default_rng(seed), "")
        ours.append(distances(y, [cut.rows for cut in cuts]))
    (their_size, their_classes), (our_size, our_classes) = np.mean(theirs, axis=0), np.mean(ours, axis=0)
    assert our_size < their_size
    assert our_classes < their_classes


def test_a_class_that_one_group_holds_stays_in_the_training_part() -> None:
    table = table_of([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 1, 2, 2])
    for seed in range(5):
        (part,) = split(table, data(validation={"fraction": 0.5, "by": "group"}), seed)
        assert {*table.y[part.train_indices]} == {0, 1, 2}


def test_many_groups_are_dealt_out_with_the_wanted_shares() -> None:
    generator = np.random.default_rng(0)
    counts_GK = generator.multinomial(3, [0.5, 0.3, 0.2], 60_000)
    part_G = assigned(counts_GK, np.array([0.3, 0.7]), generator, np.zeros(60_000, dtype=bool), 1)
    shares = counts_GK[part_G == 0].sum(axis=0) / counts_GK.sum(axis=0)
    np.testing.assert_allclose(shares, 0.3, atol=1e-3)


@pytest.mark.parametrize(
    ("groups", "classes", "validation", "message"),
    [
        ([0, 1, 2], None, {"folds": 5}, "5 folds are more than the 3 groups in the data"),
        ([0, 0, 0], None, {"fraction": 0.2}, "1 group cannot be split into two parts"),
        ([0, 0, 1, 1], [0, 0, 1, 1], {"fraction": 0.5}, "each group is the only one with some class"),
        ([0, 0, 1, 1], [0, 0, 1, 1], {"folds": 2}, r"class '.' has no training example of fold 1; class"),
    ],
)
def test_groups_that_cannot_be_split_are_refused(
    groups: list[int], classes: list[int] | None, validation: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        split(table_of(groups, classes), data(validation={**validation, "by": "group"}), 0)
    assert caught.value.parameter == "data.validation"
    assert caught.value.hint
