"""The links of the weight chain: spellings and contradictions."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tunecli.config.schema.weights import Center, UnitNorm, WeightClip, WeightCut, WeightLink, WeightNoise

LINK: TypeAdapter[Any] = TypeAdapter(WeightLink)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"clip": {"norm": 3.0}}, WeightClip(norm=3.0)),
        ({"clip": {"norm": 3.0, "per": "row"}}, WeightClip(norm=3.0, per="row")),
        ({"clip": {"value": 0.1, "parameters": "all"}}, WeightClip(value=0.1, parameters="all")),
        ("cut", WeightCut()),
        (
            {"cut": {"by": "magnitude", "fraction": 0.2, "from_epoch": 5}},
            WeightCut(fraction=0.2, from_epoch=5),
        ),
        ({"name": "cut", "by": "rows"}, WeightCut(by="rows")),
        ({"noise": {"std": 0.1, "every": "epoch"}}, WeightNoise(std=0.1, every="epoch")),
        ("center", Center()),
        ({"unit_norm": None}, UnitNorm()),
    ],
)
def test_a_link_is_read_in_every_spelling(given: Any, expected: Any) -> None:
    assert LINK.validate_python(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("clip", "either `value` or `norm`"),
        ({"clip": {"value": 1.0, "norm": 1.0}}, "either `value` or `norm`"),
        ({"clip": {"value": 1.0, "per": "row"}}, "`per` needs `norm`"),
        ({"clip": {"norm": 1.0, "per": "row", "parameters": "all"}}, "a bias has no rows"),
        ({"cut": {"by": "rows", "per": "model"}}, "rows of different layers"),
        ({"cut": {"by": "random_rows", "per": "model"}}, "rows of different layers"),
        ({"cut": {"by": "columns", "per": "model"}}, "columns of different layers"),
        ({"cut": {"fraction": 1.0}}, "less than 1"),
        ({"cut": {"start": 0.1}}, "`start` needs `gradual: true`"),
        ({"cut": {"gradual": True, "start": 0.5, "fraction": 0.5}}, "`start` must be below `fraction`"),
        ({"cut": {"parameters": "all"}}, "'weights'"),
        ({"center": {"parameters": "all"}}, "'weights'"),
        ({"unit_norm": {"parameters": "all"}}, "'weights'"),
        ({"noise": {"from_epoch": 3, "until_epoch": 3}}, "must be above `from_epoch`"),
    ],
)
def test_impossible_links_are_refused_with_a_reason(given: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LINK.validate_python(given)
