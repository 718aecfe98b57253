"""Each durable step of a study fails once, by SIGKILL and by a disk error, and resume repairs the study each time.

One run counts the steps (commits, renames, dispatches, removals). Then, for each n, a study fails at its n-th step and is
resumed. Its folder must equal that of an undisturbed study: the trials and their parameters, every epoch's metrics, the
ranked table, the exported best and its weights; and it must contain no other file.
"""

from __future__ import annotations

import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.study.folder_content import Folder, folder_of
from tests.support.forked import run_tasks

STUDY = """\
study: small
seed: 5
objective: {metric: val_loss}
trial:
  data: {source: iris, validation: {fraction: 0.3}}
  model: {name: mlp, hidden: [{choice: [4, 8]}]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: 0.9}
  learning_rate: [{cut: {on_plateau: {patience: 1}, factor: 0.5}}]
  weights: [{cut: {by: magnitude, fraction: 0.2, from_epoch: 1}}]
  training: {epochs: 3, batch_size: full, average: {name: ema, decay: 0.9}}
search: {sampler: quasirandom, trials: 6, lookahead: 1, pruner: {name: median, startup_trials: 2, warmup_epochs: 1}}
run: {device: cpu, engine: inline, checkpoint: {epochs: 1}}
"""
PAUSING = STUDY.replace(
    "trials: 6, lookahead: 1, pruner: {name: median, startup_trials: 2, warmup_epochs: 1}",
    "trials: 4, lookahead: 2, pruner: {name: halving, factor: 2}",
)
CURVES = STUDY.replace(
    "quasirandom, trials: 6, lookahead: 1, pruner: {name: median, startup_trials: 2, warmup_epochs: 1}",
    "bayes, trials: 5, lookahead: 2, pruner: {name: curves, factor: 2}",
)
SEARCH = ["search", "small.yaml", "--out", "run"]
RESUME = ["resume", "run"]


@dataclass(frozen=True)
class Fleet:
    """A folder in which forked processes run one study."""

    path: Path
    study: str

    def run(self, tasks: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        """Run the steps of each task; how each step ended."""
        for name in tasks:
            folder = self.path / name
            folder.mkdir()
            (folder / "small.yaml").write_text(self.study)
        return run_tasks(
            {name: {"folder": str(self.path / name), "steps": steps} for name, steps in tasks.items()}
        )

    def folder(self, name: str) -> Folder:
        """The content of the run folder of a task."""
        return folder_of(self.path / name / "run")


@pytest.fixture(
    scope="module",
    params=[
        STUDY,
        pytest.param(PAUSING, marks=pytest.mark.slow),
        pytest.param(CURVES, marks=pytest.mark.slow),
    ],
    ids=["ending", "pausing", "curves"],
)
def fleet(request):
    # Only a process is killed, not the machine, so a folder in memory gives the same result in less time.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Fleet(Path(folder), request.param)


@pytest.fixture(scope="module")
def undisturbed(fleet):
    """The folder of an undisturbed study, and the names of its durable steps in their order."""
    ends = fleet.run({"whole": [{"arguments": SEARCH, "failpoint": ["count", 0]}]})
    assert ends["whole"][0]["ended"] == 0, ends["whole"][0]["stderr"]
    return fleet.folder("whole"), (fleet.path / "whole" / "failpoints.txt").read_text().splitlines()


def test_the_study_reaches_every_kind_of_durable_step(undisturbed):
    folder, steps = undisturbed
    kinds = {step.split()[0] for step in steps}
    assert kinds >= {"commit", "rename", "dispatch", "remove"}
    assert {trial.state for trial in folder.trials} in ({"complete", "pruned"}, {"complete", "paused"})
    assert len(steps) > 60


@pytest.mark.parametrize(
    ("mode", "stride"),
    [
        ("kill", 13),  # the ordinary run takes every thirteenth step, the slow suite all
        pytest.param("kill", 1, marks=pytest.mark.slow),
        pytest.param("raise", 1, marks=pytest.mark.slow),
    ],
)
def test_a_study_that_fails_at_any_step_resumes_to_the_undisturbed_one(fleet, undisturbed, mode, stride):
    whole, steps = undisturbed
    # a dispatch writes nothing, so it cannot fail with a disk error
    numbered = [(at, step) for at, step in enumerate(steps, start=1) if mode == "kill" or step != "dispatch"]
    numbered = numbered[::stride]
    tasks = {
        f"{mode}-{stride}-{at}": [
            {"arguments": SEARCH, "failpoint": [mode, at]},
            {"arguments": RESUME, "where": "run/study.db"},
            {"arguments": SEARCH, "unless": "run/study.db"},
        ]
        for at, _ in numbered
    }
    ends = fleet.run(tasks)
    differing = []
    for at, step in numbered:
        first, resumed = ends[f"{mode}-{stride}-{at}"]
        # A page that cannot be written is a note: the sweep has succeeded.
        expected = -signal.SIGKILL if mode == "kill" else 0 if step.startswith("rename report.html") else 5
        if first["ended"] != expected or resumed["ended"] != 0:
            differing.append((at, step, first, resumed))
        elif differences := whole.differences(fleet.folder(f"{mode}-{stride}-{at}")):
            differing.append((at, step, differences))
    assert not differing, f"{len(differing)} of {len(numbered)} steps: {differing[:3]}"
    print(f"{mode}: {len(numbered)} steps, 0 differing folders")
