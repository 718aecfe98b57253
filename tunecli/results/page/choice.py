"""The selection of trials, parameters and parts of texts for a page that cannot show all of them.

A page of 100,000 trials or 1,000 parameters is as large as one of a few hundred, and names the omitted ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from shlex import quote
from typing import TypeVar

from tunecli.effects import Reliability
from tunecli.results.report import Axis, Report
from tunecli.text import sanitize, shorten
from tunecli.trial import Scalar, Trial

MAX_TEXT = 160  # characters of a name, a label or a cause
_BRANCH = re.compile(r"\{[^{}]*\}")
_Item = TypeVar("_Item")


def spread(ranked: Sequence[_Item], n: int) -> list[_Item]:
    """At most ``n`` of the items in their order: the first half of them, then an even spread over the others.

    Args:
        ranked: the best first.
        n: at least 1.
    """
    if len(ranked) <= n:
        return list(ranked)
    n_first = n // 2
    others, n_others = ranked[n_first:], n - n_first
    return [*ranked[:n_first], *(others[i * len(others) // n_others] for i in range(n_others))]


def shown_axes(report: Report, n: int) -> list[tuple[int, Axis]]:
    """At most ``n`` axes in the order of the file, each with its place in `Report.axes`.

    Of more axes, those with the largest shares are kept where the model says anything, else the first.
    """
    by_share = by_importance(report)
    return [(place, report.axes[place]) for place in sorted(by_share[:n])]


def by_importance(report: Report) -> list[int]:
    """The places of the axes in `Report.axes`, the largest share of the variance first.

    Parameters of which nothing is known follow in the order of the file. Where the model cannot be trusted at all, all
    of them are in that order.
    """

    def share(place: int) -> float:
        effect = report.effects.of(report.axes[place].name)
        return effect.share.mean if effect is not None and effect.is_known else -1.0

    places = range(len(report.axes))
    if report.effects.reliability is Reliability.UNKNOWN:
        return list(places)
    return sorted(places, key=lambda place: (-share(place), place))


def path_of(axis: Axis) -> str:
    """The path of an axis' parameter: ``optimizer.lr`` of ``optimizer.lr (adamw)`` and of ``optimizer{adamw}.lr``."""
    return _BRANCH.sub("", axis.name.partition(" (")[0])


def value_of(trial: Trial, axis: Axis) -> Scalar:
    """The value of an axis' parameter; None: the trial has no value under its path."""
    return trial.parameters.get(axis.name, trial.parameters.get(path_of(axis)))


def run_argument(path: str) -> str:
    """A run folder as a word of a command that a reader can paste.

    A path with invisible characters is left to the reader, since a pasted line end would run a command.
    """
    if not path or sanitize(path) != path:
        return "RUN"
    return quote(f"./{path}" if path.startswith("-") else path)


def name_text(text: str) -> str:
    """A name, a label or a cause on one line, at most `MAX_TEXT` characters."""
    return shorten(sanitize(text), MAX_TEXT)
