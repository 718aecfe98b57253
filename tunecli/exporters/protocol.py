"""What an exporter is made from, and the one rule for its errors: an exporter never stops a sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tunecli.messages import Display, EpochEnded, Event, SweepInfo
from tunecli.trial import FailedAttempt, Trial


@dataclass(frozen=True)
class ExportedStudy:
    """What an exporter needs to know of the study; all of it comes from the record.

    Attributes:
        name: the study's name.
        path: the run folder.
        identity: returns a text that no other study has; known once the sweep has begun.
        config: the study's file, as the user wrote it.
        best_path: the file of the best trial's configuration, which may not exist yet.
        epochs_of: reads the recorded epochs of trials, by number.
        facts: further facts by name, such as the sampler and the seed.
    """

    name: str
    path: Path
    identity: Callable[[], str]
    config: str
    best_path: Path
    epochs_of: Callable[[Sequence[int]], Mapping[int, Sequence[EpochEnded]]]
    facts: Mapping[str, Any]


class GuardedDisplay:
    """A display and exporters that get the same events, and that cannot stop a sweep.

    The display is not called any more once its terminal or pipe is closed. The first error of an exporter ends it, and
    is said once.

    An exporter is a `Display`: it learns of an event after the event is recorded, so what it writes can be rebuilt.
    """

    def __init__(
        self,
        display: Display,
        exporters: Mapping[str, Display] = MappingProxyType({}),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Guard a display, and exporters if there are any.

        Args:
            display: shows the sweep.
            exporters: by the name that the file gives them.
            say: shows a line to the person.
        """
        self._display: Display | None = display
        self._exporters = dict(exporters)
        self._say = say

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None:
        self._call(lambda display: display.began(heading, trials))

    def suggested(self, trial: Trial) -> None:
        self._call(lambda display: display.suggested(trial))

    def happened(self, event: Event | FailedAttempt) -> None:
        self._call(lambda display: display.happened(event))

    def noticed(self, notices: Sequence[str]) -> None:
        """Only the display learns of the engine's notices, if it has the method: they are not recorded."""
        self._show(lambda display: getattr(display, "noticed", lambda _: None)(notices))

    def ended(self) -> None:
        """The display ends; the exporters end with `close`, when the best trial's file is written."""
        self._show(lambda display: display.ended())

    def close(self) -> None:
        """End the exporters."""
        self._export(lambda exporter: exporter.ended())

    def _call(self, call: Callable[[Display], None]) -> None:
        self._show(call)
        self._export(call)

    def _show(self, call: Callable[[Display], None]) -> None:
        if self._display is not None:
            try:
                call(self._display)
            except (OSError, SystemExit):  # the terminal is closed, or the pipe is broken
                self._display = None

    def _export(self, call: Callable[[Display], None]) -> None:
        for name, exporter in list(self._exporters.items()):
            try:
                call(exporter)
            except Exception as error:  # another tool's library may raise any error
                del self._exporters[name]
                with suppress(OSError, SystemExit):
                    self._say(
                        f"note: `run.events: {name}` has stopped: {type(error).__name__}: {error}; the sweep goes on"
                    )
