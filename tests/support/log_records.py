"""Events and records for the tests of the store, with default values for fields that a test does not use."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunecli.messages import Checkpointed, Ended, EpochEnded, Paused, Started
from tunecli.store.database import Log
from tunecli.trial import (
    Checkpoint,
    Confirmation,
    FailedAttempt,
    Failure,
    FailureKind,
    FreshRun,
    Outcome,
    Stage,
    State,
    Trial,
)

ASSETS = Path(__file__).parents[1] / "store" / "assets"


def trial(number: int, **parameters: Any) -> Trial:
    return Trial(number, parameters, seed=1000 + number)


def begin(log: Log, number: int, attempt: int = 1, from_epoch: int = 0, session: int | None = None) -> None:
    log.append_start(Started(number, attempt, "cpu", 4711, from_epoch), session)


def epoch(number: int, epoch: int, attempt: int = 1, loss: float = 0.5) -> EpochEnded:
    return EpochEnded(number, attempt, epoch, 10, {"val_loss": loss}, 0.25)


def checkpointed(number: int, epoch: int, attempt: int = 1) -> Checkpointed:
    name = f"trial-{number:05d}-{epoch}-{attempt}.checkpoint.safetensors"
    return Checkpointed(number, attempt, Checkpoint(name, f"{epoch:02d}" * 32, epoch))


def setback(
    number: int, attempt: int = 1, kind: FailureKind = FailureKind.CRASH, cause: str = "SIGKILL"
) -> FailedAttempt:
    return FailedAttempt(number, attempt, Failure(kind, cause, "Traceback …"))


def complete(number: int, score: float = 0.5, attempt: int = 1) -> Ended:
    return Ended(number, attempt, Outcome(State.COMPLETE, score, {"val_loss": score}, 3, 2, 1.5, "cpu"))


def paused(number: int, score: float = 0.5, attempt: int = 1, epochs: int = 3) -> Paused:
    return Paused(
        number, attempt, Outcome(State.PAUSED, score, {"val_loss": score}, epochs, epochs, 1.5, "cpu")
    )


def failed(number: int, traceback: str = "", attempt: int = 1) -> Ended:
    failure = Failure(FailureKind.ERROR, "no such layer", traceback)
    return Ended(number, attempt, Outcome(State.FAILED, failure=failure))


def record_confirmation(log: Log) -> None:
    """A confirmation of trials 0 and 1 with a complete, a failed and two missing runs."""
    complete_run = Outcome(
        State.COMPLETE, 0.1 + 0.2, {"val_loss": 0.1 + 0.2, "acc": math.nan}, 3, 2, -0.0, "cpu"
    )
    failure = Failure(FailureKind.DIVERGED, "the loss is nan", "Traceback …\n" * 200)
    failed_run = Outcome(State.FAILED, None, {}, 1, 0, 0.5, "cpu", failure)
    runs = [
        FreshRun(1, 0, 0, Stage.RACE, 2**53 - 1),
        FreshRun(1, 1, 0, Stage.RACE, 17, split_seed=3),
        FreshRun(1, 0, 1, Stage.RACE, 18),
        FreshRun(1, 1, 5, Stage.QUOTE, 19, opening=1),
    ]
    with log.atomic():
        log.append_confirmation(Confirmation(1, (1, 0), {"trials": [1]}, False, 6))
        log.append_fresh_runs(runs)
    log.append_fresh_results([replace(runs[0], outcome=complete_run), replace(runs[1], outcome=failed_run)])


def record_hosts(log: Log) -> None:
    """Two trials on other machines, one of which has other versions, and a trial that moved to another machine."""
    session = log.append_session({"torch": "2.13.0"})
    for number, hosts in ((90, ("n1",)), (91, ("n1", "n2")), (92, ("n2", ""))):
        log.append_suggestion(trial(number))
        for attempt, host in enumerate(hosts, 1):
            log.append_start(Started(number, attempt, "cpu", 4711, host=host), session)
    log.append_host(session, "n2", {"torch": "2.12.0"})


def record_hosts_of_fresh_runs(log: Log) -> None:
    """The third run of `record_confirmation` ended on another machine."""
    run = next(run for run in log.fresh_runs() if run.outcome is None)
    end = Outcome(State.COMPLETE, 0.25, {"val_loss": 0.25}, 3, 3, 0.5, "cpu")
    log.append_fresh_results([replace(run, outcome=end, host="n1")])


def filled(path: Path, n_trials: int = 120) -> None:
    """A study of complete trials, each of three epochs."""
    with Log.create(path, {"seed": 7}) as log, log.atomic():
        for number in range(n_trials):
            log.append_suggestion(trial(number, lr=0.1 / (1 + number), name="x" * 60))
            begin(log, number)
            log.append_epochs([epoch(number, i) for i in range(1, 4)])
            log.append_result(complete(number))


def everything(log: Log) -> str:
    """The contents of the log as text; ``repr`` distinguishes NaN from None, 1 from True and 0.0 from -0.0."""
    trials = log.trials()
    numbers = [each.number for each in trials]
    return repr(
        (
            sorted(log.facts().items()),
            trials,
            log.epochs_of(numbers),
            [log.failed_attempts(number) for number in numbers],
            [log.checkpoints(number) for number in numbers],
            [log.attempts(number) for number in numbers],
            sorted(log.all_checkpoint_names()),
            log.sessions(),
            log.sessions_of_results(),
            log.counts(),
            log.scores(),
            log.steps(),
            log.pauses(),
            log.hosts(),
            log.host_versions(),
            log.confirmations(),
            log.fresh_runs(),
        )
    )


def without_clocks(log: Log) -> str:
    """`everything` without the values that differ between runs: the times and process ids of sessions."""
    sessions = log.sessions()
    return everything(log).replace(repr(sessions), repr([session["versions"] for session in sessions]))
