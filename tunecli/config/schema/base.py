"""What every knob's model shares: strict, frozen, closed to unknown keys, and open to the short form.

A family of knobs (losses, optimizers, …) is a union told apart by ``name``. Three spellings reach the same
model: ``cross_entropy``, ``{name: cross_entropy}`` and, in chains, ``{cosine: {to: 0}}``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
CODE_NAME = rf"^{_DOTTED}:{_DOTTED}$"
CodeName = Annotated[str, Field(pattern=CODE_NAME)]


class Knob(BaseModel):
    """Base of all concrete knobs: a closed, frozen, strictly typed value."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,  # of a hundred models a file asks for few
    )


class Timed(Knob):
    """Base of both chains' links: when one acts. It does so while ``from_epoch`` <= epochs done < ``until_epoch``.

    ``every`` says how often: at each step, or once an epoch (a rate is set as it begins, weights changed as it ends);
    None is the link's own nature.
    """

    every: Literal["step", "epoch"] | None = None
    from_epoch: Annotated[int, Field(ge=0)] = 0
    until_epoch: Count | None = None

    @model_validator(mode="after")
    def _window_in_order(self) -> Self:
        if self.until_epoch is not None and self.until_epoch <= self.from_epoch:
            raise ValueError(f"until_epoch {self.until_epoch} is not after from_epoch {self.from_epoch}")
        return self


class UserCode(Knob):
    """The user's own: ``python: module:name``, the module beside the file; ``args`` go to it by name."""

    name: Literal["python"] = "python"
    python: CodeName
    args: dict[str, Any] = {}


def name_alone(value: Any) -> Any:
    """``relu`` is short for ``{name: relu}``, and ``{python: mine:Net}`` says by its key what it is."""
    if isinstance(value, dict) and "python" in value and "name" not in value:
        return {"name": "python", **value}
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
