"""Every entry of the registries names things that exist, and agrees with its settings model."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pytest

from tunecli.registry.engines import ENGINES, INLINE, LOCAL
from tunecli.registry.implementations import implementation
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
    "worker_slots",
)


def name_of(entry: Any) -> str:
    return str(entry.name)


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_each_code_name_of_an_entry_can_be_imported(entry: Any) -> None:
    code_names = [value for key in IMPORTED if isinstance(value := getattr(entry, key, None), str) and value]
    assert entry.implementation in code_names
    assert all(callable(implementation(each)) for each in code_names)


@pytest.mark.parametrize("entry", [each for each in ENTRIES if each.settings is not None], ids=name_of)
def test_a_settings_model_has_the_name_of_its_entry_and_a_default_for_each_setting(entry: Any) -> None:
    settings = entry.settings(name=entry.name)
    assert settings == entry.settings()
    assert get_args(entry.settings.model_fields["name"].annotation) == (entry.name,)


def test_a_pruner_that_pauses_has_the_settings_of_one() -> None:
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
