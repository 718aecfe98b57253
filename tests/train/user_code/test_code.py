"""The user's code runs seeded, on copies, and leaves no trace for later trials."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.jobs import change_job, make_job
from tunecli.config.schema import TrialConfig
from tunecli.messages import Ended
from tunecli.objective import Objective
from tunecli.train.data import loading
from tunecli.train.trials import run
from tunecli.train.user_code import code as user_code
from tunecli.trial import FailureKind, Outcome, State

MINE = """
import random
import numpy, torch
from torch import nn

DRAWN = torch.randn(7), numpy.random.rand(), random.random()
torch.set_default_dtype(torch.float64)

class Net(nn.Module):
    def __init__(self, input_shape, n_outputs, shift=0, norm=False):
        super().__init__()
        self.layer = nn.Linear(input_shape[0], n_outputs + shift)
        self.norm = nn.BatchNorm1d(input_shape[0]) if norm else nn.Identity()
        self.scale = random.random() + numpy.random.rand()
    def forward(self, x):
        return self.layer(self.norm(x)) * self.scale

class Writing(Net):
    def forward(self, x):
        return self.layer(x.mul_(0.5))

class Noisy(Net):
    def forward(self, x):
        return self.layer(x) * (1 + 0.1 * random.random() + 0.1 * numpy.random.rand() + 0.1 * torch.rand(()))

class Flat(Net):
    def forward(self, x):
        return super().forward(x)[:, 0]

class Pair(Net):
    def forward(self, x):
        return super().forward(x), x

class Messy(Net):
    def __init__(self, input_shape, n_outputs):
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_float32_matmul_precision("medium")
        torch.set_grad_enabled(False)
        torch.set_default_device("meta")
        torch.set_num_threads(3)
        raise ValueError("left a mess")

def writing_loss(outputs, targets):
    value = nn.functional.cross_entropy(outputs, targets.clone())
    with torch.no_grad():
        targets.zero_()
        outputs.zero_()
    return value

class Counting(nn.Module):
    made = 0
    def __init__(self):
        super().__init__()
        Counting.made += 1
        self.scale = 1 + random.random()
        self.mean = torch.zeros(())
    def forward(self, outputs, targets):
        value = nn.functional.cross_entropy(outputs, targets)
        self.mean = self.mean + 0 * value.detach()
        return (value + self.mean * value) * self.scale

def score(outputs, targets):
    value = (outputs.argmax(1) == targets).double().mean() + 1e-6 * random.random()
    targets.zero_()
    outputs.zero_()
    return value

class Closing(torch.optim.SGD):
    def step(self, closure):
        return super().step(closure)

class Jumpy(torch.optim.SGD):
    def __init__(self, parameters, lr=0.1):
        super().__init__(parameters, lr=lr * (1 + random.random()))

def leave(*args, **kwargs):
    raise SystemExit(0)

def interrupt(*args, **kwargs):
    raise KeyboardInterrupt

def make_data():
    y = numpy.arange(60) % 3
    return numpy.random.rand(60, 4) + y[:, None], y

def double(params, trial):
    return {"val_loss": torch.zeros(()).element_size()}
"""
IRIS = {"data": {"source": "iris"}, "training": {"epochs": 2}}
OURS = Objective("val_loss", False)
THEIRS = Objective("val_score", True, "mine_own:score")


def own(name: str, **args) -> dict:
    return {"python": f"mine_own:{name}", "args": args}


@pytest.fixture(autouse=True)
def fresh():
    """Reset this process to its state before its first trial."""
    user_code._look_first_in(Path(__file__).parent)
    loading.forget()
    yield
    loading.forget()


@pytest.fixture
def outcome_of(tmp_path):
    (tmp_path / "mine_own.py").write_text(MINE)

    def ended(objective: Objective = OURS, *, is_fused: bool = False, **config) -> Outcome:
        job = make_job(
            0,
            {**IRIS, **config},
            objective,
            1,
            100,
            device="cpu",
            base_path=str(tmp_path),
            is_fused=is_fused,
        )
        *_, last = run(job)
        assert isinstance(last, Ended)
        return last.outcome

    return ended


@pytest.mark.parametrize(
    ("config", "objective"),
    [
        ({"model": own("Writing")}, OURS),
        ({"model": own("Writing"), "training": {"epochs": 2, "average": "swa"}}, OURS),
        ({"loss": own("writing_loss")}, OURS),
        ({}, THEIRS),
    ],
    ids=["model", "averaged model", "loss", "metric"],
)
def test_code_that_changes_its_arguments_changes_no_data(outcome_of, tmp_path, config, objective):
    data = TrialConfig.model_validate(IRIS).data
    (fold,) = loading.load(data, tmp_path, 1, torch.device("cpu"))
    before = [part.clone() for part in (fold.x_train, fold.y_train, fold.x_valid, fold.y_valid)]
    first = outcome_of(objective, **config)
    assert first.state is State.COMPLETE, first.failure
    after = (fold.x_train, fold.y_train, fold.x_valid, fold.y_valid)
    assert loading.load(data, tmp_path, 1, torch.device("cpu"))[0] is fold, "later trials share it"
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert outcome_of(objective, **config).metrics == first.metrics


def test_loss_that_changes_its_arguments_gives_the_same_scores(outcome_of):
    assert outcome_of(loss=own("writing_loss")).metrics == outcome_of(loss="cross_entropy").metrics


CASES = [
    ({"model": own("Net")}, OURS),
    ({"model": own("Noisy")}, OURS),
    ({"loss": own("Counting")}, OURS),
    ({"optimizer": own("Jumpy")}, OURS),
    ({"data": {"source": own("make_data")}}, OURS),
    ({}, THEIRS),
]


@pytest.mark.parametrize(
    ("config", "objective"), CASES, ids=["net", "forward", "loss", "optimizer", "data", "metric"]
)
def test_all_global_generators_are_seeded(outcome_of, config, objective):
    first = outcome_of(objective, **config)
    assert first.state is State.COMPLETE, first.failure
    loading.forget()
    torch.rand(3), np.random.rand(3), random.random()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert outcome_of(objective, **config).metrics == first.metrics, "the module is imported already"
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


def test_draws_of_an_import_are_the_same_in_every_process(outcome_of, tmp_path):
    def drawn() -> list[float]:
        user_code._look_first_in(Path(__file__).parent)
        torch_s, *others = user_code.resolve("mine_own:DRAWN", tmp_path)
        return [*torch_s.tolist(), *others]

    first = drawn()
    torch.rand(3), np.random.rand(3), random.random()
    assert drawn() == first


def test_learner_makes_one_loss_of_the_users_class(outcome_of, tmp_path):
    assert outcome_of(loss=own("Counting")).state is State.COMPLETE
    assert user_code.resolve("mine_own:Counting.made", tmp_path) == 1


def test_torch_settings_are_restored(outcome_of):
    def settings():
        return (
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.get_deterministic_debug_mode(),
            torch.get_float32_matmul_precision(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
        )

    before = settings()
    failure = outcome_of(model=own("Messy")).failure
    assert failure is not None and "left a mess" in failure.cause
    assert settings() == before


def test_settings_from_a_modules_import_hold_in_every_trial(tmp_path):
    (tmp_path / "mine_own.py").write_text(MINE)
    config = {"python": "mine_own:double"}
    job = make_job(0, config, OURS, 1, 100, device="cpu", base_path=str(tmp_path))
    for number in range(2):
        *_, ended = run(change_job(job, number=number))
        assert isinstance(ended, Ended)
        assert ended.outcome.score == 8.0, ended.outcome.failure
        assert torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model": own("Net", shift=2)}, "mine_own:Net returns (N, 5), but the data needs (N, 3)"),
        ({"model": own("Flat")}, "mine_own:Flat returns (N,), but the data needs (N, 3)"),
        (
            {"model": own("Flat"), "data": {"source": "diabetes"}},
            "mine_own:Flat returns (N,), but the data needs (N, 1)",
        ),
        ({"model": own("Pair")}, "mine_own:Pair returns a tuple, but a model must return a tensor (N, 3)"),
        (
            {"optimizer": own("Closing", lr=0.1)},
            "the `step` of mine_own:Closing needs a closure, but it is called without one",
        ),
    ],
)
def test_unsuitable_code_is_reported(outcome_of, config, words):
    failure = outcome_of(**config).failure
    assert failure is not None
    assert failure.cause.startswith(words)


ENDINGS = [("leave", "SystemExit: 0 (mine_own.py:"), ("interrupt", "KeyboardInterrupt (mine_own.py:")]


@pytest.mark.parametrize("part", ["model", "loss", "optimizer"])
@pytest.mark.parametrize(("name", "cause"), ENDINGS)
def test_code_that_exits_or_interrupts_fails_its_trial(outcome_of, part, name, cause):
    failure = outcome_of(**{part: own(name)}).failure
    assert failure is not None
    assert failure.kind is FailureKind.ERROR
    assert failure.cause.startswith(cause)


@pytest.mark.parametrize("is_fused", [False, True])
@pytest.mark.parametrize(("name", "cause"), ENDINGS)
def test_data_that_exits_or_interrupts_fails_its_trial(outcome_of, name, cause, is_fused):
    failure = outcome_of(is_fused=is_fused, data={"source": own(name)}).failure
    assert failure is not None
    assert failure.kind is FailureKind.ERROR
    assert failure.cause.startswith(cause)


@pytest.mark.parametrize(("name", "cause"), ENDINGS)
def test_a_metric_that_exits_or_interrupts_fails_its_trial(outcome_of, name, cause):
    failure = outcome_of(Objective("val_score", True, f"mine_own:{name}")).failure
    assert failure is not None
    assert failure.kind is FailureKind.ERROR
    assert failure.cause.startswith(cause)


def test_last_batch_of_one_example_is_skipped_for_the_users_batch_norm(outcome_of):
    training = {"epochs": 1, "batch_size": 17}  # iris trains on 120 = 7 · 17 + 1
    outcome = outcome_of(model=own("Net", norm=True), training=training)
    assert outcome.state is State.COMPLETE, outcome.failure
