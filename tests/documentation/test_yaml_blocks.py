"""Every YAML block of the documentation is a valid study, a valid part of one, or a sweep that `import` accepts.

A block with `objective` or `trial` at its top is a study that may lack these: its name and its goal. A block with other
keys of a study, of `trial` or of `data` replaces those of a small study. Any other block is another tool's sweep.
"""

from typing import Any

import pytest

from tests.support.page_blocks import BLOCKS, ROOT, Block
from tests.support.page_files import write_files, write_shown
from tests.support.torchvision_models import narrow_torchvision
from tunecli.commands.check import load_checked
from tunecli.commands.import_sweep import import_sweep
from tunecli.config.reader import plain_of, read
from tunecli.config.schema import CommandTrial, FunctionTrial, TrialConfig
from tunecli.config.schema.data import Data
from tunecli.config.study import StudySettings
from tunecli.config.yaml_writer import yaml_text

__all__ = ["narrow_torchvision"]

STUDY_KEYS = {*StudySettings.model_fields, "trial"}
TRIAL_KEYS = {name for kind in (TrialConfig, CommandTrial, FunctionTrial) for name in kind.model_fields}
SMALL = {"data": {"source": "digits"}, "model": {"name": "mlp"}, "optimizer": {"name": "adamw"}}
DATA_KEYS = set(Data.model_fields)
OWN = {"params", "command", "python"}
MADE = [block for block in BLOCKS if block.language == "yaml" and block.is_run]


def values(text: str) -> Any:
    """The values of a YAML text, as tunecli reads them."""
    return plain_of(read(text.encode(), "block"))


def merged(base: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A mapping with the keys of both, those of ``part`` first; mappings of both are merged."""
    both = {
        key: merged(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in part.items()
    }
    return base | both


def study_of(block: Block) -> dict[str, Any] | None:
    """The whole study that a block shows a part of; None: the block is another tool's."""
    part = values(block.text)
    if not set(part) <= STUDY_KEYS:
        if set(part) <= DATA_KEYS:
            part = {"data": part}
        if not set(part) <= TRIAL_KEYS:
            return None
        part = {"trial": part}
    for extra in block.remarks.get("with", []):
        part = merged(values(extra), part)
    trial = part.get("trial", {})
    if OWN & set(trial):
        program = {} if OWN & set(trial) - {"params"} else {"command": ["python", "train.py", "{args}"]}
        base = {"objective": {"metric": "val_loss"}, "trial": {"params": {"lr": 0.01}, **program}}
    else:
        goal = {} if "pareto" in part.get("objective", {}) else {"metric": "val_loss"}
        base = {"objective": goal, "trial": {k: v for k, v in SMALL.items() if k not in trial}}
    return merged({"study": "page", **base}, part)


@pytest.mark.parametrize("block", MADE, ids=str)
@pytest.mark.usefixtures("narrow_torchvision")
def test_a_block_is_a_valid_study_or_a_part_of_one(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    write_files(tmp_path)
    write_shown(block, tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    path, study = tmp_path / "study.yaml", study_of(block)
    if study is None:
        path.write_text(block.text)
        assert not import_sweep(path, None, None).problems
    else:
        path.write_text(block.text if study == values(block.text) else yaml_text(study))
        load_checked(path, ())
