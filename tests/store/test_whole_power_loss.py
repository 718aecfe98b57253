"""Power loss at random moments of whole studies, over the writes of all their processes.

`preload.c` wraps the C library in a real sweep, and records every file operation of the database, its journal,
results.csv, best.yaml, config.yaml, the checkpoints, the weights, the reports of user code, the locks and log.jsonl.
`lossy_disk_tree.py` then builds, for moments drawn by a seed, the folders that a disk can hold: synced data is there,
other data may be missing, or torn at sectors. Python and SQLite write through the C library. A writer that is linked
statically or makes its own system calls would be missed, so a test checks that the record gives the sweep's folder.
The tests need ``cc``. ``TUNECLI_POWER_CUTS`` is the number of power cuts in each study.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.study.folder_content import folder_of
from tests.support.forked import run_tasks
from tests.support.lossy_disk_tree import DiskTree, Tree, write_tree
from tunecli.store.database import Log

ROOT = Path(__file__).parents[2]
N_CUTS = int(os.environ.get("TUNECLI_POWER_CUTS", "24"))
N_AT_RANDOM = 4
AT_ONE_TIME = 120

PAUSING = """\
study: pausing
seed: 5
objective: {metric: val_loss}
trial:
  data: {source: iris, validation: {fraction: 0.3}}
  model: {name: mlp, hidden: [{choice: [4, 8]}]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: 0.9}
  training: {epochs: 4, batch_size: full, average: {name: ema, decay: 0.9}}
search: {sampler: quasirandom, trials: 4, lookahead: 2, pruner: {name: halving, factor: 2}}
run: {device: cpu, checkpoint: {epochs: 1}}
"""
OWN = """\
study: own
seed: 11
objective: {metric: val_loss}
trial:
  python: "keeper:train"
  params: {x: {uniform: [0.0, 1.0]}}
search: {sampler: quasirandom, trials: 6, lookahead: 2, pruner: {name: median, startup_trials: 2, warmup_epochs: 2}}
run: {device: cpu}
"""
# It saves its progress durably after each report.
KEEPER = """\
import json, os

def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)

def train(params, trial):
    kept, new = trial.checkpoint_dir / "kept.json", trial.checkpoint_dir / "new.json"
    losses = json.loads(kept.read_text()) if kept.is_file() else []
    for epoch in range(len(losses), 6):  # counted from 0
        losses.append(losses[-1] * 0.9 + 0.01 * params["x"] if losses else params["x"])
        trial.report(epoch, val_loss=losses[-1])
        new.write_text(json.dumps(losses))
        sync(new)
        os.replace(new, kept)
        sync(kept.parent)
"""
RUN = "runs/first"
SAID = "said.txt"
INLINE = ("--set", "run.engine=inline")  # the same trials, without starting a process for each resume
ENDED = re.compile(r"^\[\d+/\d+\] trial (\d+) +(.*)$", re.MULTILINE)
PAUSED = re.compile(r"paused after epoch (\d+)")


@dataclass(frozen=True)
class Recording:
    """The recorded file operations of a sweep.

    Attributes:
        file: the study's file.
        disk: the recorded folder.
        lines: the record.
    """

    file: Path
    disk: Path
    lines: tuple[str, ...]

    def disk_at_first(self) -> DiskTree:
        """An empty disk, before the first line of the record."""
        return DiskTree(self.disk.stat().st_ino)


@dataclass(frozen=True)
class PossibleState:
    """A possible state after a power loss: the folder, and the sweep's output until then."""

    tree: Tree
    output: str


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "preload.so"
    source = ROOT / "tests" / "support" / "preload.c"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(path), str(source)], check=True)
    return path


@pytest.fixture(scope="module", params=[PAUSING, OWN], ids=["pausing", "own"])
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, library: Path
) -> Recording:
    place = tmp_path_factory.mktemp("recorded")
    file, disk, record = place / "study.yaml", place / "disk", place / "record.txt"
    file.write_text(request.param)
    (place / "keeper.py").write_text(KEEPER)
    disk.mkdir()
    output_path = disk / SAID  # the sweep's output, so that the record shows it at any moment
    with output_path.open("w") as stderr:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "LD_PRELOAD": str(library),
            "RECORDED_FOLDER": str(disk),
            "RECORD": str(record),
        }
        command = [sys.executable, "-m", "tunecli", "search", str(file), "--out", RUN, "--workers", "2"]
        done = subprocess.run(command, cwd=disk, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
    assert done.returncode == 0, output_path.read_text()
    first = f"create {output_path.stat().st_ino} {disk.stat().st_ino} {SAID.encode().hex()}"
    return Recording(file, disk, (first, *record.read_text().splitlines()))


def images(recording: Recording, chance: random.Random) -> list[PossibleState]:
    """Possible states after power losses at moments in all parts of the record, each different folder once."""
    n_lines = len(recording.lines)
    bounds = [n_lines * i // N_CUTS for i in range(N_CUTS + 1)]
    cuts = {chance.randint(low + 1, high) for low, high in pairwise(bounds)} | {n_lines}
    disk, states = recording.disk_at_first(), {}
    for at, line in enumerate(recording.lines, start=1):
        disk.take(line)
        if at in cuts:
            output = content_of(disk.now(), SAID).decode()
            for tree in disk.after_power_loss(chance, N_AT_RANDOM):
                tree.pop(SAID, None)
                states[hash(frozenset(tree.items()))] = PossibleState(
                    tree, output
                )  # the last is the most demanding
    return list(states.values())


def content_of(tree: Tree, path: str) -> bytes:
    """The content of an existing file."""
    content = tree[path]
    assert content is not None
    return content


def lost_results(state: PossibleState, path: Path) -> list[str]:
    """The ends of trials that the sweep had printed and that the folder ``path`` does not record."""
    printed = dict(ENDED.findall(state.output))  # the last printed line of each trial
    if not printed or not (path / RUN / "study.db").exists():
        return [f"trial {number} is lost: {what}" for number, what in printed.items()]
    copy = path / "copy"  # opening the database rolls it back, and `resume` must get the folder unchanged
    copy.mkdir()
    for name in ("study.db", "study.db-journal"):
        if (path / RUN / name).exists():
            shutil.copy(path / RUN / name, copy)
    broken = []
    with Log.open_to_read(copy / "study.db") as log:
        trials = {str(trial.number): trial for trial in log.trials()}
        for number, what in printed.items():
            trial = trials.get(number)
            paused = PAUSED.search(what)
            if trial is None or (paused is None and trial.outcome is None):
                broken.append(f"the end of trial {number} is lost: {what}")
            elif paused and len(log.epochs(trial.number)) < int(paused[1]):
                broken.append(f"a pause of trial {number} is lost: {what}")
    return broken


@pytest.fixture
def memory() -> Iterator[Path]:
    """A fast temporary folder; after the power loss no operation fails."""
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None) as folder:
        yield Path(folder)


def resumed(names: Sequence[str], recording: Recording, memory: Path) -> dict[str, list[dict[str, Any]]]:
    """The results of `status` and `resume` in each folder, or of `search` if it holds no study yet."""
    steps = [
        {"arguments": ["status", "--json", RUN], "where": f"{RUN}/study.db"},
        {"arguments": ["resume", RUN, *INLINE, "--workers", "1"], "where": f"{RUN}/study.db"},
        {
            "arguments": ["search", str(recording.file), "--out", RUN, *INLINE, "--workers", "1"],
            "unless": f"{RUN}/study.db",
        },
    ]
    return run_tasks({name: {"folder": str(memory / name), "steps": steps} for name in names})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_replaying_the_record_gives_the_folder_of_the_sweep(recording: Recording) -> None:
    disk = recording.disk_at_first()
    for line in recording.lines:
        disk.take(line)
    left: Tree = {
        str(path.relative_to(recording.disk)): path.read_bytes() if path.is_file() else None
        for path in recording.disk.rglob("*")
    }
    assert disk.now() == left


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_resumes_to_the_same_results_after_any_power_loss(recording: Recording, memory: Path) -> None:
    chance = random.Random(0)
    write_tree({}, memory / "whole")
    ends = resumed(["whole"], recording, memory)["whole"]
    assert [end["ended"] for end in ends] == [0], ends
    whole, wrong = folder_of(memory / "whole" / RUN), []
    states = images(recording, chance)
    for since in range(0, len(states), AT_ONE_TIME):
        named = {f"{at}": state for at, state in enumerate(states[since : since + AT_ONE_TIME], start=since)}
        for name, state in named.items():
            write_tree(state.tree, memory / name)
            wrong += [(name, lost) for lost in lost_results(state, memory / name)]
        for name, steps in resumed(list(named), recording, memory).items():
            if any(step["ended"] != 0 for step in steps):
                wrong.append((name, str(steps)))
            elif differences := whole.differences(folder_of(memory / name / RUN)):
                wrong.append((name, "; ".join(differences)))
            shutil.rmtree(memory / name)
    print(f"{len(recording.lines)} operations, {len(states)} folders, {len(wrong)} wrong")
    assert not wrong, f"{len(wrong)} of {len(states)} folders: {wrong[:3]}"
