"""How an epoch's examples fall into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunecli.train.batches import batch_sizes


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
