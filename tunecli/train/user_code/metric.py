"""The user's own metric, ``score(outputs, targets, **args) -> float``, as the loop calls it.

Axes: N examples, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from tunecli.objective import Objective
from tunecli.text import short_repr
from tunecli.train.user_code import code as own_code


class UserMetric(NamedTuple):
    """A metric of the user's own.

    Attributes:
        name: what stands after ``val_`` and ``test_``.
        score: a function of the whole part, called with gradients off: logits (N, K) and classes (N,), or predictions
            and targets (N,) in the target's own units.
    """

    name: str
    score: Callable[[Tensor, Tensor], float]


def user_metrics(objective: Objective, base_path: Path) -> tuple[UserMetric, ...]:
    """Those of an objective's goals that are the user's own; see :func:`user_metric`."""
    found = (user_metric(goal, base_path) for goal in objective.goals)
    return tuple(each for each in found if each is not None)


def user_metric(objective: Objective, base_path: Path) -> UserMetric | None:
    """The metric that a goal names by its code; None where it is one of ours.

    Args:
        objective: what is optimised; its value goes by the name ``objective.metric``.
        base_path: the folder in which the user's module is looked for first.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such name.
    """
    if not objective.python:
        return None
    score, args = own_code.resolve(objective.python, base_path), dict(objective.args)
    name = objective.metric.removeprefix("val_")
    code_name = objective.python

    def measured(outputs: Tensor, targets: Tensor) -> float:
        # copies, since it may write into them and the targets belong to later trials too
        return _number(code_name, score(outputs.clone(), targets.clone(), **args))

    return UserMetric(name, measured)


def _number(code_name: str, value: Any) -> float:
    """What the metric gives, as a float; infinite where it is a whole number beyond all floats.

    Raises:
        TypeError: it is no number.
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:  # the value's own class decides what it raises; torch's raises a RuntimeError
        kind = type(value).__name__
        raise TypeError(
            f"{code_name} gives {kind:.60} {short_repr(value)}, and a metric is one number"
        ) from None
