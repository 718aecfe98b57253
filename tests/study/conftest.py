"""A small real study and the ways to run it: in this process, and as a process of its own."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.forked import run_verb

STUDY = """\
study: small
seed: 3
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [8]}
  optimizer:
    choice:
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}}
      - {name: adamw, lr: {loguniform: [1e-4, 1e-1], default: 1e-2}}
  training: {epochs: 4, batch_size: {choice: [16, 32]}}
search: {sampler: random, trials: 6, lookahead: 2}
run: {device: cpu, workers: 1, baseline: off, engine: inline}
"""


@pytest.fixture
def study_file(tmp_path):
    def write(text: str = STUDY, **replaced: str) -> Path:
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "small.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def tunecli(tmp_path):
    """Run a verb as a process in a folder of its own."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return run_verb(*arguments, cwd=tmp_path, environment={**os.environ, "COLUMNS": "200"})

    return run
