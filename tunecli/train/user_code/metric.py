"""A metric of the user's code, ``score(outputs, targets, **args) -> float``, as the training loop calls it.

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
from tunecli.train.user_code import code as user_code


class UserMetric(NamedTuple):
    """A metric of the user's code.

    Attributes:
        name: the metric's name after ``val_`` and ``test_``.
        score: a function of a whole part, called without gradients: of logits (N, K) and classes (N,), or of
            predictions (N,) and targets (N,) in the target's own units.
    """

    name: str
    score: Callable[[Tensor, Tensor], float]


def user_metrics(objective: Objective, base_path: Path) -> tuple[UserMetric, ...]:
    """The user's metrics among an objective's goals; see `user_metric`."""
    metrics = (user_metric(goal, base_path) for goal in objective.goals)
    return tuple(metric for metric in metrics if metric is not None)


def user_metric(objective: Objective, base_path: Path) -> UserMetric | None:
    """The user's metric that a goal names; None for a metric of tunecli.

    Args:
        objective: the goal; ``objective.metric`` is the metric's name, with ``val_``.
        base_path: the folder in which the user's module is searched first.

    Raises:
        ImportError: the module does not exist.
        AttributeError: the module has no such name.
    """
    if not objective.python:
        return None
    score, args = user_code.resolve(objective.python, base_path), dict(objective.args)
    name = objective.metric.removeprefix("val_")
    code_name = objective.python

    def measured(outputs: Tensor, targets: Tensor) -> float:
        # copies: the function may change them, and later trials share the targets
        return _number(code_name, score(outputs.clone(), targets.clone(), **args))

    return UserMetric(name, measured)


def _number(code_name: str, value: Any) -> float:
    """The metric's result as a float; infinite for a whole number beyond the range of float.

    Raises:
        TypeError: the result is not a number.
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:  # any error: the value's class decides, and torch raises RuntimeError
        kind = type(value).__name__
        raise TypeError(
            f"{code_name} returned {kind:.60} {short_repr(value)}, but a metric is one number"
        ) from None
