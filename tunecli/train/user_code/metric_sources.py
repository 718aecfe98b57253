"""The readers of a trial's metrics: of the output of its program, and of the files that it writes.

Makes the readers that ``metrics_from`` names. They exist before the program starts, so they know the files of earlier
trials. Loads no torch.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunecli.config.placeholders import rendered
from tunecli.config.schema import CommandTrial, FunctionTrial
from tunecli.config.schema.metrics_from import MetricsFile, sources
from tunecli.config.secrets import redacted
from tunecli.config.surroundings import secret_names
from tunecli.messages import EpochEnded
from tunecli.train.user_code.epoch_rows import EpochRows
from tunecli.train.user_code.file_source import FileSource
from tunecli.train.user_code.output import BOTH, JsonLines, MetricsReader, Patterns, compiled
from tunecli.train.user_code.program import Stream
from tunecli.train.user_code.reports import Reports
from tunecli.train.user_code.tail import Pattern


@dataclass(frozen=True, slots=True)
class Sources:
    """Several sources of metrics as one `MetricsReader`."""

    readers: Sequence[MetricsReader]

    def read(self, line: str, stream: Stream = Stream.STDOUT) -> Iterator[EpochEnded]:
        """Read a line; see `MetricsReader.read`."""
        for reader in self.readers:
            yield from reader.read(line, stream)

    def poll(self) -> Iterator[EpochEnded]:
        """Read the files; see `MetricsReader.poll`."""
        for reader in self.readers:
            yield from reader.poll()

    def close(self) -> Iterator[EpochEnded]:
        """Read the rest; see `MetricsReader.close`."""
        for reader in self.readers:
            yield from reader.close()

    def explanation(self, clean: Callable[[str], str]) -> str:
        """The explanations of all sources; see `MetricsReader.explanation`."""
        return "; ".join(text for reader in self.readers if (text := reader.explanation(clean)))

    def release(self) -> None:
        """Close the files."""
        for reader in self.readers:
            if isinstance(reader, FileSource):
                reader.release()


def reader_for(
    trial: CommandTrial, reports: Reports, facts: Mapping[str, Any], cwd: Path, *, is_anew: bool
) -> Sources:
    """The readers of a command's metrics; call it before the program starts.

    Patterns are searched in both outputs if ``metrics_from`` names files only.

    Args:
        trial: the trial, whose ``metrics`` and ``metrics_from`` decide.
        reports: gets the metrics.
        facts: values of placeholders besides the parameters.
        cwd: the program's working folder.
        is_anew: whether the program starts from its beginning.

    Raises:
        PlaceholderError: a path has an unknown placeholder.
    """
    given = sources(trial.metrics_from)
    streams = [stream for word in given if isinstance(word, str) for stream in _streams(word)]
    readers: list[MetricsReader] = []
    if trial.metrics:
        readers.append(Patterns(compiled(trial), reports, is_anew, tuple(streams) or BOTH))
    elif streams:
        readers.append(JsonLines(reports, tuple(streams)))
    files = [source for source in given if isinstance(source, MetricsFile)]
    return Sources((*readers, *_files(files, reports, (trial.params, facts), cwd, is_anew=is_anew)))


def files_of(
    trial: FunctionTrial, reports: Reports, facts: Mapping[str, Any], cwd: Path, *, is_anew: bool
) -> Sources:
    """The readers of the files that a function writes metrics to; call it before the function. As for `reader_for`."""
    files = [source for source in sources(trial.metrics_from) if isinstance(source, MetricsFile)]
    return Sources(_files(files, reports, (trial.params, facts), cwd, is_anew=is_anew))


def _files(
    files: Sequence[MetricsFile],
    reports: Reports,
    values: tuple[Mapping[str, Any], Mapping[str, Any]],
    cwd: Path,
    *,
    is_anew: bool,
) -> tuple[FileSource, ...]:
    rows, secrets = EpochRows(reports, is_anew=is_anew), secret_names(reports.job.task)
    params, facts = values
    sources = []
    for file in files:
        has_wildcards, names = glob.has_magic(file.path), dict(facts)
        if has_wildcards:  # wildcards count in the file's text, and not in the folder's name
            names["checkpoint_dir"] = glob.escape(names["checkpoint_dir"])
        path = rendered(file.path, params, names)
        if path is None:  # of a parameter that this trial does not have
            continue
        pattern = Pattern(cwd.absolute(), path, has_wildcards)
        sources.append(FileSource(file.kind, pattern, redacted(file.path, secrets), rows))
    return tuple(sources)


def _streams(word: str) -> Sequence[Stream]:
    return BOTH if word == "both" else (Stream(word),)
