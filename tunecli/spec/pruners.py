"""The pruners a file may name, and what each takes. How they decide is search's part."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from tunecli.spec.knobs.base import Count, Knob, name_alone


class Median(Knob):
    """End a trial whose best is worse than the median of the others' averages (Golovin et al. 2017).

    ``startup_trials``: no trial is ended before so many complete ones are known. ``warmup_epochs``: none is ended by
    what its first so many epochs gave.
    """

    name: Literal["median"] = "median"
    startup_trials: Count = 5
    warmup_epochs: Annotated[int, Field(ge=0)] = 1


_NAMES = ["none", "median"]


def _named(value: Any) -> Any:
    """``median`` is short for ``{name: median}``, and ``{name: none}`` long for ``none``."""
    if value == {"name": "none"}:
        return "none"
    return value if value == "none" else name_alone(value)


def _name_of(value: Any) -> str | None:
    name = value if isinstance(value, str) else getattr(value, "name", None)
    if isinstance(value, dict):
        name = value.get("name")
    return name if isinstance(name, str) else None


Pruner = Annotated[
    Annotated[Literal["none"], Tag("none"), WithJsonSchema({"enum": _NAMES})]
    | Annotated[Median, Tag("median")],
    Discriminator(_name_of),
    BeforeValidator(_named),
]
"""Each further pruner is one more member, told apart by its name."""
