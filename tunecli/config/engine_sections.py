"""The sections of engines under ``run``: an engine with settings has them under its own name.

The section of a built-in engine is a field of `Run`. That of a plug-in is known only by its entry point, so this module
reads it beside the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails

from tunecli.errors import UsageError
from tunecli.knob import NamedKnob
from tunecli.registry import plugins
from tunecli.registry.engines import LOCAL, EngineInfo

TWICE = "the settings of this engine are in its section and beside its name: keep one of them"


def with_sections(model: type[BaseModel], value: Any, read: Callable[[Any], Any]) -> Any:
    """Read the ``run`` settings, in which plug-in engines may have sections.

    Args:
        model: the class of the settings; its own keys are no sections.
        value: the settings as the file has them.
        read: reads them; a section is a `NamedKnob` by then, and it is the engine if the engine has its name.

    Returns:
        What ``read`` returns.

    Raises:
        ValidationError: with all problems of the settings and of the sections.
    """
    if not isinstance(value, Mapping) or not (
        further := [key for key in value if key not in model.model_fields]
    ):
        return read(value)
    known = {key: item for key, item in value.items() if key in model.model_fields}
    problems: list[InitErrorDetails] = []
    for key in further:
        settings = _settings_of(key)
        if settings is None:
            problems.append(InitErrorDetails(type="extra_forbidden", loc=(str(key),), input=value[key]))
            continue
        try:
            known[key] = _section(settings, key, value[key])
        except ValidationError as error:
            problems += _details(error, key)
        if known.get("engine") == key:
            known["engine"] = known.get(key, LOCAL)  # without its section other problems are found still
        elif isinstance(engine := known.get("engine"), Mapping) and engine.get("name") == key:
            problems.append(
                InitErrorDetails(
                    type="value_error", loc=(key,), input=value[key], ctx={"error": ValueError(TWICE)}
                )
            )
    if not problems:
        return read(known)
    try:
        read({key: item for key, item in known.items() if key in model.model_fields})
    except ValidationError as error:
        problems = [*_details(error), *problems]
    raise ValidationError.from_exception_data(model.__name__, problems)


def _settings_of(key: Any) -> type[NamedKnob] | None:
    """The model of the settings of the plug-in engine with a name; None if there is none."""
    try:
        info = plugins.load("engines", key, EngineInfo) if isinstance(key, str) else None
    except UsageError:  # an unusable plug-in has no section; `run.engine` says why if the file names it
        return None
    return info.settings if info is not None and isinstance(info.settings, type) else None


def _section(settings: type[NamedKnob], key: str, value: Any) -> NamedKnob:
    if isinstance(value, settings):
        return value
    return settings.model_validate({"name": key, **value} if isinstance(value, Mapping) else value)


def _details(error: ValidationError, *under: str) -> list[InitErrorDetails]:
    return [
        InitErrorDetails(
            type=detail["type"],
            loc=(*under, *detail["loc"]),
            input=detail["input"],
            ctx=detail.get("ctx", {}),
        )
        for detail in error.errors(include_url=False)
    ]
