"""needs_torch decides from the study's file and the sources that it names, without importing torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.config.load import load
from tunecli.config.study import StudySpec
from tunecli.engine import needs_torch

FILES = {
    "plain.py": "import random\n\ndef train(params, trial):\n    return random.random()\n",
    "deep.py": "def train(params, trial):\n    import torch\n    return torch.zeros(())\n",
    "through.py": "import deep\n\ndef train(params, trial):\n    return deep.train(params, trial)\n",
}


def study(folder: Path, trial: str) -> StudySpec:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    path = folder / "study.yaml"
    path.write_text(f"study: s\nobjective: {{metric: val_loss, direction: minimize}}\ntrial: {trial}\n")
    return load(path)


@pytest.mark.parametrize(
    ("trial", "device", "is_needed"),
    [
        ('{python: "plain:train"}', "cpu", False),
        ('{python: "deep:train"}', "cpu", True),
        ('{python: "through:train"}', "cpu", True),
        ('{choice: [{python: "plain:train"}, {python: "deep:train"}]}', "cpu", True),
        ('{python: "json:dumps"}', "cpu", True),
        ('{python: "plain:train"}', "cuda", True),
        ('{python: "plain:train"}', "cuda:1", True),
        ("{command: [echo, '1']}", "cuda", False),
        ("{choice: [{command: [echo, '1']}, {python: \"plain:train\"}]}", "cpu", True),
        ("{data: {source: iris}}", "cpu", True),
    ],
)
def test_a_study_needs_torch_for_its_imports_its_device_or_built_in_training(
    tmp_path: Path, trial: str, device: str, is_needed: bool
) -> None:
    assert needs_torch(study(tmp_path, trial), device) is is_needed
