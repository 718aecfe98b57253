"""A compiled model gives the same results as uncompiled, and all models of one kind share the compiled code."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tunecli.config.schema import TrialConfig
from tunecli.errors import UsageError
from tunecli.train.compilation import forward_of, kind_of
from tunecli.train.data.loading import load
from tunecli.train.learner import Learner

NET = {"name": "mlp", "hidden": [8], "norm": "batch", "dropout": 0.1}
# of torch's own, as it loads its compiler
QUIET = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def learner_of(seed: int, model: dict[str, Any], **training: Any) -> Learner:
    knobs = {"epochs": 2, "compile": True, **training}
    # no Adam, whose first steps make as much of rounding as of a gradient
    sgd = {"name": "sgd", "lr": 0.05}
    trial = {"data": {"source": "iris"}, "model": model, "optimizer": sgd, "training": knobs}
    config = TrialConfig.model_validate(trial)
    (fold,) = load(config.data, Path(), 7, torch.device("cpu"))
    return Learner(config, fold, seed)


def n_compiled() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def test_compile_without_a_compiler_is_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UsageError, match=r"needs a C\+\+ compiler"):
        forward_of(nn.Linear(1, 1), "", True)


@pytest.mark.slow
@QUIET
@pytest.mark.parametrize("how", [True, "cuda_graphs"])
def test_trials_of_one_kind_are_compiled_once_and_learn_as_without_compiling(how: bool | str) -> None:
    counts = []
    for seed, hidden in ((1, 8), (2, 8), (3, 6), (4, 8)):
        model = {**NET, "hidden": [hidden], "dropout": 0.0, "init": ["default", "orthogonal"][seed % 2]}
        plain, ours = (learner_of(seed, model, compile=each, accumulate=2) for each in (False, how))
        for epoch in (1, 2):
            assert ours.train_epoch(epoch) == pytest.approx(plain.train_epoch(epoch), rel=1e-5)
            losses = [each.validate()["val_loss"] for each in (ours, plain)]
            assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        counts.append(n_compiled())
        del plain, ours
        gc.collect()
    first, again, other, once_more = counts
    assert 0 < first == again < other == once_more


def kind(model: dict[str, Any], **training: Any) -> str:
    learner = learner_of(1, model, **{**training, "compile": False})
    return kind_of(learner._config, learner._fold, [[32, 24]], 64)


def test_settings_that_change_the_compiled_code_change_the_kind() -> None:
    same = kind(NET)
    assert kind({**NET, "init": "orthogonal"}) == same
    for model, training in (
        ({**NET, "hidden": [9]}, {}),
        ({**NET, "dropout": 0.2}, {}),
        ({**NET, "activation": "tanh"}, {}),
        (NET, {"precision": "bf16"}),
        (NET, {"deterministic": True}),
    ):
        assert kind(model, **training) != same


def test_the_users_own_models_share_no_compiled_code() -> None:
    config = TrialConfig.model_validate({"data": {"source": "iris"}, "model": {"python": "mine:Net"}})
    (fold,) = load(config.data, Path(), 7, torch.device("cpu"))
    assert kind_of(config, fold, [[32]], 64) == ""
