"""How an epoch's examples fall into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunecli.train.workload import batch_sizes, parts_of


@given(st.integers(1, 500), st.integers(1, 600) | st.just("full"), st.booleans())
def test_every_example_is_in_a_batch(n: int, size: int, fold: bool) -> None:
    sizes = batch_sizes(n, size, fold_single=fold)
    assert sum(sizes) == n
    assert min(sizes) >= 1


def test_the_last_partial_batch_is_kept() -> None:
    assert batch_sizes(10, 4, fold_single=False) == [4, 4, 2]
    assert batch_sizes(9, 4, fold_single=False) == [4, 4, 1]


def test_a_last_batch_of_one_joins_the_one_before_it_where_it_must() -> None:
    assert batch_sizes(9, 4, fold_single=True) == [4, 5]
    assert batch_sizes(10, 4, fold_single=True) == [4, 4, 2]
    assert batch_sizes(1, 4, fold_single=True) == [1]


def test_full_is_one_batch() -> None:
    assert batch_sizes(9, "full", fold_single=False) == [9]


@given(st.integers(1, 500), st.integers(1, 64), st.booleans())
def test_a_batch_falls_into_as_many_parts_as_it_can_all_nearly_equal(
    n: int, n_parts: int, fold: bool
) -> None:
    sizes = parts_of(n, n_parts, fold_single=fold)
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == max(1, min(n_parts, n // 2 if fold else n))


def test_no_part_is_a_single_example_where_that_has_no_variance() -> None:
    assert parts_of(5, 4, fold_single=True) == [3, 2]
    assert parts_of(5, 4, fold_single=False) == [2, 1, 1, 1]
    assert parts_of(1, 4, fold_single=True) == [1]
