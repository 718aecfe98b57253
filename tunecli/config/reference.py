"""The reference of every key: the JSON Schema for editors, a Markdown table, and the starter file of `tunecli init`.

Both are derived from the pydantic models, so they match what is accepted. In the schema, each leaf under ``trial`` is a
value or a range. What a schema cannot say (valid bounds of a range, metrics that fit the data) is left to `check`.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunecli.config.model_paths import models_in, names_of
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
    _add_plug_ins_with_infos(definitions)
    kinds = (TrialConfig, FunctionTrial, CommandTrial)
    for kind in kinds:
        trial = kind.model_json_schema(by_alias=True)
        if kind is TrialConfig:
            _add_plug_in_knobs(trial)
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


def _add_plug_ins_with_infos(definitions: dict[str, Any]) -> None:
    """Let a file name the samplers, pruners and engines of plug-ins; what cannot be used is left out."""
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
    """Let a trial name the optimizers, losses, models and data of plug-ins; what cannot be used is left out."""
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
    definitions[name] = schema
    return name


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


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key: its path under ``trial``, what it may be, and what it is where nothing is said."""

    key: str
    values: str
    default: str


def key_rows(model: type[BaseModel] = TrialConfig, prefix: str = "") -> Iterator[KeyRow]:
    """The keys of a model of knobs, in its order, each family of named knobs as one row.

    What several members of a family share and is itself a family (a model's ``activation``) has a row of its own.
    """
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        members = [*models_in(field.annotation)]
        if len(members) == 1 and not names_of(members[0]):
            yield from key_rows(members[0], f"{key}.")
            continue
        yield KeyRow(key, _values(field), _default(field))
        inner: dict[str, list[FieldInfo]] = {}
        for member in members:
            for inner_name, inner_field in member.model_fields.items():
                if any(names_of(each) for each in models_in(inner_field.annotation)):
                    inner.setdefault(inner_name, []).append(inner_field)
        for inner_name, fields in inner.items():
            defaults = dict.fromkeys(map(_default, fields))
            yield KeyRow(f"{key}.{inner_name}", _values(fields[0]), " or ".join(defaults))


def markdown_table() -> str:
    """The keys as a Markdown table."""
    lines = ["| key | what it may be | default |", "|---|---|---|"]
    lines += [f"| `{row.key}` | {row.values} | {row.default} |" for row in key_rows()]
    return "\n".join(lines) + "\n"


def _values(field: FieldInfo) -> str:
    members = [*models_in(field.annotation)]
    if not members:
        return ", ".join(dict.fromkeys(_kinds(field.annotation, field.metadata)))
    is_list = any(part is list for part in _origins(field.annotation))
    named = [set(member.model_fields) - {"name"} for member in members if "python" not in names_of(member)]
    shared = set.intersection(*named) if len(named) > 2 else set()
    found = ", ".join(text for member in members for text in _member(member, shared))
    told = [name for name in members[0].model_fields if name in shared]
    found += f"; each with {', '.join(told)}" if told else ""
    return f"a list of {found}" if is_list else found


def _member(member: type[BaseModel], shared: set[str]) -> Iterator[str]:
    arguments = [
        _argument(name, field)
        for name, field in member.model_fields.items()
        if name != "name" and name not in shared
    ]
    for name in names_of(member):
        if name == "python":
            yield "`{python: …, args: …}`"
        else:
            yield f"`{name}`" + (f" ({', '.join(arguments)})" if arguments else "")


def _argument(name: str, field: FieldInfo) -> str:
    """An argument's name, with the keys below it where it is a map."""
    below = [
        key for model in models_in(field.annotation) if not names_of(model) for key in model.model_fields
    ]
    return f"{name}: {{{', '.join(below)}}}" if below else name


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, BaseModel):
        names = names_of(type(value))
        said = {key: getattr(value, key) for key in value.model_fields_set if key != "name"}
        text = names[0] if names and not said else ", ".join(f"{key}: {each}" for key, each in said.items())
        return f"`{text}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kinds(annotation: Any, metadata: list[Any]) -> Iterator[str]:
    """What a value that is no knob may be, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        yield from (f"`{str(option).lower() if option is True else option}`" for option in arguments)
    elif origin is typing.Annotated:
        yield from _kinds(
            arguments[0], [*metadata, *(part for each in arguments[1:] for part in _flat(each))]
        )
    elif origin is list:
        yield "a list of " + ", ".join(_kinds(arguments[0], []))
    elif annotation is bool:
        yield "`true`, `false`"
    elif annotation in (int, float):
        yield ("a whole number" if annotation is int else "a number") + _bounds(metadata)
    elif annotation is str:
        yield "text"
    else:
        yield from (kind for part in arguments if part is not type(None) for kind in _kinds(part, metadata))


def _flat(annotation: Any) -> list[Any]:
    return annotation.metadata if isinstance(annotation, FieldInfo) else [annotation]


def _bounds(metadata: list[Any]) -> str:
    words = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
    found = [
        f"{sign} {getattr(part, name):g}"
        for part in metadata
        for kind, (sign, name) in words.items()
        if isinstance(part, kind) and getattr(part, name) < 10**6
    ]
    return f" {' and '.join(found)}" if found else ""


def _origins(annotation: Any) -> Iterator[Any]:
    yield typing.get_origin(annotation)
    for part in typing.get_args(annotation):
        yield from _origins(part)


STARTER = """\
# yaml-language-server: $schema=tunecli.schema.json
# A study: `tunecli check FILE` says what it would do, `tunecli search FILE` does it.
study: first-study
seed: 7
objective: {metric: val_accuracy, direction: maximize}

trial:                       # one training run; any leaf may hold a range instead of a value
  data:
    source: digits           # a registry name, or your own file: {source: mine.csv, target: price}
    validation: {fraction: 0.2}
  model:
    name: mlp
    hidden: {list: {of: {logint: [16, 128]}, length: {int: [1, 3]}}}
    activation: {choice: [relu, gelu, tanh]}
    dropout: {uniform: [0.0, 0.4]}
  optimizer:
    choice:                  # each option brings its own parameters
      - {name: adamw, lr: {loguniform: [1e-4, 1e-1], default: 1e-3}, weight_decay: {loguniform: [1e-6, 1e-1]}}
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}}
  training: {epochs: 15, batch_size: {choice: [32, 64, 128]}}

search: {sampler: bayes, trials: 20}
run: {device: auto, workers: auto}
"""
