"""The wheel and the source distribution: their files, and a first study in an environment outside the repository."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import tunecli

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The folder with both packages; the wheel is built from the source distribution."""
    folder, source = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("source") / "tunecli"
    left_out = shutil.ignore_patterns(
        ".git", ".venv", ".*_cache", "__pycache__", ".hypothesis", "build", "*.egg-info", "runs"
    )
    shutil.copytree(ROOT, source, ignore=left_out)  # because a build writes into its source
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr + built.stdout
    return folder


@pytest.fixture(scope="module")
def program(packages, tmp_path_factory):
    """The command of an environment that has the wheel; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    (wheel,) = packages.glob("*.whl")
    install = [folder / "bin/pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(install, check=True, capture_output=True, env=environ)
    place = subprocess.run(
        [folder / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
        env=environ,
    ).stdout.strip()
    # Each path of `sys.path` that has packages, but not the repository itself.
    paths = {sysconfig.get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))}
    Path(place, "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n")
    return folder / "bin/tunecli"


def test_the_source_distribution_has_the_program_its_tests_and_its_pages(packages):
    (archive,) = packages.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        names = {member.name.partition("/")[2] for member in content if member.isfile()}
    tracked = [ROOT / name for name in ("tunecli", "tests", "docs", "configs")]
    wanted = {
        str(path.relative_to(ROOT))
        for folder in tracked
        for path in folder.rglob("*")
        if path.suffix in (".py", ".md", ".yaml", ".css", ".js", ".json", ".csv")
        and "signs" not in path.parts
    }
    assert wanted | {"Makefile", "constraints.txt", "CHANGELOG.md", "LICENSE", "README.md"} <= names
    assert not [
        name for name in names if name.endswith(".pyc") or ".venv" in name or "cache" in name.split("/")
    ]


def test_the_wheel_has_each_file_of_the_program_and_no_other(packages):
    (wheel,) = packages.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = {name for name in content.namelist() if ".dist-info/" not in name}
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "tunecli").rglob("*") if path.is_file()}
    assert names == {name for name in ours if not name.endswith(".pyc")}
    assert wheel.name == f"tunecli-{tunecli.__version__}-py3-none-any.whl"


def test_three_commands_lead_from_an_empty_folder_to_a_report(program, tmp_path):
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def run(*words):
        done = subprocess.run([program, *words], cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("init", "study.yaml")
    run("search", "study.yaml", "--set", "search.trials=3", "--set", "training.epochs=2")
    assert json.loads((tmp_path / "tunecli.schema.json").read_text())["$defs"]
    report = json.loads(run("report", "first-study", "--json"))
    assert report
    assert "<style" in (tmp_path / "runs/first-study/report.html").read_text()
