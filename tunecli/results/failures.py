"""Failures as texts: the line of the user's own code that failed, and groups of trials with the same failure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from tunecli.text import sanitize, shorten
from tunecli.trial import Failure, FailureKind, Trial

STOPPED_BY_HAND = "a person ended the trial: tunecli stop --trial"
"""The recorded cause for trials that a person ended."""
_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d+)', re.MULTILINE)
_LIBRARY = re.compile(r"[/\\](site-packages|dist-packages|lib[/\\]python3[\d.]*)[/\\]|^<")
_PACKAGES = [path.parent.name for path in Path(__file__).parents[1].glob("*/__init__.py")]
# Records of older versions name the package `spec`.
_OURS = re.compile(rf"[/\\]tunecli[/\\]({'|'.join(['spec', *_PACKAGES])})[/\\]")
_LONGEST = 300
_SHOWN = 5
_SHOWN_TRIALS = 12


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file that an error came through."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{PurePath(self.path).name}:{self.line}"


def place_of(failure: Failure) -> Place | None:
    """The last line of the user's own code in the failure's traceback; None: the traceback has no such line."""
    frames = [Place(path, int(line)) for path, line in _FRAME.findall(failure.traceback)]
    own = [frame for frame in frames if not _LIBRARY.search(frame.path) and not _OURS.search(frame.path)]
    return own[-1] if own else None


def failure_line(failure: Failure) -> str:
    """Cause and place on one line of bounded length, such as ``ValueError: bad shape (own.py:3)``."""
    place = place_of(failure)
    cause = shorten(sanitize(failure.cause), _LONGEST)
    where = "" if place is None or str(place) in cause else f" ({sanitize(str(place))})"
    kind = "" if failure.kind is FailureKind.ERROR and cause else f"{failure.kind}: "
    return f"{kind}{cause}{where}"


def grouped(trials: Iterable[Trial]) -> tuple[str, ...]:
    """A line for each group of equal failures, the largest group first: number, cause, place and trials."""
    groups: dict[str, list[int]] = {}
    for trial in trials:
        if trial.outcome is not None and trial.outcome.failure is not None:
            groups.setdefault(failure_line(trial.outcome.failure), []).append(trial.number)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), min(group[1])))
    lines = [
        f"{_trials_failed(len(numbers))}: {why}: {_listed(numbers)}" for why, numbers in ordered[:_SHOWN]
    ]
    if rest := ordered[_SHOWN:]:
        n_trials = sum(len(numbers) for _, numbers in rest)
        lines.append(f"{_trials_failed(n_trials)} for {len(rest)} other reason{'s' if len(rest) > 1 else ''}")
    return tuple(lines)


def ended_early_lines(ended_early: Mapping[int, Failure]) -> tuple[str, ...]:
    """A line for the trials that are complete at a time limit, and one for those that a person ended.

    Args:
        ended_early: by number, the limit or the person that ended a trial; limits of epochs are left out.
    """
    timed = [number for number, why in ended_early.items() if why.kind is FailureKind.TIMEOUT]
    by_hand = [number for number, why in ended_early.items() if why.cause == STOPPED_BY_HAND]
    lines = []
    if timed:
        lines.append(f"a time limit ended {_listed(timed)}, with the score so far")
    if by_hand:
        lines.append(f"`tunecli stop` ended {_listed(by_hand)}")
    return tuple(lines)


def _trials_failed(n: int) -> str:
    return f"{n:,} trial{'s' if n > 1 else ''} failed"


def _listed(numbers: list[int]) -> str:
    numbers = sorted(numbers)
    more = f" and {len(numbers) - _SHOWN_TRIALS:,} more" if len(numbers) > _SHOWN_TRIALS else ""
    listed = ", ".join(map(str, numbers[:_SHOWN_TRIALS]))
    return f"trial{'s' if len(numbers) > 1 else ''} {listed}{more}"
