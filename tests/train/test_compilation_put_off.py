"""torch's compiler is loaded only by code that compiles."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

OutputOf = Callable[[str], str]
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


FORKS = f"""
{TRIAL}
import json, os, tempfile
for line in sys.stdin:
    with tempfile.TemporaryFile("w+") as said:
        if (child := os.fork()) == 0:
            os.dup2(said.fileno(), 1)
            exec(json.loads(line), globals())
            print({IS_LOADED}, flush=True)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        said.seek(0)
        print(json.dumps([status, said.read()]), flush=True)
"""


@pytest.fixture(scope="module")
def output_of() -> Iterator[OutputOf]:
    """Runs code in a fork of a process that has loaded torch and trained nothing.

    The last line of its output is whether the compiler is loaded.
    """
    command = [sys.executable, "-W", "ignore", "-c", FORKS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks:

        def output(code: str) -> str:
            assert forks.stdin is not None and forks.stdout is not None
            forks.stdin.write(json.dumps(code) + "\n")
            forks.stdin.flush()
            status, said = json.loads(forks.stdout.readline())
            assert status == 0, said
            return str(said).strip()

        yield output


def test_training_with_any_optimizer_does_not_load_the_compiler(output_of: OutputOf) -> None:
    run = """
for name in ("sgd", "adamw", "nadam", "adagrad", "rmsprop", "asgd", "adafactor", "lbfgs", "muon"):
    score({"optimizer": {"name": name}})
score({}, is_fused=True)
score({"training": {"epochs": 1, "batch_size": 64, "grad_clip": {"norm": 1.0}}})
"""
    assert output_of(run) == "False"


def test_a_compiled_trial_loads_the_compiler_and_optimizers_work_before_and_after(
    output_of: OutputOf,
) -> None:
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
    assert output_of(run) == "[1.0, 2.0] True\nTrue"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import torch._dynamo.config", marks=pytest.mark.slow),
        pytest.param("from torch._dynamo import config", marks=pytest.mark.slow),
        pytest.param(
            "import torch; torch.use_deterministic_algorithms(True); torch.compiler.reset()",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_using_the_compiler_loads_it(output_of: OutputOf, code: str) -> None:
    assert output_of(code) == "True"


def test_inspecting_all_modules_does_not_load_the_compiler(output_of: OutputOf) -> None:
    look = "import inspect; inspect.getmodule(inspect.currentframe())"
    assert output_of(look) == "False"
