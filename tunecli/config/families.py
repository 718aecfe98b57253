"""Unions of the samplers, pruners and engines that a file can name, and of knobs that plug-ins extend.

The unions are built from the registry. `OpenTo` looks for a plug-in only if a name is not built in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    Discriminator,
    GetCoreSchemaHandler,
    Tag,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticKnownError, core_schema

from tunecli.errors import UsageError
from tunecli.knob import Knob, NamedKnob, Values, name_alone
from tunecli.registry import plugins
from tunecli.registry.engines import ENGINES, EngineInfo
from tunecli.registry.plugins import Group
from tunecli.registry.pruners import PRUNERS, PrunerInfo
from tunecli.registry.samplers import AUTO, AUTO_SUMMARY, SAMPLERS, SamplerInfo


@dataclass(frozen=True)
class OpenTo:
    """Annotates a union of knobs that the plug-ins of a group extend.

    Attributes:
        group: group of the plug-ins.
        kind: class of the plug-ins: a knob's base class, or an info's.
        built_in: names of the union's own members; empty: taken from the members.
    """

    group: Group
    kind: type
    built_in: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        known = self.built_in or tuple(names_in(source))

        def validate(value: Any, built_in: core_schema.ValidatorFunctionWrapHandler) -> Any:
            name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", value)
            if not isinstance(name, str) or name in known:
                return built_in(value)
            return _of_plug_in(self, name, value, known, built_in)

        return core_schema.no_info_wrap_validator_function(
            validate, handler(source), serialization=core_schema.simple_ser_schema("any")
        )


def _of_plug_in(
    family: OpenTo, name: str, value: Any, known: tuple[str, ...], built_in: Callable[[Any], Any]
) -> Any:
    """The value as a plug-in's; if no plug-in has the name, the union's own error with all the names."""
    try:
        given = plugins.load(family.group, name, family.kind)
    except UsageError as error:
        raise ValueError(f"{error.message} ({error.hint})") from error
    if given is None:
        added = plugins.names(family.group)
        if added or (family.built_in and isinstance(value, Mapping)):
            tags = ", ".join(f"'{each}'" for each in [*known, *added])
            context = {"discriminator": "'name'", "tag": name, "expected_tags": tags}
            raise PydanticKnownError("union_tag_invalid", context)
        return built_in(value)
    model: type[Knob] | None = given if isinstance(given, type) else given.settings
    if model is None:
        if isinstance(value, Mapping) and set(value) != {"name"}:
            raise ValueError(f"`{name}` has no settings: write its name alone")
        return name
    if isinstance(value, Knob):
        return value
    try:
        return model.model_validate(value if isinstance(value, Mapping) else {"name": value})
    except ValidationError as error:
        details = [_under(name, dict(detail)) for detail in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(model.__name__, details) from None


def _under(name: str, detail: dict[str, Any]) -> InitErrorDetails:
    """Return an error of a plug-in's model with the path that an error of a built-in member has."""
    return InitErrorDetails(
        type=detail["type"], loc=(name, *detail["loc"]), input=detail["input"], ctx=detail.get("ctx", {})
    )


def names_in(annotation: Any) -> Iterator[str]:
    """The names of the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Knob):
        yield from get_args(annotation.model_fields["name"].annotation)
    for part in get_args(annotation):
        yield from names_in(part)


_WORD = "word"
_WITH_SETTINGS = {info.name: info.settings for info in SAMPLERS.values() if info.settings is not None}


def _sampler_word(value: Any) -> Any:
    """``{name: random}`` is long for ``random``."""
    if isinstance(value, dict) and set(value) == {"name"}:
        return value["name"]
    return value


def _sampler_alone(value: Any) -> Any:
    """The name of a sampler without settings.

    Raises:
        ValueError: it has settings beside its name.
    """
    value = _sampler_word(value)
    name = value.get("name") if isinstance(value, dict) else None
    if isinstance(name, str) and name in (AUTO, *SAMPLERS) and name not in _WITH_SETTINGS:
        raise ValueError(f"`{name}` has no settings: write its name alone")
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


def _summaries(infos: Iterable[SamplerInfo | EngineInfo | PrunerInfo]) -> dict[str, str]:
    """A sentence for each registry entry: its own, or the first of its settings' docstring."""
    return {
        info.name: getattr(info, "summary", "")
        or " ".join((info.settings.__doc__ or "").split("\n\n")[0].split())
        for info in infos
    }


_OF_SAMPLERS = {AUTO: AUTO_SUMMARY, **_summaries(SAMPLERS.values())}
_OF_PRUNERS = {"none": "Every trial runs to its end.", **_summaries(PRUNERS.values())}
_PRUNER_NAMES = {"enum": list(_OF_PRUNERS), "enumDescriptions": list(_OF_PRUNERS.values())}

if TYPE_CHECKING:
    Sampler = str | NamedKnob
    Pruner = Literal["none"] | NamedKnob
    Engine = str | NamedKnob
else:
    Sampler = Annotated[
        _union(
            [
                Annotated[Literal[(AUTO, *SAMPLERS)], Values(_OF_SAMPLERS), Tag(_WORD)],
                *(Annotated[settings, Tag(name)] for name, settings in _WITH_SETTINGS.items()),
            ]
        ),
        Discriminator(_sampler_tag),
        OpenTo("samplers", SamplerInfo, (AUTO, *SAMPLERS)),
        BeforeValidator(_sampler_alone),
    ]
    Pruner = Annotated[
        _union(
            [
                Annotated[Literal["none"], Tag("none"), WithJsonSchema(_PRUNER_NAMES)],
                *(Annotated[info.settings, Tag(info.name)] for info in PRUNERS.values()),
            ]
        ),
        Discriminator(_pruner_tag),
        OpenTo("pruners", PrunerInfo, ("none", *PRUNERS)),
        BeforeValidator(_pruner_map),
    ]
    Engine = Annotated[
        Literal[tuple(ENGINES)],
        Values(_summaries(ENGINES.values())),
        OpenTo("engines", EngineInfo, tuple(ENGINES)),
        BeforeValidator(_sampler_word),
    ]
