"""Contradictions between the settings of columns are errors before a data file is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tunecli.config.schema.columns import ColumnSettings
from tunecli.config.schema.data import Data


def problems(**keys: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Data.model_validate({"source": "t.csv", "target": "y", "columns": keys})
    return str(caught.value)


def test_a_column_may_have_two_roles() -> None:
    settings = ColumnSettings.model_validate({"id": ["visit", "patient"], "group": "patient"})
    assert settings.roles == {"visit": ("id",), "patient": ("id", "group")}


def test_all_contradictions_of_columns_are_in_one_error() -> None:
    message = problems(
        drop=["a", "t"], keep=["a", "g", "b"], group="g", time="t", weight="w", types={"w": "category"}
    )
    assert "`a` is in both `drop` and `keep`" in message
    assert "`t` is in `drop`, but is the `time`" in message
    assert "`g` is in `keep`, but is the `group`, which is no input" in message
    assert "`w` is the `weight`, so its type is `number`, not `category`" in message


def test_a_weight_has_no_other_role() -> None:
    assert "`w` is the `weight`, so it cannot be the `group` too" in problems(weight="w", group="w")


@pytest.mark.parametrize("keys", [{"drop": ["y"]}, {"id": "y"}, {"types": {"y": "datetime"}}])
def test_the_target_is_not_left_out_and_is_no_date(keys: dict[str, object]) -> None:
    assert "`y` is the target" in problems(**keys)


def test_a_column_that_only_some_trials_drop_may_have_a_type() -> None:
    assert ColumnSettings.model_validate({"drop": ["a"], "types": {"a": "category"}}).types
