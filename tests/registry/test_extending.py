"""The package of docs/extending.md works as it is written there."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.support.forked import run_verb, started_verb
from tests.support.plug_ins import documented_files, environment_with, install_documented, write_files

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    install_documented(tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    write_files(work, {"study.yaml": documented_files()["study.yaml"]})
    return work


def run(work: Path, site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_verb(*arguments, cwd=work, environment=environment_with(site))


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_study_with_every_kind_of_plug_in_runs_through_all_verbs(work: Path, site: Path) -> None:
    checked = run(work, site, "check", "study.yaml")
    assert checked.returncode == 0, checked.stderr
    assert "hill, 6 trials" in checked.stdout
    searched = run(work, site, "search", "study.yaml")
    assert searched.returncode == 0, searched.stderr
    assert "jobs: 0" in searched.stderr
    assert len(table(work / "runs" / "hill")) == 6
    for arguments in (
        ("export", "runs/hill", "-o", "best.yaml"),
        ("train", "best.yaml"),
        ("export", "runs/hill", "--weights", "best.safetensors"),
        ("results", "runs/hill"),
    ):
        found = run(work, site, *arguments)
        assert found.returncode == 0, (arguments, found.stderr)
    verified = run(work, site, "verify", "runs/hill")
    assert "bit-identical" in verified.stdout, verified.stderr


def test_a_killed_study_resumes_to_the_table_of_an_uninterrupted_one(work: Path, site: Path) -> None:
    options = ("--set", "run.engine=local", "--set", "search.trials=8")
    whole = run(work, site, "search", "study.yaml", "--out", "runs/whole", *options)
    assert whole.returncode == 0, whole.stderr
    words = ("search", "study.yaml", "--out", "runs/killed", *options)
    with started_verb(*words, cwd=work, environment=environment_with(site)) as process:
        for line in process.stderr:
            if line.startswith("[2/8]"):
                process.send_signal(signal.SIGKILL)
                break
    resumed = run(work, site, "resume", "runs/killed")
    assert resumed.returncode == 0, resumed.stderr
    assert table(work / "runs" / "killed") == table(work / "runs" / "whole")


def test_check_shows_the_machines_of_an_engine_and_its_section_sets_their_room(
    work: Path, site: Path
) -> None:
    options = ("--set", "run.engine=farm", "--set", "run.farm.slots=3")
    checked = run(work, site, "check", "study.yaml", *options)
    assert checked.returncode == 0, checked.stderr
    assert "room for 6 trials on 2 machines" in checked.stdout
    data = json.loads(run(work, site, "check", "study.yaml", "--json", *options).stdout)
    assert [machine["name"] for machine in data["cluster"]["machines"]] == ["north", "south"]
    assert (data["workers"], data["cluster"]["slots"]) == (6, 6)
    here = json.loads(
        run(work, site, "check", "study.yaml", "--json", *options, "--set", "run.engine=local").stdout
    )
    assert "cluster" not in here


def test_a_study_on_an_engine_with_machines_of_its_own_has_the_table_of_a_local_one(
    work: Path, site: Path
) -> None:
    words = ("--set", "search.lookahead=2", "--set", "run.workers=2")
    for engine in ("farm", "local"):
        searched = run(
            work, site, "search", "study.yaml", "--out", f"runs/{engine}", "--engine", engine, *words
        )
        assert searched.returncode == 0, searched.stderr
    assert table(work / "runs" / "farm") == table(work / "runs" / "local")


def test_trials_of_plug_ins_are_not_fused_and_check_reports_the_reason(work: Path, site: Path) -> None:
    found = run(work, site, "check", "study.yaml", "--set", "run.fuse=4", "--set", "search.sampler=random")
    assert "a plug-in's code runs for one trial at a time" in found.stdout + found.stderr


def test_resume_reports_different_versions_and_missing_packages(work: Path, site: Path) -> None:
    assert run(work, site, "search", "study.yaml").returncode == 0
    shutil.rmtree(site)
    install_documented(site, "1.1")
    later = run(work, site, "resume", "runs/hill", "--trials", "7")
    assert later.returncode == 0, later.stderr
    assert "tunecli-hill was 1.0, and is 1.1" in later.stderr
    shutil.rmtree(site)
    gone = run(work, site, "resume", "runs/hill", "--trials", "8")
    assert gone.returncode == 2
    assert "plug-ins that are not installed here: tunecli-hill 1.0" in gone.stderr


def test_doctor_and_the_schema_show_the_plug_ins(work: Path, site: Path) -> None:
    doctor = json.loads(run(work, site, "doctor", "--json").stdout)
    found = {(each["kind"], each["name"], each["version"], each["problem"]) for each in doctor["plug_ins"]}
    assert ("samplers", "hill", "1.0", "") in found
    assert len(found) == 8
    schema = json.loads(run(work, site, "schema").stdout)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    study = yaml.safe_load(documented_files()["study.yaml"].replace("1e-3, 1e-1", "0.001, 0.1"))
    assert list(validator.iter_errors(study)) == []
    study["trial"]["optimizer"] = {"name": "lion", "lrr": 1}
    assert list(validator.iter_errors(study))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trial.optimizer=lionn", "did you mean `lion`?"),
        ("trial.optimizer={name: lion, lrr: 1}", "did you mean `lr`?"),
        ("trial.optimizer={name: lion, lr: fast}", "trial.optimizer.lr: must be a number"),
        ("search.sampler={name: hill, step: 1}", "`hill` has no settings"),
        ("search.sampler=hil", "did you mean `hill`?"),
        ("search.pruner={name: ceiling, epoc: 1}", "did you mean `epoch`?"),
        ("run.engine=talkin", "did you mean `talking`?"),
        ("run.workers=3", "`engine: talking` has one worker"),
        ("run.farm.slot=2", "run.farm.slot: unknown key `slot` (did you mean `slots`?)"),
        ("run.farm.slots=many", "run.farm.slots: must be a whole number"),
        ("run.barn.slots=2", "run.barn: unknown key `barn`"),
    ],
)
def test_a_mistake_in_a_plug_in_setting_is_reported_like_one_in_a_built_in(
    work: Path, site: Path, override: str, words: str
) -> None:
    found = run(work, site, "check", "study.yaml", "--set", override)
    assert found.returncode == 2
    assert words in found.stderr


@pytest.mark.slow
def test_the_contract_tests_of_the_document_pass(work: Path, site: Path) -> None:
    write_files(work, {"test_hill.py": documented_files()["test_hill.py"]})
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hill.py"]
    found = subprocess.run(command, cwd=work, env=environment_with(site), capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.slow
def test_pip_installs_the_package_and_a_study_finds_it(tmp_path: Path, work: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "pip"
    write_files(source, {"hill/__init__.py": "", **documented_files()})
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--target", str(site)]
    command = [sys.executable, "-m", "pip", "install", "-q", *options, str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    searched = run(work, site, "search", "study.yaml")
    assert searched.returncode == 0, searched.stderr
    assert "tunecli-hill" in run(work, site, "doctor").stdout
