"""Cost of durability: the time of recording and of checkpoints, as fractions of the wall time.

    python -m tests.benchmarks.recording [--trials 32] [--runs 3]

Recording: the time in the log (every commit, every read) and in rewriting the table, divided by the time of the sweep
from the first dispatch to its end. The workload is a sweep on digits with one worker, once without fused trials and
once with `fuse: auto`. Checkpoints: the time of writing them, divided by the time of the trial, for one long trial of an
MLP and one of a CNN with `checkpoint: auto`.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.overhead import STUDY, Stopwatch
from tunecli.commands.check import load_checked
from tunecli.store.database import Log
from tunecli.study.record.lifecycle import begin
from tunecli.study.runner import coordinator
from tunecli.study.sweep import sweep
from tunecli.train.checkpoint import Keeper

LONG = """\
study: long
seed: 1
objective: {metric: val_accuracy}
trial:
  data: {source: digits}
  model: MODEL
  optimizer: {name: adamw, lr: 1e-3}
  training: {epochs: EPOCHS, batch_size: 64}
run: {device: cpu, engine: inline, workers: 1, checkpoint: auto}
"""
LONG_TRIALS = {
    "mlp 256 x 3": ("{name: mlp, hidden: [256, 256, 256]}", 400),
    "cnn": ("{name: cnn, channels: [16, 32]}", 40),
}


class Clock:
    """Sums the time in some functions; a nested call counts once."""

    def __init__(self) -> None:
        self.seconds, self.n_calls, self._depth = 0.0, 0, 0

    @contextmanager
    def running(self) -> Iterator[None]:
        self._depth += 1
        began_at = time.perf_counter()
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.seconds += time.perf_counter() - began_at
                self.n_calls += 1

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.running():
                return function(*arguments, **named)

        return timed


@contextmanager
def timed(owner: Any, names: list[str], clock: Clock) -> Iterator[None]:
    """Time the functions ``names`` of a class or module within the block."""
    with ExitStack() as restoring:
        for name in names:
            original = owner.__dict__[name]
            restoring.callback(setattr, owner, name, original)
            setattr(owner, name, clock.around(original))
        yield


def shares(study: str, overrides: tuple[str, ...]) -> tuple[float, Clock, Clock]:
    """Wall seconds from the first dispatch, the time of recording, and the time of checkpoints, of one sweep."""
    recording, writing = Clock(), Clock()
    # `atomic` is a context manager around the others, so its commit is timed at its exit
    names = [
        name
        for name, member in vars(Log).items()
        if inspect.isfunction(member) and not name.startswith("_") and name not in ("close", "atomic")
    ]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as timing:
        path = Path(folder) / "study.yaml"
        path.write_text(study)
        display = Stopwatch()
        opened = timing.enter_context(begin(load_checked(path, overrides), Path(folder) / "run"))
        timing.enter_context(timed(Log, names, recording))
        timing.enter_context(timed(coordinator, ["publish"], recording))
        plain = Log.atomic

        @contextmanager
        def atomic(log: Log) -> Iterator[None]:
            with ExitStack() as block:  # code in the block that does not write is not recording
                with recording.running():
                    inner = ExitStack()
                    inner.enter_context(plain(log))
                block.push(recording.around(inner.__exit__))
                yield

        timing.callback(setattr, Log, "atomic", plain)
        Log.atomic = atomic  # type: ignore[method-assign]  # for the time of the measurement
        timing.enter_context(timed(Keeper, ["write"], writing))
        sweep(opened, display)
        seconds = time.monotonic() - display.began_at
    return seconds, recording, writing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"{'recording':<14}  {'wall s':>7}  {'calls':>6}  {'share':>7}")
    for name, fuse in [("fuse: off", "off"), ("fuse: auto", "auto")]:
        fractions = []
        for _ in range(options.runs):
            seconds, recording, _ = shares(STUDY, (f"search.trials={options.trials}", f"run.fuse={fuse}"))
            fractions.append(recording.seconds / seconds)
        print(
            f"{name:<14}  {seconds:>7.2f}  {recording.n_calls:>6}  {statistics.median(fractions):>7.2%}  (goal: 2 %)"
        )
    print(f"\n{'checkpoints':<14}  {'wall s':>7}  {'files':>6}  {'share':>7}")
    for name, (model, n_epochs) in LONG_TRIALS.items():
        fractions = []
        for _ in range(options.runs):
            text = LONG.replace("MODEL", model).replace("EPOCHS", str(n_epochs))
            seconds, _, writing = shares(text, ())
            fractions.append(writing.seconds / seconds)
        print(
            f"{name:<14}  {seconds:>7.2f}  {writing.n_calls:>6}  {statistics.median(fractions):>7.2%}  (goal: 5 %)"
        )


if __name__ == "__main__":
    main()
