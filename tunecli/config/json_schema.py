"""The file's JSON Schema, for editors: under ``trial`` a leaf is a value or a range, and both complete.

Derived from the pydantic models, so it cannot drift from what is accepted. What a schema cannot say (that a
range's bounds are valid, that a metric fits the data) stays with `check`.
"""

from __future__ import annotations

import copy
from typing import Any

from tunecli.config.schema import CommandTrial, FunctionTrial, TrialConfig
from tunecli.config.study import STUDY_NAME, StudySettings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE = "tunecli.schema.json"
MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"

_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_WHOLE = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
_DEFAULT: dict[str, Any] = {"description": "What a person would try first: the first trial."}
_GRID = {"type": "integer", "minimum": 1, "description": "How many points a grid takes from this range."}
_CHOICE = "One of several values or sub-trees."
_STEP = {"type": "number", "exclusiveMinimum": 0, "description": "Values lie this far apart."}


def _range(key: str, body: dict[str, Any], description: str, **beside: dict[str, Any]) -> dict[str, Any]:
    properties = {key: {**body, "description": description}, **beside}
    return {"type": "object", "properties": properties, "required": [key], "additionalProperties": False}


def _ranges() -> dict[str, Any]:
    numeric: dict[str, dict[str, Any]] = {"default": _DEFAULT, "step": _STEP, "grid": _GRID}
    listing = {
        "type": "object",
        "properties": {
            "of": {"description": "What each item is: a value or a range."},
            "length": {"$ref": "#/$defs/Whole"},
        },
        "required": ["of", "length"],
        "additionalProperties": False,
    }
    return {
        "Range": {
            "description": "A search range instead of a value; a choice stands with what it chooses among.",
            "anyOf": [
                _range("uniform", _NUMBERS, "A real number: [low, high].", **numeric),
                _range(
                    "loguniform", _NUMBERS, "A real number, uniform in its logarithm: [low, high].", **numeric
                ),
                _range("int", _WHOLE, "A whole number: [low, high].", **numeric),
                _range("logint", _WHOLE, "A whole number, uniform in its logarithm: [low, high].", **numeric),
                _range(
                    "normal",
                    _NUMBERS,
                    "A normally distributed number: [mean, deviation].",
                    default=_DEFAULT,
                    grid=_GRID,
                ),
                _range("list", listing, "A list of its own length.", default=_DEFAULT),
                _range("ref", {"type": "string"}, "Another key's value, by its path under `trial`."),
            ],
        },
        "Whole": {"anyOf": [{"type": "integer", "minimum": 0}, {"$ref": "#/$defs/Range"}]},
    }


def json_schema() -> dict[str, Any]:
    """The schema of a whole file, draft 2020-12."""
    settings = StudySettings.model_json_schema()
    definitions: dict[str, Any] = settings.pop("$defs")
    kinds = (TrialConfig, FunctionTrial, CommandTrial)
    for kind in kinds:
        trial = kind.model_json_schema(by_alias=True)
        for name, definition in trial.pop("$defs", {}).items():
            definitions[name] = _searchable(definition)
        definitions[kind.__name__] = _searchable(trial)
    properties = dict(settings["properties"])
    properties["study"] = {
        "type": "string",
        "pattern": f"^{STUDY_NAME.pattern}$",
        "description": "The run folder's name.",
    }
    properties["trial"] = {"anyOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds]}
    required = [*(key for key in settings.get("required", []) if key != "study"), "trial"]
    return {
        "$schema": DIALECT,
        "title": "A tunecli study",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        "$defs": definitions | _ranges(),
    }


def _searchable(definition: dict[str, Any]) -> dict[str, Any]:
    """A model's schema in which every property may hold a range instead."""
    found = copy.deepcopy(definition)
    for name, schema in found.get("properties", {}).items():
        if name != "name" or "enum" in schema:  # one of several that take the same keys may be searched
            found["properties"][name] = _or_range(_open(schema))
    return found


def _or_range(schema: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {
        key: schema.pop(key) for key in ("title", "description", "default") if key in schema
    }
    option = {"anyOf": [schema, {"$ref": "#/$defs/Range"}]}
    choice = _range("choice", {"type": "array", "minItems": 1, "items": option}, _CHOICE, default=_DEFAULT)
    return {**about, "anyOf": [schema, choice, {"$ref": "#/$defs/Range"}]}


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    """Let list items be ranges, and a family's member be its name alone or, in a chain, ``{name: {…}}``."""
    if "items" in schema:
        schema["items"] = _or_range(_open(schema["items"]))
    for key in ("anyOf", "oneOf"):
        if key in schema and "discriminator" not in schema:
            schema[key] = [_open(part) for part in schema[key]]
    if "discriminator" in schema:
        members: dict[str, str] = schema["discriminator"]["mapping"]
        forms: list[dict[str, Any]] = [{"anyOf": [{"$ref": ref} for ref in dict.fromkeys(members.values())]}]
        forms.append({"enum": list(members)})
        if schema.pop("x-chain", False):
            forms.append(
                {
                    "type": "object",
                    "properties": {
                        name: {"anyOf": [{"$ref": ref}, {"type": "null"}]} for name, ref in members.items()
                    },
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": False,
                }
            )
        if schema.pop("x-file", False):
            forms.append({"type": "string", "pattern": r"\.(csv|npz|parquet)$|/$|\$\{env:"})
        return {"anyOf": forms}
    return schema
