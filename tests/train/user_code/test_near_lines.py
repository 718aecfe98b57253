"""The message of a trial without its objective has the matches of its patterns, and the nearest lines."""

from __future__ import annotations

import re

import pytest

from tunecli.train.user_code.near_lines import NearLines


def said(name: str, lines: list[str], **patterns: str) -> str:
    near = NearLines(name, {metric: re.compile(pattern) for metric, pattern in patterns.items()})
    for line in lines:
        near.note(line)
    return near.explanation(lambda text: text.replace("hunter2", "***"))


def test_each_pattern_is_listed_with_its_last_line():
    lines = [f"epoch {n} took 3 s" for n in range(1, 13)]
    found = said("val_loss", lines, val_loss="val_loss=([0-9.]+)", epoch="epoch ([0-9]+)")
    assert found.startswith(
        "the pattern of val_loss matched no line; the pattern of epoch matched 12 lines, the last `epoch 12 took 3 s`"
    )


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("val_loss", "Epoch 3: valid loss = 0.25"),
        ("val_accuracy", "acc: 91.2"),
        ("test/auc", "AUC on the test set 0.91"),
        ("val_loss", "\x1b[32mval loss 0.25\x1b[0m"),
        ("score", "result=4"),
    ],
)
def test_line_with_parts_of_the_name_is_near(name, line):
    noise = ["loading 12 files", "done", "time 12:30"]
    found = said(name, [*noise, line, *noise])
    assert found.startswith("the nearest lines: `")
    assert re.sub(r"\x1b\[[0-9]*m", "", line) in found


def test_lines_of_one_shape_are_shown_once_and_the_nearest_first():
    lines = [f"step {n}: loss={n}.5" for n in range(200)] + [f"lr: {n}" for n in range(100)] + ["val_loss 3"]
    assert said("val_loss", lines) == "the nearest lines: `val_loss 3`, `step 199: loss=199.5`, `lr: 99`"


def test_line_is_not_near_without_a_number_and_a_sign_or_a_part_of_the_name():
    assert said("val_loss", ["hello", "loading 12 files", "key = value"]) == ""


@pytest.mark.parametrize("line", ["Epoch 29 val loss: nan", "val loss: NaN", "val_loss=-inf"])
def test_loss_that_is_not_finite_is_named_as_the_cause(line):
    said_of_line = said("val_loss", ["loading 12 files", line], val_loss="val loss: ([0-9.]+)")
    assert "the training diverged, and the pattern does not match it" in said_of_line
    assert "diverged" not in said("val_loss", ["valid loss: 3", "info nan"], val_loss="val loss: ([0-9.]+)")


@pytest.mark.parametrize(
    ("pattern", "line", "value"),
    [
        ("loss=([0-9.]+)", "epoch 3 loss=nan time=2", "nan"),
        ("loss=([0-9.]+)", "loss=-inf", "-inf"),
        (r"loss: (\d+\.\d{4})\b", "train 3.1000, loss: NaN", "NaN"),
        (r"loss: (\d+\.\d{3}) ", "loss: inf ", "inf"),
        (r"loss: (\d\.\d+e[+-]\d+)$", "acc nan loss: \x1b[31mnan\x1b[0m", "nan"),
        (r"(\d+) loss", "nan loss", "nan"),
    ],
)
def test_value_that_is_not_finite_in_the_place_of_the_number_is_a_divergence(pattern, line, value):
    near = NearLines("val_loss", {"val_loss": re.compile(pattern)})
    for printed in ["loading 12 files", line, "done"]:
        near.note(printed)
    assert near.divergence(str).startswith(f"val_loss is {value}: `")


@pytest.mark.parametrize(
    "line", ["acc=nan", "loss=none", "loss = nan", "loss=3", "info loss", "loss=nan2", "xloss=na"]
)
def test_other_lines_are_no_divergence(line):
    near = NearLines(
        "val_loss", {"val_loss": re.compile("loss=([0-9.]+)"), "acc": re.compile("acc=([0-9.]+)")}
    )
    near.note(line)
    assert near.divergence(str) == ""


def test_secret_is_removed_before_a_line_is_cut():
    found = said("val_loss", ["x" * 112 + "hunter2 loss=1"])
    assert "hunt" not in found


def test_many_shapes_take_no_memory():
    near = NearLines("val_loss", {})
    for n in range(5_000):
        near.note(f"{'x' * (n % 700)} y{'z' * (n // 700)}=1")
    assert len(near._near) <= 32
