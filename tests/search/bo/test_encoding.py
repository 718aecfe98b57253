"""Encoding: columns of numeric and categorical parameters, and of inactive ones."""

from __future__ import annotations

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
from tunecli.trial import Parameters

ONE = np.sqrt(0.5)  # the value in a chosen option's column
CONDITIONAL = """
layers: {list: {of: {logint: [16, 256]}, length: {int: [1, 3]}}}
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, nesterov: {choice: [true, false]}}
    - {name: adam, lr: {loguniform: [1e-5, 0.1]}, beta: {choice: [0, {uniform: [0.5, 0.9], step: 0.1}]}}
only: {choice: [one]}
batch: {choice: [32, 64, full]}
noise: {normal: [0, 1]}
stepped: {normal: [8, 4], step: 2}
rate: {lognormal: [-5, 1], step: 0.05}
width: {power: {of: 2, int: [3, 8]}}
loss: {choice: [a, b, c, d], weights: [5, 0.1, 2, 1]}
"""


def test_a_number_is_one_column_and_each_option_a_column() -> None:
    space = space_of(
        "{lr: {loguniform: [1e-4, 1]}, act: {choice: [a, b, c]}, n: {int: [1, 4]}, one: {choice: [z]}}"
    )
    points: list[Parameters] = [
        {"lr": 1e-2, "act": "c", "n": 1, "one": "z"},
        {"lr": 1e-4, "act": "a", "n": 4, "one": "z"},
    ]
    rows = features(encoding_of(space), units_of_points(space, points))
    np.testing.assert_allclose(rows, [[0.5, 0, 0, ONE, 0.125], [0, ONE, 0, 0, 0.875]], atol=1e-12)
    np.testing.assert_array_equal(encoding_of(space).groups_F, [0, 1, 1, 1, 2])


def test_inactive_parameters_have_one_encoding_for_every_unit() -> None:
    space = space_of("{x: {choice: [{name: p, a: {uniform: [0, 1]}}, {name: q, b: {choice: [0, 1]}}]}}")
    encoding = encoding_of(space)
    in_q = snap(encoding, np.array([[0.9, 0.1, 0.3], [0.9, 0.7, 0.3]]))
    rows = features(encoding, in_q)
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], [0, ONE, 0, 0, ONE, 0])
    in_p = features(encoding, snap(encoding, np.array([[0.1, 0.25, 0.3]])))
    np.testing.assert_allclose(in_p, [[ONE, 0, np.cos(0.25), np.sin(0.25), 0, 0]])


def test_every_value_is_at_distance_1_from_inactive_and_values_keep_their_distances() -> None:
    space = space_of("{x: {choice: [{name: p, a: {uniform: [0, 1]}}, q]}}")
    encoding = encoding_of(space)
    units = np.column_stack([np.full(11, 0.25), np.linspace(0, 0.999, 11)])
    rows = features(encoding, snap(encoding, np.vstack([units, [[0.75, np.nan]]])))[:, 2:]
    np.testing.assert_allclose(np.linalg.norm(rows[:-1] - rows[-1], axis=1), 1.0)
    chords = np.linalg.norm(rows[:-1] - rows[0], axis=1)
    np.testing.assert_allclose(chords, units[:, 1], rtol=0.05)


def test_two_options_are_at_distance_1() -> None:
    space = space_of("{act: {choice: [a, b, c]}, x: {uniform: [0, 1]}}")
    rows = features(encoding_of(space), units_of_points(space, [{"act": o, "x": 0.5} for o in "abc"]))
    distances = np.linalg.norm(rows[:, None] - rows, axis=2)
    np.testing.assert_allclose(distances, 1 - np.eye(3), atol=1e-12)


def test_snapped_units_are_the_units_of_their_points() -> None:
    space = space_of(CONDITIONAL)
    encoding = encoding_of(space)
    snapped_ND = snap(encoding, np.random.default_rng(0).random((300, len(space.parameters))))
    points = [point_of_units(space, row.tolist()) for row in snapped_ND]
    np.testing.assert_allclose(snapped_ND, units_of_points(space, points), atol=1e-12)
    rows = features(encoding, snapped_ND)
    np.testing.assert_allclose(rows, features(encoding, units_of_points(space, points)), atol=1e-12)
    assert rows.min() >= 0
    assert rows.max() <= 1


def test_snapping_is_idempotent() -> None:
    encoding = encoding_of(space_of(CONDITIONAL))
    once = snap(encoding, np.random.default_rng(1).random((50, len(encoding.dimensions))))
    np.testing.assert_array_equal(snap(encoding, once), once)


def test_a_space_without_parameters_has_no_columns() -> None:
    space = space_of("{a: 1}")
    assert features(encoding_of(space), units_of_points(space, [{}, {}])).shape == (2, 0)
    assert units_of_points(space, []).shape == (0, 0)


def test_a_uniform_range_over_magnitudes_has_a_logarithmic_coordinate() -> None:
    space = space_of(
        "{decay: {uniform: [1e-5, 1e-1]}, width: {int: [1, 1000]}, near: {uniform: [0.01, 0.9]}}"
    )
    encoding = encoding_of(space)
    values = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    points: list[Parameters] = [{"decay": value, "width": 1, "near": 0.01} for value in values]
    units = units_of_points(space, points)
    rows = features(encoding, units)
    np.testing.assert_allclose(rows[:, 0], [0, 0.25, 0.5, 0.75, 1.0], atol=1e-6)
    widths = units_of_points(space, [{"decay": 1e-5, "width": n, "near": 0.9} for n in (1, 10, 100, 1000)])
    ends = np.log([0.5, 1000.5])
    expected = (np.log([1, 10, 100, 1000]) - ends[0]) / (ends[1] - ends[0])
    rows = features(encoding, widths)
    np.testing.assert_allclose(rows[:, 1], expected, atol=1e-12)
    np.testing.assert_allclose(rows[:, 2], 1.0, atol=1e-12)


def test_units_of_coordinates_inverts_coordinates_of_units_and_keeps_both_ends() -> None:
    space = space_of(
        "{decay: {uniform: [1e-5, 1e-1]}, lr: {loguniform: [1e-4, 1]}, depth: {int: [1, 200], step: 3}}"
    )
    encoding = encoding_of(space)
    units = np.random.default_rng(0).random((200, 3))
    units[0], units[1] = 0.0, np.nextafter(1.0, 0.0)
    units[2] = np.nan
    coordinates = coordinates_of_units(encoding, units)
    assert coordinates[0].tolist() == [0.0, 0.0, 0.0]
    assert np.nanmax(coordinates) <= 1.0
    back = units_of_coordinates(encoding, coordinates)
    np.testing.assert_allclose(back, units, rtol=1e-12, atol=1e-15)
    assert np.nanmax(back) < 1.0


@pytest.mark.parametrize(
    "text",
    [
        "{x: {loguniform: [1e-5, 1e-1]}}",
        "{x: {uniform: [0, 1]}}",
        "{x: {uniform: [-1, 1000]}}",
        "{x: {uniform: [0.02, 1]}}",
        "{x: {int: [0, 1000]}}",
        "{x: {normal: [0, 1]}}",
    ],
)
def test_every_other_range_has_its_unit_as_coordinate(text: str) -> None:
    units = np.linspace(0, 1, 17, endpoint=False)[:, None]
    np.testing.assert_array_equal(coordinates_of_units(encoding_of(space_of(text)), units), units)
