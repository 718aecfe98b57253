"""torch's compiler is loaded only by code that compiles."""

from __future__ import annotations

import subprocess
import sys

import pytest

IS_LOADED = "'torch._dynamo.convert_frame' in sys.modules"
TRIAL = """
import sys, torch
from tests.train.fused.trials import job_of
from tunecli.train.trials import run_trials
from tunecli.messages import Ended

def score(config, is_fused=False):
    *_, ended = run_trials([job_of(0, config, is_fused=is_fused)])
    assert isinstance(ended, Ended) and ended.outcome.failure is None, ended
    return ended.outcome.score
"""


def output_of(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_training_with_any_optimizer_does_not_load_the_compiler() -> None:
    run = """
for name in ("sgd", "adamw", "nadam", "adagrad", "rmsprop", "asgd", "adafactor", "lbfgs", "muon"):
    score({"optimizer": {"name": name}})
score({}, is_fused=True)
score({"training": {"epochs": 1, "batch_size": 64, "grad_clip": {"norm": 1.0}}})
"""
    assert output_of(f"{TRIAL}{run}\nprint({IS_LOADED})") == "False"


def test_a_compiled_trial_loads_the_compiler_and_optimizers_work_before_and_after() -> None:
    run = """
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
steps = []
for module in (model, torch.compile(model, backend="eager")):
    optimizer.zero_grad()
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    steps.append(optimizer.state[model.weight]["step"].item())
print(steps, torch._dynamo.__file__ is not None)
"""
    assert output_of(f"{TRIAL}{run}\nprint({IS_LOADED})") == "[1.0, 2.0] True\nTrue"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import torch._dynamo.config", marks=pytest.mark.slow),
        "from torch._dynamo import config",
        "import torch; torch.use_deterministic_algorithms(True); torch.compiler.reset()",
    ],
)
def test_using_the_compiler_loads_it(code: str) -> None:
    assert output_of(f"{TRIAL}{code}\nprint({IS_LOADED})") == "True"


def test_inspecting_all_modules_does_not_load_the_compiler() -> None:
    look = "import inspect; inspect.getmodule(inspect.currentframe())"
    assert output_of(f"{TRIAL}{look}\nprint({IS_LOADED})") == "False"
