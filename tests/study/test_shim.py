"""A script that uses W&B, imported and searched: the same table for any number of workers, and after a pruner's pauses."""

from __future__ import annotations

import sys
from textwrap import dedent

from tests.study.sweeps import run_whole
from tests.support.foreign_files import imported

SWEEP = """\
program: train.py
method: random
metric: {name: val/loss, goal: minimize}
run_cap: 4
parameters:
  lr: {distribution: log_uniform_values, min: 0.001, max: 0.1}
  epochs: {value: 4}
early_terminate: {type: hyperband, min_iter: 1, eta: 2}
"""

SCRIPT = """\
import argparse, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
args = parser.parse_args()
with wandb.init(project="mine", config=vars(args)) as run:
    assert run.config.lr == args.lr
    for epoch in range(run.config.epochs):
        wandb.log({"train/loss": 1.0})
        wandb.log({"val/loss": run.config.lr * (5 - epoch)})
"""


def test_imported_sweep_runs_its_script_unchanged_with_its_pruner(tmp_path):
    (tmp_path / "train.py").write_text(dedent(SCRIPT))
    path = tmp_path / "study.yaml"
    path.write_text(imported(SWEEP).text)
    table = run_whole(path, tmp_path / "run")
    rows = {row[1]: (row[2], row[5]) for row in table.rows}
    assert rows == {0: ("pruned", 1), 1: ("complete", 4), 2: ("pruned", 2), 3: ("pruned", 1)}
    best = table.rows[0]
    assert best[3] == best[4] * 2, "the last of four epochs logs lr · 2"


FUNCTION = """\
import wandb

def train():
    with wandb.init() as run:
        wandb.log({"loss": run.config["lr"]})
"""

STUDY = """\
objective: {metric: loss, direction: minimize}
trial: {python: "mine:train", shim: wandb, params: {lr: {uniform: [0, 1]}}}
search: {sampler: random, trials: 2}
"""


def test_function_gets_the_shim_even_if_the_real_package_can_be_imported(tmp_path):
    real = tmp_path / "wandb"
    real.mkdir()
    (real / "__init__.py").write_text("def init():\n    raise RuntimeError('the real package')\n")
    (tmp_path / "mine.py").write_text(FUNCTION)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    table = run_whole(path, tmp_path / "run", "run.workers=1")
    assert [row[2] for row in table.rows] == ["complete", "complete"]
    assert all(row[3] == row[4] for row in table.rows)
    assert "wandb" not in sys.modules
