"""The keys beside a range that say more about it: `step`, `grid`, `weights`, `ordered` and `as`.

Each function reads one key of a range's map. A problem is passed to ``problem``, which takes a message, a hint and the
place of the value.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

from tunecli.config.expressions import Broken, Expression, Fixed
from tunecli.config.priors.names import knob_named
from tunecli.config.priors.table import KNOBS, NAMES, NO_SETTING
from tunecli.config.reader import MapNode, Mark, ScalarNode, SequenceNode
from tunecli.config.suggestions import nearest

LEAST_WEIGHT = 1e-9
"""The smallest weight of an option, as a fraction of the largest."""


class ReportProblem(Protocol):
    """Takes a problem of a range."""

    def __call__(self, message: str, hint: str = "", mark: Mark | None = None) -> Broken:
        """Report the problem; return a placeholder for the range."""


def number_beside(owner: MapNode, key: str, problem: ReportProblem, *, whole: bool) -> int | float | None:
    """The number above 0 at ``key``; None without one, and after a problem."""
    node = owner.items.get(key)
    if node is None:
        return None
    value: Any = node.value if isinstance(node, ScalarNode) else None
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if is_number and 0 < value < math.inf:
        return int(value) if whole else float(value)
    problem(f"`{key}` must be {'a whole number' if whole else 'a number'} above 0", mark=node.mark)
    return None


def weights_beside(owner: MapNode, n_options: int, problem: ReportProblem) -> tuple[float, ...] | None:
    """The weights of a choice, empty without any; None after a problem."""
    node = owner.items.get("weights")
    if node is None:
        return ()
    items = node.items if isinstance(node, SequenceNode) else ()
    values: list[Any] = [item.value for item in items if isinstance(item, ScalarNode)]
    are_numbers = all(
        isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < math.inf for v in values
    )
    if not are_numbers or len(values) != len(items) or len(values) != n_options:
        message = f"`weights` must be {n_options} numbers above 0, one for each option"
        problem(message, "remove an option that must not be drawn", node.mark)
        return None
    weights = tuple(map(float, values))
    if min(weights) < LEAST_WEIGHT * max(weights):
        problem(f"the smallest weight must be at least {LEAST_WEIGHT:g} of the largest", mark=node.mark)
        return None
    return weights


def order_beside(
    owner: MapNode, options: tuple[Expression, ...], problem: ReportProblem
) -> bool | Broken | None:
    """Whether the options have an order; None: they are numbers, and the file does not say it."""
    values = [option.value if isinstance(option, Fixed) else None for option in options]
    are_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    node = owner.items.get("ordered")
    if node is None:  # two options have the same distance in any case
        return None if are_numbers and len(values) > 2 else False
    if not isinstance(node, ScalarNode) or not isinstance(node.value, bool):
        return problem("`ordered` must be true or false", mark=node.mark)
    if node.value and not are_numbers:
        hint = "remove `ordered`, or write only numbers as options"
        return problem("only a choice among numbers can be ordered", hint, node.mark)
    return node.value


def knob_beside(owner: MapNode, options: tuple[Expression, ...] | None, problem: ReportProblem) -> str | None:
    """The knob that the range is (`as: optimizer.lr`), empty if the file does not say it; None after a problem.

    `as: none` says that it is no known setting in spite of its name.

    Args:
        owner: the map of the range.
        options: of a choice; None: it is a range of numbers.
        problem: takes a problem.
    """
    node = owner.items.get("as")
    if node is None:
        return ""
    name = node.value if isinstance(node, ScalarNode) else None
    if name == NO_SETTING:
        return name
    if not isinstance(name, str) or name not in KNOBS:
        example = f"for example `as: {KNOBS[0]}`, or `as: {NO_SETTING}`; the documentation lists all"
        known = knob_named(name) if isinstance(name, str) and "." not in name else ""
        hint = f"did you mean `{known}`?" if known else nearest(str(name), KNOBS) or example
        problem(f"`as` must be the name of a known setting, not {_shown(name)}", hint, node.mark)
        return None
    if options is None and name in NAMES:
        problem(f"`{name}` is a name, and this range has numbers", "write a `choice` of names", node.mark)
        return None
    if options is not None and name not in NAMES and not any(map(_has_number, options)):
        problem(f"`{name}` is a number, and this choice has none", mark=node.mark)
        return None
    return name


def _has_number(option: Expression) -> bool:
    value = option.value if isinstance(option, Fixed) else None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(name: object) -> str:
    return f"`{name}`" if isinstance(name, str) else "a map or a list" if name is None else str(name)
