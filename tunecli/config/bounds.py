"""The bounds of constraints, such as ``<= 5``: read, checked, and turned into `Constraint` values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from tunecli.objective import Constraint

_BOUND = re.compile(
    r"(<=|>=)\s*([-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]+)?)"
)
_MISSPELT = {"<": "<=", "=<": "<=", "≤": "<=", ">": ">=", "=>": ">=", "≥": ">=", "=": "<=", "==": "<="}
_EXAMPLES = 'write `"<= 5"` or `">= 0.9"`'


def _bound(value: Any) -> Any:
    """A text such as ``<= 5`` or ``>= 1_000``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'must be a bound, not a number: write `"<= {value}"` or `">= {value}"`')
    if not isinstance(value, str):
        raise ValueError(f"must be a bound: {_EXAMPLES}")
    text = value.strip()
    match = _BOUND.fullmatch(text)
    if match is None:
        raise ValueError(_not_a_bound(text))
    if not math.isfinite(float(match[2].replace("_", ""))):
        raise ValueError(f"the number {match[2][:40]} is too large")
    return text


def _not_a_bound(text: str) -> str:
    """The message for a text that is not a bound, with the position of the mistake."""
    sign = re.match(r"[<>=≤≥]*", text)
    said, rest = (sign[0] if sign else ""), text[len(sign[0]) if sign else 0 :].strip()
    shown = repr(text) if len(text) < 60 else "a long text"
    if said not in ("<=", ">="):
        meant = _MISSPELT.get(said)
        near = f"did you mean `{meant} {rest[:40]}`?" if meant and rest else _EXAMPLES
        return f"{shown} must start with `<=` or `>=`; {near}"
    if not rest:
        return f"{shown} has no number after `{said}`; {_EXAMPLES}"
    begin = re.match(r"[-+0-9._eE]*\s*", rest)
    place = min(text.index(rest) + (begin.end() if begin else 0) + 1, len(text))
    return f"{shown} has an invalid number after `{said}`, at character {place}; {_EXAMPLES}"


Bound = Annotated[
    str,
    BeforeValidator(_bound),
    WithJsonSchema({"type": "string", "pattern": rf"^\s*({_BOUND.pattern})\s*$"}),
]


def constraints(bounds: Mapping[str, str] | None) -> tuple[Constraint, ...]:
    """The constraints of a ``subject_to``, in its order."""
    return tuple(Constraint(name, *_read(text)) for name, text in (bounds or {}).items())


def _read(text: str) -> tuple[float, bool]:
    return float(text[2:].strip().replace("_", "")), text.startswith(">")
