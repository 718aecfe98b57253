"""What an engine promises: jobs in, events out.

Of every job that is submitted come, in this order: at most one `Started`, any number of `EpochEnded` and
`Checkpointed`, and exactly one `Ended`, whatever became of whoever ran it (law 6); after `stop`, and where others of
its group took it along, a `Stopped` may stand in its place, and of a job that names an epoch to pause after a `Paused`.
An engine never touches the record (law 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tunecli.messages import Event, Job


class Engine(Protocol):
    """Runs jobs somewhere."""

    @property
    def n_workers(self) -> int:
        """How many workers there are."""

    @property
    def n_idle(self) -> int:
        """How many of them have nothing to do."""

    def submit(self, *jobs: Job) -> None:
        """Give a worker that is idle a job, or several that it is to train together. Callers ask `n_idle` first."""

    def events(self, wait_s: float) -> Iterator[Event]:
        """What has happened; waits up to ``wait_s`` seconds for something to."""

    def stop(self) -> None:
        """Ask the jobs under way to stop where their epoch ends, with a checkpoint where they keep any."""

    def close(self) -> None:
        """End every worker at once. Jobs under way are lost; their trials stay as the record has them."""
