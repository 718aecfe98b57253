"""The fork server starts early with settings guessed from the file; the engine keeps it only if the guess was right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Fate = Callable[..., str]

# One process loads the program and forks for each case, because its start takes longer than a case.
CODE = """
import json, os, signal, sys, traceback
from tunecli.engine.fork_client import server_id
from tunecli.engine import engine_named
from tunecli.engine.protocol import EngineOptions
from tunecli.study.prefork import head_start

def is_alive(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True

def fate(threads, needs_torch, words):
    before = dict(os.environ)
    with head_start(words):
        guessed = server_id()
        took = None
        if threads:
            engine_named("local", EngineOptions(1, threads, needs_torch=needs_torch)).close()
            took = server_id()
    assert dict(os.environ) == before
    is_guess_alive = guessed is not None and is_alive(guessed)
    if took is not None:
        os.kill(took, signal.SIGKILL)  # it would go on loading for seconds
    return ("none" if guessed is None else "kept" if took == guessed and is_guess_alive else
            "another" if took is not None and not is_guess_alive else
            "ended" if not is_guess_alive else "left")

for line in sys.stdin:
    folder, *case = json.loads(line)
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            print(fate(*case), flush=True)
        except BaseException:
            print(json.dumps(traceback.format_exc()), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    """The process that forks for each case."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", CODE], text=True, **pipes) as process:
        yield process


@pytest.fixture
def server_fate(program: subprocess.Popen[str], tmp_path: Path) -> Fate:
    """The fate of the early server after an engine with some threads was made; with 0, no engine was made."""

    def fate(threads: int, *words: str, needs_torch: bool = True) -> str:
        assert program.stdin is not None and program.stdout is not None
        print(json.dumps([str(tmp_path), threads, needs_torch, words]), file=program.stdin, flush=True)
        return program.stdout.readline().strip()

    return fate


TRIAL = "trial: {command: [echo, '1']}\n"  # its server loads no torch


@pytest.mark.parametrize(
    ("text", "words", "threads", "expected"),
    [
        ("study: s", ["search", "s.yaml"], 1, "kept"),
        ("run: {threads: 2}", ["search", "--workers", "2", "s.yaml"], 2, "kept"),
        ("study: s", ["search", "s.yaml", "--set", "run.threads=3"], 3, "kept"),
        ("# threads: 2 were too many", ["search", "s.yaml"], 1, "another"),
        ("not: [a study", ["search", "s.yaml"], 0, "ended"),
        ("run: {engine: inline}", ["search", "s.yaml"], 0, "none"),
        ("run: {engine: ray}", ["search", "s.yaml"], 0, "none"),
        ("run: {engine: ray}", ["search", "s.yaml", "--engine", "local"], 1, "kept"),
        ("study: s", ["search", "s.yaml", "--engine=ray"], 0, "none"),
        ("study: inline", ["search", "s.yaml"], 1, "kept"),
        ("study: s", ["search", "s.yaml", "--dry-run"], 0, "none"),
        ("study: s", ["search", "other.yaml"], 0, "none"),
        ("study: s", ["check", "s.yaml"], 0, "none"),
    ],
)
def test_the_early_fork_server_is_kept_if_its_guess_was_right(
    server_fate: Fate, tmp_path: Path, text: str, words: list[str], threads: int, expected: str
) -> None:
    (tmp_path / "s.yaml").write_text(TRIAL + text)
    assert server_fate(threads, *words, needs_torch=False) == expected


@pytest.mark.parametrize("run", ["runs/s", "s"])
def test_a_run_that_is_resumed_is_found_by_its_folder_and_by_its_name(
    server_fate: Fate, tmp_path: Path, run: str
) -> None:
    (tmp_path / "runs" / "s").mkdir(parents=True)
    (tmp_path / "runs" / "s" / "config.yaml").write_text(TRIAL)
    assert server_fate(1, "resume", run, needs_torch=False) == "kept"


OWN = "trial: {python: 'mine:train', params: {x: {uniform: [0, 1]}}}\nrun: {device: cpu}"


@pytest.mark.parametrize(
    ("source", "text", "words", "needs_torch", "expected"),
    [
        ("import random", OWN, [], False, "kept"),
        ("import random", OWN, [], True, "another"),
        ("import torch", OWN, [], True, "kept"),
        pytest.param("import torch", OWN, [], False, "another", marks=pytest.mark.slow),
        pytest.param("import helper", OWN, [], True, "kept", marks=pytest.mark.slow),
        ("import random", OWN, ["--device", "cuda"], True, "kept"),
        pytest.param(
            "import random", OWN, ["--set", "run.device=cuda:1"], True, "kept", marks=pytest.mark.slow
        ),
        pytest.param(
            "import random", OWN.replace("mine", "installed"), [], True, "kept", marks=pytest.mark.slow
        ),
        ("import random", TRIAL, [], False, "kept"),
        pytest.param("import random", "# a command would do", [], True, "another", marks=pytest.mark.slow),
        pytest.param("import random", "study: s", [], True, "kept", marks=pytest.mark.slow),
        pytest.param(
            "import random",
            "trial: {data: {source: {python: 'mine:make'}}}",
            [],
            True,
            "kept",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_fork_server_loads_torch_early_if_the_trials_need_it(
    server_fate: Fate,
    tmp_path: Path,
    source: str,
    text: str,
    words: list[str],
    needs_torch: bool,
    expected: str,
) -> None:
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "helper.py").write_text("def late():\n    import torch\n")
    (tmp_path / "s.yaml").write_text(text)
    assert server_fate(1, "search", "s.yaml", *words, needs_torch=needs_torch) == expected


def test_resume_finds_the_users_module_and_loads_no_unneeded_torch(server_fate: Fate, tmp_path: Path) -> None:
    (tmp_path / "runs" / "s").mkdir(parents=True)
    (tmp_path / "runs" / "s" / "config.yaml").write_text(OWN)
    (tmp_path / "mine.py").write_text("import random")
    assert server_fate(1, "resume", "s", needs_torch=False) == "kept"
