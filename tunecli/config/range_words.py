"""The words of ranges, and which maps are ranges.

A map with one of `RANGE_KEYS` is a range. `lognormal`, `power` and `expr` are also ordinary names for parameters of
one's own, so a map with one of them is a range only if all of it has the form of one. The map of all parameters of own
code (`params`, `args`) is never such a range.
"""

from __future__ import annotations

from tunecli.config.expressions import MODIFIERS, RANGE_KEYS
from tunecli.config.reader import MapNode, ScalarNode, SequenceNode

NUMERIC_WORDS = ("uniform", "loguniform", "int", "logint", "normal", "lognormal")
"""The words of ranges of numbers."""
FORMED_WORDS = ("lognormal", "power", "expr")
"""The words that need the form of a range as well."""
RANGE_WORDS = (*RANGE_KEYS, *FORMED_WORDS)
"""The words of all ranges."""
_OWN_MAPS = ("params", "args")


def range_word(node: MapNode, path: str = "") -> str:
    """The word that makes a map a range; empty if the map is not a range.

    ``{power: {of: 2, int: [3, 8]}}`` is a range, and ``{power: 3}`` is a map with a key of the user's own.

    Args:
        node: the map.
        path: its path under ``trial``.
    """
    for key in node.items:
        if key in RANGE_KEYS:
            return key
    if "power" in node.items and _is_power(node):
        return "power"
    if path.rpartition(".")[2] in _OWN_MAPS:
        return ""
    if isinstance(node.items.get("lognormal"), SequenceNode) and node.items.keys() <= {
        "lognormal",
        *MODIFIERS,
    }:
        return "lognormal"
    expression = node.items.get("expr")
    is_text = isinstance(expression, ScalarNode) and isinstance(expression.value, str)
    return "expr" if is_text and len(node.items) == 1 else ""


def exponent_word(body: MapNode) -> str:
    """The word of the range of exponents in the body of `power`; empty if there is none."""
    return next((key for key in body.items if key in NUMERIC_WORDS), "")


def _is_power(node: MapNode) -> bool:
    body = node.items["power"]
    is_formed = isinstance(body, MapNode) and "of" in body.items and exponent_word(body) != ""
    return is_formed and node.items.keys() <= {"power", "default", "as"}
