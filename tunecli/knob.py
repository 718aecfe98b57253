"""`Knob`, the base of every settings model that a file may name, and the small types that knobs are made of.

A family of knobs (losses, optimizers, samplers, …) is a union told apart by ``name``. Three spellings reach the same
model: ``cross_entropy``, ``{name: cross_entropy}`` and, in chains, ``{cosine: {to: 0}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True, slots=True, init=False)
class Values:
    """Describes the values of a `Literal` in its annotation: editors show the texts, and the reference lists them.

    Attributes:
        texts: values, each with a sentence.
    """

    texts: tuple[tuple[Any, str], ...]

    def __init__(self, texts: Mapping[Any, str]) -> None:
        object.__setattr__(self, "texts", tuple(texts.items()))

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema, texts = handler(core_schema), dict(self.texts)
        values = [schema.pop("const")] if "const" in schema else schema["enum"]
        return {**schema, "enum": values, "enumDescriptions": [texts.get(value, "") for value in values]}


Auto = Annotated[Literal["auto"], Values({"auto": "tunecli chooses the value."})]


class Knob(BaseModel):
    """Base of all concrete knobs: a closed, frozen, strictly typed value.

    Attributes:
        implementation: ``module:attribute`` of the implementation, which is imported when it is used; a map by name if
            the class has several names. Empty: the code that reads the knob implements it.
    """

    implementation: ClassVar[str | Mapping[str, str]] = ""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,  # a file uses few of a hundred models
    )


class NamedKnob(Knob):
    """A knob that a file names: each subclass gives ``name`` a `Literal` type and its default."""

    name: str


def name_alone(value: Any) -> Any:
    """``relu`` is short for ``{name: relu}``, and ``{python: mine:Net}`` for ``{name: python, python: mine:Net}``."""
    if isinstance(value, dict) and "python" in value and "name" not in value:
        return {"name": "python", **value}
    return {"name": value} if isinstance(value, str) else value


def link(value: Any) -> Any:
    """``{cosine: {to: 0}}`` and ``cosine`` are links of a chain; both become ``{name: …}``."""
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
