"""Ordered choices: one column by rank, the same draws as without order, and only numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.config.space import point_of_units
from tunecli.search.bo.encoding import (
    coordinates_of_units,
    encoding_of,
    features,
    snap,
    units_of_coordinates,
    units_of_points,
)
from tunecli.search.protocols import suggest

SHUFFLED = "{n: {choice: [64, 16, 256, 32]%s}, x: {uniform: [0, 1]}, o: {choice: [a, {name: b, m: {choice: [3, 1, 2]%s}}]}}"
ORDERED = space_of(SHUFFLED % (", ordered: true", ", ordered: true"))
PLAIN = space_of(SHUFFLED % (", ordered: false", ", ordered: false"))
UNSAID = space_of(SHUFFLED % ("", ""))


def test_an_ordered_choice_is_one_column_with_the_rank_of_its_option():
    points = [{"n": n, "x": 0.5, "o": "a"} for n in (16, 32, 64, 256)]
    rows = features(encoding_of(ORDERED), units_of_points(ORDERED, points))
    np.testing.assert_allclose(rows[:, 0], [0.125, 0.375, 0.625, 0.875])


def test_three_numbers_have_an_order_unless_the_file_or_an_older_record_says_otherwise():
    point = {"n": 64, "x": 0.5, "o": "b", "o.m": 1}

    def row(space):
        return features(encoding_of(space), units_of_points(space, [point])).tolist()

    assert row(UNSAID) == row(ORDERED)
    assert row(replace(UNSAID, orders_numbers=False)) == row(PLAIN) != row(ORDERED)
    assert row(replace(ORDERED, orders_numbers=False)) == row(ORDERED)


@pytest.mark.parametrize(
    "options", ["[1, 2]", "[1, 2, full]", "[true, false, 1]", "[1, 2, {int: [3, 4]}]", "[a, b, c]"]
)
def test_two_options_and_other_values_have_no_order(options):
    (domain, *_) = (parameter.domain for parameter in space_of(f"{{x: {{choice: {options}}}}}").parameters)
    assert domain.is_ordered is False


def test_units_coordinates_and_snapped_points_belong_together():
    encoding = encoding_of(ORDERED)
    snapped_ND = snap(encoding, np.random.default_rng(0).random((200, len(ORDERED.parameters))))
    points = [point_of_units(ORDERED, row.tolist()) for row in snapped_ND]
    np.testing.assert_allclose(snapped_ND, units_of_points(ORDERED, points), atol=1e-12)
    again_ND = units_of_coordinates(
        encoding, np.nan_to_num(coordinates_of_units(encoding, snapped_ND), nan=0.5)
    )
    active = ~np.isnan(snapped_ND)
    np.testing.assert_allclose(again_ND[active], snapped_ND[active], atol=1e-12)


def test_order_changes_no_random_draw():
    for number in range(20):
        assert suggest("random", ORDERED, [], number, 3) == suggest("random", PLAIN, [], number, 3)


@pytest.mark.parametrize("options", ["[1, 2, full]", "[true, false]", "[1, [2]]", "[1, {int: [2, 3]}]"])
def test_only_numbers_can_be_ordered(options):
    with pytest.raises(pytest.fail.Exception, match="only a choice among numbers can be ordered"):
        space_of(f"{{x: {{choice: {options}, ordered: true}}}}")


def test_ordered_is_true_or_false():
    with pytest.raises(pytest.fail.Exception, match="`ordered` must be true or false"):
        space_of("{x: {choice: [1, 2], ordered: yes}}")
