"""The number of jobs that run at a time, and their devices."""

from pathlib import Path

import pytest

from tunecli.config.load import parse_study
from tunecli.config.run import Run
from tunecli.engine import n_cores
from tunecli.errors import ConfigError, UsageError
from tunecli.study.plan.machines import Machines, jobs_by_device, require_device, worker_count
from tunecli.study.plan.plan import plan_for
from tunecli.train.machine import Accelerator

FOUR = tuple(Accelerator(f"cuda:{number}", f"cuda:{number}") for number in range(4))


@pytest.mark.parametrize(
    ("run", "n_accelerators", "expected"),
    [
        (Run(), 0, n_cores()),
        (Run(threads=n_cores() * 2), 0, 1),
        (Run(per_device=3), 0, n_cores()),
        (Run(workers=7, per_device=2), 0, 7),
        (Run(), 1, 1),
        (Run(), 4, 4),
        (Run(per_device=3), 4, 12),
        (Run(workers=2), 4, 2),
        (Run(workers=9), 4, 4),
        (Run(workers=9, per_device=2), 4, 8),
        (Run(engine="inline"), 4, 1),
    ],
    ids=str,
)
def test_the_worker_count_follows_accelerator_slots_or_cpu_cores(run, n_accelerators, expected):
    assert worker_count(run, Machines(FOUR[:n_accelerators])) == expected


def test_jobs_are_counted_by_device():
    assert jobs_by_device("auto", Machines(), 3) == {"cpu": 3}
    assert jobs_by_device("cuda:9", Machines(), 1) == {"cuda:9": 1}
    assert jobs_by_device("auto", Machines(FOUR[:2]), 3) == {"cuda:0": 2, "cuda:1": 1}
    assert jobs_by_device("cuda", Machines(FOUR), 1) == {"cuda:0": 1}


def test_too_few_devices_for_a_trial_are_reported_at_their_place_in_the_file():
    text = "objective: {metric: loss}\ntrial: {command: [sh, -c, 'true']}\nrun: {device: cpu, devices_per_trial: 2}\n"
    spec = parse_study(text.encode(), "f.yaml", (), Path())
    with pytest.raises(ConfigError) as caught:
        plan_for(spec)
    told = "f.yaml:3:39: run.devices_per_trial: a trial uses 2 devices of `cpu`, and this machine has no accelerator"
    assert str(caught.value.problems[0]).startswith(told)
    with pytest.raises(UsageError, match="a trial uses 2 devices"):
        require_device("cpu", 2)
    require_device("cpu")
