"""The engine in this very process: one job at a time, for debugging, tests and `train`."""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.trial import Event, Job


class InlineEngine:
    """Runs each job while its events are asked for."""

    n_workers = 1

    def __init__(self) -> None:
        self._under_way: Iterator[Event] = iter(())

    def submit(self, job: Job) -> None:
        """Take a job; it begins to run when events are asked for."""
        from tunecli.train.loop import run  # loads torch, which callers that only record must not pay for

        self._under_way = run(job)

    def events(self, wait_s: float) -> Iterator[Event]:
        """The next event of the job under way; ``wait_s`` plays no part, training is the wait."""
        event = next(self._under_way, None)
        if event is not None:
            yield event

    def close(self) -> None:
        """Forget the job under way."""
        self._under_way = iter(())
