"""Cost of reading a study, by the number of its trials: for resume, status, results and a pruner, and its bytes on disk.

    python tests/benchmarks/scale.py [--trials 1000 10000 100000] [--epochs 5] [--runs 3]

Each reading runs in its own process, so that its peak memory can be measured. The figures are those of the fastest run:
wall time, processor time (which depends less on other processes), and memory. Most trials are complete, some are
pruned, some failed with a traceback, a few continued from a checkpoint, and the last one runs.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tunecli.messages import Checkpointed, Ended, EpochEnded, Started
from tunecli.store.database import Log
from tunecli.trial import Checkpoint, FailedAttempt, Failure, FailureKind, Outcome, State, Trial

TRACEBACK = "Traceback (most recent call last):\n" + '  File "own.py", line 7, in build\n' * 30
VERSIONS = {"tunecli": "0.1.0", "python": "3.11.7", "torch": "2.13.0"}


def build(path: Path, n_trials: int, n_epochs: int) -> None:
    """Write a study like that of a sweep, but in a single commit."""
    random.seed(0)
    facts = {"config": "study: digits-mlp\n" * 40, "elapsed_s": 0.0}
    with Log.create(path, facts) as log, log.atomic():
        session = log.append_session(VERSIONS)
        for number in range(n_trials):
            _trial(log, number, n_epochs, session, is_last=number == n_trials - 1)


def _trial(log: Log, number: int, n_epochs: int, session: int, *, is_last: bool) -> None:
    parameters = {
        "model.hidden.0": random.randrange(16, 257),
        "model.activation": random.choice(["relu", "gelu", "tanh"]),
        "model.dropout": random.uniform(0.0, 0.5),
        "optimizer.name": "adamw",
        "optimizer.lr": math.exp(random.uniform(-11.0, -2.0)),
        "training.batch_size": random.choice([32, 64, "full"]),
    }
    log.append_suggestion(Trial(number, parameters, random.getrandbits(62)))
    log.append_start(Started(number, 1, "cpu", 4711), session)
    attempt, metrics = 1, {}
    for epoch in range(1, n_epochs + 1):
        metrics = {
            "train_loss": random.random(),
            "val_loss": random.random(),
            "val_accuracy": random.random(),
        }
        log.append_epochs([EpochEnded(number, attempt, epoch, n_epochs, metrics, 0.25)])
        if number % 100 == 7 and epoch == 2:
            log.append_checkpoint(Checkpointed(number, 1, Checkpoint(f"{number}-2.checkpoint", "ab" * 32, 2)))
            log.append_failed_attempt(FailedAttempt(number, 1, Failure(FailureKind.CRASH, "SIGKILL")))
            log.append_start(Started(number, 2, "cpu", 4712, from_epoch=2), session)
            attempt = 2
    if is_last:
        return
    if number % 50 == 3:
        failure = Failure(FailureKind.ERROR, "a size that does not fit", TRACEBACK)
        outcome = Outcome(State.FAILED, None, metrics, n_epochs, 0, 1.25, "cpu", failure)
    else:
        state = State.PRUNED if number % 5 == 1 else State.COMPLETE
        outcome = Outcome(state, metrics["val_accuracy"], metrics, n_epochs, n_epochs, 1.25, "cpu")
    log.append_result(Ended(number, attempt, outcome))


def resume(path: Path) -> None:
    """Read the same as `resume` before its first trial."""
    with Log.open(path) as log:
        log.facts()
        log.trials()
        log.all_checkpoint_names()


def status(path: Path) -> None:
    """Read the same as `status`."""
    with Log.open_to_read(path) as log:
        log.facts()
        log.counts()
        number, _ = max(log.scores(), key=lambda item: item[1])
        log.trial(number)


def results(path: Path) -> None:
    """Read the same as `results`."""
    with Log.open_to_read(path) as log:
        log.trials()
        log.sessions_of_results()


def curves(path: Path) -> None:
    """Read the same as a pruner when a study is resumed: the epochs of every complete trial."""
    with Log.open_to_read(path) as log:
        log.epochs_of(number for number, _ in log.scores())


READINGS = {reading.__name__: reading for reading in (resume, status, results, curves)}


def measured(reading: str, path: Path) -> list[float]:
    """Wall seconds, processor seconds, and peak megabytes of a reading in its own process."""
    command = [sys.executable, __file__, "--read", reading, str(path)]
    figures: list[float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--read", nargs=2, metavar=("READING", "DATABASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        reading, database = options.read
        began_at, worked_s = time.perf_counter(), time.process_time()
        READINGS[reading](Path(database))
        seconds, worked_s = time.perf_counter() - began_at, time.process_time() - worked_s
        peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([seconds, worked_s, peak_bytes / 1e6]))
        return
    print(f"{'trials':>8}  {'bytes a trial':>13}  " + "  ".join(f"{name:>23}" for name in READINGS))
    for n_trials in options.trials:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.db"
            build(path, n_trials, options.epochs)
            cells = [f"{n_trials:>8}", f"{path.stat().st_size / n_trials:>13.0f}"]
            for name in READINGS:
                seconds, worked_s, megabytes = min(measured(name, path) for _ in range(options.runs))
                cells.append(f"{seconds:>6.3f} s {worked_s:>6.3f} s {megabytes:>3.0f} MB")
        print("  ".join(cells))
    print(
        "goals at 100,000 trials: resume below 3 s, status below 1 s, below 500 MB, 1 KB a trial plus its epochs"
    )


if __name__ == "__main__":
    main()
