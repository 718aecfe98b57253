"""The division of an epoch's examples into batches."""

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


def test_a_last_batch_of_one_example_joins_the_batch_before_it_for_batch_norm() -> None:
    assert batch_sizes(9, 4, fold_single=True) == [4, 5]
    assert batch_sizes(10, 4, fold_single=True) == [4, 4, 2]
    assert batch_sizes(1, 4, fold_single=True) == [1]


def test_full_gives_one_batch() -> None:
    assert batch_sizes(9, "full", fold_single=False) == [9]


@given(st.integers(1, 500), st.integers(1, 64), st.booleans())
def test_a_batch_is_split_into_nearly_equal_parts(n: int, n_parts: int, fold: bool) -> None:
    sizes = parts_of(n, n_parts, fold_single=fold)
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == max(1, min(n_parts, n // 2 if fold else n))


def test_no_part_of_a_split_batch_is_a_single_example_with_batch_norm() -> None:
    assert parts_of(5, 4, fold_single=True) == [3, 2]
    assert parts_of(5, 4, fold_single=False) == [2, 1, 1, 1]
    assert parts_of(1, 4, fold_single=True) == [1]
