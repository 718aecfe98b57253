"""The user's metric is called with outputs, targets and its own arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tunecli.train.own.metric import own_metric
from tunecli.trial import Objective

MINE = """
def score(outputs, targets, within=0.5):
    return ((outputs - targets).abs() <= within).double().mean()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scoring.py").write_text(MINE)
    return tmp_path


@pytest.mark.parametrize(("args", "share"), [({}, 0.5), ({"within": 2.0}, 1.0)])
def test_it_gets_outputs_targets_and_arguments_and_gives_a_float(folder, args, share):
    found = own_metric(Objective("val_score", True, "scoring:score", args), folder)
    assert found is not None
    assert found.name == "score"
    value = found.score(torch.tensor([1.0, 2.0]), torch.tensor([1.25, 3.0]))
    assert type(value) is float
    assert value == share


def test_a_metric_of_ours_has_no_function():
    assert own_metric(Objective("val_loss", False), Path()) is None


def test_a_name_that_is_not_there_raises(folder):
    with pytest.raises(AttributeError):
        own_metric(Objective("val_other", True, "scoring:other"), folder)
    with pytest.raises(ImportError):
        own_metric(Objective("val_score", True, "scorring:score"), folder)
