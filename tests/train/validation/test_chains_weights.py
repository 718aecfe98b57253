"""Links of the weight chain that cannot act are found before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunecli.config.load import load
from tunecli.config.schema import TrialConfig
from tunecli.config.schema.models import AnyModel, Cnn, FtTransformer, Linear, Mlp, TabularResNet, Tcn
from tunecli.errors import ConfigError
from tunecli.objective import Objective
from tunecli.train.data.table import Inputs
from tunecli.train.models import build
from tunecli.train.optimizers import parts_of
from tunecli.train.validation import trial_problems
from tunecli.train.weight_shapes import shapes_of


def keys_at_fault(**trial: Any) -> list[str]:
    config = TrialConfig.model_validate({"data": {"source": "digits"}, "training": {"epochs": 10}} | trial)
    return [each.parameter for each in trial_problems(config, Objective("val_loss", False), Path())]


@pytest.mark.parametrize(
    "trial",
    [
        {"weights": [{"cut": {"from_epoch": 9}}, {"clip": {"norm": 3.0, "until_epoch": 40}}]},
        {"weights": [{"cut": {"gradual": True, "until_epoch": 10}}]},
        {"weights": [{"cut": {"by": "rows", "fraction": 0.9}}], "model": "cnn"},
        {"weights": [{"cut": {"by": "columns"}}], "model": "linear"},
        {"weights": [{"cut": {"by": "rows", "fraction": 0.9}}], "model": {"name": "mlp", "hidden": [4, 64]}},
        {"weights": [{"noise": {"from_epoch": 2}}], "training": {"steps": 5, "batch_size": 800}},
    ],
)
def test_a_sound_chain_has_no_problems(trial: dict[str, Any]) -> None:
    assert keys_at_fault(**trial) == []


@pytest.mark.parametrize(
    ("expected", "trial"),
    [
        ("weights.1.cut.by", {"weights": ["center", {"cut": {"by": "rows"}}], "model": "linear"}),
        ("weights.0.cut.by", {"weights": [{"cut": {"by": "random_rows"}}], "model": {"name": "mlp", "hidden": []}}),
        ("weights.1.cut.from_epoch", {"weights": ["center", {"cut": {"from_epoch": 10}}]}),
        ("weights.0.clip.from_epoch", {"weights": [{"clip": {"value": 1.0, "from_epoch": 12}}]}),
        ("weights.0.cut.until_epoch", {"weights": [{"cut": {"gradual": True, "until_epoch": 11}}]}),
        ("weights.0.noise.from_epoch", {"weights": [{"noise": {"from_epoch": 3}}], "training": {"steps": 5, "batch_size": 800}}),
        ("weights.0.cut.until_epoch", {"weights": [{"cut": {"gradual": True, "until_epoch": 3}}], "training": {"steps": 5, "batch_size": 800}}),
        ("weights.0.cut.fraction", {"weights": [{"cut": {"fraction": 0.9999}}], "model": "linear"}),
        (
            "weights.0.cut.fraction",
            {"weights": [{"cut": {"by": "rows", "fraction": 0.9}}], "model": {"name": "mlp", "hidden": [4, 3]}},
        ),
        (
            "weights.0.cut.fraction",
            {"weights": [{"cut": {"by": "columns", "fraction": 0.9}}], "model": "linear", "data": {"source": "iris"}},
        ),
    ],
)  # fmt: skip
def test_each_problem_names_the_key_at_fault(expected: str, trial: dict[str, Any]) -> None:
    assert keys_at_fault(**trial) == [expected]


def test_a_problem_is_reported_with_line_and_column_of_its_key(tmp_path: Path) -> None:
    text = """\
study: s
objective: {metric: val_loss}
trial:
  data: {source: digits}
  model: linear
  weights:
    - {clip: {norm: 3.0}}
    - cut:
        fraction: 0.5
        by: rows
"""
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "s.yaml", (), trial_problems)
    (problem,) = caught.value.problems
    assert (problem.line, problem.parameter) == (10, "trial.weights.1.cut.by")


IMAGE, CODES, TEXT = Inputs((2, 8, 8)), Inputs((5,), categories=(4, 7)), Inputs((6,), 9)
MIXED = Inputs((9,), 9, categories=(4, 7), text_length=6)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        *((model, IMAGE) for model in (Linear(), Mlp(hidden=[5, 7], norm="layer"), Mlp(hidden=[]))),
        (Cnn(channels=[3, 5], kernel=2, norm="batch"), IMAGE),
        (Tcn(channels=[3, 3, 5]), Inputs((6, 3))),
        (Tcn(norm="none"), TEXT),
        *((model, inputs) for model in (Linear(), Mlp(), TabularResNet(width=6)) for inputs in (TEXT, MIXED)),
        (Tcn(channels=[3, 4]), MIXED),
        *((model, CODES) for model in (Mlp(), TabularResNet(width=6), FtTransformer(width=8, layers=2))),
    ],
)
def test_the_shapes_are_those_of_the_built_model(model: AnyModel, inputs: Inputs) -> None:
    parts = parts_of(build(model, inputs, 6))
    built = [
        (*part.parameter.shape,) for part in parts if part.parameter.dim() > 1 and "bias" not in part.kinds
    ]
    assert shapes_of(model, inputs, 6) == built
