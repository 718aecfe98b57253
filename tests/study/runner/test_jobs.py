"""Retries: the rules as pure functions, and studies that retry trials."""

import json
import os

import pytest

from tunecli.config.run import Limit, OnFailure
from tunecli.objective import Constraint, Objective
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.runner.jobs import is_tried_again, micro_batches
from tunecli.study.runner.record_writer import keep_below
from tunecli.study.runner.stopping_rule import FAILED_ALIKE, fail_alike
from tunecli.trial import FailedAttempt, Failure, FailureKind, Outcome, State, Trial

DEFAULT = OnFailure()


def failed(kind: FailureKind) -> Failure:
    return Failure(kind, "")


def setbacks(*kinds: FailureKind) -> list[FailedAttempt]:
    return [FailedAttempt(0, attempt, failed(kind)) for attempt, kind in enumerate(kinds, start=1)]


@pytest.mark.parametrize("kind", [FailureKind.CRASH, FailureKind.LOST])
def test_a_crash_is_retried_once_despite_interruptions(kind):
    assert is_tried_again(DEFAULT, failed(kind), [], can_split=True)
    assert is_tried_again(DEFAULT, failed(kind), setbacks(*[FailureKind.INTERRUPTED] * 5), can_split=True)
    assert not is_tried_again(DEFAULT, failed(kind), setbacks(kind), can_split=True)


@pytest.mark.parametrize("kind", [FailureKind.DIVERGED, FailureKind.ERROR, FailureKind.TIMEOUT])
def test_failures_that_would_repeat_are_not_retried(kind):
    assert not is_tried_again(DEFAULT, failed(kind), [], can_split=True)


def test_each_oom_halves_the_micro_batches_up_to_64_parts():
    seen = []
    while is_tried_again(
        DEFAULT, failed(FailureKind.OOM), setbacks(*[FailureKind.OOM] * len(seen)), can_split=True
    ):
        seen.append(micro_batches(DEFAULT, setbacks(*[FailureKind.OOM] * (len(seen) + 1))))
    assert seen == [2, 4, 8, 16, 32, 64]


def test_batches_of_user_code_cannot_be_split():
    assert not is_tried_again(DEFAULT, failed(FailureKind.OOM), [], can_split=False)


def test_the_policy_skip_prevents_a_retry():
    policy = OnFailure(oom="skip", crash="skip")
    for kind in (FailureKind.OOM, FailureKind.CRASH):
        assert not is_tried_again(policy, failed(kind), [], can_split=True)
    assert micro_batches(policy, setbacks(FailureKind.OOM)) == 1


HUNGRY = """\
import torch
from torch import nn


class Net(nn.Module):
    '''Has room for so many examples at a time.'''

    def __init__(self, input_shape, n_outputs, most):
        super().__init__()
        self.layer, self.most = nn.Linear(input_shape[0], n_outputs), most

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return self.layer(x)
"""
STUDY = """\
study: hungry
objective: {metric: val_loss}
trial:
  data: {source: iris, validation: {fraction: 0.1}}
  model: {python: "hungry:Net", args: {most: {choice: [1000, 20]}}}
  training: {epochs: 2, batch_size: 64}
search: {sampler: grid, lookahead: 1}
run: {device: cpu, engine: inline}
"""


def test_a_trial_out_of_memory_is_split_and_reaches_the_unsplit_score(tmp_path, tunecli):
    (tmp_path / "hungry.py").write_text(HUNGRY)
    (tmp_path / "hungry.yaml").write_text(STUDY)
    done = tunecli("search", "hungry.yaml")
    assert done.returncode == 0, done.stderr
    assert "trial 1: oom: OutOfMemoryError" in done.stderr
    with open_to_read(RunFolder(tmp_path / "runs" / "hungry")) as study:
        roomy, tight = study.log.trials()
        again = study.log.failed_attempts(1)
    assert tight.state is State.COMPLETE
    assert [setback.failure.kind for setback in again] == [FailureKind.OOM, FailureKind.OOM]
    assert tight.outcome.score == pytest.approx(roomy.outcome.score, rel=0.2)
    journal = (tmp_path / "runs" / "hungry" / "log.jsonl").read_text().splitlines()
    assert any("Traceback" in json.loads(line).get("traceback", "") for line in journal)


def test_a_trial_that_lacks_memory_ends_as_oom_by_default(tmp_path, tunecli):
    (tmp_path / "hungry.py").write_text(HUNGRY)
    (tmp_path / "hungry.yaml").write_text(STUDY)
    done = tunecli("search", "hungry.yaml", "--set", "run.on_failure={oom: skip}")
    assert done.returncode == 0, done.stderr
    with open_to_read(RunFolder(tmp_path / "runs" / "hungry")) as study:
        assert study.log.trial(1).outcome.failure.kind is FailureKind.OOM


DYING = """\
import os, pathlib, signal

def train(params, trial):
    for epoch in range(1, 4):
        trial.report(epoch, val_loss=1.0 / epoch)
        flag = trial.checkpoint_dir / "died"
        if epoch == 2 and (params["always"] or not flag.exists()):
            flag.touch()
            (trial.checkpoint_dir.parent / f"{flag.parent.name}.1-000002.checkpoint.safetensors").touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_trial_of_a_killed_worker_is_retried_once_and_the_others_continue(tmp_path, tunecli):
    (tmp_path / "dying.py").write_text(DYING)
    (tmp_path / "dying.yaml").write_text(
        "study: dying\nobjective: {metric: val_loss}\n"
        "trial: {python: 'dying:train', params: {always: {choice: [false, true]}}}\n"
        "search: {sampler: grid}\nrun: {device: cpu, workers: 2}\n"
    )
    done = tunecli("search", "dying.yaml")
    assert done.returncode == 0, done.stderr
    with open_to_read(RunFolder(tmp_path / "runs" / "dying")) as study:
        once, always = study.log.trials()
        assert once.state is State.COMPLETE
        assert [epoch.epoch for epoch in study.log.epochs(0)] == [1, 2, 3]
        assert always.outcome.failure.kind is FailureKind.CRASH
        assert "SIGKILL" in always.outcome.failure.cause
        assert [len(study.log.failed_attempts(number)) for number in (0, 1)] == [1, 1]
    # The checkpoint that the killed worker wrote without an event is removed.
    assert not list((tmp_path / "runs" / "dying").rglob("*.checkpoint.safetensors"))


def test_a_study_is_not_resumed_while_one_of_its_workers_lives(tmp_path, tunecli):
    """Workers end with their coordinator, so another program holds this lock, and resume does not touch it."""
    (tmp_path / "hungry.py").write_text(HUNGRY)
    (tmp_path / "hungry.yaml").write_text(STUDY)
    assert tunecli("search", "hungry.yaml").returncode == 0
    from tunecli.store.lock import share_workers_lock

    held = share_workers_lock(tmp_path / "runs" / "hungry" / "workers.lock")
    try:
        done = tunecli("resume", "hungry", "--trials", "2")
        assert done.returncode == 4
        assert str(os.getpid()) in done.stderr
    finally:
        os.close(held)
    assert tunecli("resume", "hungry", "--trials", "2").returncode == 0


def test_weights_are_kept_below_the_best_loss_and_always_if_loss_alone_does_not_rank():
    best = Trial(0, {}, 0, State.COMPLETE, Outcome(State.COMPLETE, 0.5))
    bound = keep_below([best], Objective("val_accuracy", True))
    assert bound is not None and -0.5 < bound < -0.49, "a tie is kept too"
    assert keep_below([], Objective("val_accuracy", True)) is None
    goals = Objective("val_accuracy", True, further_objectives=(Objective("n_parameters", False),))
    assert keep_below([best], goals) is None
    assert keep_below([best], Objective("a", True, constraints=(Constraint("b", 1.0),))) is None


WRONG = Failure(FailureKind.ERROR, "ModuleNotFoundError: no module `x` (mine.py:1)")


@pytest.mark.parametrize(
    ("limit", "ends", "is_over"),
    [
        ({}, [WRONG] * 5, True),
        ({}, [WRONG] * 9, True),
        ({}, [WRONG] * 4, False),
        ({}, [], False),
        ({}, [WRONG] * 5 + [None], False),
        ({}, [None] + [WRONG] * 9, False),
        ({}, [WRONG] * 4 + [Failure(FailureKind.ERROR, "something else")], False),
        ({}, [WRONG] * 4 + [Failure(FailureKind.CRASH, WRONG.cause)], False),
        ({}, [Failure(FailureKind.ERROR, f"x is {x}") for x in (1, -2.5, 3e-7, 10**9, 0)], True),
        ({"failures": 0}, [WRONG] * 50, False),
        ({"failures": 100}, [WRONG] * 50, False),
    ],
)
def test_equal_failures_of_all_first_trials_end_a_sweep_unless_the_file_turns_it_off(limit, ends, is_over):
    assert fail_alike(Limit(**limit), ends) is is_over


VARYING = {
    "an address": "<Net object at 0x{:x}> has no parameters",
    "a UUID": "cannot open /data/{:08x}-12ab-4cde-9f01-{:012x}/x.bin",
    "a hash": "the file has digest {:040x}",
    "a temporary folder": "cannot write /tmp/tmp{}/out",
    "numbers": "size mismatch: {} and {:.3e} in trial {}",
}


@pytest.mark.parametrize("kind", [*VARYING])
def test_failures_that_differ_only_in_numbers_are_alike(kind):
    values = [0xDEADBEEF12, 0xABCDEF0123, 0x1234567890, 0xFFFFFFFF00, 0x9F8E7D6C5B]
    names = ["ab_cdefg", "x9k2_1aa", "zzzzzzzz", "12345678", "q_q_q_q_"]
    causes = [
        VARYING[kind].format(*([name] if "tmp{}" in VARYING[kind] else [value] * 3))
        for value, name in zip(values, names, strict=True)
    ]
    assert len(set(causes)) == FAILED_ALIKE
    assert fail_alike(Limit(), [Failure(FailureKind.ERROR, cause) for cause in causes])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("unknown optimizer adamw", "unknown optimizer adam"),
        ("no module named defaced", "no module named effaced"),
        ("no feedback", "no backfeed"),
        ("tmp folder is full", "tmp folder is gone"),
    ],
)
def test_failures_with_different_messages_are_not_alike(one, other):
    ends = [Failure(FailureKind.ERROR, cause) for cause in [one] * (FAILED_ALIKE - 1) + [other]]
    assert not fail_alike(Limit(), ends)
