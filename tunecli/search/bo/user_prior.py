"""What a person expects of a point before any trial: `default:` as a prior that the trials outweigh in time.

Hvarfner, Stoll, Souza, Lindauer, Hutter, Nardi (2022), "πBO: Augmenting Acquisition Functions with User Beliefs for
Bayesian Optimization": the acquisition times prior^(β / n) at trial n. Pure; knows no model.

Axes: M points, D parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunecli.config.domains import Categorical, n_values, unit_of_value
from tunecli.config.space import Space

Floats = NDArray[np.float64]

_TRUST = 10.0  # β; at trial 10 the prior counts once, as πBO takes a tenth of the budget, at 100 a tenth
_WIDTH = 0.25  # deviation, in units: a default is meant to within about a quarter of its range


def log_expectation(space: Space, number: int) -> Callable[[Floats], Floats]:
    """A function from units, (M, D) with NaN where not active, to what trial ``number`` adds to a log acquisition.

    Normal around a number's default in its own scale; of options the default has twice the weight of any other.
    Parameters without a default say nothing.
    """
    told = [(i, p.domain, p.default) for i, p in enumerate(space.parameters) if p.default is not None]
    weight = _TRUST / max(number, 1)

    def expectation(units_MD: Floats) -> Floats:
        total_M = np.zeros(len(units_MD))
        for place, domain, default in told:
            away_M = units_MD[:, place] - unit_of_value(domain, default)
            if isinstance(domain, Categorical):
                is_other_M = np.abs(away_M) > 0.25 / (n_values(domain) or 1)
                total_M -= math.log(2.0) * is_other_M
            else:
                total_M -= 0.5 * np.square(np.nan_to_num(away_M) / _WIDTH)
        return weight * total_M

    return expectation
