"""Sweeps on a Ray cluster as processes, their tables, and a trial that says where it is and notices a second run of itself.

A trial of `PROGRAM` holds a lock while it runs: a second process with the same trial writes ``twice``. It touches a file
at each moment of its life, so that a test can act at that moment.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.support.forked import Verb

TOKEN = "RAY_SWEEP_OF"
"""A variable of all processes of a sweep and of its workers on the nodes; its value is the sweep's folder."""
STUDY = """\
study: killed
seed: 11
objective: {metric: val_loss}
trial:
  python: "keeper:train"
  params: {x: {uniform: [0.0, 1.0]}}
search: {sampler: quasirandom, trials: %(n_trials)d, lookahead: 3, pruner: %(pruner)s}
run:
  engine: %(engine)s
  workers: 3
  device: cpu
  ray: {env: {RAY_SWEEP_OF: "%(folder)s"}%(more)s}
"""
PROGRAM = """\
import fcntl, json, os, time
from pathlib import Path

SIGNS = Path(%(signs)r)

def reach(moment):
    (SIGNS / moment).touch()

reach("loading")

def train(params, trial):
    with (SIGNS / f"{params['x']!r}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (SIGNS / "twice").write_text(repr(params))
        kept, new = trial.checkpoint_dir / "kept.json", trial.checkpoint_dir / "new.json"
        losses = json.loads(kept.read_text()) if kept.is_file() else []
        is_late = len(list(SIGNS.glob("*.lock"))) > 4
        for epoch in range(len(losses), 9):
            if is_late and epoch == 4:
                reach("epoch")
            time.sleep(%(pace_s)r)
            losses.append(losses[-1] * 0.9 + 0.01 * params["x"] if losses else params["x"])
            trial.report(epoch, val_loss=losses[-1])
            if is_late and epoch == 4:
                reach("checkpoint")
                time.sleep(%(pace_s)r)
            new.write_text(json.dumps(losses))
            os.replace(new, kept)
            if is_late and epoch in (0, 2):
                reach("paused")
        if is_late:
            reach("end")
"""


class Sweep:
    """A sweep in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        engine: str,
        *,
        n_trials: int = 12,
        pruner: str = "none",
        pace_s: float = 0.05,
        more: str = "",
        text: str = STUDY,
        program: str = PROGRAM,
        signs: Path | None = None,
    ) -> None:
        """Write the files; nothing runs yet. ``signs`` is where the trials touch files, if not in the folder."""
        self.folder, self.signs = folder, signs or folder / "signs"
        folder.mkdir(parents=True, exist_ok=True)
        self.signs.mkdir(parents=True)
        values = {
            "engine": engine,
            "n_trials": n_trials,
            "pruner": pruner,
            "folder": folder,
            "more": f", {more}" if more else "",
        }
        (folder / "study.yaml").write_text(text % values)
        (folder / "keeper.py").write_text(program % {"signs": str(self.signs), "pace_s": pace_s})
        self.run = folder / "run"
        self.output = folder / "output.txt"

    def start(self, address: str = "", **environment: str) -> Verb:
        """Begin or resume it; the driver's output goes to a file."""
        verb = ["resume", str(self.run)] if (self.run / "study.db").is_file() else self._search()
        named = {"RAY_ADDRESS": address} if address else {}
        return Verb(
            verb,
            self.folder,
            {**os.environ, TOKEN: str(self.folder), **named, **environment},
            self.output,
        )

    def _search(self) -> list[str]:
        return ["search", "study.yaml", "--out", str(self.run)]

    def finish(self, address: str = "", wait_s: float = 600.0, **environment: str) -> None:
        """Run it to its end."""
        driver = self.start(address, **environment)
        try:
            code = driver.wait(wait_s)
        except TimeoutError:
            driver.kill()
            raise
        assert code == 0, self.output.read_text()[-3000:]

    def table(self) -> list[dict[str, str]]:
        """The rows of ``results.csv`` without their times."""
        with (self.run / "results.csv").open() as file:
            return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]

    def is_twice(self) -> bool:
        """Whether two processes ran one trial at a time."""
        return (self.signs / "twice").exists()

    def members(self) -> list[psutil.Process]:
        """The living processes of the sweep, on all nodes."""
        return [process for process in psutil.process_iter() if self._is_own(process)]

    def _is_own(self, process: psutil.Process) -> bool:
        try:
            return (
                process.environ().get(TOKEN) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False


def await_that(is_true: Callable[[], object], wait_s: float, what: str) -> None:
    """Wait until something is so; it fails after a while."""
    until = time.monotonic() + wait_s
    while not is_true():
        assert time.monotonic() < until, f"it never came to {what}"
        time.sleep(0.01)
