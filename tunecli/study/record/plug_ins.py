"""The plug-ins of a study, and the reasons why an installed plug-in cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunecli.config.concrete_trial import concrete_trials
from tunecli.config.families import names_in
from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.schema.losses import AnyLoss, LossKnob
from tunecli.config.schema.models import AnyModel, ModelKnob
from tunecli.config.schema.optimizers import AnyOptimizer, OptimizerKnob
from tunecli.config.schema.sources import AnySource, SourceKnob
from tunecli.config.study import StudySpec
from tunecli.registry import plugins
from tunecli.registry.engines import ENGINES, EngineInfo
from tunecli.registry.plugins import Group, PlugIn
from tunecli.registry.pruners import PRUNERS, PrunerInfo
from tunecli.registry.samplers import SAMPLERS, SamplerInfo


def plug_ins_of(spec: StudySpec) -> tuple[PlugIn, ...]:
    """Return the plug-ins that a study names. Names that are built in cost no search for plug-ins.

    Raises:
        UsageError: a plug-in that it names cannot be used.
    """
    search, run = spec.settings.search, spec.settings.run
    named: dict[tuple[Group, str], None] = {
        ("samplers", search.sampler_name): None,
        ("pruners", "none" if search.pruner == "none" else search.pruner.name): None,
        ("engines", run.engine_name): None,
    }
    for plain in concrete_trials(spec.space):
        if trial_model(plain) is TrialConfig:
            named |= dict.fromkeys(_plug_in_names(plain))
    unknown = [(group, name) for group, name in named if name not in _BUILT_IN[group]]
    installed = (plugins.plug_in(group, name) for group, name in unknown if name.isidentifier())
    return tuple(plug_in for plug_in in installed if plug_in is not None)


_BUILT_IN: Mapping[Group, frozenset[str]] = {
    "samplers": frozenset(SAMPLERS),
    "pruners": frozenset(("none", *PRUNERS)),
    "engines": frozenset(ENGINES),
    "optimizers": frozenset(names_in(AnyOptimizer)),
    "losses": frozenset(names_in(AnyLoss)),
    "models": frozenset(names_in(AnyModel)),
    "data": frozenset(names_in(AnySource)),
}


def _plug_in_names(plain: Mapping[str, Any]) -> Iterator[tuple[Group, str]]:
    """Yield the names in a concrete trial that may belong to plug-ins."""
    data = plain.get("data")
    values: dict[Group, Any] = {
        "optimizers": plain.get("optimizer"),
        "losses": plain.get("loss"),
        "models": plain.get("model"),
        "data": data.get("source") if isinstance(data, Mapping) else None,
    }
    for group, value in values.items():
        name = value.get("name") if isinstance(value, Mapping) else value
        if isinstance(name, str):
            yield group, name


_KINDS: Mapping[Group, type] = {
    "samplers": SamplerInfo,
    "pruners": PrunerInfo,
    "engines": EngineInfo,
    "optimizers": OptimizerKnob,
    "losses": LossKnob,
    "models": ModelKnob,
    "data": SourceKnob,
}


def plug_in_problem(plug_in: PlugIn) -> str:
    """Return the reason why a plug-in cannot be used, or an empty text."""
    if plug_in.name in _BUILT_IN[plug_in.group]:
        return f"the built-in `{plug_in.name}` takes precedence"
    return plugins.problem(plug_in, _KINDS[plug_in.group])
