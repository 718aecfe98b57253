"""The table of priors: its names are keys of a trial, and each entry has a source."""

from __future__ import annotations

import math
import typing
from pathlib import Path

import pytest

from tunecli.config.priors.table import KNOBS, NAMES, NUMBERS, OPTIMIZERS, knob_at, split_optimizer
from tunecli.config.schema.models import AnyModel
from tunecli.config.schema.optimizers import AnyOptimizer


def test_every_optimizer_has_a_prior_of_its_learning_rate():
    names = {
        name
        for knob in typing.get_args(AnyOptimizer)
        for name in typing.get_args(knob.model_fields["name"].annotation)
    }
    assert names - {"python"} <= OPTIMIZERS.keys()


def test_the_default_rate_of_every_optimizer_is_within_two_and_a_half_deviations():
    for knob in typing.get_args(AnyOptimizer):
        if "lr" in knob.model_fields:
            default, of = knob.model_fields["lr"].default, OPTIMIZERS[knob.model_fields["name"].default].rate
            assert abs(math.log10(default / of.centre)) < 2.5 * of.deviation, knob


def test_every_setting_of_a_model_in_the_table_is_one():
    fields = {field for knob in typing.get_args(AnyModel) for field in knob.model_fields}
    in_table = {name.removeprefix("model.") for name in KNOBS if name.startswith("model.")}
    assert in_table <= fields


def test_the_documentation_lists_every_name():
    page = (Path(__file__).parents[3] / "docs/guide/search.md").read_text()
    assert [name for name in (*NUMBERS, *NAMES, *OPTIMIZERS) if f"`{name}`" not in page] == []


def test_every_entry_has_a_source_and_a_width():
    numbers = [
        *NUMBERS.values(),
        *(part for of in OPTIMIZERS.values() for part in (of.rate, of.decay) if part),
    ]
    assert all(entry.source and entry.deviation > 0 for entry in numbers)
    assert all(entry.source and min(entry.weights.values()) > 0 for entry in NAMES.values())


@pytest.mark.parametrize(
    ("path", "knob"),
    [
        ("optimizer.lr", "optimizer.lr"),
        ("optimizer.betas.1", "optimizer.betas.1"),
        ("optimizer", "optimizer.name"),
        ("model.hidden.2", "model.hidden"),
        ("model.hidden.length", "model.depth"),
        ("learning_rate.0.warmup.epochs", "learning_rate.warmup.epochs"),
        ("params.lr", ""),
        ("data.validation.fraction", ""),
    ],
)
def test_a_path_leads_to_its_entry_without_positions(path, knob):
    assert knob_at(path) == knob


def test_a_name_with_an_optimizer_is_its_rate():
    assert split_optimizer("adamw.lr") == ("adamw", "optimizer.lr")
    assert split_optimizer("optimizer.lr") == ("", "optimizer.lr")
    assert {"adamw.lr", "lion.weight_decay", "model.dropout"} <= set(KNOBS)
