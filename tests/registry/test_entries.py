"""Every entry of the registries names things that exist, and agrees with its settings model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from tunecli.config.run import Run
from tunecli.config.schema.activations import AnyActivation
from tunecli.config.schema.losses import AnyLoss
from tunecli.config.schema.models import AnyModel
from tunecli.config.schema.optimizers import AnyOptimizer
from tunecli.config.schema.sources import AnySource
from tunecli.config.schema.user_code import UserCode
from tunecli.knob import Knob
from tunecli.registry.engines import ENGINES, INLINE, LOCAL, EngineInfo
from tunecli.registry.implementations import code_names, implementation
from tunecli.registry.pruners import PRUNERS, Pausing, is_pausing
from tunecli.registry.samplers import SAMPLERS

ENTRIES = [*SAMPLERS.values(), *PRUNERS.values(), *ENGINES.values()]
IMPORTED = (
    "implementation",
    "n_initial",
    "expected_improvement",
    "notes",
    "full_trainings",
    "discarded",
    "capacity",
    "conflicts",
    "require_files",
)


def name_of(entry: Any) -> str:
    return str(entry.name)


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_each_code_name_of_an_entry_can_be_imported(entry: Any) -> None:
    code_names = [value for key in IMPORTED if isinstance(value := getattr(entry, key, None), str) and value]
    assert entry.implementation in code_names
    assert all(callable(implementation(each)) for each in code_names)


@pytest.mark.parametrize("entry", [each for each in ENTRIES if isinstance(each.settings, type)], ids=name_of)
def test_a_settings_model_has_the_name_of_its_entry_and_a_default_for_each_setting(entry: Any) -> None:
    settings = entry.settings(name=entry.name)
    assert settings == entry.settings()
    assert get_args(entry.settings.model_fields["name"].annotation) == (entry.name,)


@pytest.mark.parametrize(
    "info", [each for each in ENGINES.values() if each.settings is not None], ids=name_of
)
def test_a_section_of_the_run_settings_has_the_model_of_its_engine(info: EngineInfo) -> None:
    assert isinstance(info.settings, str)
    model = implementation(info.settings)
    assert Run.model_fields[info.name].annotation is model
    assert model() == getattr(Run(), info.name)


def test_a_pausing_pruner_has_the_settings_of_pausing_pruners() -> None:
    for info in PRUNERS.values():
        assert issubclass(info.settings, Pausing) == info.pauses_trials == is_pausing(info.settings())
    assert not is_pausing("none")


def test_a_pruner_that_needs_a_sampler_names_one_that_exists() -> None:
    assert {info.required_sampler for info in PRUNERS.values()} <= {"", *SAMPLERS}


def test_one_engine_runs_in_this_process_and_one_in_processes_of_its_own() -> None:
    assert ENGINES[INLINE].runs_in_this_process
    assert not ENGINES[LOCAL].runs_in_this_process


@pytest.mark.parametrize(
    ("module", "loaded"),
    [
        ("tunecli.registry.engines", {"pydantic", "torch", "skopt", "numpy"}),
        ("tunecli.registry.samplers", {"torch", "skopt", "numpy", "tunecli.search", "tunecli.config"}),
        ("tunecli.registry.pruners", {"torch", "skopt", "numpy", "tunecli.search", "tunecli.config"}),
    ],
)
def test_a_registry_loads_no_implementation(module: str, loaded: set[str]) -> None:
    script = f"import sys, {module}; print(sorted({loaded!r} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def knobs(base: type[Knob] = Knob) -> Iterator[type[Knob]]:
    """Every built-in knob that the schema defines."""
    for knob in base.__subclasses__():
        if knob.__module__.startswith("tunecli.config.schema"):
            yield knob
        yield from knobs(knob)


@pytest.mark.parametrize(
    "knob", sorted(set(knobs()), key=lambda knob: (knob.__module__, knob.__name__)), ids=str
)
def test_each_code_name_of_a_knob_can_be_imported(knob: type[Knob]) -> None:
    further = [getattr(knob, key, "") for key in ("size_function", "weight_shapes")]
    assert all(callable(implementation(name)) for name in (*code_names(knob), *further) if name)


def test_every_name_of_a_family_has_an_implementation() -> None:
    families = (AnyOptimizer, AnyActivation, AnyModel, AnyLoss, AnySource)
    for knob in {each for family in families for each in get_args(family)} - {UserCode}:
        names = get_args(knob.model_fields["name"].annotation)
        assert isinstance(knob.implementation, str) or set(knob.implementation) == set(names)
        assert knob.implementation
