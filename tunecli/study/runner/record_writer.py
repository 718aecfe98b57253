"""Writes the record of a sweep, and removes the files that it makes superfluous.

The only writer of a log while its sweep runs (one-writer); knows no sampler and no engine. Start and epoch events are
buffered: losing them in a crash costs only a re-run. Suggestions and results are committed at once, and everything of
one moment in one commit. Files are removed, and log.jsonl is written, after the commit that they follow from
(write-ahead).
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tunecli.messages import EpochEnded, Started
from tunecli.objective import Objective
from tunecli.results.ranking import leading
from tunecli.store.database import Log
from tunecli.store.files import remove
from tunecli.store.folder import RunFolder, remove_orphans
from tunecli.trial import Checkpoint, Failure, Trial

_WAIT_S = 1.0


class RecordWriter:
    """Writes to a study's log.

    Attributes:
        is_torn: whether a commit failed: memory is ahead of the record, so this process must end.
    """

    def __init__(self, log: Log, folder: RunFolder, session: int, elapsed_before_s: float) -> None:
        """Prepare to write in this session.

        Args:
            log: the record.
            folder: its run folder, for log.jsonl.
            session: this process's session number in the log.
            elapsed_before_s: seconds that the study ran in earlier sessions.
        """
        self._log, self._folder, self._session = log, folder, session
        self._elapsed_before_s = elapsed_before_s
        self._began_at = self._committed_at = time.monotonic()
        self._starts: list[Started] = []
        self._epochs: list[EpochEnded] = []
        self._superfluous: list[Path] = []
        self._notes: list[Mapping[str, Any]] = []
        self._notices: list[str] | None = None  # that are not on record yet
        self._transaction: ExitStack | None = None
        self._is_begun = self.is_torn = False

    @property
    def elapsed_s(self) -> float:
        """Seconds that the study has run, over all sessions."""
        return self._elapsed_before_s + time.monotonic() - self._began_at

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Commit everything that the block writes, and everything buffered, at once; nothing if it writes nothing.

        A nested block is part of the outer one.

        Raises:
            DiskFull, StoreFailed: the disk refused; nothing of the block is on record.
        """
        if self._transaction is not None:
            yield
            return
        try:
            with ExitStack() as self._transaction:
                yield
                if is_begun := self._is_begun:
                    self.settle()
                    self._log.set_fact("elapsed_s", self.elapsed_s)
        except BaseException:
            self.is_torn = True  # what followed from this block must not follow from a later one
            self._superfluous, self._notes = [], []
            raise
        finally:
            self._transaction, self._is_begun = None, False
        if is_begun:
            self._committed_at = time.monotonic()
            self._follow()

    def log_to_write(self) -> Log:
        """The log, open for writes; call it in a block of `atomic`. The first call begins the transaction."""
        assert self._transaction is not None, "writes need a block of `atomic`"
        if not self._is_begun:
            self._transaction.enter_context(self._log.atomic())
            self._is_begun = True
        return self._log

    def start(self, event: Started) -> None:
        """Buffer the start of an attempt."""
        self._starts.append(event)
        if event.note:
            self.note({"trial": event.number, "note": event.note})

    def host(self, host: str, versions: Mapping[str, str]) -> None:
        """Record the versions on a machine, where they differ from those of this session; in a block of `atomic`."""
        self.log_to_write().append_host(self._session, host, versions)
        self.note({"host": host, "versions": dict(versions)})

    def epoch(self, event: EpochEnded) -> None:
        """Buffer the end of an epoch."""
        self._epochs.append(event)

    def notice(self, notices: Sequence[str]) -> None:
        """Buffer the engine's notices, in place of the last ones."""
        self._notices = list(notices)

    def settle(self) -> None:
        """Write the buffered events, so that they can be read; call it in a block of `atomic`."""
        log = self.log_to_write()
        for start in self._starts:
            log.append_start(start, self._session)
        log.append_epochs(self._epochs)
        self._starts, self._epochs = [], []
        if self._notices is not None:
            log.set_fact("notices", self._notices)
            self._notices = None

    def flush_if_due(self) -> None:
        """Commit the buffered events if the last commit was more than a second ago."""
        has_some = self._starts or self._epochs or self._notes or self._notices is not None
        if has_some and time.monotonic() - self._committed_at > _WAIT_S:
            with self.atomic():
                self.settle()

    def drop(self, path: Path) -> None:
        """Remove a file once the block is on record."""
        self._superfluous.append(path)

    def note(self, record: Mapping[str, Any], failure: Failure | None = None) -> None:
        """Add a line to log.jsonl once the block is on record."""
        if failure is not None:
            cause = {"kind": failure.kind.value, "cause": failure.cause, "traceback": failure.traceback}
            record = {**record, **cause}
        self._notes.append(record)

    def _follow(self) -> None:
        paths, self._superfluous = self._superfluous, []
        notes, self._notes = self._notes, []
        for path in paths:
            remove(path)
        for note in notes:
            self._folder.append_log(note)


class KeptFiles:
    """The files that a run folder needs: the leading trials' weights, checkpoints, and reports of the user's code.

    Attributes:
        leaders: the best trial; with several objectives, the trials of the Pareto front.
    """

    def __init__(
        self, folder: RunFolder, objective: Objective, writer: RecordWriter, leaders: Iterable[Trial]
    ) -> None:
        self._folder, self._objective, self._writer = folder, objective, writer
        self.leaders = list(leaders)

    @property
    def keep_below(self) -> float | None:
        """The loss below which a trial's weights are kept; None: keep all, and remove those that are surpassed."""
        return keep_below(self.leaders, self._objective)

    def add(self, trial: Trial) -> None:
        """Update the leaders with a trial that has ended, and drop the weights of those that it surpasses."""
        contenders = [*self.leaders, trial]
        self.leaders = leading(contenders, self._objective)
        leader_numbers = {leader.number for leader in self.leaders}
        for contender in contenders:
            if contender.number not in leader_numbers:
                self._writer.drop(self._folder.weights_path(contender.number))

    def drop_reports(self, number: int) -> None:
        """Drop the file of a trial's reports, which are all on record."""
        if (path := self._folder.reports_path(number)).exists():
            self._writer.drop(path)

    def drop_checkpoints(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Drop checkpoints that no trial goes on from."""
        for checkpoint in checkpoints:
            self._writer.drop(self._folder.checkpoints_path / checkpoint.name)


def keep_below(leaders: Iterable[Trial], objective: Objective) -> float | None:
    """The loss that a trial's must be below for its weights to be kept; None: they are always kept.

    With constraints or several objectives the loss alone does not decide, and surpassed weights are removed afterwards.
    """
    leader = next(iter(leaders), None)
    if objective.further_objectives or objective.constraints or leader is None:
        return None
    if leader.outcome is None or leader.outcome.score is None:
        return None
    # A tie is kept too: of two equal trials the one with the lower number may end last.
    return math.nextafter(objective.sign * leader.outcome.score, math.inf)


def remove_superfluous(
    folder: RunFolder, checkpoint_names: Set[str], trials: Collection[Trial], leaders: Collection[Trial]
) -> None:
    """Remove the files that a crash left and the record does not name.

    These are checkpoints that are not on record, reports that are fully recorded, and weights of all but the leaders.
    Removing them again is harmless, so this may itself be interrupted anywhere. Temporary files are gone already:
    taking the lock removes them.

    Args:
        folder: the run folder, held by this process.
        checkpoint_names: names of the checkpoints that may still be needed.
        trials: all trials on record.
        leaders: the trials whose weights are kept.
    """
    unended = {folder.reports_path(trial.number).name for trial in trials if trial.outcome is None}
    remove_orphans(folder, checkpoint_names | unended)
    leader_numbers = {leader.number for leader in leaders}
    for trial in trials:
        if trial.number not in leader_numbers:
            remove(folder.weights_path(trial.number))
