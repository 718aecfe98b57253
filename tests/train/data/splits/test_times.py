"""By time, no training row is later than a validation row, and gaps and ties are respected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.splits import split
from tunecli.train.data.table import RowRoles, Table

DAY_S = 86_400.0


def table_of(times: list[float]) -> Table:
    roles = RowRoles(time=np.array(times, dtype=np.float64))
    return Table(np.zeros((len(times), 1)), np.arange(len(times), dtype=float), "regression", roles=roles)


def data(**knobs: object) -> Data:
    return Data.model_validate({"source": "iris", **knobs})


some_times = st.lists(st.integers(0, 30).map(float), min_size=6, max_size=60).filter(
    lambda times: len({*times}) > 5
)


@given(
    some_times,
    st.one_of(st.builds(lambda f: {"fraction": f}, st.floats(0.05, 0.9)), st.just({"folds": 3})),
    st.integers(0, 3),
    st.floats(0.1, 1.0),
)
def test_training_rows_are_before_validation_rows_and_these_before_test_rows(
    times: list[float], how: dict[str, float], gap: int, kept: float
) -> None:
    table = table_of(times)
    test = {"fraction": 0.2, "by": "time"}
    knob = data(validation={**how, "by": "time", "gap": gap}, test=test)
    try:
        parts = split(table, knob, 1)
    except DataError as error:
        assert (
            "leaves no rows" in error.message
            or "different times" in error.message
            or "same time" in error.message
        )
        return
    few = split(table, knob.model_copy(update={"train_fraction": kept}), 1)
    time_N = np.array(times)
    for part, fewer in zip(parts, few, strict=True):
        train, valid, tested = (
            time_N[rows] for rows in (part.train_indices, part.valid_indices, part.test_indices)
        )
        assert train.max() < valid.min()
        assert valid.max() < tested.min()
        is_between = (time_N < valid.min()) & (time_N > train.max())
        assert is_between.sum() >= gap or gap == 0
        recent = {*fewer.train_indices}
        assert recent <= {*part.train_indices}
        assert time_N[[*recent]].min() >= np.sort(train)[-len(recent)]
    if len(parts) == 1 and gap == 0:
        rows = [parts[0].train_indices, parts[0].valid_indices, parts[0].test_indices]
        assert sorted(np.concatenate(rows)) == list(range(len(times)))


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("n_rows", [24, 31])
def test_folds_of_different_times_are_those_of_scikit_learn(n_rows: int, gap: int) -> None:
    order = np.random.default_rng(1).permutation(n_rows)
    times = np.empty(n_rows)
    times[order] = np.arange(n_rows)
    parts = split(table_of(times.tolist()), data(validation={"folds": 4, "by": "time", "gap": gap}), 0)
    reference = TimeSeriesSplit(4, gap=gap).split(np.zeros(n_rows))
    for part, (train, valid) in zip(parts, reference, strict=True):
        np.testing.assert_array_equal(part.train_indices, np.sort(order[train]))
        np.testing.assert_array_equal(part.valid_indices, np.sort(order[valid]))


def test_a_gap_of_days_leaves_out_the_days_before_validation() -> None:
    table = table_of([day * DAY_S for day in range(100)])
    (part,) = split(table, data(validation={"fraction": 0.2, "by": "time", "gap": "7d"}), 0)
    assert part.valid_indices.tolist() == list(range(80, 100))
    assert part.train_indices.tolist() == list(range(74))


def test_rows_of_one_time_stay_together() -> None:
    table = table_of([0.0] * 3 + [1.0] * 10 + [2.0] * 3)
    (part,) = split(table, data(validation={"fraction": 0.5, "by": "time"}), 0)
    assert part.train_indices.tolist() == [0, 1, 2]
    (part,) = split(table, data(validation={"fraction": 0.1, "by": "time", "gap": 1}), 0)
    assert part.train_indices.tolist() == [0, 1, 2], "the gap takes all rows of its time"


@pytest.mark.parametrize(
    ("times", "validation", "message"),
    [
        ([1.0, 1.0, 1.0], {"fraction": 0.2}, "all 3 rows have the same time"),
        ([1.0, 1.0, 2.0, 3.0], {"folds": 3}, "3 folds by time need 4 different times, and the data has 3"),
        ([1.0, 2.0, 3.0, 4.0], {"fraction": 0.25, "gap": 3}, "the gap of 3 rows leaves no rows"),
        ([1.0, 2.0, 3.0, 4.0], {"fraction": 0.25, "gap": "1w"}, "the gap of 1w leaves no rows"),
        ([1.0, np.nan, 3.0, np.nan], {"fraction": 0.25}, "2 rows have no time; the first is example 1"),
    ],
)
def test_times_that_cannot_be_split_are_refused(
    times: list[float], validation: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        split(table_of(times), data(validation={**validation, "by": "time"}), 0)
    assert caught.value.hint
