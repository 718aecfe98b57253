"""The functions with which earlier releases wrote ``assets/study-v2.db`` to ``study-v6.db``.

The current code can record the same again, so tests compare an old database with a new one.
"""

from __future__ import annotations

import math
from typing import Any

from tests.support.log_records import record_confirmation, record_hosts
from tunecli.messages import Checkpointed, Ended, EpochEnded, Started
from tunecli.store.database import Log
from tunecli.trial import Checkpoint, FailedAttempt, Failure, FailureKind, Outcome, State, Trial

FACTS: dict[str, Any] = {
    "config": "study: digits\nseed: 7\n" + "# a comment that makes the text leave its page\n" * 100,
    "overrides": ["search.trials=6"],
    "base_path": "/home/ana/digits",
    "plan": {
        "n_trials": 6,
        "lookahead": 2,
        "n_workers": 2,
        "threads": 1,
        "device": "auto",
        "engine": "local",
    },
    "versions": {"tunecli": "0.1.0", "python": "3.11.7", "torch": "2.13.0"},
    "code": {"own.py": "ab" * 32},
    "data": {},
    "elapsed_s": 12.25,
}


def record_v2(log: Log) -> None:
    """Record six trials with sessions, failed attempts, checkpoints, a long traceback and a NaN."""
    first = log.append_session({"tunecli": "0.1.0", "torch": "2.12.0"})
    for number in range(6):
        log.append_suggestion(
            Trial(number, {"lr": 0.1 / (number + 3), "loss": "mse", "n": None}, 2**62 + number)
        )
    for number in range(5):
        log.append_start(Started(number, 1, "cpu", 4711 + number), first)
        log.append_epochs([_epoch(number, i) for i in (1, 2)])
    log.append_result(
        Ended(0, 1, Outcome(State.COMPLETE, 0.8, {"val_loss": 0.8, "acc": 1 / 3}, 2, 2, 0.75, "cpu"))
    )
    log.append_result(Ended(1, 1, Outcome(State.PRUNED, 0.9, {"val_loss": 0.9}, 2, 1, 0.5, "cuda:0")))
    failure = Failure(FailureKind.DIVERGED, "the loss is nan", "Traceback …\n" * 500)
    log.append_result(
        Ended(2, 1, Outcome(State.FAILED, None, {"val_loss": math.nan}, 2, 0, 0.5, "cpu", failure))
    )
    log.append_checkpoint(
        Checkpointed(3, 1, Checkpoint("trial-00003-2.checkpoint.safetensors", "cd" * 32, 2))
    )
    log.append_failed_attempt(FailedAttempt(3, 1, Failure(FailureKind.CRASH, "SIGKILL")))
    log.append_failed_attempt(
        FailedAttempt(4, 1, Failure(FailureKind.INTERRUPTED, "a signal stopped the sweep"))
    )
    second = log.append_session({"tunecli": "0.1.0", "torch": "2.13.0"})
    log.append_start(Started(3, 2, "cpu", 4800, 2), second)
    log.append_epochs([_epoch(3, 3, attempt=2)])
    log.append_start(Started(4, 2, "cpu", 4801), second)
    log.append_epochs([_epoch(4, 1, attempt=2)])
    log.append_result(
        Ended(3, 2, Outcome(State.COMPLETE, 0.7, {"val_loss": 0.7}, 3, 3, 1.0, "cpu", None, "ef" * 32))
    )
    log.set_fact("ending", "")


def record_v3(log: Log) -> None:
    """Record the same with steps and the pauses of two trials, of which one continues."""
    from tunecli.messages import Paused
    from tunecli.trial import Step

    record_v2(log)
    for step, number in enumerate((4, 5)):
        log.append_step(Step(step, number, 0, 2))
    session = log.append_session({"tunecli": "0.1.0", "torch": "2.13.0"})
    log.append_epochs([_epoch(4, 2, attempt=2)])
    log.append_pause(Paused(4, 2, Outcome(State.PAUSED, 0.6, {"val_loss": 0.6}, 2, 2, 0.5, "cpu")), 0)
    log.append_start(Started(5, 1, "cpu", 4802), session)
    log.append_epochs([_epoch(5, 1), _epoch(5, 2)])
    log.append_pause(
        Paused(5, 1, Outcome(State.PAUSED, math.inf, {"val_loss": math.inf}, 2, 2, 0.5, "cpu")), 1
    )
    log.append_step(Step(2, 4, 1, None))
    log.append_start(Started(4, 3, "cpu", 4803, 2), session)
    log.append_epochs([_epoch(4, 3, attempt=3)])


def record_v4(log: Log) -> None:
    """Record the same with an epoch that has an offset, as rows with checksums."""
    record_v3(log)
    log.append_epochs([EpochEnded(5, 1, 3, 0, {"val_loss": 0.25}, 0.125, epoch_offset=1)])


def record_v5(log: Log) -> None:
    """Record the same with a confirmation."""
    record_v4(log)
    record_confirmation(log)


def record_v6(log: Log) -> None:
    """Record the same with trials on other machines."""
    record_v5(log)
    record_hosts(log)


def _epoch(number: int, epoch: int, attempt: int = 1) -> EpochEnded:
    return EpochEnded(
        number, attempt, epoch, 3, {"val_loss": 1.0 / (number + epoch), "acc": 0.1 * epoch}, 0.125
    )
