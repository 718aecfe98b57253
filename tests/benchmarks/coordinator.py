"""Speed of the coordinator: a sweep of trials that cost nothing, on simulated slots.

    python -m tests.benchmarks.coordinator --dir DIR [--trials 20000] [--slots 1000] [--epochs 0 100] [--batch 100]

The engine runs no process: each of its slots reports the start of a trial, its epochs and its end, one event at a time
and in turn. All else is real: coordinator, job queue, SQLite in a new folder under DIR. The table has trials and epochs
recorded per second of the wall clock and of the processor, and trials per CPU second in each fifth of the sweep, so that
a fall with the length of the history shows. The first fifths also suggest the trials of the lookahead. `--profile FILE` writes a profile for `pstats`. `--sampler`, `--pruner` and `--lookahead`
choose another study than `random` without a pruner.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tunecli.commands.check import load_checked
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job, Paused, Started, SweepInfo
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep
from tunecli.trial import Checkpoint, Outcome, State, Trial

FUNCTION = "def trained(params, trial):\n    return {'loss': params['x']}\n"
STUDY = """\
study: coordinator
seed: 1
objective: {metric: loss, direction: minimize}
trial:
  python: "mine:trained"
  params: {x: {uniform: [0, 1]}, y: {loguniform: [1e-5, 1]}, z: {int: [1, 1000]}, kind: {choice: [a, b, c, d]}}
search: {sampler: random, trials: 100}
run: {device: cpu, workers: 1}
"""
N_FIFTHS = 5


def loss_at(job: Job, epoch: int, n_epochs: int) -> float:
    """The loss after an epoch, which falls: by the trial's seed, so that no parameter explains it."""
    return (job.task.seed % 1009) / 1009 + 1.0 - epoch / max(1, n_epochs)


@dataclass
class SimulatedSlots:
    """An engine of ``n_slots`` slots, which report at most ``batch`` events at a time, in turn."""

    n_slots: int
    n_epochs: int
    batch: int
    _running: deque[Iterator[Event]] = field(default_factory=deque)

    @property
    def n_idle(self) -> int:
        return self.n_slots - len(self._running)

    def submit(self, *jobs: Job) -> None:
        for job in jobs:
            self._running.append(self._events_of(job))

    def events(self, wait_s: float) -> Iterator[Event]:
        for _ in range(min(self.batch, len(self._running))):
            events = self._running.popleft()
            event = next(events)
            if not isinstance(event, Ended | Paused):
                self._running.append(events)
            yield event

    def stop(self) -> None:
        self._running.clear()

    def close(self) -> None:
        self._running.clear()

    def _events_of(self, job: Job) -> Iterator[Event]:
        number, attempt = job.number, job.attempt
        from_epoch = job.resume.checkpoints[0].epoch if job.resume.checkpoints else 0
        until = job.limits.until_epoch
        yield Started(number, attempt, "cpu", 1, from_epoch)
        epoch = from_epoch
        for epoch in range(from_epoch + 1, self.n_epochs + 1):
            yield EpochEnded(
                number, attempt, epoch, self.n_epochs, {"loss": loss_at(job, epoch, self.n_epochs)}, 0.0
            )
            if epoch == until and epoch < self.n_epochs:
                name = f"trial-{number:05d}.{attempt}-{epoch:06d}.checkpoint.safetensors"
                yield Checkpointed(number, attempt, Checkpoint(name, "", epoch))
                yield Paused(number, attempt, self._outcome(job, epoch, State.PAUSED))
                return
        yield Ended(number, attempt, self._outcome(job, max(1, epoch), State.COMPLETE))

    def _outcome(self, job: Job, epoch: int, state: State) -> Outcome:
        loss = loss_at(job, epoch, max(1, self.n_epochs))
        return Outcome(state, loss, {"loss": loss}, epoch, epoch, 0.001, "cpu")


class Ends:
    """A display that notes the wall and CPU clock at the start, and at the end of every trial."""

    def __init__(self) -> None:
        self.clocks: list[tuple[float, float]] = []

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None:
        self.clocks.append((time.monotonic(), time.process_time()))

    def suggested(self, trial: Trial) -> None:
        pass

    def happened(self, event: Event) -> None:
        if isinstance(event, Ended | Paused):
            self.clocks.append((time.monotonic(), time.process_time()))

    def ended(self) -> None:
        pass


def measure(options: argparse.Namespace, n_epochs: int) -> list[tuple[float, float]]:
    """Run one sweep; the wall and CPU clock at its start, and at the end of every trial."""
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        folder, ends = Path(name), Ends()
        (folder / "mine.py").write_text(FUNCTION)
        path = folder / "coordinator.yaml"
        path.write_text(STUDY)
        overrides = [
            f"search.trials={options.trials}",
            f"run.workers={options.slots}",
            f"search.sampler={options.sampler}",
        ]
        if options.pruner != "none":
            overrides.append(f"search.pruner={{name: {options.pruner}, max_epochs: {n_epochs}}}")
        if options.lookahead:
            overrides.append(f"search.lookahead={options.lookahead}")
        engine = SimulatedSlots(options.slots, n_epochs, options.batch)
        profile = cProfile.Profile() if options.profile else nullcontext()
        with begin(load_checked(path, tuple(overrides)), folder / "run") as study, profile:
            sweep(study, ends, engine)
        if isinstance(profile, cProfile.Profile):
            profile.dump_stats(options.profile)
    return ends.clocks


def shown(clocks: list[tuple[float, float]], n_epochs: int) -> str:
    """A line of the table: ends and epochs per wall second, and ends per CPU second in each fifth."""
    wall_s, n_ends = clocks[-1][0] - clocks[0][0], len(clocks) - 1
    marks = [clocks[n_ends * fifth // N_FIFTHS][1] for fifth in range(N_FIFTHS + 1)]
    fifths = [n_ends / N_FIFTHS / (after - before) for before, after in itertools.pairwise(marks)]
    cpu_s = clocks[-1][1] - clocks[0][1]
    rates = "".join(f"{rate:>8.0f}" for rate in (n_ends / cpu_s, n_ends * n_epochs / cpu_s, *fifths))
    return f"{n_epochs:>6}  {n_ends / wall_s:>8.0f}  {n_ends * n_epochs / wall_s:>8.0f}  {rates}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dir", type=Path, required=True, help="an existing folder; it decides which disk is measured"
    )
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--epochs", type=int, nargs="+", default=[0, 100])
    parser.add_argument(
        "--batch", type=int, default=100, help="events that one call of the engine yields at most"
    )
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--pruner", default="none")
    parser.add_argument("--lookahead", type=int, default=0, help="0: by the number of slots")
    parser.add_argument("--profile", type=Path)
    options = parser.parse_args()
    print("epochs  trials/s  epochs/s  per CPU s: trials, epochs; trials by fifth of the sweep")
    for n_epochs in options.epochs:
        print(shown(measure(options, n_epochs), n_epochs), flush=True)


if __name__ == "__main__":
    main()
