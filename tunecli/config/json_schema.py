"""The JSON Schema of a file, for editors. Under ``trial``, each leaf is a value or a range.

It is derived from the pydantic models and their docstrings, so it matches the program. Checks that a schema cannot
express (bounds of a range, metrics that fit the data) are left to `check`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tunecli.config.range_words import NUMERIC_WORDS
from tunecli.config.schema import CommandTrial, FunctionTrial, TrialConfig
from tunecli.config.schema.losses import LossKnob
from tunecli.config.schema.models import ModelKnob
from tunecli.config.schema.optimizers import OptimizerKnob
from tunecli.config.schema.sources import SourceKnob
from tunecli.config.study import STUDY_NAME, StudySettings
from tunecli.knob import Knob
from tunecli.registry import plugins
from tunecli.registry.engines import EngineInfo
from tunecli.registry.plugins import Group
from tunecli.registry.pruners import PrunerInfo
from tunecli.registry.samplers import SamplerInfo

DIALECT = "https://json-schema.org/draft/2020-12/schema"


SCHEMA_FILE = "tunecli.schema.json"


MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"


_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}


_WHOLE = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}


_DEFAULT: dict[str, Any] = {"description": "Value of the first trial, a good guess."}


_GRID = {"type": "integer", "minimum": 1, "description": "Number of points that a grid takes from the range."}


_CHOICE = "One of several values or sub-trees."


_WEIGHTS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "number", "exclusiveMinimum": 0},
    "minItems": 1,
    "description": "How often each option is drawn, compared with the others.",
}


_STEP = {"type": "number", "exclusiveMinimum": 0, "description": "Distance between two values."}


_BESIDE_CHOICE: dict[str, dict[str, Any]] = {
    "weights": {"$ref": "#/$defs/Weights"},
    "ordered": {"$ref": "#/$defs/Ordered"},
}


def _range(key: str, body: dict[str, Any], description: str, **beside: dict[str, Any]) -> dict[str, Any]:
    properties = {key: {**body, "description": description}, **beside}
    return {"type": "object", "properties": properties, "required": [key], "additionalProperties": False}


def _ranges() -> dict[str, Any]:
    numeric: dict[str, dict[str, Any]] = {"default": _DEFAULT, "step": _STEP, "grid": _GRID}
    listing = {
        "type": "object",
        "properties": {
            "of": {"description": "Every item: a value or a range."},
            "length": {"$ref": "#/$defs/Whole"},
        },
        "required": ["of", "length"],
        "additionalProperties": False,
    }
    return {
        "Range": {
            "description": "A search range instead of a value.",
            "anyOf": [
                _range("uniform", _NUMBERS, "A real number: [low, high].", **numeric),
                _range(
                    "loguniform", _NUMBERS, "A real number with a uniform logarithm: [low, high].", **numeric
                ),
                _range("int", _WHOLE, "A whole number: [low, high].", **numeric),
                _range("logint", _WHOLE, "A whole number with a uniform logarithm: [low, high].", **numeric),
                _range(
                    "normal",
                    _NUMBERS,
                    "A normally distributed number: [mean, deviation].",
                    **numeric,
                ),
                _range(
                    "lognormal",
                    _NUMBERS,
                    "A number whose natural logarithm is normally distributed: [mean, deviation] of the logarithm.",
                    **numeric,
                ),
                _range(
                    "power",
                    _power(numeric),
                    "A power of a number with a searched exponent.",
                    default=_DEFAULT,
                ),
                _range("list", listing, "A list of variable length.", default=_DEFAULT),
                _range("ref", {"type": "string"}, "The value of another key, by its path under `trial`."),
                _range(
                    "expr", {"type": "string"}, "A value that a formula computes from others: `1 - gamma`."
                ),
            ],
        },
        "Weights": _WEIGHTS,
        "Ordered": {
            "type": "boolean",
            "description": "Whether models use the order of the options: by default for three or more numbers.",
        },
        "Whole": {"anyOf": [{"type": "integer", "minimum": 0}, {"$ref": "#/$defs/Range"}]},
    }


def _power(beside: dict[str, Any]) -> dict[str, Any]:
    of = {"type": "number", "exclusiveMinimum": 0, "description": "The number whose powers are taken."}
    exponents = [
        _range(word, _WHOLE if word in ("int", "logint") else _NUMBERS, "The exponent.", of=of, **beside)
        for word in NUMERIC_WORDS
    ]
    return {"anyOf": [{**exponent, "required": [*exponent["required"], "of"]} for exponent in exponents]}


def json_schema() -> dict[str, Any]:
    """The schema of a whole file, draft 2020-12. Descriptions come from the docstrings of the knobs."""
    knobs = {knob.__name__: knob for knob in _subclasses(Knob)}
    settings = _described(StudySettings.model_json_schema(), StudySettings)
    definitions: dict[str, Any] = settings.pop("$defs")
    _add_plug_ins_with_infos(definitions)
    definitions = {name: _described(definition, knobs.get(name)) for name, definition in definitions.items()}
    kinds = (TrialConfig, FunctionTrial, CommandTrial)
    for kind in kinds:
        trial = kind.model_json_schema(by_alias=True)
        if kind is TrialConfig:
            _add_plug_in_knobs(trial)
        for name, definition in trial.pop("$defs", {}).items():
            definitions[name] = _searchable(_described(definition, knobs.get(name)))
        definitions[kind.__name__] = _searchable(_described(trial, kind))
    properties = dict(settings["properties"])
    properties["study"] |= {"type": "string", "pattern": f"^{STUDY_NAME.pattern}$"}
    properties["trial"] = {
        "description": "One training run. Any value can be a range.",
        "anyOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds],
    }
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


def _add_plug_ins_with_infos(definitions: dict[str, Any]) -> None:
    """Allow the samplers, pruners and engines of plug-ins, except those that cannot be used."""
    places: tuple[tuple[Group, type, str, str], ...] = (
        ("samplers", SamplerInfo, "Search", "sampler"),
        ("pruners", PrunerInfo, "Search", "pruner"),
        ("engines", EngineInfo, "Run", "engine"),
    )
    for group, kind, owner, key in places:
        infos = list(plugins.usable(group, kind))
        if not infos:
            continue
        properties = definitions[owner]["properties"]
        default = properties[key].pop("default")
        options: list[dict[str, Any]] = [properties[key], {"enum": [info.name for info in infos]}]
        for info in infos:
            if info.settings is not None:
                options.append({"$ref": f"#/$defs/{_define(info.settings, definitions)}"})
        properties[key] = {"anyOf": options, "default": default}


def _add_plug_in_knobs(trial: dict[str, Any]) -> None:
    """Allow the optimizers, losses, models and data of plug-ins in a trial, except those that cannot be used."""
    definitions: dict[str, Any] = trial["$defs"]
    places: tuple[tuple[Group, type, dict[str, Any], str], ...] = (
        ("optimizers", OptimizerKnob, trial["properties"], "optimizer"),
        ("losses", LossKnob, trial["properties"], "loss"),
        ("models", ModelKnob, trial["properties"], "model"),
        ("data", SourceKnob, definitions["Data"]["properties"], "source"),
    )
    for group, kind, properties, key in places:
        schema = properties[key]
        family = schema if "discriminator" in schema else schema.get("anyOf", [schema])[0]
        for knob in plugins.usable(group, kind):
            ref = f"#/$defs/{_define(knob, definitions)}"
            family["discriminator"]["mapping"][knob.model_fields["name"].default] = ref
            family["oneOf"].append({"$ref": ref})


def _define(knob: type[Knob], definitions: dict[str, Any]) -> str:
    """Add the schema of a plug-in's model to the definitions, and return the name that it has there."""
    schema = knob.model_json_schema()
    definitions |= {name: each for name, each in schema.pop("$defs", {}).items() if name not in definitions}
    name = knob.__name__ if knob.__name__ not in definitions else f"{knob.__module__}.{knob.__name__}"
    definitions[name] = _described(schema, knob)
    return name


def documentation(knob: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """A knob's summary, and a description of each of its fields, from the docstrings of the class and its bases."""
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


def _described(definition: dict[str, Any], knob: type[BaseModel] | None) -> dict[str, Any]:
    """A model's schema with the descriptions of its fields."""
    if knob is None:
        return definition
    summary, fields = documentation(knob)
    for name, schema in definition.get("properties", {}).items():
        schema.pop("title", None)
        if text := summary if name == "name" else fields.get(name):
            schema["description"] = text
    return definition | ({"description": summary} if summary else {})


def _subclasses(knob: type[Knob]) -> Iterator[type[Knob]]:
    for subclass in knob.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _searchable(definition: dict[str, Any]) -> dict[str, Any]:
    """A model's schema in which every property may be a range."""
    searchable = copy.deepcopy(definition)
    for name, schema in searchable.get("properties", {}).items():
        is_fixed = schema.pop("x-fixed", False)
        # One of several names that take the same keys may be searched.
        if not is_fixed and (name != "name" or "enum" in schema):
            searchable["properties"][name] = _or_range(_open(schema))
    return searchable


def _or_range(schema: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {
        key: schema.pop(key) for key in ("title", "description", "default") if key in schema
    }
    option = {"anyOf": [schema, {"$ref": "#/$defs/Range"}]}
    options = {"type": "array", "minItems": 1, "items": option}
    choice = _range(
        "choice",
        options,
        _CHOICE,
        default=_DEFAULT,
        weights={"$ref": "#/$defs/Weights"},
        ordered={"$ref": "#/$defs/Ordered"},
    )
    return {**about, "anyOf": [schema, choice, {"$ref": "#/$defs/Range"}]}


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow ranges as list items, and a family's member as its name alone or, in a chain, as ``{name: {…}}``."""
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
        return {key: schema[key] for key in ("description",) if key in schema} | {"anyOf": forms}
    return schema
