"""The user's metric is called with outputs, targets and its own arguments."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tunecli.objective import Objective
from tunecli.train.user_code.metric import user_metric

MINE = """
def score(outputs, targets, within=0.5):
    return ((outputs - targets).abs() <= within).double().mean()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scoring.py").write_text(MINE)
    return tmp_path


@pytest.mark.parametrize(("args", "share"), [({}, 0.5), ({"within": 2.0}, 1.0)])
def test_metric_gets_outputs_targets_and_arguments(folder, args, share):
    found = user_metric(Objective("val_score", True, "scoring:score", args), folder)
    assert found is not None
    assert found.name == "score"
    value = found.score(torch.tensor([1.0, 2.0]), torch.tensor([1.25, 3.0]))
    assert type(value) is float
    assert value == share


def test_built_in_metric_has_no_user_function():
    assert user_metric(Objective("val_loss", False), Path()) is None


def test_unknown_name_raises(folder):
    with pytest.raises(AttributeError):
        user_metric(Objective("val_other", True, "scoring:other"), folder)
    with pytest.raises(ImportError):
        user_metric(Objective("val_score", True, "scorring:score"), folder)


@pytest.mark.parametrize("given", ["None", "'abc'", "[1.0, 2.0]", "__import__('torch').ones(2)", "1j"])
def test_result_that_is_no_number_is_reported_with_the_metrics_name(tmp_path: Path, given: str) -> None:
    (tmp_path / "scoring.py").write_text(f"def score(outputs, targets):\n    return {given}\n")
    found = user_metric(Objective("val_score", True, "scoring:score"), tmp_path)
    assert found is not None
    with pytest.raises(TypeError, match=r"scoring:score returned .*, but a metric is one number"):
        found.score(torch.zeros(2), torch.zeros(2))


@pytest.mark.parametrize(("given", "value"), [("10**400", math.inf), ("-10**5000", -math.inf)])
def test_whole_number_beyond_float_is_infinite(tmp_path: Path, given: str, value: float) -> None:
    (tmp_path / "scoring.py").write_text(f"def score(outputs, targets):\n    return {given}\n")
    found = user_metric(Objective("val_score", True, "scoring:score"), tmp_path)
    assert found is not None
    assert found.score(torch.zeros(2), torch.zeros(2)) == value
