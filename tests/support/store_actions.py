"""Actions on a run folder that tests run in a separate process and interrupt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.log_records import begin, checkpointed, complete, epoch, paused, setback, trial
from tunecli.store.database import Log
from tunecli.store.files import write_atomically
from tunecli.trial import Step

Returned = Callable[[str], object]
"""Called with the name of each step when it has returned."""


def migrate(folder: Path, returned: Returned) -> None:
    """Open a database of any version for writing."""
    Log.open(folder / "study.db").close()
    returned("open")


def begin_study(folder: Path, returned: Returned) -> None:
    """Do the first steps of a sweep."""
    with Log.create(folder / "study.db", {"seed": 7}) as log:
        returned("create")
        for name, append in appends(log)[:2]:
            append()
            returned(name)


def record(folder: Path, returned: Returned) -> None:
    """Do the steps of a short sweep."""
    with Log.create(folder / "study.db", {"seed": 7}) as log:
        returned("create")
        for name, append in appends(log):
            append()
            returned(name)
        write_atomically(folder / "results.csv", "rank,trial\n")
        returned("results")


def appends(log: Log) -> list[tuple[str, Callable[[], object]]]:
    """The appends of `record`, one transaction each."""

    def goes_on() -> None:
        with log.atomic():
            log.append_epochs([epoch(0, 1), epoch(0, 2)])
            log.append_checkpoint(checkpointed(0, 2))

    def ends() -> None:
        with log.atomic():
            log.append_epochs([epoch(0, 3, attempt=2), epoch(0, 4, attempt=2)])
            log.append_result(complete(0, attempt=2))
            log.set_fact("elapsed_s", 1.5)

    return [
        ("session", lambda: log.append_session({"torch": "2"})),
        ("suggest", lambda: log.append_suggestion(trial(0, lr=0.1, text="x" * 5000))),
        ("start", lambda: begin(log, 0, session=1)),
        ("checkpoint", goes_on),
        ("step", lambda: log.append_step(Step(0, 0, 0, 4))),
        ("set back", lambda: log.append_failed_attempt(setback(0))),
        ("go on", lambda: begin(log, 0, 2, from_epoch=2, session=1)),
        ("pause", lambda: log.append_pause(paused(0, attempt=2), 0)),
        ("end", ends),
    ]


ACTIONS: dict[str, Callable[[Path, Returned], None]] = {
    "migrate": migrate,
    "begin": begin_study,
    "record": record,
}
