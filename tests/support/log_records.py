"""Events and records for the tests of the store, with default values for fields that a test does not use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunecli.messages import Checkpointed, Ended, EpochEnded, Paused, Started
from tunecli.store.database import Log
from tunecli.trial import Checkpoint, FailedAttempt, Failure, FailureKind, Outcome, State, Trial

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
        )
    )


def without_clocks(log: Log) -> str:
    """`everything` without the values that differ between runs: the times and process ids of sessions."""
    sessions = log.sessions()
    return everything(log).replace(repr(sessions), repr([session["versions"] for session in sessions]))
