"""Records, before a trial's next attempt, the reports of the user's code that were written but not recorded.

The user's code goes on from the last epoch that it reported, wherever its worker or the coordinator was killed. So the
record must have that epoch too, or the trial's course would have a gap.
"""

from __future__ import annotations

from pathlib import Path

from tunecli.messages import EpochEnded, Started
from tunecli.store.database import Log
from tunecli.study.runner.record_writer import RecordWriter
from tunecli.train.user_code.trial_files import journal_events


def recover(log: Log, ledger: RecordWriter, path: Path, number: int) -> list[EpochEnded]:
    """Record the events in a trial's file of reports that the log lacks; call it in a block of the ledger.

    Args:
        log: the record.
        ledger: its writer.
        path: the file; without one, nothing is missing.
        number: the trial's.

    Returns:
        The trial's epochs on record, in order.

    Raises:
        DiskFull, StoreFailed: the disk refuses the record.
    """
    events = [event for event in journal_events(path) if event.number == number]
    if not events:
        return log.epochs(number)
    attempts, epochs = log.started(number), log.epochs(number)
    # Reports of attempts before the latest are on record already: they were recorded when it began.
    latest = max(attempts, default=0)
    known = {(epoch.attempt, epoch.epoch) for epoch in epochs}
    for event in events:
        if isinstance(event, Started):
            if event.attempt > latest and event.attempt not in attempts:
                attempts.add(event.attempt)
                ledger.start(event)
        elif event.attempt in attempts and event.attempt >= latest:
            place = (event.attempt, event.epoch)
            if place not in known:
                ledger.epoch(event)
            known.add(place)
    ledger.settle()
    return log.epochs(number)
