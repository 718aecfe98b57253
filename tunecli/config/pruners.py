"""The pruners a file may name, and what each takes. How they decide is search's part."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from tunecli.knob import Count, Knob, name_alone


class Median(Knob):
    """End a trial whose best is worse than the median of the others' averages (Golovin et al. 2017).

    ``startup_trials``: no trial is ended before so many complete ones are known. ``warmup_epochs``: none is ended by
    what its first so many epochs gave.
    """

    name: Literal["median"] = "median"
    startup_trials: Count = 5
    warmup_epochs: Annotated[int, Field(ge=0)] = 1


class Pausing(Knob):
    """Base of the pruners whose trials pause at levels, each ``factor`` times as far as the one before.

    ``min_epochs``: how far the first level is at least; ``auto``: about a tenth of a full training. ``max_epochs``: how
    long a full training is; ``auto``: as ``training.epochs`` says, of each trial its own.
    """

    name: str = ""
    min_epochs: Count | Literal["auto"] = "auto"
    max_epochs: Count | Literal["auto"] = "auto"
    factor: Annotated[int, Field(ge=2, le=10)] = 3

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        least, most = self.min_epochs, self.max_epochs
        if isinstance(least, int) and isinstance(most, int) and least > most:
            raise ValueError(f"min_epochs {least} is above max_epochs {most}")
        return self


class Halving(Pausing):
    """Successive halving, bracket after bracket (Jamieson, Talwalkar 2016).

    ``bracket``: how many trials begin in one; ``auto``: so many that one of them is trained to its end.
    """

    name: Literal["halving"] = "halving"
    bracket: Annotated[int, Field(ge=2)] | Literal["auto"] = "auto"


class Hyperband(Pausing):
    """Brackets of successive halving that begin at each of the levels in turn (Li et al. 2018)."""

    name: Literal["hyperband"] = "hyperband"


class Asha(Pausing):
    """Asynchronous successive halving (Li et al. 2020): nobody waits, so its table depends on who arrives first."""

    name: Literal["asha"] = "asha"


class Curves(Pausing):
    """Continue or begin what a model of configurations and of their curves holds to be worth most at the end.

    From trial 4 * (parameters + 1) on, every third new one is trained to its end without a pause.
    """

    name: Literal["curves"] = "curves"


_NAMES = ["none", "median", "halving", "hyperband", "asha", "curves"]


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
    | Annotated[Median, Tag("median")]
    | Annotated[Halving, Tag("halving")]
    | Annotated[Hyperband, Tag("hyperband")]
    | Annotated[Asha, Tag("asha")]
    | Annotated[Curves, Tag("curves")],
    Discriminator(_name_of),
    BeforeValidator(_named),
]
"""Each further pruner is one more member, told apart by its name."""
