"""A study that another one refers to by `search.from` or `search.start`."""

from __future__ import annotations

import random
from pathlib import Path

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent
from tunecli.commands.check import load_checked
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep

STUDY = """\
study: old
objective: {metric: val_loss}
trial:
  data: {source: iris}
  model: {choice: [linear, {name: mlp, hidden: [{int: [2, 32]}]}]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}}
  training: {epochs: 9}
search: {sampler: random, trials: 12}
run: {device: cpu, engine: local, workers: 1, fuse: off}
"""


def run(path: Path, folder: Path) -> None:
    """Run the study of a file, without training."""
    with begin(load_checked(path, ()), folder) as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(1)))
