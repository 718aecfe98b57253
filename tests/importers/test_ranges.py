"""Distributions whose numbers make no range are refused with the reason."""

from __future__ import annotations

import pytest

from tunecli.importers.ranges import NoRangeError, rounded


@pytest.mark.parametrize(("low", "high", "q"), [(0.0, 1e40, 0.001), (-1e40, 1.0, 0.001), (1e-3, 1e16, 1e-3)])
def test_steps_below_the_precision_of_a_bound_are_refused(low, high, q):
    with pytest.raises(NoRangeError, match="too small"):
        rounded("uniform", low, high, q)


def test_a_million_steps_are_a_range():
    assert rounded("uniform", 0.0, 1.0, 1e-6).value == {"uniform": [0.0, 1.0], "step": 1e-6}
