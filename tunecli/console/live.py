"""The display of a running sweep on stderr: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.text import Text

from tunecli.console import Console, plain
from tunecli.console.board import Board
from tunecli.console.drawing import decimals, drawing, number_of, score_of
from tunecli.messages import Ended, Event, Paused, Started, SweepInfo
from tunecli.objective import Objective
from tunecli.results.ranking import is_feasible
from tunecli.text import counted, duration, sanitize, shorten
from tunecli.trial import FailedAttempt, Failure, FailureKind, State, Trial

_REFRESH_HZ = 4
_LONGEST_CAUSE = 300
_N_SPARSE = 10  # of the lines that say how far a sweep is


class PlainDisplay:
    """One line for each trial that ends, for pipes, logs and `--json`.

    Args:
        say: prints a line.
        show_notices: shows the notices of the engine at each change; None: a line for each new one.
    """

    def __init__(
        self, say: Callable[[str], None], show_notices: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        self._say, self._show_notices = say, show_notices
        self._notices: Sequence[str] = ()
        self.board: Board | None = None

    def began(self, heading: SweepInfo, trials: Sequence[Trial]) -> None:
        board = self.board = Board(heading, {trial.number: trial for trial in trials})
        if board.n_ended >= heading.n_trials:
            self._say(_recorded(board))
            return
        before = f", {board.n_ended} of them recorded" if board.n_ended else ""
        at_a_time = f"{heading.n_workers} at a time" if heading.n_workers > 1 else "one at a time"
        self._say(f"{heading.study}: {counted(heading.n_trials, 'trial')}{before}, {at_a_time}")

    def suggested(self, trial: Trial) -> None:
        if self.board:
            self.board.suggested(trial)

    def happened(self, event: Event | FailedAttempt) -> None:
        if self.board is None:
            return
        self.board.happened(event)
        if isinstance(event, Ended | Paused):
            self._say(_line(self.board, event))
        if isinstance(event, Started | Ended) and event.note:
            self._say(f"trial {event.number}: {sanitize(event.note)}")
        elif isinstance(event, FailedAttempt) and event.failure.kind is not FailureKind.INTERRUPTED:
            self._say(f"trial {event.number}: {_failed(event.failure)}; retrying")

    def noticed(self, notices: Sequence[str]) -> None:
        before, self._notices = self._notices, notices
        if self._show_notices is not None:
            self._show_notices(notices)
            return
        for notice in notices:
            if notice not in before:
                self._say(f"waiting: {sanitize(notice)}")

    def ended(self) -> None:
        """Nothing is left to close."""


class SparseDisplay:
    """A few lines of `PlainDisplay`: each tenth of the trials, each new best one, and all that failed.

    For a notebook, where each line stays on the page.

    Args:
        say: prints a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lines: list[str] = []
        self._plain = PlainDisplay(self._lines.append)
        self._next, self._step, self._total = 1, 1, 1
        self._best: list[int] = []

    def began(self, heading: SweepInfo, trials: Sequence[Trial]) -> None:
        self._plain.began(heading, trials)
        self._show()
        self._total = heading.n_trials
        self._step = max(1, -(-heading.n_trials // _N_SPARSE))
        self._best = self._leaders()

    def suggested(self, trial: Trial) -> None:
        self._plain.suggested(trial)

    def happened(self, event: Event | FailedAttempt) -> None:
        self._plain.happened(event)
        board = self._plain.board
        leaders = self._leaders()
        is_trial = isinstance(event, Ended | Paused)
        has_failed = isinstance(event, FailedAttempt) or (
            isinstance(event, Ended) and bool(event.outcome.failure)
        )
        is_due = board is not None and (board.n_ended >= self._next or board.n_ended == self._total)
        if not is_trial or is_due or has_failed or leaders != self._best:
            self._show()
        self._lines.clear()
        if board is not None and is_due and is_trial:
            self._next = board.n_ended + self._step
        self._best = leaders

    def noticed(self, notices: Sequence[str]) -> None:
        self._lines.clear()
        self._plain.noticed(notices)
        self._show()

    def ended(self) -> None:
        """Nothing is left to close."""

    def _leaders(self) -> list[int]:
        return [] if self._plain.board is None else [trial.number for trial in self._plain.board.leaders]

    def _show(self) -> None:
        for line in self._lines:
            self._say(line)
        self._lines.clear()


class LiveDisplay:
    """A table that is redrawn in place: progress, the best trials, the running trials."""

    def __init__(self, console: RichConsole) -> None:
        self._console = console
        self._board: Board | None = None
        self._live: Live | None = None

    def began(self, heading: SweepInfo, trials: Sequence[Trial]) -> None:
        board = self._board = Board(heading, {trial.number: trial for trial in trials})
        if board.n_ended >= heading.n_trials:
            self._console.print(plain(_recorded(board)))
        self._live = Live(
            get_renderable=self._drawn, console=self._console, refresh_per_second=_REFRESH_HZ, transient=True
        )
        self._live.start()

    def suggested(self, trial: Trial) -> None:
        if self._board:
            self._board.suggested(trial)

    def happened(self, event: Event | FailedAttempt) -> None:
        if self._board:
            self._board.happened(event)

    def noticed(self, notices: Sequence[str]) -> None:
        if self._board:
            self._board.notices = tuple(notices)

    def ended(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _drawn(self) -> Group | Text:
        return Text() if self._board is None else drawing(self._board, *self._console.size)


def display_for(console: Console) -> PlainDisplay | LiveDisplay:
    """A live table for a terminal, plain lines for a pipe, a log or `--json`."""
    terminal = console.live()
    if terminal is not None:
        return LiveDisplay(terminal)
    if not console.is_json:
        return PlainDisplay(console.say)
    return PlainDisplay(console.say, lambda notices: console.event("notices", {"waits_for": [*notices]}))


def _recorded(board: Board) -> str:
    """That all trials are recorded; nothing is left to do unless a paused trial may continue."""
    n = board.heading.n_trials
    recorded = "the trial is recorded" if n == 1 else f"all {n:,} trials are recorded"
    is_over = all(trial.state in (State.COMPLETE, State.FAILED) for trial in board.trials.values())
    return f"{board.heading.study}: {'nothing to do: ' * is_over}{recorded}"


def _line(board: Board, event: Ended | Paused) -> str:
    outcome, heading = event.outcome, board.heading
    parts = [f"[{board.n_ended}/{heading.n_trials}] trial {event.number}"]
    if outcome.failure is not None:
        parts.append(f"failed ({_failed(outcome.failure)})")
    else:
        parts.append(
            outcome.state.shown.value
            if outcome.score is None
            else _metrics(board.trials[event.number], heading.objective)
        )
    if isinstance(event, Paused):
        parts.append(f"paused after epoch {outcome.epochs}")
    if heading.objective.further_objectives and len(board.leaders) > 1:
        parts.append(f"{len(board.leaders)} on the front")
    elif board.leaders:
        (leader,) = board.leaders
        is_broken = not is_feasible(leader, heading.objective)
        score = decimals(score_of(leader), heading.objective.metric)
        parts.append(f"best {score} (trial {leader.number}{', not feasible' * is_broken})")
    left = board.seconds_left
    if left is not None and board.n_ended < heading.n_trials:
        parts.append(f"about {duration(left)} left")
    return "  ".join(parts)


def _metrics(trial: Trial, objective: Objective) -> str:
    """A trial's goals, and the constraints that it breaks."""
    metrics = trial.outcome.metrics if trial.outcome else {}
    goals = [f"{goal.metric} {number_of(trial, goal.metric, objective)}" for goal in objective.goals]
    excesses = zip(objective.constraints, objective.violations(metrics), strict=True)
    broken = [f"breaks {constraint}" for constraint, excess in excesses if excess > 0]
    return "  ".join([*goals, *broken])


def _failed(failure: Failure) -> str:
    return f"{failure.kind}: {shorten(sanitize(failure.cause), _LONGEST_CAUSE)}"
