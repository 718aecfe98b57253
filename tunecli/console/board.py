"""The state behind the display of a sweep, its trials and its progress, and how a terminal shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunecli.config.metrics import METRICS
from tunecli.console import plain
from tunecli.console.layout import table_lines, wrapped
from tunecli.console.streams import spoken
from tunecli.messages import Ended, EpochEnded, Event, Paused, SweepInfo
from tunecli.objective import Objective
from tunecli.results.columns import short_names
from tunecli.results.importance import by_importance, importances
from tunecli.results.ranking import leading, rank
from tunecli.results.table import display_cell
from tunecli.results.view import Fit, Section
from tunecli.text import duration
from tunecli.trial import FailedAttempt, State, Trial

_SHOWN_BEST = 5
_SHOWN_RUNNING = 10


@dataclass
class Board:
    """The state of a sweep for its display: trials by number, and the last epoch of each running trial."""

    heading: SweepInfo
    trials: dict[int, Trial]
    epochs: dict[int, EpochEnded] = field(default_factory=dict)
    running: dict[int, Trial] = field(default_factory=dict)
    leaders: list[Trial] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)
    n_ended: int = 0
    done_before: float = 0.0
    order: tuple[str, ...] = ()
    n_ordered_at: int = -1

    def __post_init__(self) -> None:
        self.leaders = leading(self.trials.values(), self.heading.objective)
        self.n_ended = sum(trial.outcome is not None for trial in self.trials.values())
        self.done_before = self.done

    @property
    def done(self) -> float:
        """The number of ended trials, plus the fraction of its epochs for each running trial."""
        epochs = [epoch for epoch in list(self.epochs.values()) if epoch.total_epochs]
        running = sum(epoch.epoch / epoch.total_epochs for epoch in epochs)
        return self.n_ended + running

    @property
    def seconds_left(self) -> float | None:
        """The estimated time to the end, in seconds; None: no trial has made progress yet."""
        gained = self.done - self.done_before
        if gained <= 0:
            return None
        return (time.monotonic() - self.began_at) / gained * (self.heading.n_trials - self.done)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, the most important ones for the ended trials first."""
        is_older = self.n_ended >= self.n_ordered_at * 5 / 4 or self.n_ordered_at < 0
        if is_older and self.n_ended != self.n_ordered_at:
            trials = list(self.trials.values())
            names = self.heading.names or tuple(
                dict.fromkeys(n for trial in trials for n in trial.parameters)
            )
            self.order = tuple(by_importance(importances(trials, self.heading.objective, names)))
            self.n_ordered_at = self.n_ended
        return self.order

    def suggested(self, trial: Trial) -> None:
        self._put(trial)
        self.running[trial.number] = trial

    def happened(self, event: Event | FailedAttempt) -> None:
        if isinstance(event, EpochEnded):
            self.epochs[event.number] = event
        elif isinstance(event, FailedAttempt):
            self.epochs.pop(event.number, None)
            self.running.pop(event.number, None)
        elif isinstance(event, Ended | Paused):
            self.epochs.pop(event.number, None)
            trial = self.running.pop(event.number)
            ended = Trial(trial.number, trial.parameters, trial.seed, event.outcome.state, event.outcome)
            self._put(ended)
            self.leaders = leading([*self.leaders, ended], self.heading.objective)

    def _put(self, trial: Trial) -> None:
        before = self.trials.get(trial.number)
        self.n_ended += (trial.outcome is not None) - (before is not None and before.outcome is not None)
        self.trials[trial.number] = trial


def drawing(board: Board, width: int) -> Group:
    """The board for a terminal with ``width`` columns."""
    heading = board.heading
    left = board.seconds_left
    failed = sum(trial.state is State.FAILED for trial in list(board.trials.values()))
    parts = [
        heading.study,
        f"{board.n_ended}/{heading.n_trials} trials",
        f"{duration(time.monotonic() - board.began_at)} elapsed",
        "" if left is None else f"about {duration(left)} left",
        f"{failed} failed" if failed else "",
    ]
    title = plain("\n".join(wrapped(_spoken("  ·  ".join(part for part in parts if part)), width)))
    bar = Table.grid()
    bar.add_row(ProgressBar(total=heading.n_trials, completed=board.done, width=min(width, 80)))
    tables = [table for table in (_best_table(board), _running_table(board)) if table.rows]
    return Group(title, bar, *(_drawn_table(table, width) for table in tables))


def _drawn_table(section: Section, width: int) -> Text:
    heading, *rows = table_lines(section, width, _spoken("…"))
    table = Text(no_wrap=True, overflow="crop")
    table.append(f"\n{heading}", style="dim")
    return table.append("".join(f"\n{row}" for row in rows))


def _spoken(text: str) -> str:
    return spoken(text, sys.stderr)


def _best_table(board: Board) -> Section:
    objective = board.heading.objective
    complete = [
        trial for trial in list(board.trials.values()) if trial.state is State.COMPLETE and trial.outcome
    ]
    front = ("front",) if objective.further_objectives else ()
    feasible = ("feasible",) if objective.constraints else ()
    rows = []
    for row in rank(complete, objective)[:_SHOWN_BEST]:
        marks = [str(row.front or "—")] * bool(front) + ["yes" if row.is_feasible else "no"] * bool(feasible)
        metrics = [number_of(row.trial, name, objective) for name in objective.metrics]
        rows.append((row.trial, (str(row.rank or "—"), str(row.trial.number), *marks, *metrics)))
    return _table(board, ("rank", "trial", *front, *feasible, *objective.metrics), rows)


def _running_table(board: Board) -> Section:
    metric = board.heading.objective.metric
    rows = []
    running = list(board.running.values())
    for trial in running[:_SHOWN_RUNNING]:
        epoch = board.epochs.get(trial.number)
        at = "starting" if epoch is None else f"{epoch.epoch}/{epoch.total_epochs or '?'}"
        value = None if epoch is None else epoch.metrics.get(metric)
        rows.append((trial, ("▸", str(trial.number), at, "—" if value is None else decimals(value, metric))))
    if n_more := len(running) - len(rows):
        rows.append((Trial(-1, {}, 0), ("", f"+{n_more}", "", "")))
    return _table(board, ("now", "trial", "epoch", metric), rows)


def _table(
    board: Board, leading_columns: tuple[str, ...], rows: Iterable[tuple[Trial, tuple[str, ...]]]
) -> Section:
    """A table of trials: the leading columns, and as many parameters as the width allows."""
    names, labels = board.heading.names or sorted(board.names), board.heading.labels
    short = short_names(names, leading_columns)
    texts = [
        (*cells, *(_value(trial, name, labels.get(name, {})) for name in names)) for trial, cells in rows
    ]
    n = len(leading_columns)
    place_of = {name: n + place for place, name in enumerate(names)}
    used = [name for name in board.names if any(row[place_of[name]] not in ("", "—") for row in texts)]
    fit = Fit(
        tuple(map(_spoken, (*leading_columns, *short.values()))),
        tuple(range(n)),
        tuple(place_of[name] for name in used),
    )
    return Section("", (*leading_columns, *names), tuple(tuple(map(_spoken, row)) for row in texts), fit)


def _value(trial: Trial, name: str, labels: Mapping[str, str]) -> str:
    if name not in trial.parameters:
        return "—" if trial.number >= 0 else ""
    value = trial.parameters[name]
    if isinstance(value, float):
        return labels.get(repr(value)) or f"{value:.3g}"
    return labels.get(repr(value)) or display_cell("null" if value is None else value)


def number_of(trial: Trial, metric: str, objective: Objective) -> str:
    metrics = trial.outcome.metrics if trial.outcome else {}
    value = score_of(trial) if metric == objective.metric else metrics.get(metric)
    if value is None:
        return "—"
    return decimals(value, metric)


def decimals(value: float, metric: str) -> str:
    """The value with four decimals, or with four digits if it is very small or large."""
    if metric in METRICS and METRICS[metric].is_count:
        return f"{value:.0f}"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


def score_of(trial: Trial) -> float:
    return trial.outcome.score if trial.outcome and trial.outcome.score is not None else float("nan")
