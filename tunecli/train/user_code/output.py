"""Reads metrics from the output of a program: from JSON objects, or with regular expressions.

Owns which lines are reports, and the message about lines that only look like reports. Each source of metrics is a
`MetricsReader`. Loads no torch.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from tunecli.config.schema import CommandTrial
from tunecli.config.schema.metrics_from import STEP
from tunecli.messages import EpochEnded
from tunecli.text import short_repr, shorten
from tunecli.train.user_code.epoch_rows import EpochRows, whole
from tunecli.train.user_code.json_metrics import DECODER
from tunecli.train.user_code.program import Stream
from tunecli.train.user_code.reports import Reports
from tunecli.trial import Failure, FailureKind

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufffe]"
)
_MANTISSA, _EXPONENT = re.compile(r"[+-]?[0-9]*\.?[0-9]*"), re.compile(r"[eE][+-]?[0-9]+")
_SHOWN_LINES = 3
_SHOWN_CHARACTERS = 120


BOTH = (Stream.STDOUT, Stream.STDERR)


class MetricsReader(Protocol):
    """Reads the metrics of a trial while its program runs, and passes them to the trial's `Reports`."""

    def read(self, line: str, stream: Stream = Stream.STDOUT) -> Iterator[EpochEnded]:
        """Read a line that the program printed; it gets the lines of both streams.

        Yields:
            The epochs that the line ends.

        Raises:
            DiskFull, StoreFailed: the disk refuses to keep an epoch.
        """

    def poll(self) -> Iterator[EpochEnded]:
        """Read the new content of the program's files; called a few times a second.

        Yields, Raises:
            As `read`.
        """

    def close(self) -> Iterator[EpochEnded]:
        """Read the rest after the program has ended.

        Yields, Raises:
            As `read`.
        """

    def explanation(self, clean: Callable[[str], str]) -> str:
        """A message that may explain why a required metric is missing; empty: nothing is known.

        Args:
            clean: removes secrets from a text; called before a text is cut.
        """


def compiled(trial: CommandTrial) -> dict[str, re.Pattern[str]]:
    """The patterns of a trial, by metric."""
    return {name: re.compile(pattern) for name, pattern in trial.metrics.items()}


@dataclass(slots=True)
class JsonLines:
    """Reads lines of JSON objects.

    ``{"epoch": 3, "val_loss": 0.41}`` ends an epoch; an object without ``epoch`` updates the metrics. In a trial that
    reports by steps, ``step`` takes the place of ``epoch``. ``null`` is a number that is not finite, as JavaScript
    writes it. Several objects on one line are read in order. Other lines are ignored. Colours, byte order marks and
    other characters that a terminal does not show are removed first.
    """

    reports: Reports
    streams: Collection[Stream] = BOTH
    _unread: list[str] = field(default_factory=list)
    _n_unread: int = 0

    def poll(self) -> Iterator[EpochEnded]:
        """Do nothing: there are no files."""
        return iter(())

    def read(self, line: str, stream: Stream = Stream.STDOUT) -> Iterator[EpochEnded]:
        """Read the objects of a line; see `MetricsReader.read`."""
        if stream not in self.streams or "{" not in line:  # most lines: they are left out cheaply
            return
        objects = _objects(line)
        if not objects:
            self._note_unread(line)
        for values in objects:
            event = self._read_object(values)
            if event is not None:
                yield event

    def _read_object(self, values: dict[str, Any]) -> EpochEnded | None:
        name_of_number = STEP if self.reports.is_by_step and STEP in values else "epoch"
        epoch = values.pop(name_of_number, None)
        for name in self.reports.job.task.objective.metrics:
            if name in values and _number(values[name]) is None:
                self._refuse(name, values[name], "number")
                return None
        count = math.nan if epoch is None else _number(epoch)
        if count is None or (epoch is not None and not math.isfinite(count)):
            self._refuse(name_of_number, epoch, "whole number")
            return None
        metrics = {name: number for name, value in values.items() if (number := _number(value)) is not None}
        if not count.is_integer():
            self.reports.update(metrics)
            return None
        return self.reports.epoch_ended(epoch if isinstance(epoch, int) else int(count), metrics)

    def close(self) -> Iterator[EpochEnded]:
        """Do nothing: every object is read at once."""
        return iter(())

    def explanation(self, clean: Callable[[str], str]) -> str:
        """A message about lines that look like reports and were not read; empty if there are none."""
        if not self._n_unread:
            return ""
        more = f" and {self._n_unread - len(self._unread)} more" * (self._n_unread > len(self._unread))
        lines = ", ".join(f"`{short_line(clean(line))}`" for line in self._unread)
        return f"lines that looked like JSON were not read: {lines}{more} (print JSON objects on lines of their own)"

    def _note_unread(self, line: str) -> None:
        plain = _CONTROL.sub("", line).strip()
        if plain.startswith("{"):
            self._n_unread += 1
            if len(self._unread) < _SHOWN_LINES:
                self._unread.append(plain)

    def _refuse(self, name: str, value: Any, what: str) -> None:
        if self.reports.failure is None:
            text = short_repr(value) if type(value) is int else json.dumps(value)
            cause = f"the program reported {name} as {text}, which is no {what}"
            self.reports.failure = Failure(FailureKind.ERROR, cause)


def _objects(line: str) -> list[dict[str, Any]]:
    """The JSON objects that a line consists of; an empty list if it holds anything else."""
    for text in dict.fromkeys((line, _CONTROL.sub("", line))):
        with suppress(ValueError, RecursionError):
            objects, rest = [], text.strip()
            while rest.startswith("{"):
                values, end = DECODER.raw_decode(rest)
                objects.append(values)
                rest = rest[end:].lstrip()
            if not rest:
                return objects
    return []


def _number(value: Any) -> float | None:
    """A JSON value as a metric; None if it is not a number."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


@dataclass(slots=True)
class Patterns:
    """Reads metrics with regular expressions; each is searched in every line.

    The line that matches the objective's pattern ends an epoch, with the metrics that other patterns have found since
    the last one. The pattern named ``epoch`` finds its number. Without it, epochs are counted: from 1 if the program
    starts anew (``is_anew``), and else from the last recorded one.

    In a trial that reports by steps, such a line is a step, and the pattern named ``step`` finds its number. If there
    is also a pattern named ``epoch``, an epoch ends when that number changes, with the values of its last step.
    """

    patterns: Mapping[str, re.Pattern[str]]
    reports: Reports
    is_anew: bool = False
    streams: Collection[Stream] = BOTH
    _metrics: dict[str, float] = field(default_factory=dict)
    _ignored: str = ""  # a line of a stream that is not read, which holds the objective
    _epoch: float = math.nan
    _rows: EpochRows = field(init=False)

    def __post_init__(self) -> None:
        self._rows = EpochRows(self.reports, holds=True)

    def poll(self) -> Iterator[EpochEnded]:
        """Do nothing: there are no files."""
        return iter(())

    def read(self, line: str, stream: Stream = Stream.STDOUT) -> Iterator[EpochEnded]:
        """Search a line for every metric; see `MetricsReader.read`."""
        if stream not in self.streams:
            pattern = self.patterns.get(self.reports.job.task.objective.metric)
            if not self._ignored and pattern is not None and pattern.search(line):
                self._ignored = line
            return
        if self._is_found(line):
            yield from self._report()

    def _is_found(self, line: str) -> bool:
        """Keep the metrics of a line; whether it has the objective."""
        plain = _CONTROL.sub("", line)
        texts = {
            name: _with_exponent(match)
            for name, pattern in self.patterns.items()
            if (match := pattern.search(line) or pattern.search(plain))
        }
        for name, text in texts.items():
            try:
                self._metrics[name] = _written_number(text)
            except (TypeError, ValueError):
                cause = f"the pattern of {name} found {short_repr(text)}, which is no number"
                self.reports.failure = self.reports.failure or Failure(FailureKind.ERROR, cause)
                return False
        return self.reports.job.task.objective.metric in texts

    def _report(self) -> Iterator[EpochEnded]:
        """Report the metrics that were found since the last report."""
        metrics, self._metrics = self._metrics, {}
        is_by_step = self.reports.is_by_step
        if is_by_step and "epoch" in self.patterns:
            metrics.pop(STEP, None)
            self._epoch = metrics.pop("epoch", self._epoch)  # of this line or an earlier one
            yield from self._rows.add(whole(self._epoch), metrics)
            return
        count, is_anew = metrics.pop(STEP if is_by_step else "epoch", math.nan), self.is_anew
        self.is_anew = False
        number = int(count) if count.is_integer() else 1 if is_anew else self.reports.next_epoch
        event = self.reports.epoch_ended(number, metrics)
        if event is not None:
            yield event

    def close(self) -> Iterator[EpochEnded]:
        """Add the metrics found after the last epoch to the trial."""
        yield from self._rows.close()
        for name in ("epoch", STEP) if self.reports.is_by_step else ("epoch",):
            self._metrics.pop(name, None)
        self.reports.update(self._metrics)

    def explanation(self, clean: Callable[[str], str]) -> str:
        """A message if the objective's pattern matches only on the stream that is not read; else empty."""
        if not self._ignored or self.reports.missing != self.reports.job.task.objective.metric:
            return ""
        (read,) = self.streams
        return (
            f"the pattern of {self.reports.missing} matches a line on the other stream, and only {read} is read: "
            f"`{short_line(clean(self._ignored))}` (use `metrics_from: both`)"
        )


def _with_exponent(match: re.Match[str]) -> str:
    """The text that a pattern found. If it ends inside a number such as ``5e-05``, the exponent is added.

    Without it, ``([0-9.]+)`` reads the small loss ``5e-05`` as 5, and a search takes the best trial for the worst.
    """
    text = match[1]
    if text and text[-1] in "0123456789." and _MANTISSA.fullmatch(text):
        exponent = _EXPONENT.match(match.string, match.end(1))
        return text + exponent[0] if exponent else text
    return text


def _written_number(text: str) -> float:
    """The number that a pattern found: ASCII digits, without colours.

    Raises:
        TypeError, ValueError: the pattern found nothing, or no number.
    """
    plain = _CONTROL.sub("", text)
    if "_" in plain or not plain.isascii():  # Python's float accepts both
        raise ValueError(plain)
    return float(plain)


def last_lines(stdout: str, stderr: str) -> str:
    """The last lines that a program printed, as one line for a message; empty if it printed none."""
    parts = [
        f"its last lines on {name}: {', '.join(f'`{line}`' for line in lines)}"
        for name, text in (("stdout", stdout), ("stderr", stderr))
        if (lines := _last(text.splitlines()))
    ]
    return "; ".join(parts)


def _last(lines: Iterable[str]) -> list[str]:
    shown = [short_line(plain) for line in lines if (plain := _CONTROL.sub("", line).strip())]
    return shown[-_SHOWN_LINES:]


def short_line(line: str) -> str:
    """The first 120 characters of a line, without control characters."""
    return shorten(_CONTROL.sub("", line).strip(), _SHOWN_CHARACTERS)
