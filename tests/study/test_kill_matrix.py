"""Kill it anywhere: each signal, to the coordinator or to a worker, at random moments, with one and with two workers.

A coordinator that is gone is resumed until all its kills are spent, and then to the end; a worker's kills go on within
one run. Whatever happened, the folder must be that of a study nobody disturbed: 0 trials lost, 0 twice, 0 tables that
differ. The counts are printed. ``TUNECLI_KILLS`` says how many moments each cell takes.
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

from tests.study.mended import Folder, folder_of

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
# What is waited for before a moment is drawn: mostly that trials run, but it may fall into the start too.
FIRST = [None, "trials", *[r"\] trial \d+ "] * 6]
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills")
    (folder / "killed.yaml").write_text(STUDY % N_TRIALS)
    return folder


@pytest.fixture(scope="module")
def whole(place: Path) -> Folder:
    with running(place, "whole", n_workers=2) as process:
        process.wait()
        assert process.returncode == 0
    return folder_of(place / "whole")


@contextmanager
def running(place: Path, name: str, n_workers: int) -> Iterator[Run]:
    """The program at work on a study, begun or gone on with."""
    verb = (
        ["resume", name] if (place / name / "study.db").exists() else ["search", "killed.yaml", "--out", name]
    )
    run = Run([sys.executable, "-m", "tunecli", *verb, "--workers", str(n_workers)], place)
    try:
        yield run
    finally:
        run.kill()
        run.end()


class Run(subprocess.Popen[str]):
    """A process whose lines on stderr are kept as they come."""

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
        """Wait for its end, and leave nothing open."""
        self.wait()
        self._reader.join()
        assert self.stderr is not None
        self.stderr.close()

    def find(self, pattern: str, since: int = 0) -> re.Match[str] | None:
        """Wait for a line that matches, from line ``since`` on; None where the process ended without one."""
        with self._came:
            while True:
                for line in self.lines[since:]:
                    if found := re.search(pattern, line):
                        return found
                if self.poll() is not None and not self._reader.is_alive():
                    return None
                self._came.wait(0.1)

    def workers(self) -> list[psutil.Process]:
        """The processes that train: the fork server's children."""
        try:
            servers = psutil.Process(self.pid).children()
            return [worker for server in servers for worker in server.children()]
        except psutil.NoSuchProcess:
            return []


def are_gone(processes: list[psutil.Process], within_s: float) -> bool:
    """Whether they end by then; one that nobody has asked for its exit code has ended too."""

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
def test_a_coordinator_may_be_killed_at_any_moment(
    place: Path, whole: Folder, number: int, n_workers: int
) -> None:
    moments = random.Random(f"{number} {n_workers}")
    n_done, n_studies, n_seen = 0, 0, 0
    while n_done < N_KILLS:
        name, n_studies = f"coordinator-{number}-{n_workers}-{n_studies}", n_studies + 1
        is_finished = False
        while n_done < N_KILLS and not is_finished:
            with running(place, name, n_workers) as run:
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
                assert are_gone(workers, within_s=2.0), "workers outlive the coordinator by 2 s at most"
                n_seen += len(workers)
        with running(place, name, n_workers) as run:
            assert run.wait() == 0, run.lines[-5:]
        found = folder_of(place / name)
        assert not whole.differences(found)
    assert n_seen > N_KILLS // 4, "many kills find workers at work"
    print(
        f"coordinator, {signal.Signals(number).name}, {n_workers} workers: {n_done} kills "
        f"({n_seen} workers under way), {n_studies} studies, 0 differ"
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
def test_a_worker_may_be_killed_at_any_moment(
    place: Path, whole: Folder, number: int, n_workers: int
) -> None:
    moments = random.Random(f"worker {number} {n_workers}")
    n_done, n_studies = 0, 0
    while n_done < N_KILLS:
        name, n_studies = f"worker-{number}-{n_workers}-{n_studies}", n_studies + 1
        with running(place, name, n_workers) as run:
            run.find("trials")
            while n_done < N_KILLS and run.poll() is None:
                time.sleep(moments.uniform(0.0, 0.1))
                workers, since = run.workers(), len(run.lines)
                if not workers:
                    continue
                moments.choice(workers).send_signal(number)
                n_done += 1
                if number == signal.SIGKILL and (hit := run.find(r"trial (\d+): crash: .*SIGKILL", since)):
                    run.find(rf"\] trial {hit[1]} ", since)  # it has one retry, and gets to its end
            assert run.wait() == 0, run.lines[-5:]
        found = folder_of(place / name)
        assert not whole.differences(found)
    print(
        f"worker, {signal.Signals(number).name}, {n_workers} workers: {n_done} kills, {n_studies} studies, 0 differ"
    )
