"""What workers get next: the jobs that wait for one, made ready while others are at work.

Owns the order of suggesting, recording and handing out: a trial is on record before a worker gets it (law 7), several
in one commit where several are due. What is suggested depends on the record alone (law 5), so how many jobs wait here
changes no table; it changes only whether a worker waits for its next one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunecli import failpoints
from tunecli.config.concrete_trial import DanglingReferenceError
from tunecli.engine.protocol import Engine
from tunecli.messages import Ended
from tunecli.registry.pruners import is_pausing
from tunecli.study.plan.plan import AHEAD
from tunecli.study.record.lifecycle import Study
from tunecli.study.runner.coordinator import Coordinator
from tunecli.study.runner.display import Display
from tunecli.study.runner.fused_groups import Ready, group_of, ready
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial


class JobQueue:
    """The jobs that wait for a worker.

    Attributes:
        reason: why no trial is begun any more, as `Ending` has it; empty while there may be more.
    """

    def __init__(self, study: Study, engine: Engine, progress: Coordinator, display: Display) -> None:
        """None wait.

        Args:
            study: what is run.
            engine: where.
            progress: makes the suggestions, and the record.
            display: is told of them.
        """
        self._engine, self._progress, self._display = engine, progress, display
        self._waiting: list[Ready] = []
        self.reason = ""
        plan, pruner = study.plan, study.spec.settings.search.pruner
        self._width = max(1, plan.fuse)
        # a group is made of what comes together, and a step of a study that pauses may wait for the one before it
        is_one_by_one = not plan.fuse and not is_pausing(pruner)
        spare = min(plan.lookahead - plan.n_workers, (AHEAD - 1) * plan.n_workers)
        self._n_ahead = max(0, spare) if is_one_by_one else 0

    def keep_busy(self, received: Sequence[int]) -> None:
        """Give every idle worker a job, as far as there are any, and make ready what comes next.

        Args:
            received: the signals that came; with the first, nothing more is suggested.

        Raises:
            DiskFull, StoreFailed: the disk refused the record of it.
        """
        if self._progress.is_out_of_time:
            self.reason = "time"
            self.put_back()
        while self._engine.n_idle:
            self._make_ready(self._engine.n_idle * self._width, received)
            if not self._waiting or received:
                break
            self._submit()
        if len(self._waiting) <= self._n_ahead // 2:  # several at a time, in one commit
            self._make_ready(self._n_ahead, received)

    def pass_on(self, received: Sequence[int]) -> None:
        """Give idle workers what was made ready ahead, which is on record and waits for no result.

        So a worker is at its next trial while the result of its last one is recorded.
        """
        while self._n_ahead and self._waiting and self._engine.n_idle:
            if received or self._progress.is_out_of_time:
                return
            self._submit()

    def _submit(self) -> None:
        group = group_of(self._waiting, self._engine.n_idle, self._width)
        self._waiting = [each for each in self._waiting if each not in group]
        failpoints.reach("dispatch")
        self._engine.submit(*(each.job for each in group))

    def put_back(self) -> None:
        """Leave what waits for another time."""
        self._progress.put_back(each.job.number for each in self._waiting)
        self._waiting = []

    def _make_ready(self, n_wanted: int, received: Sequence[int]) -> None:
        with self._progress.together():
            # what is to be tried again goes on when nothing new would begin any more
            while (
                len(self._waiting) < n_wanted
                and not received
                and (not self.reason or self._progress.has_queued)
            ):
                trial, why_none = self._progress.next_trial()
                if trial is None:
                    self.reason = why_none or self.reason
                    break
                self._display.suggested(trial)
                self._waiting += self._made(trial)
        if self.reason == "time":
            self.put_back()

    def _made(self, trial: Trial) -> list[Ready]:
        """The trial's job; none where there is no such trial, which then has ended."""
        try:
            return [ready(self._progress.job_for(trial), is_alone=self._progress.is_alone(trial.number))]
        except DanglingReferenceError as error:
            # Rare: `check` tries two choices together, and this one takes three. A failure is data (law 6).
            failure = Failure(FailureKind.ERROR, error.message)
            unmade = Ended(trial.number, 1, Outcome(State.FAILED, failure=failure))
            for event in self._progress.record([unmade]):
                self._display.happened(event)
            return []
