"""Inference costs are reported if the objective names them, by every kind of trial, without changing the training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.jobs import make_job
from tests.train.fused.trials import epochs_of, job_of, outcomes_of
from tunecli.objective import Constraint, Objective
from tunecli.train.fused.group import run_group
from tunecli.train.loop import run
from tunecli.train.trials import run as run_any
from tunecli.trial import FailureKind, Outcome, State

COSTLY = Objective(
    "val_accuracy",
    True,
    further_objectives=(Objective("n_parameters", False),),
    constraints=(Constraint("latency_ms", 5.0),),
)
N_WEIGHTS = 4 * 16 + 16 + 16 * 3 + 3
MEASURED = {"n_parameters", "latency_ms"}


def test_parameters_and_latency_are_reported_at_every_epoch() -> None:
    (epochs,) = epochs_of(run(job_of(0, objective=COSTLY))).values()
    assert [each["n_parameters"] for each in epochs] == [N_WEIGHTS] * 3
    assert all(0 < each["latency_ms"] < 1000 for each in epochs)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model": {"name": "mlp", "hidden": [8], "dropout": 0.5, "norm": "batch"}},
        {"data": {"source": "iris", "validation": {"folds": 3}}},
        {"training": {"epochs": 2, "average": "ema"}},
    ],
)
def test_measuring_does_not_change_the_training(config: dict[str, object]) -> None:
    (plain,) = epochs_of(run(job_of(0, config))).values()
    (measured,) = epochs_of(run(job_of(0, config, COSTLY))).values()
    assert [{k: v for k, v in each.items() if k not in MEASURED} for each in measured] == plain
    assert not any(MEASURED & {*each} for each in plain), "nothing is measured unless the objective names it"


def test_fused_trials_report_inference_costs() -> None:
    jobs = [job_of(number, objective=COSTLY, is_fused=True) for number in range(3)]
    for epochs in epochs_of(run_group(jobs)).values():
        assert {each["n_parameters"] for each in epochs} == {N_WEIGHTS}
        assert all(each["latency_ms"] > 0 for each in epochs)


def test_parameters_of_the_users_own_model_are_counted_and_generators_left_alone(tmp_path: Path) -> None:
    (tmp_path / "counted_net.py").write_text(
        "import torch\n\nclass Net(torch.nn.Module):\n"
        "    def __init__(self, n_outputs):\n        super().__init__()\n"
        "        self.last = torch.nn.Linear(4, n_outputs)\n"
        "        self.register_buffer('seen', torch.zeros(()))\n\n"
        "    def forward(self, x):\n        self.seen += 1\n"
        "        return self.last(x + 0.1 * torch.randn_like(x))\n"
    )
    config = {"model": {"python": "counted_net:Net"}}
    (plain,) = epochs_of(run(job_of(0, config, base_path=str(tmp_path)))).values()
    before = torch.get_rng_state()
    (measured,) = epochs_of(run(job_of(0, config, COSTLY, base_path=str(tmp_path)))).values()
    assert torch.equal(torch.get_rng_state(), before)
    assert measured[-1]["n_parameters"] == 4 * 3 + 3
    assert [each["val_loss"] for each in measured] == [each["val_loss"] for each in plain]


@pytest.mark.parametrize("is_fused", [False, True])
def test_a_trial_without_a_metric_of_the_objective_fails_and_names_it(is_fused: bool) -> None:
    one_class = Objective("val_accuracy", True, constraints=(Constraint("val_rmse", 1.0),))
    job = job_of(0, objective=one_class, is_fused=is_fused)
    (outcome,) = outcomes_of(run_group([job]) if is_fused else run(job)).values()
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.ERROR
    assert outcome.failure.cause.startswith("val_rmse has no value at the trial's end")


def test_a_user_function_that_does_not_report_an_objective_fails(tmp_path: Path) -> None:
    (tmp_path / "sized.py").write_text(
        "def train(params, trial):\n    trial.report(1, loss=1.0)\n    return {'size': 3.0} if params['told'] else None\n"
    )
    held = Objective("loss", False, constraints=(Constraint("size", 5.0),))

    def outcome_of(told: bool) -> Outcome:
        config = {"python": "sized:train", "params": {"told": told}}
        job = make_job(0, config, held, 1, 2, device="cpu", base_path=str(tmp_path))
        (outcome,) = outcomes_of(run_any(job)).values()
        return outcome

    assert outcome_of(True).state is State.COMPLETE
    assert outcome_of(True).metrics == {"loss": 1.0, "size": 3.0}
    failed = outcome_of(False)
    assert failed.failure.kind is FailureKind.ERROR
    assert failed.failure.cause == "size was never reported, only loss"


def test_several_user_metrics_can_be_objectives(tmp_path: Path) -> None:
    (tmp_path / "two_scores.py").write_text(
        "def one(outputs, targets):\n    return float(len(targets))\n\n"
        "def two(outputs, targets, add):\n    return outputs.shape[1] + add\n"
    )
    goals = Objective(
        "val_one", True, "two_scores:one", {}, (Objective("val_two", False, "two_scores:two", {"add": 0.5}),)
    )
    (epochs,) = epochs_of(run(job_of(0, objective=goals, base_path=str(tmp_path)))).values()
    assert (epochs[-1]["val_one"], epochs[-1]["val_two"]) == (30.0, 3.5)
