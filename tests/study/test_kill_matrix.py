"""Send each signal to the coordinator or to a worker at random moments, with one and with two workers.

A killed coordinator is resumed and killed again until the number of kills is reached, and then resumed to the end; the
workers of one run are killed repeatedly. The folder must equal that of an undisturbed study: no lost trial, no trial run
twice, the same table. The test prints the counts. ``TUNECLI_KILLS`` sets the number of kills of each case.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.study.folder_content import Folder, folder_of

N_KILLS = int(os.environ.get("TUNECLI_KILLS", "50"))
N_TRIALS = 60
STUDY = """\
study: killed
seed: 11
objective: {metric: val_loss}
trial:
  data: {source: digits}
  model: {name: mlp, hidden: [{logint: [8, 64]}]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: 0.9}
  learning_rate: [{cosine: {}}]
  training: {epochs: 10, batch_size: 64}
search: {sampler: quasirandom, trials: %d, lookahead: 2, pruner: median}
run: {device: cpu, checkpoint: {epochs: 2}}
"""
OWN_STUDY = """\
study: %s
seed: 11
objective: {metric: val_loss}
trial:
  %s
  params: {x: {uniform: [0.0, 1.0]}}
search: {sampler: quasirandom, trials: 16, lookahead: 2, pruner: %s}
run: {device: cpu}
"""
OWN = {
    "function": OWN_STUDY % ("function", 'python: "keeper:train"', "median"),
    "command": OWN_STUDY % ("command", 'command: [python, program.py, "{x}", "{checkpoint_dir}"]', "none"),
    "generator": OWN_STUDY % ("generator", 'python: "drawer:train"', "none"),
}
KEEPER = """\
import json, os, time

def train(params, trial):
    kept, new = trial.checkpoint_dir / "kept.json", trial.checkpoint_dir / "new.json"
    losses = json.loads(kept.read_text()) if kept.is_file() else []
    for epoch in range(len(losses), 8):  # counted from 0
        time.sleep(0.02)
        losses.append(losses[-1] * 0.9 + 0.01 * params["x"] if losses else params["x"])
        trial.report(epoch, val_loss=losses[-1])
        new.write_text(json.dumps(losses))
        os.replace(new, kept)
"""
# Its file may be ahead of the lines that tunecli has read, so it prints its last epochs again.
PROGRAM = """\
import json, os, sys, time
from pathlib import Path

x, folder = float(sys.argv[1]), Path(sys.argv[2])
kept, new = folder / "kept.json", folder / "new.json"
losses = json.loads(kept.read_text())[:-2] if kept.is_file() else []
for epoch in range(len(losses), 8):
    time.sleep(0.02)
    losses.append(losses[-1] * 0.9 + 0.01 * x if losses else x)
    print(json.dumps({"epoch": epoch, "val_loss": losses[-1]}))
    new.write_text(json.dumps(losses))
    os.replace(new, kept)
"""
DRAWER = """\
import time
import numpy as np

RNG = np.random.default_rng(0)

def train(params, trial):
    for epoch in range(1, 6):
        time.sleep(0.02)
        trial.report(epoch, val_loss=params["x"] + RNG.normal())
"""
# The line to wait for before the random delay: mostly that of a trial, sometimes an earlier one or none.
FIRST = [None, "trials", *[r"\] trial \d+ "] * 6]
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills")
    (folder / "killed.yaml").write_text(STUDY % N_TRIALS)
    for name, text in OWN.items():
        (folder / f"{name}.yaml").write_text(text)
    for name, text in (("keeper.py", KEEPER), ("program.py", PROGRAM), ("drawer.py", DRAWER)):
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def undisturbed_folders(place: Path) -> dict[str, Folder]:
    """The folder of each undisturbed study, by the study's name."""
    found = {}
    for study in ("killed", *OWN):
        with running(place, f"whole-{study}", 2, study) as process:
            process.wait()
            assert process.returncode == 0, process.lines[-5:]
        found[study] = folder_of(place / f"whole-{study}")
    return found


@contextmanager
def running(place: Path, name: str, n_workers: int, study: str = "killed") -> Iterator[Run]:
    """A process that begins the study, or resumes it if it was begun."""
    is_begun = (place / name / "study.db").exists()
    verb = ["resume", name] if is_begun else ["search", f"{study}.yaml", "--out", name]
    run = Run([sys.executable, "-m", "tunecli", *verb, "--workers", str(n_workers)], place)
    try:
        yield run
    finally:
        run.kill()
        run.end()


class Run(subprocess.Popen[str]):
    """A process whose lines on stderr are collected as they arrive."""

    def __init__(self, command: list[str], place: Path) -> None:
        super().__init__(command, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.stderr is not None
        for line in self.stderr:
            with self._came:
                self.lines.append(line)
                self._came.notify_all()
        with self._came:
            self._came.notify_all()

    def end(self) -> None:
        """Wait for the end of the process, and close its pipe."""
        self.wait()
        self._reader.join()
        assert self.stderr is not None
        self.stderr.close()

    def find(self, pattern: str, since: int = 0) -> re.Match[str] | None:
        """Wait for a matching line from line ``since`` on; None: the process ended without such a line."""
        with self._came:
            while True:
                for line in self.lines[since:]:
                    if found := re.search(pattern, line):
                        return found
                if self.poll() is not None and not self._reader.is_alive():
                    return None
                self._came.wait(0.1)

    def workers(self) -> list[psutil.Process]:
        """The worker processes: the children of the fork server."""
        try:
            servers = psutil.Process(self.pid).children()
            return [worker for server in servers for worker in server.children()]
        except psutil.NoSuchProcess:
            return []


def are_gone(processes: list[psutil.Process], within_s: float) -> bool:
    """Whether all processes end within ``within_s`` seconds; a zombie counts as ended."""

    def is_alive(process: psutil.Process) -> bool:
        try:
            return bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    deadline = time.monotonic() + within_s
    while any(is_alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
@pytest.mark.parametrize("study", ["killed", *OWN])
def test_a_coordinator_may_be_killed_at_any_moment(
    place: Path, undisturbed_folders: dict[str, Folder], study: str, number: int, n_workers: int
) -> None:
    moments = random.Random(f"{study} {number} {n_workers}" if study in OWN else f"{number} {n_workers}")
    n_done, n_studies, n_seen = 0, 0, 0
    while n_done < N_KILLS:
        name, n_studies = f"{study}-coordinator-{number}-{n_workers}-{n_studies}", n_studies + 1
        is_finished = False
        while n_done < N_KILLS and not is_finished:
            with running(place, name, n_workers, study) as run:
                if (first := moments.choice(FIRST)) is not None:
                    run.find(first)
                time.sleep(moments.uniform(0.0, 0.5))
                workers = run.workers()
                run.send_signal(number)
                code = run.wait()
                is_finished = code == 0
                n_done += not is_finished
                expected = {-number, 0} | ({128 + number} if number != signal.SIGKILL else set())
                is_python_not_up = any("init_import_site" in line for line in run.lines)
                assert code in expected or is_python_not_up, (code, run.lines[-5:])
                assert are_gone(workers, within_s=2.0), "workers must end within 2 s of the coordinator"
                n_seen += len(workers)
        with running(place, name, n_workers, study) as run:
            assert run.wait() == 0, run.lines[-5:]
        found = folder_of(place / name)
        assert not undisturbed_folders[study].differences(found)
    assert n_seen > N_KILLS // 4, "too few kills hit a study with workers"
    print(
        f"{study}: coordinator, {signal.Signals(number).name}, {n_workers} workers: {n_done} kills "
        f"({n_seen} workers under way), {n_studies} studies, 0 differ"
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
@pytest.mark.parametrize("study", ["killed", *OWN])
def test_a_worker_may_be_killed_at_any_moment(
    place: Path, undisturbed_folders: dict[str, Folder], study: str, number: int, n_workers: int
) -> None:
    moments = random.Random(
        f"worker {study} {number} {n_workers}" if study in OWN else f"worker {number} {n_workers}"
    )
    n_done, n_studies = 0, 0
    while n_done < N_KILLS:
        name, n_studies = f"{study}-worker-{number}-{n_workers}-{n_studies}", n_studies + 1
        with running(place, name, n_workers, study) as run:
            run.find("trials")
            while n_done < N_KILLS and run.poll() is None:
                time.sleep(moments.uniform(0.0, 0.1))
                workers, since = run.workers(), len(run.lines)
                if not workers:
                    continue
                moments.choice(workers).send_signal(number)
                n_done += 1
                if number == signal.SIGKILL and (hit := run.find(r"trial (\d+): crash: .*SIGKILL", since)):
                    run.find(rf"\] trial {hit[1]} ", since)  # its one retry runs to the end
            assert run.wait() == 0, run.lines[-5:]
        found = folder_of(place / name)
        assert not undisturbed_folders[study].differences(found)
    print(
        f"{study}: worker, {signal.Signals(number).name}, {n_workers} workers: {n_done} kills, "
        f"{n_studies} studies, 0 differ"
    )
