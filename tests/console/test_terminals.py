"""The program as a process of its own: on a real terminal of any size, on full disks, closed streams and pipes that do not block."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.support.forked import run_verb

OWN = """
def train(params, trial):
    if trial.number % 3 == 1:
        raise ValueError("no: é — \\x1b[31m")
    trial.report(1, val_loss=params["x"])
    print("said on stdout")
"""
STUDY = """
study: own
objective: {metric: val_loss}
trial:
  python: own:train
  params: {x: {uniform: [0, 1]}, "a_name_that_is_rather_long": {choice: ["é—", "漢字漢字"]}, y: {int: [1, 9]}, z: {loguniform: [1e-5, 1]}}
search: {sampler: random, trials: 9}
run: {device: cpu, workers: 1}
"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("own")
    (path / "own.py").write_text(OWN)
    (path / "own.yaml").write_text(STUDY)
    (path / "one.yaml").write_text(
        STUDY.replace('{choice: ["é—", "漢字漢字"]}', "1")
        .replace("{uniform: [0, 1]}", "0.5")
        .replace("{int: [1, 9]}", "1")
        .replace("{loguniform: [1e-5, 1]}", "1")
    )
    done = run_verb("search", "own.yaml", cwd=path, environment=environment())
    assert done.returncode == 0, done.stderr
    return path


def environment(**changed):
    here = {
        key: value
        for key, value in os.environ.items()
        if key not in ("COLUMNS", "LINES", "PYTHONIOENCODING", "NO_COLOR")
    }
    return {**here, "TERM": "xterm", **changed}


def started(path, words, terminal, changed):
    """The exit code of a verb in a new process."""
    with Path(terminal).open("r+b", buffering=0) as stream:
        return subprocess.run(
            [sys.executable, "-m", "tunecli", *words],
            cwd=path,
            stdin=stream,
            stdout=stream,
            stderr=stream,
            env=environment(**changed),
        ).returncode


def forked(path, words, terminal, changed):
    """The exit code of a verb in a fork of a process that has loaded the program."""
    return run_verb(*words, cwd=path, environment=environment(**changed), terminal=terminal).returncode


def on_a_terminal(path, *words, columns, lines=24, run=forked, **changed):
    """The output on a terminal of that size, and the exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    got = bytearray()
    reader = threading.Thread(target=read_all, args=(ours, got))
    reader.start()
    try:
        code = run(path, words, os.ttyname(theirs), changed)
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    return code, got.decode(errors="replace").replace("\r\n", "\n")


def read_all(terminal, got):
    """Read what is written on a terminal until all processes have closed its other end."""
    with suppress(OSError):  # the other end is closed
        while part := os.read(terminal, 65536):
            got += part


@pytest.mark.parametrize(
    ("words", "columns"), [("results own", 0), ("results own --failed", 60), ("check own.yaml", 200)]
)
def test_no_line_is_wider_than_the_terminal_is(folder, words, columns):
    code, text = on_a_terminal(folder, *words.split(), columns=columns)
    assert code == 0, text
    plain = ESCAPES.sub("", text)
    assert all(cell_len(line) <= (columns or 80) for line in plain.split("\n") if "tunecli " not in line)
    assert not [c for c in plain if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]


@pytest.mark.parametrize(
    ("columns", "run", "changed"),
    [
        (60, started, {}),
        (120, forked, {"PYTHONIOENCODING": "ascii"}),
        (80, forked, {"TERM": "dumb", "COLUMNS": "²"}),
    ],
)
def test_a_search_on_a_terminal_ends_with_its_winner_on_the_screen(folder, tmp_path, columns, run, changed):
    code, text = on_a_terminal(
        folder, "search", "own.yaml", "--out", str(tmp_path / "run"), columns=columns, run=run, **changed
    )
    assert code == 0, text
    assert "Traceback" not in text
    bottom = text.rstrip().split("\n")[-23:]
    assert any(line.startswith("best  trial ") for line in bottom)
    assert any(line.strip().startswith("params.x") for line in bottom)


@pytest.mark.parametrize(
    ("words", "encoding"), [("results own", "latin-1"), ("check own.yaml", "ascii"), ("--help", "utf-16")]
)
def test_a_stdout_of_another_encoding_gets_everything(folder, words, encoding):
    around = environment(PYTHONIOENCODING=encoding)
    if words == "--help":
        command = [sys.executable, "-m", "tunecli", "--help"]
        done = subprocess.run(command, cwd=folder, env=around, capture_output=True, encoding=encoding)
    else:
        done = run_verb(*words.split(), cwd=folder, environment=around, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 8
    assert "Error" not in done.stderr


@pytest.mark.parametrize(
    ("words", "redirect", "code"),
    [
        ("results own", ">&- 2>&- <&-", 0),
        pytest.param("check own.yaml", ">/dev/full", 6, marks=pytest.mark.slow),
        ("--help", ">/dev/full 2>/dev/full", 6),
        ("bogus", "2>/dev/full", 2),
        pytest.param("results own --json", "2>&- | true", 0, marks=pytest.mark.slow),
        ("--version", "| true", 0),
    ],
)
def test_streams_that_are_closed_full_or_gone_make_no_traceback(folder, words, redirect, code):
    command = f"exec 2>said.txt; {sys.executable} -m tunecli {words} {redirect}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment())
    said = (folder / "said.txt").read_text()
    assert done.returncode == code, said
    assert "Traceback" not in said and "Exception" not in said


def test_a_closed_stdout_does_not_become_a_file_of_the_study(folder, tmp_path):
    run = tmp_path / "run"
    words = f"search own.yaml --out {run} --set run.engine=inline"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m tunecli {words} <&- >&- 2>&-"], cwd=folder, env=environment()
    )
    assert done.returncode == 0
    files = [file for file in run.rglob("*") if file.is_file() and file.parent.name != "logs"]
    assert b"said on stdout" not in b"".join(file.read_bytes() for file in files)
    assert run_verb("results", run, cwd=folder, environment=environment()).returncode == 0
