"""Workers are spread evenly over accelerators, within the limit for each, and bound to them.

The accelerators here are only values; the workers are real, and compute on the CPU.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import make_job
from tunecli.engine.device_assignment import bind_job, with_recorded_device, workers_per_accelerator
from tunecli.engine.local import LocalEngine
from tunecli.engine.protocol import EngineOptions
from tunecli.messages import Ended, EpochEnded, Event, Job, Paused, Started
from tunecli.objective import Objective
from tunecli.train.machine import Accelerator
from tunecli.trial import FailureKind, Outcome, State

TWO = (Accelerator("cuda:0", "cpu", "MIG-a"), Accelerator("cuda:1", "cpu", "MIG-b"))
# Each trial waits until `together` trials run, reports the accelerator that it is bound to, and may lose its device.
CODE = """
import os, pathlib, time

def train(params, trial):
    folder = pathlib.Path(params["folder"])
    (folder / f"{trial.number}").touch()
    while len(list(folder.iterdir())) < params["together"]:
        time.sleep(0.01)
    if os.environ.get("CUDA_VISIBLE_DEVICES") == params["broken"]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    part = {"MIG-a": 0.0, "MIG-b": 1.0}[os.environ["CUDA_VISIBLE_DEVICES"]]
    trial.report(1, val_loss=part)
"""


@pytest.fixture
def engine_of() -> Iterator[Callable[..., LocalEngine]]:
    made: list[LocalEngine] = []

    def make(n_workers: int, per_device: int, here: tuple[Accelerator, ...] = TWO) -> LocalEngine:
        made.append(
            LocalEngine(EngineOptions(n_workers, 1, per_device=per_device), accelerators=lambda device: here)
        )
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    (tmp_path / "bound.py").write_text(CODE)
    (tmp_path / "running").mkdir()

    def make(number: int, together: int = 1, broken: str = "none") -> Job:
        params: dict[str, Any] = {"folder": str(tmp_path / "running"), "together": together, "broken": broken}
        config = {"python": "bound:train", "params": params}
        return make_job(number, config, Objective("val_loss", False), 1, 2, base_path=str(tmp_path))

    return make


def drained(engine: LocalEngine, n_ends: int) -> list[Event]:
    found: list[Event] = []
    while sum(isinstance(event, Ended) for event in found) < n_ends:
        found += engine.events(5.0)
    return found


def test_workers_are_spread_over_the_accelerators_and_each_sees_only_its_own(
    engine_of: Callable[..., LocalEngine], job: Callable[..., Job]
) -> None:
    engine = engine_of(8, per_device=2)
    for number in range(4):
        engine.submit(job(number, together=4))
    assert (engine.n_workers, engine.n_idle) == (4, 0)
    with pytest.raises(RuntimeError, match="all 4 workers have a job"):
        engine.submit(job(4))
    ends = [event.outcome for event in drained(engine, 4) if isinstance(event, Ended)]
    where = sorted((outcome.device, outcome.score) for outcome in ends)
    assert where == [("cuda:0", 0.0)] * 2 + [("cuda:1", 1.0)] * 2


def test_a_trial_that_uses_several_devices_sees_all_of_its_own(
    engine_of: Callable[..., LocalEngine], tmp_path: Path
) -> None:
    (tmp_path / "seen.py").write_text(
        "import os\ndef train(params, trial):\n    return float('0.' + os.environ['CUDA_VISIBLE_DEVICES'].replace(',', ''))\n"
    )
    here = tuple(Accelerator(f"cuda:{number}", "cpu", str(number + 4)) for number in range(5))
    engine = engine_of(8, per_device=1, here=here)
    for number in range(2):
        config = {"python": "seen:train"}
        engine.submit(
            make_job(number, config, Objective("val_loss", False), 1, 2, base_path=str(tmp_path), n_devices=2)
        )
    assert (engine.n_workers, engine.n_idle) == (2, 0)
    ends = [event.outcome for event in drained(engine, 2) if isinstance(event, Ended)]
    assert sorted((outcome.device, outcome.score) for outcome in ends) == [
        ("cuda:0+1", 0.45),
        ("cuda:2+3", 0.67),
    ]


def test_an_accelerator_that_is_lost_repeatedly_is_set_aside_without_more_jobs_elsewhere(
    engine_of: Callable[..., LocalEngine], job: Callable[..., Job]
) -> None:
    engine = engine_of(2, per_device=1)
    lost = 0
    for number in range(12):
        engine.submit(job(number, broken="MIG-a"))
        (outcome,) = (event.outcome for event in drained(engine, 1) if isinstance(event, Ended))
        if outcome.failure is not None:
            assert (outcome.failure.kind, outcome.device) == (FailureKind.LOST, "cuda:0")
            lost += 1
    assert lost == 3
    assert engine.n_workers == engine.n_idle == 1


def test_the_next_trial_reports_that_every_accelerator_is_set_aside(
    engine_of: Callable[..., LocalEngine], job: Callable[..., Job]
) -> None:
    engine = engine_of(1, per_device=1, here=TWO[:1])
    causes = []
    for number in range(4):
        engine.submit(job(number, broken="MIG-a"))
        (outcome,) = (event.outcome for event in drained(engine, 1) if isinstance(event, Ended))
        assert outcome.failure is not None
        causes.append(outcome.failure.cause)
    assert "must not be used" in causes[-1]


@pytest.mark.parametrize(("n_workers", "counts"), [(1, [1, 0]), (2, [1, 1]), (3, [2, 1]), (6, [3, 3])])
def test_workers_are_spread_evenly(n_workers: int, counts: list[int]) -> None:
    assert list(workers_per_accelerator(TWO, n_workers).values()) == counts
    assert workers_per_accelerator((), n_workers) == {}


def test_a_job_has_the_workers_device_name_and_its_events_the_recorded_one() -> None:
    accelerator = TWO[1]
    there = bind_job(make_job(0, {}, Objective("val_loss", False), 1, 2, device="auto"), accelerator, ())
    assert (there.execution.device, there.execution.avoid_devices) == ("cpu", ())
    outcome = Outcome(State.COMPLETE, device="cpu")
    for event in (Started(0, 1, "cpu", 7), Ended(0, 1, outcome), Paused(0, 1, outcome)):
        told = with_recorded_device(event, accelerator)
        assert (told.device if isinstance(told, Started) else told.outcome.device) == "cuda:1"
    epoch = EpochEnded(0, 1, 1, 1, {}, 0.0)
    assert with_recorded_device(epoch, accelerator) is epoch
