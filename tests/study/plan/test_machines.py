"""The machines of an engine that has machines of its own: their room, their devices, and the plan that follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.config.load import parse_study
from tunecli.config.run import Run
from tunecli.config.study import StudySpec
from tunecli.engine.protocol import Capacity, Host
from tunecli.errors import ConfigError, UsageError
from tunecli.study.plan.machines import (
    Machines,
    jobs_by_device,
    machines_of,
    require_device,
    this_machine,
    worker_count,
)
from tunecli.study.plan.plan import plan_for

CPUS = Machines(capacity=Capacity(12, [Host("n1", 8), Host("n2", 4)]))
GPUS = Machines(capacity=Capacity(3, [Host("n1", 1), Host("n2", 2, ["cuda", "cuda"])]))
GROWING = Machines(capacity=Capacity(4, [Host("n1", 4)], can_grow=True))
EMPTY = Machines(capacity=Capacity(0))
SILENT = Machines(problem="no cluster answers")


def spec_of(search: str = "", run: str = "") -> StudySpec:
    text = (
        "objective: {metric: loss}\ntrial: {command: [sh, -c, 'true', {uniform: [0, 1]}]}\n"
        f"search: {{trials: 50, {search}}}\nrun: {{engine: ray, {run}}}\n"
    )
    return parse_study(text.encode(), "f.yaml", (), Path())


@pytest.mark.parametrize(
    ("workers", "machines", "lookahead", "expected"),
    [
        ("auto", CPUS, None, 12),
        (5, CPUS, None, 5),
        (64, CPUS, None, 64),  # the others wait for more machines
        ("auto", GROWING, 20, 20),
        (9, GROWING, None, 9),
        (9, EMPTY, None, 9),
        ("auto", SILENT, None, 1),
        (9, SILENT, None, 9),
    ],
)
def test_the_worker_count_follows_from_the_file_and_the_room_of_the_engine(
    workers: int | str, machines: Machines, lookahead: int | None, expected: int
) -> None:
    run = Run.model_validate({"engine": "ray", "workers": workers})
    assert worker_count(run, machines, lookahead) == expected


def test_an_engine_without_room_is_refused_unless_the_file_says_how_many_trials_wait() -> None:
    with pytest.raises(UsageError, match="no room for a trial now") as caught:
        worker_count(Run(engine="ray"), EMPTY)
    assert "--workers N" in caught.value.hint


def test_a_single_trial_on_this_machine_asks_no_engine() -> None:
    run = Run(engine="ray", device="cpu")
    assert this_machine(run) == Machines()
    assert worker_count(run, this_machine(run)) == worker_count(Run(device="cpu"), Machines())


def test_jobs_on_other_machines_are_counted_under_the_device_of_the_file() -> None:
    assert jobs_by_device("auto", CPUS, 12) == {"cpu": 12}
    assert jobs_by_device("cuda", GPUS, 2) == {"cuda": 2}


@pytest.mark.parametrize(
    ("device", "n_devices", "machines", "message"),
    [
        ("cuda", 1, CPUS, "none of the 2 machines of the engine has a device `cuda`"),
        ("xpu", 1, GPUS, "none of the 2 machines of the engine has a device `xpu`"),
        ("cuda", 3, GPUS, "a machine of the engine has at most 2 such devices"),
        ("auto", 2, CPUS, "a machine of the engine has no such device"),
    ],
)
def test_a_device_that_no_machine_has_is_refused(
    device: str, n_devices: int, machines: Machines, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        require_device(device, n_devices, machines)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("device", "n_devices", "machines"),
    [("cpu", 1, CPUS), ("auto", 1, CPUS), ("cuda", 2, GPUS), ("cuda", 8, GROWING), ("cuda", 1, SILENT)],
)
def test_a_device_that_a_machine_has_or_may_have_is_accepted(
    device: str, n_devices: int, machines: Machines
) -> None:
    require_device(device, n_devices, machines)


def test_the_lookahead_of_a_plan_follows_from_the_room_of_the_engine() -> None:
    plan = plan_for(spec_of("sampler: bayes"), CPUS)
    assert (plan.engine, plan.n_workers, plan.lookahead) == ("ray", 12, 13)


@pytest.mark.parametrize(
    ("search", "run", "n_workers", "lookahead"),
    [("lookahead: 6", "", 6, 6), ("sampler: bayes", "workers: 5", 5, 6)],
)
def test_with_machines_that_can_grow_the_file_says_how_many_trials_run_at_a_time(
    search: str, run: str, n_workers: int, lookahead: int
) -> None:
    plan = plan_for(spec_of(search, run), GROWING)
    assert (plan.n_workers, plan.lookahead) == (n_workers, lookahead)


def test_automatic_workers_and_lookahead_are_refused_with_machines_that_can_grow() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_for(spec_of(), GROWING)
    [problem] = caught.value.problems
    assert str(problem).startswith("f.yaml:4:")
    assert "set `run.workers`, or a number for `search.lookahead`" in str(problem)


def test_a_study_that_has_begun_keeps_its_lookahead_with_machines_that_can_grow() -> None:
    plan = plan_for(spec_of(), GROWING, 7)
    assert (plan.n_workers, plan.lookahead) == (7, 7)


def test_too_few_devices_on_the_machines_are_reported_at_their_place_in_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_for(spec_of(run="device: cuda, devices_per_trial: 3"), GPUS)
    assert "run.devices_per_trial: a trial uses 3 devices of `cuda`" in str(caught.value.problems[0])


def test_an_engine_without_a_capacity_runs_on_this_machine() -> None:
    assert machines_of(Run(device="cpu")) == Machines()
