"""Groups of waiting jobs that are trained together."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.support.jobs import change_job, make_job
from tunecli.objective import Objective
from tunecli.study.runner.waiting_jobs import WaitingJob, WaitingJobs, waiting_job


def job(number, **changes):
    config = {"data": {"source": "iris"}, "model": {"name": "mlp", "hidden": [8]}}
    made = make_job(number, config, Objective("val_loss", False), 1, 2, is_fused=True)
    return change_job(made, **changes)


def waiting_of(*jobs: WaitingJob) -> WaitingJobs:
    waiting = WaitingJobs()
    for each in jobs:
        waiting.add(each)
    return waiting


def numbers(jobs):
    return [each.job.number for each in jobs]


def next_group(waiting: Sequence[WaitingJob], n_idle: int, width: int) -> list[WaitingJob]:
    """The rule itself, over a list of all that wait."""
    first = waiting[0]
    if not first.group_key:
        return [first]
    alike = [each for each in waiting if each.group_key == first.group_key]
    return alike[: max(1, min(width, -(-len(alike) // max(1, n_idle))))]


def test_a_job_after_a_failure_with_a_limit_or_not_fused_is_trained_alone():
    assert waiting_job(job(0), is_alone=False).group_key
    assert not waiting_job(job(0), is_alone=True).group_key
    assert not waiting_job(job(0, time_s=3.0), is_alone=False).group_key
    assert not waiting_job(job(0, is_fused=False), is_alone=False).group_key


def test_idle_workers_share_waiting_jobs_and_groups_hold_one_kind():
    jobs = [WaitingJob(job(number), "ab"[number % 2]) for number in range(8)]
    assert numbers(waiting_of(*jobs).take_group(2, 16)) == [0, 2]
    assert numbers(waiting_of(*jobs).take_group(1, 3)) == [0, 2, 4]
    assert numbers(waiting_of(WaitingJob(job(8), ""), *jobs).take_group(1, 16)) == [8]


@pytest.mark.parametrize("seed", range(8))
def test_groups_equal_those_of_a_walk_over_all_that_wait(seed: int):
    """Each job is taken once, whatever is added in between."""
    generator = random.Random(seed)
    made = [WaitingJob(job(number), generator.choice(["", "a", "b"])) for number in range(60)]
    waiting, walked, taken = WaitingJobs(), [], []
    to_add = iter(made)
    while len(taken) < len(made):
        for each in (each for _, each in zip(range(generator.randrange(4)), to_add, strict=False)):
            waiting.add(each)
            walked.append(each)
        if not walked:
            continue
        n_idle, width = generator.randrange(4), generator.randrange(1, 5)
        group = waiting.take_group(n_idle, width)
        assert group == next_group(walked, n_idle, width)
        walked = [each for each in walked if not any(each is one for one in group)]
        assert numbers(waiting) == numbers(walked)
        assert len(waiting) == len(walked)
        taken += numbers(group)
    assert sorted(taken) == list(range(60))


def test_a_cleared_queue_takes_the_same_jobs_again():
    jobs = [WaitingJob(job(number), "a") for number in range(3)]
    waiting = waiting_of(*jobs)
    waiting.clear()
    assert len(waiting) == 0
    for each in jobs:
        waiting.add(each)
    assert numbers(waiting.take_group(1, 9)) == [0, 1, 2]
