"""What every knob's model shares: strict, frozen, closed to unknown keys, and open to the short form.

A family of knobs (losses, optimizers, …) is a union told apart by ``name``. Three spellings reach the same
model: ``cross_entropy``, ``{name: cross_entropy}`` and, in chains, ``{cosine: {to: 0}}``.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Knob(BaseModel):
    """Base of all concrete knobs: a closed, frozen, strictly typed value."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def name_alone(value: Any) -> Any:
    """``relu`` is short for ``{name: relu}``."""
    return {"name": value} if isinstance(value, str) else value


def link(value: Any) -> Any:
    """``{cosine: {to: 0}}`` and ``cosine`` are links of a chain; inside they are told apart by ``name``."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and len(value) == 1:
        ((name, arguments),) = value.items()
        if arguments is None:
            return {"name": name}
        if isinstance(arguments, dict) and "name" not in arguments:
            return {"name": name, **arguments}
    return value


def pair(value: Any) -> Any:
    """YAML has lists only; a pair of numbers is read from a list of two."""
    return tuple(value) if isinstance(value, list) else value


Pair = Annotated[tuple[float, float], BeforeValidator(pair)]
