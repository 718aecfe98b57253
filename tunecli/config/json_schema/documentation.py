"""The descriptions of keys and values, from the docstrings of the settings models and from their `Values`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from tunecli.knob import Knob, Values


def documentation(knob: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """A model's summary, and a description of each of its fields, from the docstrings of the class and its bases."""
    summary, fields = "", dict[str, str]()
    for cls in reversed(knob.__mro__):
        text = inspect.cleandoc(cls.__dict__.get("__doc__") or "").replace("``", "`")
        summary, _, attributes = text.partition("Attributes:\n")
        name = ""
        for line in attributes.splitlines():
            if line.startswith("    ") and not line.startswith("     "):
                name, _, line = line.strip().partition(": ")
                fields[name] = line[:1].upper() + line[1:]
            elif name and line.strip():
                fields[name] += f" {line.strip()}"
    paragraphs = (" ".join(part.split()) for part in summary.split("\n\n"))
    return "\n\n".join(filter(None, paragraphs)), fields


def described_names(knob: type[BaseModel]) -> dict[str, str]:
    """A description of each name of a family's member: that of its `Values`, or the first paragraph of its summary."""
    field = knob.model_fields["name"]
    texts = {value: text for part in field.metadata if isinstance(part, Values) for value, text in part.texts}
    first = documentation(knob)[0].partition("\n\n")[0]
    return {name: texts.get(name, first) for name in get_args(field.annotation)}


def described(definition: dict[str, Any], knob: type[BaseModel] | None) -> dict[str, Any]:
    """A model's schema with a description of each property, which ends with the default.

    An editor shows the first description that it finds on the way from a value to its key. So only keys have one: that
    of the model itself becomes a comment.
    """
    if knob is None:
        return definition
    summary, fields = documentation(knob)
    for name, schema in definition.get("properties", {}).items():
        if name == "name" and "const" in schema:
            schema["description"] = summary
            schema.pop("default", None)
        elif text := fields.get(name, summary if name == "name" else ""):
            schema["description"] = text
    is_said = "const" in definition.get("properties", {}).get("name", {})
    comment = {"$comment": summary.partition("\n\n")[0]} if summary and not is_said else {}
    return comment | {key: value for key, value in definition.items() if key != "description"}


def all_knobs(base: type[Knob] = Knob) -> Iterator[type[Knob]]:
    """All subclasses of a model, at any depth."""
    for subclass in base.__subclasses__():
        yield subclass
        yield from all_knobs(subclass)
