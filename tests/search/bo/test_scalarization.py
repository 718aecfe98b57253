"""One loss from several objectives."""

from __future__ import annotations

import numpy as np

from tunecli.search.bo.scalarization import augmented_chebyshev, scalarize, scaled
from tunecli.trial import Observation, State


def test_the_augmented_chebyshev_function_equals_knowles_and_prefers_dominating_points() -> None:
    losses = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 1.0]])
    weights = np.array([0.25, 0.75])
    np.testing.assert_allclose(
        augmented_chebyshev(losses, weights), [0.75 + 0.0375, 0.375 + 0.025, 0.75 + 0.05]
    )
    assert (scaled(losses * [1e-9, 1e9]).min(axis=0) == 0).all()
    assert (scaled(losses * [1e-9, 1e9]).max(axis=0) == 1).all()


def test_weights_depend_on_seed_and_number() -> None:
    history = [Observation(i, {}, State.COMPLETE, 0.1 * i, (0.1 * i, (0.1 * i - 0.4) ** 2)) for i in range(8)]
    first = [o.loss for o in scalarize(history, 8, 0)]
    assert first == [o.loss for o in scalarize(history, 8, 0)]
    assert first != [o.loss for o in scalarize(history, 9, 0)]
    assert first != [o.loss for o in scalarize(history, 8, 1)]
