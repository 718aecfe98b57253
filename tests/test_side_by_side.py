"""`--side-by-side` runs each test once, in several processes, and reports what a single process reports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "conftest.py": """
from tests.support.side_by_side import pytest_addoption, pytest_runtestloop
""",
    "test_a.py": """
import pytest

@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    yield tmp_path_factory.mktemp("folder")
    print("the session's fixture is torn down")

@pytest.mark.parametrize("number", range(20))
def test_passes(number, folder):
    pass

@pytest.mark.skip(reason="no need")
def test_is_skipped():
    pass
""",
    "test_b.py": """
def test_fails(tmp_path):
    print("printed by the test")
    assert tmp_path.parent.name == "a name"
""",
    "test_c.py": """
import os, signal

def test_ends_its_process():
    os.kill(os.getpid(), signal.SIGKILL)

def test_never_runs():
    pass
""",
    "test_d.py": """
def test_runs_in_the_process_that_is_left():
    pass
""",
}


@pytest.fixture
def run(tmp_path):
    """Run files of tests in two processes; the exit code and the output."""

    def run(names, *options):
        for name in ("conftest.py", *names):
            (tmp_path / name).write_text(FILES[name])
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--side-by-side",
            "2",
            f"--rootdir={tmp_path}",
        ]
        repository = Path(__file__).parents[1]
        done = subprocess.run(
            [*command, "-c", "/dev/null", str(tmp_path), *options],
            cwd=repository,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_every_test_runs_once_and_a_failure_a_skip_and_a_death_are_reported(run):
    code, output = run(["test_a.py", "test_b.py", "test_c.py", "test_d.py"])
    assert code == 1, output
    assert "2 failed, 21 passed, 1 skipped" in output
    assert "printed by the test" in output
    assert re.search(r"assert 'process-\d' == 'a name'", output)
    assert re.search(r"FAILED .*test_c.py::test_ends_its_process", output)
    assert "this test ended its process" in output
    assert "tests that did not run: 1" in output
