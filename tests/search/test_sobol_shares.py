"""Total Sobol shares of functions whose shares are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.worlds import sobol_shares
from tunecli.search.sobol_shares import Floats, total_shares


def linear(units_MD: Floats) -> Floats:
    return np.array([units_MD @ [1.0, 2.0, 3.0, 0.0], units_MD @ [0.0, 0.0, 1.0, 1.0]])


def product(units_MD: Floats) -> Floats:
    """Sobol's g function: Π (|4 x - 2| + a) / (1 + a)."""
    bends = np.array([0.0, 1.0, 9.0, 99.0])
    return ((np.abs(4 * units_MD - 2) + bends) / (1 + bends)).prod(axis=1)[None]


def shares_of_product() -> list[float]:
    """Saltelli, Sobol (1995): V_i = 1 / (3 (1 + a)²), and the total share of i is V_i Π (1 + V_j) / V."""
    own = 1 / (3 * (1 + np.array([0.0, 1.0, 9.0, 99.0])) ** 2)
    variance = np.prod(1 + own) - 1
    return (own * np.prod(1 + own) / (1 + own) / variance).tolist()


def test_the_shares_of_linear_functions_are_those_of_their_squared_slopes() -> None:
    shares_SD, _ = total_shares(linear, 4, range(4), np.random.default_rng(0))
    assert shares_SD == pytest.approx(np.array([[1, 4, 9, 0], [0, 0, 7, 7]]) / 14, abs=0.02)


def test_the_shares_of_a_product_include_interactions() -> None:
    shares_SD, _ = total_shares(product, 4, range(4), np.random.default_rng(0))
    assert shares_SD[0] == pytest.approx(shares_of_product(), abs=0.03)
    assert sobol_shares(lambda units: product(units)[0], 4, 4096) == pytest.approx(
        shares_of_product(), abs=0.03
    )


def test_only_the_moved_coordinates_have_shares() -> None:
    whole_SD, _ = total_shares(linear, 4, range(4), np.random.default_rng(0))
    part_SD, _ = total_shares(linear, 4, [2, 0], np.random.default_rng(0))
    assert part_SD.tobytes() == whole_SD[:, [2, 0]].tobytes()


def test_the_better_half_counts_no_difference_between_bad_values() -> None:
    def of_two(units_MD: Floats) -> Floats:
        # The first coordinate parts bad from good; the second differs among the bad ones only.
        return np.where(units_MD[:, 0] < 0.5, units_MD[:, 2], 2.0 + 10 * units_MD[:, 1])[None]

    whole_SD, better_SD = total_shares(of_two, 3, range(3), np.random.default_rng(0))
    assert whole_SD[0, 1] > 0.2
    assert better_SD[0, 1] == pytest.approx(0.0, abs=0.01)
    assert better_SD[0, 2] > 5 * whole_SD[0, 2]


@pytest.mark.parametrize(("scale", "origin"), [(1e300, 0.0), (1e-300, 0.0), (1e-12, 1.0), (0.0, 3.0)])
def test_shares_do_not_depend_on_the_unit_and_are_0_for_a_constant(scale: float, origin: float) -> None:
    shares_SD, better_SD = total_shares(
        lambda units: origin + scale * linear(units), 4, range(4), np.random.default_rng(0)
    )
    expected = np.array([1, 4, 9, 0]) / 14 if scale else np.zeros(4)
    assert shares_SD[0] == pytest.approx(expected, abs=0.02)
    assert np.isfinite(better_SD).all()
