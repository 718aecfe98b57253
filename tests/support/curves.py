"""Trials of the pruner `curves` on a bowl, as learning curves, without a study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.spaces import space_of
from tunecli.registry.pruners import Curves
from tunecli.search.fidelity import Action, Curve
from tunecli.search.pruners.freeze_thaw import freeze_thaw
from tunecli.search.samplers.random import quasirandom
from tunecli.trial import Parameters, State

FRACTIONS = (1 / 9, 1 / 3, 1.0)


PLANE = space_of("x: {uniform: [-1.0, 1.0]}\ny: {uniform: [-1.0, 1.0]}\nkind: {choice: [a, b]}")


def xy(point: Parameters) -> tuple[float, float]:
    """Return the coordinates of a point of `PLANE`."""
    return float(point["x"]), float(point["y"])


def loss_of(point: Parameters, rung: int) -> float:
    """A bowl that every trial starts far above; slow learners end as well as the others."""
    x, y = xy(point)
    end = (x - 0.4) ** 2 + (y + 0.3) ** 2 + (0.3 if point["kind"] == "a" else 0.0)
    return end + (1.5 - FRACTIONS[rung] * 1.5) * (1 + 0.2 * x)


def trained(
    number: int, point: Parameters, rung: int, loss: Callable[[Parameters, int], float] = loss_of
) -> Curve:
    """Return a trial that was trained to ``rung``: complete at the last one, else paused."""
    losses = {each: loss(point, each) for each in range(rung + 1)}
    if rung == len(FRACTIONS) - 1:
        return Curve(number, point, State.COMPLETE, rung, losses, losses.pop(rung))
    return Curve(number, point, State.PAUSED, rung, losses)


def begun(n: int, seed: int = 0, rung: int = 0) -> list[Curve]:
    """Return ``n`` trials at quasi-random points, each trained to ``rung``."""
    return [trained(number, quasirandom(PLANE, [], number, seed) or {}, rung) for number in range(n)]


def next_action(curves: list[Curve], **changes: Any) -> Action | None:
    """Return the next action of `curves` in `PLANE`."""
    return freeze_thaw(Curves(), curves, FRACTIONS, PLANE, 3, **{"may_begin": True, **changes})


def take(curves: list[Curve], action: Action) -> list[Curve]:
    """Return the curves after ``action``."""
    number = len(curves) if action.number is None else action.number
    point = action.parameters if action.number is None else curves[number].parameters
    assert point is not None
    curves[number : number + 1] = [trained(number, point, action.rung)]
    return curves
