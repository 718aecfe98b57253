"""Removes titles and helper words from a generated schema, and writes defaults into the descriptions."""

from __future__ import annotations

from typing import Any

DEFINE = "x-define"
"""Marks a part of a schema that becomes a definition of this name."""
_NOISE = {"title", "discriminator", "x-fixed", "x-chain", "x-file", DEFINE}
_MAPS = ("properties", "$defs")
_VALUES = ("enum", "const", "default", "discriminator")
_FIRST = ("$schema", "$comment", "description", "type", "properties")


def plain(schema: Any) -> Any:
    """A copy of a schema without titles, which would only repeat the names of keys and models."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for word, part in schema.items():
        if word in _MAPS:
            result[word] = {name: plain(one) for name, one in part.items()}
        elif word != "title":
            result[word] = part if word in _VALUES else plain(part)
    return result


def tidied(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with required keys and defaults as editors show them best. Marked parts become definitions.

    Editors offer a skeleton, called `object`, for each map with required keys, so these are in an `allOf`. They insert
    all defaults of a map with its key, so a default is a sentence of the description.

    Args:
        schema: the schema, or a part of it.
        definitions: gets the definitions.
    """
    if isinstance(schema, list):
        return [tidied(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for word, part in schema.items():
        if word in _MAPS:
            result[word] = {name: tidied(one, definitions) for name, one in part.items()}
        elif word == "required" and "properties" in schema:
            result["allOf"] = [{"required": part}]
        elif word == "oneOf" and "discriminator" in schema:
            result["anyOf"] = tidied(part, definitions)
        elif word not in _NOISE:
            result[word] = part if word in _VALUES else tidied(part, definitions)
    if "const" in result and "description" not in result and result["const"] is not True:
        result["enum"] = [result.pop("const")]
    if "enumDescriptions" in result and not any(result["enumDescriptions"]):
        del result["enumDescriptions"]
    result = _with_default(result)
    result = _ordered(result)
    if (name := schema.get(DEFINE)) is not None:
        definitions[name] = result
        return {"$ref": f"#/$defs/{name}"}
    return result


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its words in the order in which they read best; the text of a simple value follows it."""
    words = [word for word in _FIRST if word in schema] + [word for word in schema if word not in _FIRST]
    if not any(isinstance(part, dict | list) for part in schema.values()):
        words.sort(key="description".__eq__)
    return {word: schema[word] for word in words}


def _with_default(schema: dict[str, Any]) -> dict[str, Any]:
    default = schema.pop("default", None)
    if "description" in schema and isinstance(default, str | int | float):
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        schema["description"] += f" Default: {shown.lower() if isinstance(default, bool) else shown}."
    return schema
