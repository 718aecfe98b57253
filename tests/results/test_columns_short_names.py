"""Short names: the shortest end of a path that is unique, and their match back to the full names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.results.columns import matching, nearest, short_names

PATHS = st.lists(st.lists(st.sampled_from(["a", "b", "lr", "0", "length", "name"]), min_size=1, max_size=4).map(".".join), unique=True, max_size=12)  # fmt: skip


def test_a_short_name_is_the_shortest_informative_end_of_the_path():
    names = ["model.hidden.length", "model.hidden.0", "model.dropout", "loss", "loss.gamma", "optimizer.lr",
             "learning_rate.0.warmup.epochs", "weights.0.clip.norm", "training.grad_clip.norm", "trial.seed", "params.x"]  # fmt: skip
    assert list(short_names(names, ("epochs", "seed")).values()) == [
        "hidden.length", "hidden.0", "dropout", "loss", "gamma", "lr",
        "warmup.epochs", "clip.norm", "grad_clip.norm", "trial.seed", "x",
    ]  # fmt: skip


@given(PATHS, st.lists(st.sampled_from(["a", "b", "lr", "rank"]), unique=True))
def test_short_names_are_unique_not_taken_and_match_their_name(names, taken):
    names = [name for name in names if name not in taken]
    short = short_names(names, taken)
    assert len(set(short.values())) == len(names)
    assert not set(short.values()) & set(taken)
    for name in names:
        assert matching(short[name], names) == [name]
        assert matching(name, names) == [name]


@pytest.mark.parametrize(
    ("asked", "name"),
    [("optimizer.lrr", "optimizer.lr"), ("lrr", "optimizer.lr"), ("dropot", "model.dropout"), ("qqqq", None), ("val_los", "val_loss")],
)  # fmt: skip
def test_a_misspelt_name_finds_the_nearest(asked, name):
    assert nearest(asked, ["rank", "val_loss", "optimizer.lr", "model.dropout"]) == name


def test_a_shared_end_matches_all_of_its_names():
    assert matching("lr", ["a.lr", "b.lr", "c"]) == ["a.lr", "b.lr"]
    assert matching("lr", ["a.lr", "lr"]) == ["lr"]
    assert matching("r", ["a.lr"]) == []
