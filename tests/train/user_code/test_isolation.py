"""A trial's bits and torch's settings are the same if torch loads before it, in it, or never."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tunecli.seeding import seed_for

FoundOf = Callable[[str, list[int]], list[dict[str, float]]]

SEED = 1000
THREADS = 3
MEASURED = """
def measured():
    import random, numpy, torch
    settings = torch.get_default_dtype().itemsize, torch.get_deterministic_debug_mode(), torch.is_grad_enabled()
    return {
        "loss": torch.rand((), dtype=torch.float32).item(), "python": random.random(), "numpy": numpy.random.rand(),
        "threads": torch.get_num_threads(), "dtype": settings[0], "deterministic": settings[1], "gradients": settings[2],
    }

def make_a_mess():
    import torch
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float16)
    torch.set_deterministic_debug_mode(1)
"""
AT_ITS_TOP = """
import random, numpy, torch
from measuring import *
DRAWN = {"top": torch.rand(()).item(), "top_python": random.random(), "top_numpy": numpy.random.rand()}
torch.set_default_dtype(torch.float64)

def train(params, trial):
    found = {**measured(), **DRAWN}
    make_a_mess()
    return found
"""
INSIDE = """
import importlib.util
from measuring import *

def train(params, trial):
    assert importlib.util.find_spec("torch").origin.endswith("__init__.py")
    import torch
    assert type(torch.__loader__) is type(torch.__spec__.loader) is type(importlib.__loader__), torch.__loader__
    found = measured()
    make_a_mess()
    return found
"""
ELSEWHERE = """
from measuring import *

def train(params, trial):
    import importlib
    found = importlib.import_module("loading").measured()
    make_a_mess()
    return found
"""
IN_A_THREAD = """
import threading
from measuring import *

def train(params, trial):
    found = {}
    thread = threading.Thread(target=lambda: found.update(measured()))
    thread.start()
    thread.join()
    make_a_mess()
    return found
"""
NEVER = """
import random, numpy, sys

def train(params, trial):
    return {"loss": 0, "python": random.random(), "numpy": numpy.random.rand(), "torch": "torch" in sys.modules}
"""
MODULES = {
    "at_its_top": AT_ITS_TOP,
    "inside": INSIDE,
    "elsewhere": ELSEWHERE,
    "in_a_thread": IN_A_THREAD,
    "never": NEVER,
}
PROGRAM = """
import json, os, random, sys, tempfile
import numpy
from tunecli.train.trials import run
from tunecli.messages import Execution, Job, Task
from tunecli.objective import Objective

def state():
    return random.getstate(), numpy.random.get_state()[1].tolist(), sys.meta_path[:]

def found_of(module, numbers):
    before, found = state(), []
    for number in numbers:
        config, objective = {"python": f"{module}:train"}, Objective("loss", False)
        task, execution = Task(config, objective, 1, SEED + number), Execution(device="cpu", threads=THREADS)
        *_, last = run(Job(number, 1, task, execution=execution))
        assert last.outcome.failure is None, last.outcome.failure.traceback
        found.append(last.outcome.metrics)
    assert state() == before
    if "torch" in sys.modules:
        import torch
        after = torch.get_num_threads(), torch.get_default_dtype(), torch.get_deterministic_debug_mode()
        assert after == (THREADS, torch.float32, 0), after
    return found

assert "torch" not in sys.modules
for line in sys.stdin:
    with tempfile.TemporaryFile("w+") as answer:
        if (child := os.fork()) == 0:
            folder, module, numbers = json.loads(line)
            os.chdir(folder)
            sys.path.insert(0, folder)
            json.dump(found_of(module, numbers), answer)
            answer.flush()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        answer.seek(0)
        print(json.dumps([status, answer.read()]), flush=True)
"""


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    """A process that has loaded neither torch nor code of a user, and forks for each module."""
    text = PROGRAM.replace("SEED", str(SEED)).replace("THREADS", str(THREADS))
    command = [sys.executable, "-c", text]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


@pytest.fixture
def found_of(program: subprocess.Popen[str], tmp_path: Path) -> FoundOf:
    """Runs a module's trials in a new fork, one after the other, and returns their metrics."""
    for name, text in {**MODULES, "measuring": MEASURED}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "loading.py").write_text("import torch\nfrom measuring import *\nmade = torch.zeros(3)\n")

    def found(module: str, numbers: list[int]) -> list[dict[str, float]]:
        assert program.stdin is not None and program.stdout is not None
        print(json.dumps([str(tmp_path), module, numbers]), file=program.stdin, flush=True)
        status, answer = json.loads(program.stdout.readline())
        assert status == 0, "its traceback is in the captured stderr"
        metrics: list[dict[str, float]] = json.loads(answer)
        return metrics

    return found


def drawn(number: int) -> dict[str, float]:
    """The expected draws of a trial, made with each library's own generator."""
    seed = seed_for(SEED + number, "function")
    return {
        "loss": torch.rand((), generator=torch.Generator().manual_seed(seed)).item(),
        "python": random.Random(seed).random(),
        "numpy": np.random.RandomState(seed % 2**32).rand(),
    }


def expected(number: int, dtype: int = 4) -> dict[str, float]:
    return {**drawn(number), "threads": THREADS, "dtype": dtype, "deterministic": 0, "gradients": True}


@pytest.mark.parametrize(
    ("module", "numbers"),
    [
        ("inside", [0, 1]),
        pytest.param("inside", [1], marks=pytest.mark.slow),
        pytest.param("elsewhere", [0, 1], marks=pytest.mark.slow),
        ("in_a_thread", [0, 1]),
    ],
    ids=["in the function", "in that of a later worker", "by another module", "in a thread"],
)
def test_random_draws_and_settings_do_not_depend_on_when_torch_loads(
    found_of: FoundOf, module: str, numbers: list[int]
) -> None:
    assert found_of(module, numbers) == [expected(number) for number in numbers]


def test_module_that_loads_torch_draws_from_a_seed(found_of: FoundOf) -> None:
    top = {
        "top": torch.rand((), generator=torch.Generator().manual_seed(0)).item(),
        "top_python": random.Random(0).random(),
        "top_numpy": np.random.RandomState(0).rand(),
    }
    assert found_of("at_its_top", [0, 1]) == [{**expected(number, dtype=8), **top} for number in (0, 1)]


def test_function_without_torch_is_seeded_and_loads_no_torch(found_of: FoundOf) -> None:
    assert found_of("never", [0, 1]) == [{**drawn(number), "loss": 0, "torch": 0} for number in (0, 1)]
