"""What a file may write for a sampler, a pruner and an engine: unions that are built from the registry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag, WithJsonSchema

from tunecli.knob import NamedKnob, name_alone
from tunecli.registry.engines import ENGINES
from tunecli.registry.pruners import PRUNERS
from tunecli.registry.samplers import SAMPLERS

_WORD = "word"
_WITH_SETTINGS = {info.name: info.settings for info in SAMPLERS.values() if info.settings is not None}


def _sampler_word(value: Any) -> Any:
    """``{name: random}`` is long for ``random``."""
    if isinstance(value, dict) and set(value) == {"name"}:
        return value["name"]
    return value


def _sampler_tag(value: Any) -> str:
    """Which member of the union reads a value; a map without a known name is read as the first one with settings."""
    if not isinstance(value, dict | NamedKnob):
        return _WORD
    name = value.get("name") if isinstance(value, dict) else value.name
    return name if isinstance(name, str) and name in _WITH_SETTINGS else next(iter(_WITH_SETTINGS))


def _pruner_map(value: Any) -> Any:
    """``median`` is short for ``{name: median}``, and ``{name: none}`` long for ``none``."""
    if value == {"name": "none"}:
        return "none"
    return value if value == "none" else name_alone(value)


def _pruner_tag(value: Any) -> str | None:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", value)
    return name if isinstance(name, str) else None


def _union(members: Sequence[Any]) -> Any:
    return reduce(or_, members)


if TYPE_CHECKING:
    Sampler = str | NamedKnob
    Pruner = Literal["none"] | NamedKnob
    EngineName = str
else:
    Sampler = Annotated[
        _union(
            [
                Annotated[Literal[tuple(SAMPLERS)], Tag(_WORD)],
                *(Annotated[settings, Tag(name)] for name, settings in _WITH_SETTINGS.items()),
            ]
        ),
        Discriminator(_sampler_tag),
        BeforeValidator(_sampler_word),
    ]
    Pruner = Annotated[
        _union(
            [
                Annotated[Literal["none"], Tag("none"), WithJsonSchema({"enum": ["none", *PRUNERS]})],
                *(Annotated[info.settings, Tag(info.name)] for info in PRUNERS.values()),
            ]
        ),
        Discriminator(_pruner_tag),
        BeforeValidator(_pruner_map),
    ]
    EngineName = Literal[tuple(ENGINES)]
