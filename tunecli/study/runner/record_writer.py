"""How the record is written: what waits for the next commit, and what only that commit makes superfluous.

Starts and epochs wait, since an attempt of which nothing else is known may as well not have begun; suggestions and
results never do. What comes at one time is committed at one time. Files go, and the journal tells, after the commit
that they follow from (law 7). The only writer of a log while its sweep runs (law 2); knows no sampler and no engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tunecli.messages import EpochEnded, Started
from tunecli.store.database import Log
from tunecli.store.files import remove
from tunecli.store.folder import RunFolder
from tunecli.trial import Failure

_WAIT_S = 1.0


class RecordWriter:
    """Writes to a study's log.

    Attributes:
        is_torn: a block of `together` failed, so this process knows of more than the record does, and has to end.
    """

    def __init__(self, log: Log, folder: RunFolder, session: int, elapsed_before_s: float) -> None:
        """Write for this session.

        Args:
            log: the record.
            folder: its run folder, for the journal.
            session: the process's, as the log numbers it.
            elapsed_before_s: how long the study was run by others.
        """
        self._log, self._folder, self._session = log, folder, session
        self._elapsed_before_s = elapsed_before_s
        self._began_at = self._committed_at = time.monotonic()
        self._starts: list[Started] = []
        self._epochs: list[EpochEnded] = []
        self._superfluous: list[Path] = []
        self._notes: list[Mapping[str, Any]] = []
        self._transaction: ExitStack | None = None
        self._is_begun = self.is_torn = False

    @property
    def elapsed_s(self) -> float:
        """Over all the times that the study was run."""
        return self._elapsed_before_s + time.monotonic() - self._began_at

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that the block writes, and all that waited, in one commit; none where it writes nothing.

        A block inside a block is a part of the outer one.

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
            self.is_torn = True  # whatever followed from the block is not to follow from a later one
            self._superfluous, self._notes = [], []
            raise
        finally:
            self._transaction, self._is_begun = None, False
        if is_begun:
            self._committed_at = time.monotonic()
            self._follow()

    def writing(self) -> Log:
        """In a block: the log, to be written to; with the first call its transaction begins."""
        assert self._transaction is not None, "writes are made in a block"
        if not self._is_begun:
            self._transaction.enter_context(self._log.atomic())
            self._is_begun = True
        return self._log

    def start(self, event: Started) -> None:
        """An attempt began; it is written with what is next known of it."""
        self._starts.append(event)
        if event.note:
            self.note({"trial": event.number, "note": event.note})

    def epoch(self, event: EpochEnded) -> None:
        """An epoch ended."""
        self._epochs.append(event)

    def settle(self) -> None:
        """In a block: write what waits now, so that it can be read."""
        log = self.writing()
        for start in self._starts:
            log.append_start(start, self._session)
        log.append_epochs(self._epochs)
        self._starts, self._epochs = [], []

    def flush_if_due(self) -> None:
        """Commit what has waited long enough."""
        if (self._starts or self._epochs or self._notes) and time.monotonic() - self._committed_at > _WAIT_S:
            with self.together():
                self.settle()

    def drop(self, path: Path) -> None:
        """A file is superfluous once the block is on record."""
        self._superfluous.append(path)

    def note(self, record: Mapping[str, Any], failure: Failure | None = None) -> None:
        """Add to the journal that people read, once the block is on record."""
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
