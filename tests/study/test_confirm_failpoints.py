"""Each durable step of a confirmation fails once, by SIGKILL and by a disk error; the same command then completes it.

Afterwards both files equal those of an undisturbed confirmation, the record holds the same runs, and everything that
the search wrote is as if the study had never been confirmed.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.study.folder_content import folder_of
from tests.support.forked import run_tasks
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import open_to_read

STUDY = """\
study: small
seed: 5
objective: {metric: val_loss}
trial:
  data: {source: iris, validation: {fraction: 0.3}, test: {fraction: 0.2}}
  model: {name: mlp, hidden: [{choice: [4, 8]}]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: 0.9}
  training: {epochs: 1, batch_size: full}
search: {sampler: quasirandom, trials: 4}
run: {device: cpu, engine: inline, report: off}
"""
CONFIRM = ["confirm", "run", "--top", "2", "--repeats", "5"]
FRESH = ("confirmed.csv", "confirmed.yaml")


class Fleet:
    """A folder in which forked processes confirm copies of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("original", "whole"):
            (path / name).mkdir()
            (path / name / "small.yaml").write_text(STUDY)
        search = {"arguments": ["search", "small.yaml", "--out", "run"]}
        whole = [search, {"arguments": CONFIRM, "failpoint": ["count", 0]}]
        for ends in self._run({"original": [search], "whole": whole}).values():
            assert not any(end["ended"] for end in ends), ends

    def run(self, tasks: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        """Run the steps of each task in a copy of the study; how each step ended."""
        for name in tasks:
            shutil.copytree(self.path / "original", self.path / name)
        return self._run(tasks)

    def _run(self, tasks: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        return run_tasks(
            {name: {"folder": str(self.path / name), "steps": steps} for name, steps in tasks.items()}
        )

    def confirmed(self, name: str) -> tuple[list[bytes], str]:
        """Both files, and the recorded runs without their times."""
        run = self.path / name / "run"
        with open_to_read(RunFolder(run)) as study:
            runs = [
                (run.number, run.repeat, run.stage, run.seed, run.opening, run.outcome and run.outcome.score)
                for run in study.log.fresh_runs()
            ]
        return [(run / file).read_bytes() for file in FRESH], repr(runs)

    def search(self, name: str) -> tuple[Any, ...]:
        """Everything that the search wrote."""
        run = self.path / name / "run"
        folder = folder_of(run)
        files = {key: value for key, value in folder.files.items() if key not in FRESH}
        return (folder.trials, folder.best, folder.ending, files, (run / "results.csv").read_bytes())


@pytest.fixture(scope="module")
def fleet():
    memory = Path("/dev/shm")  # only a process is killed, not the machine
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Fleet(Path(folder))


@pytest.fixture(scope="module")
def steps(fleet) -> list[str]:
    """The durable steps of an undisturbed confirmation, in their order."""
    return (fleet.path / "whole" / "failpoints.txt").read_text().splitlines()


def test_a_confirmation_reaches_every_kind_of_durable_step(steps):
    assert {step.split()[0] for step in steps} >= {"commit", "rename", "dispatch"}
    assert len(steps) >= 50


@pytest.mark.parametrize(
    ("mode", "stride"),
    [
        ("kill", 19),  # the ordinary run takes every nineteenth step, the slow suite all
        pytest.param("kill", 1, marks=pytest.mark.slow),
        pytest.param("raise", 1, marks=pytest.mark.slow),
    ],
)
def test_a_confirmation_that_fails_at_any_step_is_completed_by_the_same_command(fleet, steps, mode, stride):
    numbered = [(at, step) for at, step in enumerate(steps, start=1) if mode == "kill" or step != "dispatch"]
    numbered = numbered[::stride]
    tasks = {
        f"{mode}-{stride}-{at}": [
            {"arguments": CONFIRM, "failpoint": [mode, at]},
            {"arguments": CONFIRM},
        ]
        for at, _ in numbered
    }
    ends = fleet.run(tasks)
    differing: list[Any] = []
    for at, step in numbered:
        name = f"{mode}-{stride}-{at}"
        first, second = ends[name]
        if first["ended"] != (-signal.SIGKILL if mode == "kill" else 5) or second["ended"] != 0:
            differing.append((at, step, first, second))
        elif fleet.confirmed(name) != fleet.confirmed("whole"):
            differing.append((at, step, "another confirmation"))
        elif fleet.search(name) != fleet.search("original"):
            differing.append((at, step, "another search"))
        shutil.rmtree(fleet.path / name)
    assert not differing, f"{len(differing)} of {len(numbered)} steps: {differing[:3]}"
    print(f"{mode}: {len(numbered)} steps, 0 differing confirmations")
