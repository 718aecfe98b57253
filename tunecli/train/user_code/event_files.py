"""Follows the event files of TensorBoard below a folder, while programs write them. Loads no torch."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tunecli.messages import EpochEnded
from tunecli.text import counted
from tunecli.train.user_code.epoch_rows import EpochRows
from tunecli.train.user_code.tail import Pattern, Unreadable, open_file
from tunecli.train.user_code.tensorboard_events import DamagedRecordError, read_scalars

_PARTS = {"train", "training", "val", "valid", "validation", "eval", "evaluation", "test", "dev"}
_MARK = "tfevents"
_DEEPEST = 8
_MOST_FOLDERS = 2000
_MOST_FILES = 1000
_BYTES_PER_READ = 2**21  # so that a stop does not wait for a long file
_POLLS_PER_SEARCH = 5  # a folder may hold many old runs


@dataclass(slots=True)
class _EventFile:
    """How far an event file was read; records that end before ``n_old_bytes`` are from before the trial."""

    prefix: str
    n_old_bytes: int = 0
    offset: int = 0


@dataclass(slots=True)
class EventFiles:
    """The event files in a folder and below it, or in the folders that a pattern matches.

    A scalar's name is its tag. In a folder that is named like a part of the data (`train`, `validation`), and in a
    folder of ``SummaryWriter.add_scalars``, the folder's name and a slash precede it.
    """

    pattern: Pattern
    rows: EpochRows
    _files: dict[Path, _EventFile] = field(default_factory=dict)
    _old: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _n_reads: int = 0
    n_too_long: int = 0

    @property
    def is_found(self) -> bool:
        """Whether an event file was written since the trial began."""
        return bool(self._files)

    def __post_init__(self) -> None:
        """Note the files that exist before the program starts."""
        with suppress(Unreadable):  # the first read reports the reason
            for path in self._paths():
                with suppress(OSError):
                    facts = path.stat()
                    self._old[path] = facts.st_ino, facts.st_size

    def read(self, *, is_last: bool) -> Iterator[EpochEnded]:
        """Read the new records; see `FormatReader`."""
        if is_last or self._n_reads % _POLLS_PER_SEARCH == 0:
            self._search()
        self._n_reads += 1
        for path, file in self._files.items():
            while True:
                offset = file.offset
                yield from self._read_file(path, file)
                if self.rows.reports.is_over:
                    return
                if not is_last or file.offset == offset:
                    break

    def _read_file(self, path: Path, file: _EventFile) -> Iterator[EpochEnded]:
        descriptor = open_file(path)
        if descriptor is None:
            return
        with os.fdopen(descriptor, "rb") as content:
            if os.fstat(descriptor).st_size < file.offset:
                file.offset = file.n_old_bytes = 0
            try:
                for offset, scalars in read_scalars(content, file.offset, _BYTES_PER_READ):
                    file.offset = offset
                    if scalars is not None and offset > file.n_old_bytes:
                        values = {f"{file.prefix}{tag}": value for tag, value in scalars.values.items()}
                        yield from self.rows.add(scalars.step, values, str(path))
                        if self.rows.reports.is_over:
                            return
            except DamagedRecordError as error:
                raise Unreadable(f"is damaged: in {path.name}, at byte {file.offset:,}, {error}") from error
            except OSError as error:
                raise Unreadable(f"cannot be read: {error.strerror}") from error

    def _search(self) -> None:
        paths = [path for path in self._paths() if path not in self._files]
        folders = {path.parent for path in (*paths, *self._files)}
        for path in sorted(paths):
            try:
                facts = path.stat()
            except OSError:
                continue
            inode, size = self._old.get(path, (0, 0))
            if path in self._old and (facts.st_ino, facts.st_size) == (inode, size):
                continue  # it is from before the trial
            n_old = size if facts.st_ino == inode and facts.st_size > size else 0
            self._files[path] = _EventFile(self._prefix(path.parent, folders), n_old)

    def _prefix(self, folder: Path, folders: set[Path]) -> str:
        is_part = folder.name.lower() in _PARTS and folder not in self._tops
        return f"{folder.name}/" if is_part or folder.parent in folders else ""

    @property
    def _tops(self) -> list[Path]:
        return [] if self.pattern.has_wildcards else self.pattern.paths()

    def _paths(self) -> list[Path]:
        """All event files, at most a thousand.

        Raises:
            Unreadable: there is a file in place of the folder.
        """
        paths: list[Path] = []
        for top in self.pattern.paths():
            if _is_other_than_folder(top):
                if _MARK not in top.name:
                    raise Unreadable("is not a folder of event files")
                paths.append(top)
                continue
            depth = str(top).count(os.sep)
            for folder, folders, names in islice(os.walk(top), _MOST_FOLDERS):
                if folder.count(os.sep) - depth >= _DEEPEST:
                    folders.clear()
                folders.sort()
                paths += [Path(folder, name) for name in sorted(names) if _MARK in name]
        return paths[:_MOST_FILES]

    def explanation(self, shown: str) -> str:
        """The files that were read, for the message about a missing metric."""
        if self._files:
            return f"read from {counted(len(self._files), 'event file')} below {shown}"
        old = f"; {counted(len(self._old), 'older event file')} there do not count" if self._old else ""
        return f"no event file was written below {shown}{old}"

    def close(self) -> None:
        """Do nothing: the files are open only while they are read."""


def _is_other_than_folder(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False
