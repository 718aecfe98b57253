"""What `check`, `search` and `doctor` say of an engine whose machines answer, do not fit, or do not answer."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.forked import run_verb
from tests.support.plug_ins import environment_with, install, write_files
from tunecli.commands.check_machines import machine_data, machine_lines, machine_sections
from tunecli.commands.doctor import doctor
from tunecli.engine.protocol import Capacity, Host
from tunecli.errors import UsageError
from tunecli.study.plan.machines import Machines
from tunecli.study.record.versions import versions

MODULE = """
from tunecli import EngineInfo, UsageError
from tunecli.engine.local import LocalEngine

def silent(run):
    raise UsageError("no cluster answers at 10.0.0.5:6379 (5 s)", hint="start it")

SILENT = EngineInfo("silent", "mine:LocalEngine", capacity="mine:silent", runs_elsewhere=True)
LACKING = EngineInfo("lacking", "mine:LocalEngine", package="absent_package", capacity="mine:silent", runs_elsewhere=True)
"""
STUDY = "study: s\nobjective: {metric: loss}\ntrial: {command: [sh, -c, 'echo loss={x}'], params: {x: {uniform: [0, 1]}}}\n"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    points = {"silent": "mine:SILENT", "lacking": "mine:LACKING"}
    install(tmp_path / "site", "tunecli-mine", "1.0", {"mine.py": MODULE}, {"engines": points})
    write_files(tmp_path / "work", {"study.yaml": STUDY})
    return tmp_path / "work"


def run(work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_verb(*words, cwd=work, environment=environment_with(work.parent / "site"))


@pytest.mark.parametrize(
    ("engine", "message", "hint"),
    [
        ("silent", "no cluster answers at 10.0.0.5:6379 (5 s)", "start it"),
        ("lacking", "the engine `lacking` needs the package `absent_package`", "install"),
    ],
)
def test_a_search_makes_no_folder_if_its_machines_cannot_be_used(
    work: Path, engine: str, message: str, hint: str
) -> None:
    searched = run(work, "search", "study.yaml", "--engine", engine)
    assert searched.returncode == 2
    assert message in searched.stderr
    assert hint in searched.stderr
    assert not (work / "runs").exists()


def test_files_that_an_engines_settings_name_are_required_before_its_machines_are_asked(work: Path) -> None:
    checked = run(work, "check", "study.yaml", "--engine", "ray", "--set", 'run.ray.files=["lookup/*"]')
    assert checked.returncode == 2
    assert "run.ray.files: no file matches lookup/*" in checked.stderr


def test_check_notes_machines_that_do_not_answer_and_shows_the_rest(work: Path) -> None:
    checked = run(work, "check", "study.yaml", "--engine", "silent", "--json")
    assert checked.returncode == 0, checked.stderr
    data = json.loads(checked.stdout)
    assert data["cluster"]["answers"] is False
    [note] = [note for note in data["notes"] if "no cluster answers" in note]
    assert "when the study begins" in note


def test_the_machines_have_a_line_and_a_table_with_the_versions_that_differ() -> None:
    here = versions()
    hosts = [
        Host("n1", 4, ["cuda", "cuda"], dict(here)),
        Host("n2", 2, [], {**here, "torch": "1.0"}),
        Host("n3", 1),
    ]
    machines = Machines(capacity=Capacity(7, hosts, can_grow=True))
    assert machine_lines("ray", machines) == [
        ("ray", "room for 7 trials on 3 machines; more machines start when they are needed")
    ]
    [section] = machine_sections(machines)
    assert section.rows == (
        ("n1", "4", "2 cuda", "as here"),
        ("n2", "2", "cpu", "torch 1.0"),
        ("n3", "1", "cpu", "unknown"),
    )
    assert machine_data("ray", machines)["cluster"]["slots"] == 7


def test_trials_on_this_machine_add_no_lines() -> None:
    assert machine_lines("local", Machines()) == []
    assert machine_sections(Machines()) == []
    assert machine_data("local", Machines()) == {}


def test_doctor_refuses_an_address_that_is_none() -> None:
    with pytest.raises(UsageError, match="Ray Client"):
        doctor("ray://head:10001")


@pytest.fixture
def closed() -> str:
    """The address of a port that takes no connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.slow  # it needs the package ray
def test_a_cluster_that_is_named_and_does_not_answer_ends_check_and_doctor(work: Path, closed: str) -> None:
    for words in (("check", "study.yaml"), ("doctor",)):
        asked = run(work, *words, "--address", closed)
        assert asked.returncode == 2
        assert f"no Ray cluster answers at {closed}" in asked.stderr


def test_a_wrong_address_is_an_error_that_names_the_option(work: Path) -> None:
    asked = run(work, "check", "study.yaml", "--address", "nowhere")
    assert asked.returncode == 2
    assert "--address nowhere: must be `auto` or the address of the head" in " ".join(asked.stderr.split())
    assert "--set" not in asked.stderr


def test_an_address_beside_another_engine_is_refused(work: Path) -> None:
    checked = run(work, "check", "study.yaml", "--engine", "local", "--address", "10.0.0.5:6379")
    assert checked.returncode == 2
    assert "leave out --engine" in checked.stderr
