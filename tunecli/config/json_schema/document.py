"""The JSON Schema of a file, for editors. Under ``trial``, each leaf is a value or a range.

It is derived from the pydantic models and their docstrings, so it matches the program. Checks that a schema cannot
express (bounds of a range, metrics that fit the data) are left to `check`.
"""

from __future__ import annotations

from typing import Any

from tunecli.config.json_schema.documentation import all_knobs, described, described_names
from tunecli.config.json_schema.range_definitions import choice_of, object_schema, range_definitions
from tunecli.config.json_schema.searchable import SearchableDefinitions
from tunecli.config.json_schema.tidy import plain, tidied
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
_TRIALS = (TrialConfig, FunctionTrial, CommandTrial)


def json_schema() -> dict[str, Any]:
    """The schema of a whole file, draft 2020-12. Descriptions come from the docstrings of the knobs."""
    knobs: dict[str, type[Knob]] = {knob.__name__: knob for knob in all_knobs()}
    settings = described(plain(StudySettings.model_json_schema(by_alias=True)), StudySettings)
    definitions: dict[str, Any] = settings.pop("$defs")
    _add_plug_ins_with_infos(definitions)
    definitions = {name: described(definition, knobs.get(name)) for name, definition in definitions.items()}
    searchable = SearchableDefinitions(_names_of_families(knobs))
    for kind in _TRIALS:
        trial = kind.model_json_schema(by_alias=True)
        if kind is TrialConfig:
            _add_plug_in_knobs(trial)
        for name, definition in trial.pop("$defs", {}).items():
            definitions[name] = searchable.model(described(definition, knobs.get(name)), name)
        definitions[kind.__name__] = searchable.model(described(trial, kind), kind.__name__)
    properties = dict(settings["properties"])
    properties["study"] |= {"type": "string", "pattern": f"^{STUDY_NAME.pattern}$"}
    trials = [{"$ref": f"#/$defs/{kind.__name__}"} for kind in _TRIALS]
    properties["trial"] = {
        "description": "One training run, or a run of your own program. Any value can be a range.",
        "anyOf": [*trials, choice_of({"anyOf": trials})],
    }
    required = [*(key for key in settings.get("required", []) if key != "study"), "trial"]
    document = {
        "$schema": DIALECT,
        "$comment": "Made by `tunecli schema`.",
        **object_schema(properties, *required),
        "$defs": definitions | searchable.definitions | range_definitions(),
    }
    marked: dict[str, Any] = {}
    tidy: dict[str, Any] = tidied(document, marked)
    return {**tidy, "$defs": dict(sorted({**tidy["$defs"], **marked}.items()))}


def _names_of_families(knobs: dict[str, type[Knob]]) -> dict[str, str]:
    """A description of each name of each family's members, by the member's reference and the name."""
    members = {name: knob for name, knob in knobs.items() if "name" in knob.model_fields}
    return {
        f"#/$defs/{member}:{name}": text
        for member, knob in members.items()
        for name, text in described_names(knob).items()
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
        texts = [getattr(info, "summary", "") for info in infos]
        named = {"enum": [info.name for info in infos], "enumDescriptions": texts}
        options: list[dict[str, Any]] = [properties[key], named]
        for info in infos:
            if info.settings is not None:
                reference = {"$ref": f"#/$defs/{_define(info.settings, definitions)}"}
                options.append(reference)
                if group == "engines":  # its settings may stand in a section of its name
                    properties[info.name] = reference
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
    definitions[name] = described(schema, knob)
    return name
