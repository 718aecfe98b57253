"""Samplers of other packages: they use the record, and a missing package is an error."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.errors import UsageError
from tunecli.registry.packages import install_command
from tunecli.registry.samplers import require_sampler
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, State

PACKAGES = {"tpe": "optuna", "cmaes": "cmaes"}
BOWL = "{x: {loguniform: [1e-4, 1]}, y: {uniform: [-1, 3]}, kind: {choice: [1, true]}}"


@pytest.mark.parametrize(("name", "package"), PACKAGES.items())
def test_a_missing_package_is_named_before_the_first_trial(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"`{package}`, which is not installed") as caught:
        suggest(name, space_of(BOWL), [], 0, 0)
    assert install_command("optuna", "optuna") in str(caught.value.hint)
    with pytest.raises(UsageError, match=f"`{package}`, which is not installed"):
        require_sampler(name)
    require_sampler("bayes")


@pytest.mark.parametrize("name", PACKAGES)
def test_later_trials_are_nearer_to_the_optimum(name: str) -> None:
    space, history = space_of(BOWL), list[Observation]()
    for number in range(60):
        point = suggest(name, space, history, number, 4)
        assert point is not None
        if number % 10 == 9:
            history.append(Observation(number, point, State.FAILED))
            continue
        loss = (np.log10(float(point["x"])) + 3) ** 2 + (float(point["y"]) - 2) ** 2
        history.append(Observation(number, point, State.COMPLETE, float(loss)))
    losses = [observation.loss for observation in history if observation.loss is not None]
    assert np.mean(losses[-15:]) < 0.5 * np.mean(losses[:15])
