"""The files that one entry of ``metrics_from`` names, as a reader of metrics.

The files of a pattern are read in the order in which they appear: a program that numbers its folders (`version_*`)
begins a new one. Loads no torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tunecli.config.schema.metrics_from import CSV, JSON, TENSORBOARD
from tunecli.messages import EpochEnded
from tunecli.text import counted
from tunecli.train.user_code.epoch_rows import EpochRows
from tunecli.train.user_code.event_files import EventFiles
from tunecli.train.user_code.metric_files import CsvFile, FormatReader, JsonFile, JsonlFile
from tunecli.train.user_code.program import Stream
from tunecli.train.user_code.tail import LINE_BYTES, Before, Pattern, Tail, Unreadable
from tunecli.trial import Failure, FailureKind

_MOST_FILES = 1000
_SHOWN = 6


@dataclass(slots=True)
class FileSource:
    """The files that a pattern names, as a `MetricsReader`.

    Attributes:
        kind: their format.
        pattern: their path.
        shown: the path as the configuration writes it.
        rows: gets the rows.
    """

    kind: str
    pattern: Pattern
    shown: str
    rows: EpochRows
    _readers: dict[Path, FormatReader] = field(default_factory=dict)
    _before: dict[Path, Before] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note the files that exist before the program starts."""
        if self.kind == TENSORBOARD:
            self._readers[self.pattern.folder] = EventFiles(self.pattern, self.rows)
        else:
            self._before = {path: Before.of(path) for path in self.pattern.paths()}

    def read(self, line: str, stream: Stream = Stream.STDOUT) -> Iterator[EpochEnded]:
        """Do nothing: a printed line is not in the files."""
        return iter(())

    def poll(self) -> Iterator[EpochEnded]:
        """Read the new content of the files; see `MetricsReader.poll`."""
        return self._read(is_last=False)

    def close(self) -> Iterator[EpochEnded]:
        """Read the rest of the files."""
        yield from self._read(is_last=True)
        yield from self.rows.close()
        self.release()

    def release(self) -> None:
        """Close all files."""
        for reader in self._readers.values():
            reader.close()
        for before in self._before.values():
            before.close()

    def _read(self, *, is_last: bool) -> Iterator[EpochEnded]:
        reports = self.rows.reports
        self._look_for_files()
        for path, reader in self._readers.items():
            if reports.is_over:
                return
            try:
                yield from reader.read(is_last=is_last)
            except Unreadable as problem:
                shown = f"{self.shown}: {path.name}" if self.pattern.has_wildcards else self.shown
                cause = f"the file of metrics {shown} {problem}"
                reports.failure = reports.failure or Failure(FailureKind.ERROR, cause)

    def _look_for_files(self) -> None:
        if self.kind == TENSORBOARD:
            return
        paths = [path for path in self.pattern.paths() if path not in self._readers]
        for path in sorted(paths, key=_modified):
            self._readers[path] = self._reader(path, self._before.pop(path, Before()))

    def _reader(self, path: Path, before: Before) -> FormatReader:
        if self.kind == JSON:
            return JsonFile(path, before, self.rows)
        kind = CsvFile if self.kind == CSV else JsonlFile
        return kind(Tail(path, before), self.rows)

    def explanation(self, clean: Callable[[str], str]) -> str:
        """The files that were read, for the message about a missing metric."""
        if self.kind == TENSORBOARD:
            (events,) = self._readers.values()
            assert isinstance(events, EventFiles)
            return clean(events.explanation(self.shown))
        n_read = sum(reader.is_found for reader in self._readers.values())
        if n_read:
            n_too_long = sum(reader.n_too_long for reader in self._readers.values())
            long = f"; {counted(n_too_long, 'line')} of {LINE_BYTES:,} bytes or more not read" * bool(
                n_too_long
            )
            return clean(f"metrics were read from {counted(n_read, 'file')} ({self.shown}){long}")
        is_old = any(os.path.lexists(path) for path in self._readers)
        why = "was not written after the trial began" if is_old else "was never written"
        return clean(f"{self.shown} {why}{self._near_files()}")

    def _near_files(self) -> str:
        """The end of the message: files with the same ending in the folder, or that the folder is missing."""
        if self.pattern.has_wildcards:
            return ""
        path = self.pattern.folder / self.pattern.text
        try:
            with os.scandir(path.parent) as items:
                names = sorted(item.name for item in islice(items, _MOST_FILES) if item.is_file())
        except OSError:
            return ", and there is no such folder"
        alike = [
            name for name in names if name.endswith(path.suffix or f".{self.kind}") and name != path.name
        ]
        return f"; its folder has {', '.join(alike[:_SHOWN])}" if alike else ""


def _modified(path: Path) -> tuple[int, Path]:
    try:
        return path.stat().st_mtime_ns, path
    except OSError:
        return 0, path
