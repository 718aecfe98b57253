"""What a person sees while a sweep runs: a live table on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunecli.console import Console, plain
from tunecli.results.ranking import is_feasible, leading, rank
from tunecli.spec.metrics import METRICS
from tunecli.trial import (
    Ended,
    EpochEnded,
    Event,
    FailureKind,
    Heading,
    Objective,
    Paused,
    Setback,
    Started,
    State,
    Trial,
)

_SHOWN_BEST = 5
_REFRESH_HZ = 4


@dataclass
class Board:
    """The sweep as the display knows it: trials by number, and how far the running ones are."""

    heading: Heading
    trials: dict[int, Trial]
    epochs: dict[int, EpochEnded] = field(default_factory=dict)
    running: dict[int, Trial] = field(default_factory=dict)
    leaders: list[Trial] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)
    n_ended: int = 0
    done_before: float = 0.0

    def __post_init__(self) -> None:
        self.leaders = leading(self.trials.values(), self.heading.objective)
        self.n_ended = sum(trial.outcome is not None for trial in self.trials.values())
        self.done_before = self.done

    @property
    def done(self) -> float:
        """How many trials are done, the running ones by their share of epochs."""
        epochs = [epoch for epoch in list(self.epochs.values()) if epoch.total_epochs]
        under_way = sum(epoch.epoch / epoch.total_epochs for epoch in epochs)
        return self.n_ended + under_way

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None while there is none."""
        gained = self.done - self.done_before
        if gained <= 0:
            return None
        return (time.monotonic() - self.began_at) / gained * (self.heading.n_trials - self.done)

    def suggested(self, trial: Trial) -> None:
        self._put(trial)
        self.running[trial.number] = trial

    def happened(self, event: Event | Setback) -> None:
        if isinstance(event, EpochEnded):
            self.epochs[event.number] = event
        elif isinstance(event, Setback):
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


class PlainDisplay:
    """One line a trial that ended: for pipes, logs and `--json`."""

    def __init__(self, console: RichConsole) -> None:
        self._console = console
        self._board: Board | None = None

    def began(self, heading: Heading, trials: Sequence[Trial]) -> None:
        board = self._board = Board(heading, {trial.number: trial for trial in trials})
        before = f", {board.n_ended} of them on record" if board.n_ended else ""
        self._say(f"{heading.study}: {heading.n_trials} trials{before}, {heading.n_workers} at a time")

    def suggested(self, trial: Trial) -> None:
        if self._board:
            self._board.suggested(trial)

    def happened(self, event: Event | Setback) -> None:
        if self._board is None:
            return
        self._board.happened(event)
        if isinstance(event, Ended | Paused):
            self._say(_line(self._board, event))
        if isinstance(event, Started | Ended) and event.note:
            self._say(f"trial {event.number}: {event.note}")
        elif isinstance(event, Setback) and event.failure.kind is not FailureKind.INTERRUPTED:
            failure = event.failure
            self._say(f"trial {event.number}: {failure.kind}: {failure.cause}; it is tried again")

    def ended(self) -> None:
        """Lines need no end."""

    def _say(self, line: str) -> None:
        # as it is: to have rich lay out a line takes longer than to record the trial that it tells of
        self._console.file.write(f"{plain(line)}\n")
        self._console.file.flush()


class LiveDisplay:
    """A table that is redrawn in place: progress, the best so far, what runs now."""

    def __init__(self, console: RichConsole) -> None:
        self._console = console
        self._board: Board | None = None
        self._live: Live | None = None

    def began(self, heading: Heading, trials: Sequence[Trial]) -> None:
        self._board = Board(heading, {trial.number: trial for trial in trials})
        self._live = Live(
            get_renderable=self._drawn, console=self._console, refresh_per_second=_REFRESH_HZ, transient=True
        )
        self._live.start()

    def suggested(self, trial: Trial) -> None:
        if self._board:
            self._board.suggested(trial)

    def happened(self, event: Event | Setback) -> None:
        if self._board:
            self._board.happened(event)

    def ended(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _drawn(self) -> Group | Text:
        return Text() if self._board is None else drawing(self._board, self._console.width)


def display_for(console: Console) -> PlainDisplay | LiveDisplay:
    """Lines for programs, pipes and logs; a table for a terminal."""
    return (
        PlainDisplay(console.err)
        if console.is_json or not console.err.is_terminal
        else LiveDisplay(console.err)
    )


def drawing(board: Board, width: int) -> Group:
    """The board as it is drawn on a terminal ``width`` columns wide."""
    heading = board.heading
    left = board.seconds_left
    failed = sum(trial.state is State.FAILED for trial in list(board.trials.values()))
    parts = [
        f"{heading.study}  {board.n_ended}/{heading.n_trials} trials",
        f"{duration(time.monotonic() - board.began_at)} gone",
        "" if left is None else f"about {duration(left)} left",
        f"{failed} failed" if failed else "",
    ]
    title = plain("  ·  ".join(part for part in parts if part))
    bar = Table.grid()
    bar.add_row(ProgressBar(total=heading.n_trials, completed=board.done, width=min(width, 80)))
    return Group(title, bar, _best_table(board), _running_table(board))


def _best_table(board: Board) -> Table:
    objective = board.heading.objective
    complete = [
        trial for trial in list(board.trials.values()) if trial.state is State.COMPLETE and trial.outcome
    ]
    front = ("front",) if objective.others else ()
    feasible = ("feasible",) if objective.constraints else ()
    table = _table("rank", "trial", *front, *feasible, *objective.metrics, "parameters")
    for each in rank(complete, objective)[:_SHOWN_BEST]:
        marks = [str(each.front or "—")] * bool(front) + ["yes" if each.is_feasible else "no"] * bool(
            feasible
        )
        metrics = [_number(each.trial, name, objective) for name in objective.metrics]
        numbers = (str(each.rank or "—"), str(each.trial.number))
        table.add_row(*numbers, *marks, *metrics, plain(_parameters(each.trial)))
    return table


def _running_table(board: Board) -> Table:
    table = _table("now", "trial", "epoch", "parameters")
    for trial in list(board.running.values()):
        epoch = board.epochs.get(trial.number)
        at = "starting" if epoch is None else f"{epoch.epoch}/{epoch.total_epochs or '?'}"
        table.add_row("▸", str(trial.number), at, plain(_parameters(trial)))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for column in columns:
        is_wide = column == "parameters"
        table.add_column(
            column, justify="left" if is_wide else "right", ratio=1 if is_wide else None, no_wrap=True
        )
    return table


def _line(board: Board, event: Ended | Paused) -> str:
    outcome, heading = event.outcome, board.heading
    parts = [f"[{board.n_ended}/{heading.n_trials}] trial {event.number}"]
    if outcome.failure is not None:
        parts.append(f"failed ({outcome.failure.kind}: {outcome.failure.cause})")
    else:
        parts.append(
            outcome.state.value
            if outcome.score is None
            else _told(board.trials[event.number], heading.objective)
        )
    if isinstance(event, Paused):
        parts.append(f"paused after epoch {outcome.epochs}")
    if heading.objective.others and len(board.leaders) > 1:
        parts.append(f"{len(board.leaders)} on the front")
    elif board.leaders:
        (leader,) = board.leaders
        is_broken = not is_feasible(leader, heading.objective)
        parts.append(f"best {_score(leader):.4f} (trial {leader.number}{', not feasible' * is_broken})")
    left = board.seconds_left
    if left is not None and board.n_ended < heading.n_trials:
        parts.append(f"about {duration(left)} left")
    return "  ".join(parts)


def _told(trial: Trial, objective: Objective) -> str:
    """A trial's goals, and which constraints it breaks."""
    metrics = trial.outcome.metrics if trial.outcome else {}
    goals = [f"{goal.metric} {_number(trial, goal.metric, objective)}" for goal in objective.goals]
    excesses = zip(objective.constraints, objective.excesses(metrics), strict=True)
    broken = [f"breaks {constraint}" for constraint, excess in excesses if excess > 0]
    return "  ".join([*goals, *broken])


def _number(trial: Trial, metric: str, objective: Objective) -> str:
    metrics = trial.outcome.metrics if trial.outcome else {}
    value = _score(trial) if metric == objective.metric else metrics.get(metric)
    if value is None:
        return "—"
    return f"{value:.0f}" if metric in METRICS and METRICS[metric].is_count else f"{value:.4f}"


def _score(trial: Trial) -> float:
    return trial.outcome.score if trial.outcome and trial.outcome.score is not None else float("nan")


def _parameters(trial: Trial) -> str:
    return "  ".join(f"{name} {_short(value)}" for name, value in trial.parameters.items())


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """``75`` → ``1m15s``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
