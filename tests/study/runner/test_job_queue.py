"""Groups of waiting jobs that are trained together."""

from tests.support.jobs import change_job, make_job
from tunecli.objective import Objective
from tunecli.study.runner.job_queue import WaitingJob, next_group, waiting_job


def job(number, **changes):
    config = {"data": {"source": "iris"}, "model": {"name": "mlp", "hidden": [8]}}
    made = make_job(number, config, Objective("val_loss", False), 1, 2, is_fused=True)
    return change_job(made, **changes)


def test_a_job_after_a_failure_with_a_limit_or_not_fused_is_trained_alone():
    assert waiting_job(job(0), is_alone=False).group_key
    assert not waiting_job(job(0), is_alone=True).group_key
    assert not waiting_job(job(0, time_s=3.0), is_alone=False).group_key
    assert not waiting_job(job(0, is_fused=False), is_alone=False).group_key


def test_idle_workers_share_waiting_jobs_and_groups_hold_one_kind():
    waiting = [WaitingJob(job(number), "ab"[number % 2]) for number in range(8)]
    assert [each.job.number for each in next_group(waiting, 2, 16)] == [0, 2]
    assert [each.job.number for each in next_group(waiting, 1, 3)] == [0, 2, 4]
    assert [each.job.number for each in next_group([WaitingJob(job(5), ""), *waiting], 1, 16)] == [5]
