"""The command for a missing package names the package, and suits the environment that runs the program."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

import pytest

from tunecli.errors import UsageError
from tunecli.registry import packages
from tunecli.registry.exporters import EXPORTERS
from tunecli.registry.implementations import require_package
from tunecli.registry.packages import install_command, requirements_of
from tunecli.registry.samplers import SAMPLERS, installation_note

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FOR_USERS = sorted(set(EXTRAS) - {"dev", "docs", "slow"})


def test_the_requirements_of_an_extra_are_those_of_the_project_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [f"{one}; extra == '{extra}'" for extra in FOR_USERS for one in EXTRAS[extra]]
    lines = [f"Requires-Dist: {one}" for one in ("torch>=2.10", *wanted)]
    metadata = ["Metadata-Version: 2.1", "Name: written-by-a-test", "Version: 1.0", *lines]
    (tmp_path / "written_by_a_test-1.0.dist-info").mkdir()
    (tmp_path / "written_by_a_test-1.0.dist-info/METADATA").write_text("\n".join(metadata))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packages, "_DISTRIBUTION", "written-by-a-test")
    assert {extra: list(requirements_of(extra)) for extra in FOR_USERS} == {
        extra: EXTRAS[extra] for extra in FOR_USERS
    }


def test_the_command_has_each_package_of_the_extra_with_its_version(tmp_path: Path) -> None:
    command = install_command("cmaes", "optuna", tmp_path)
    assert command == "pip install 'optuna>=4' 'cmaes>=0.11'"
    assert shlex.split(command)[2:] == EXTRAS["optuna"]


@pytest.mark.parametrize("extra", ["", "no_such_extra", "optun"])
def test_without_a_known_extra_the_command_has_the_package(extra: str, tmp_path: Path) -> None:
    assert install_command("smac", extra, tmp_path) == "pip install smac"


def test_code_that_no_pip_installed_gets_the_name_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_DISTRIBUTION", "a-distribution-that-is-absent")
    assert install_command("pyarrow", "parquet", tmp_path) == "pip install pyarrow"


@pytest.mark.parametrize(
    ("file", "text", "start"),
    [
        ("pipx_metadata.json", "{}", "pipx inject tunecli "),
        ("uv-receipt.toml", "[tool]", "uv pip install --python {environment} "),
        ("pyvenv.cfg", "home = /usr/bin\nuv = 0.7.2\n", "uv pip install "),
        ("pyvenv.cfg", "home = /opt/uv = x\n", "pip install "),
    ],
)
def test_the_command_uses_the_tool_that_made_the_environment(
    file: str, text: str, start: str, tmp_path: Path
) -> None:
    environment = tmp_path / "an environment"
    environment.mkdir()
    (environment / file).write_text(text)
    start = start.format(environment=shlex.quote(str(environment)))
    assert install_command("pillow", "images", environment) == f"{start}'pillow>=11'"


def test_a_missing_package_is_named_with_the_command_and_the_alternative() -> None:
    with pytest.raises(UsageError) as caught:
        require_package("the sampler `x`", "no_such_package_at_all", "optuna", "the sampler bayes")
    assert caught.value.hint == f"{install_command('x', 'optuna')}, or take the sampler bayes"


def test_each_extra_of_a_registry_has_requirements() -> None:
    entries = [*SAMPLERS.values(), *EXPORTERS.values()]
    assert {entry.extra for entry in entries if entry.extra} == {"optuna", "mlflow"}
    assert all(requirements_of(entry.extra) for entry in entries if entry.extra)


def test_only_a_sampler_of_another_package_has_a_note() -> None:
    assert installation_note("tpe") == f"needs `{install_command('optuna', 'optuna')}`"
    assert installation_note("bayes") == ""
