"""Draws a sweep that runs for a terminal: progress, best trials, and running trials with their notable values."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunecli.config.metrics import METRICS
from tunecli.console import plain
from tunecli.console.board import Board, Running
from tunecli.console.layout import clip, padded, table_lines, wrapped
from tunecli.console.streams import spoken
from tunecli.objective import Objective
from tunecli.results.columns import short_names
from tunecli.results.notable import Notable
from tunecli.results.progress import failures_text, sparkline
from tunecli.results.table import display_cell
from tunecli.results.view import Fit, Section
from tunecli.text import duration, sanitize
from tunecli.trial import Scalar, Trial

_LEAST_LINES = 12
_MOST_RUNNING = 30
_FEW_RUNNING = 4  # each of them may take a second line
_MOST_NOTICES = 3
_WIDE = 120  # from here on the notable values have a column
_NOTABLE_WIDTH = 28
_NARROW = 60  # below it there are none beside a long list of trials
_CURVE_WIDTH = 8
_SPARK_WIDTH = 40
_GAP = "  "


def drawing(board: Board, width: int, height: int = 24) -> Group:
    """The board for a terminal with ``width`` columns and ``height`` lines."""
    heading = board.heading
    left = board.seconds_left
    parts = [
        heading.study,
        f"{board.n_ended}/{heading.n_trials} trials",
        f"{duration(board.elapsed_s)} elapsed",
        "" if left is None else f"about {duration(left)} left",
        str(board.pace),
        failures_text(board.failures),
    ]
    title = _title([_spoken(part) for part in parts if part], width)
    bar = Table.grid()
    bar.add_row(ProgressBar(total=heading.n_trials, completed=board.done, width=min(width, 80)))
    best = [line] if (line := _best_line(board, width)) else []
    table = _best_table(board)
    best += ["", *table_lines(table, width, _spoken("…"))] if table.rows else []
    waiting = _notice_lines(board, width)
    room = max(height, _LEAST_LINES) - 1 - len(title) - 1 - len(best) - len(waiting)
    running = _lines(_running_lines(board, width, room))
    notices = [plain("\n".join(waiting))] if waiting else []
    return Group(plain("\n".join(title)), bar, *notices, _lines(best), running)


def _notice_lines(board: Board, width: int) -> list[str]:
    """A line for each of the first notices of the engine, and the number of further ones."""
    shown = [f"waiting: {sanitize(notice)}" for notice in board.notices[:_MOST_NOTICES]]
    n_more = len(board.notices) - len(shown)
    lines = [clip(_spoken(text), width, _spoken("…")) for text in shown]
    return [*lines, f"and for {n_more} more reasons"] if n_more else lines


def _title(parts: Sequence[str], width: int) -> list[str]:
    """The parts in one or more lines; a part is broken only if it is longer than a line."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}{_spoken('  ·  ')}{part}" if lines else part
        if lines and cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines += wrapped(part, width)
    return lines


def _lines(lines: Sequence[str]) -> Text:
    """Lines that are cut at the terminal's end; the one after an empty line is a heading."""
    text = Text(no_wrap=True, overflow="crop")
    for place, line in enumerate(lines):
        is_heading = place > 0 and not lines[place - 1]
        text.append(f"{'' if place == 0 else chr(10)}{line}", style="dim" if is_heading else "")
    return text


def _spoken(text: str) -> str:
    return spoken(text, sys.stderr)


def _best_line(board: Board, width: int) -> str:
    """The best score, and its course over the trials' numbers."""
    if board.heading.objective.further_objectives or len(board.leaders) != 1:
        return ""
    leader, metric = board.leaders[0], board.heading.objective.metric
    text = _spoken(f"best {metric} {decimals(score_of(leader), metric)} (trial {leader.number})")
    values = board.best.values(min(_SPARK_WIDTH, width - cell_len(text) - len(_GAP)))
    return clip(f"{text}{_GAP}{_spoken(sparkline(values, _SPARK_WIDTH))}".rstrip(), width, _spoken("…"))


def _best_table(board: Board) -> Section:
    objective = board.heading.objective
    front = ("front",) if objective.further_objectives else ()
    feasible = ("feasible",) if objective.constraints else ()
    rows = []
    for row in board.ranked:
        marks = [str(row.front or "—")] * bool(front) + ["yes" if row.is_feasible else "no"] * bool(feasible)
        metrics = [number_of(row.trial, name, objective) for name in objective.metrics]
        rows.append((row.trial, (str(row.rank or "—"), str(row.trial.number), *marks, *metrics)))
    return _table(board, ("rank", "trial", *front, *feasible, *objective.metrics), rows)


def _running_lines(board: Board, width: int, room: int) -> list[str]:
    """An empty line, the heading, and the running trials with their notable values."""
    running = list(board.running.values())
    is_below = len(running) <= _FEW_RUNNING and width < _WIDE and room >= 2 + 2 * len(running)
    n_shown = len(running) if is_below else min(len(running), max(1, room - 3), _MOST_RUNNING)
    if len(running) == n_shown + 1 and room >= 2 + len(running):
        n_shown += 1
    if not running:
        return []
    shown = running[:n_shown]
    has_column = not is_below and width >= _NARROW
    section = _running_table(board, shown)
    short = short_names(board.heading.names)
    lines = table_lines(section, width - (_NOTABLE_WIDTH + 2) * has_column, _spoken("…"))
    if has_column:
        n = max(map(cell_len, lines))
        texts = ["stands out by", *(_notable_text(board, one.trial, short, width - n - 2) for one in shown)]
        lines = [f"{padded(line, n)}{_GAP}{text}".rstrip() for line, text in zip(lines, texts, strict=True)]
    elif is_below:
        notes = [_notable_text(board, one.trial, short, width - 4) for one in shown]
        pairs = [
            [line, f"    {note}"] if note else [line] for line, note in zip(lines[1:], notes, strict=True)
        ]
        lines = [lines[0], *(line for pair in pairs for line in pair)]
    n_more = len(running) - n_shown
    return ["", *lines, *([f"     +{n_more} more"] if n_more else [])]


def _running_table(board: Board, shown: Sequence[Running]) -> Section:
    """The running trials; a narrow terminal leaves out why they run, then how long, then their curves."""
    metric, now = board.heading.objective.metric, time.monotonic()
    columns = ("now", "trial", "epoch", metric, "curve", "time", "why")
    rows = []
    for one in shown:
        epoch = one.epoch
        at = "queued" if one.began_at is None else "starting"
        if epoch is not None:
            at = f"{epoch.epoch}/{epoch.total_epochs or '?'}"
        value = None if epoch is None else epoch.metrics.get(metric)
        cells = (
            "▸",
            str(one.trial.number),
            at,
            "—" if value is None else decimals(value, metric),
            sparkline(list(one.curve.values()), _CURVE_WIDTH),
            "" if one.began_at is None else duration(now - one.began_at),
            one.why,
        )
        rows.append(tuple(map(_spoken, cells)))
    headings = tuple(map(_spoken, columns))
    return Section("", headings, tuple(rows), Fit(headings, (0, 1, 2, 3), (4, 5, 6)))


def _notable_text(board: Board, trial: Trial, short: Mapping[str, str], width: int) -> str:
    """The notable values of a trial, as many as fit; those that they are compared with follow where there is room."""
    notable, labels = board.notable(trial), board.heading.labels
    if not notable:
        if any(row.rank is not None for row in board.ranked):
            return clip(_spoken("near the best trials"), width, _spoken("…"))
        order = [name for name in board.importance_of if name in trial.parameters] or list(trial.parameters)
        notable = [Notable(name, trial.parameters[name]) for name in order[:3]]
    plain_texts = [
        f"{short.get(one.name, one.name)} {_shown(one.value, labels.get(one.name, {}))}" for one in notable
    ]
    notes = [_note(one, labels.get(one.name, {})) for one in notable]
    texts: list[str] = []
    for text in map(_spoken, plain_texts):
        if cell_len(", ".join([*texts, text])) <= width:
            texts.append(text)
    for place in range(len(texts)):
        longer = list(texts)
        longer[place] += _spoken(notes[plain_texts.index(plain_texts[place])])
        if cell_len(", ".join(longer)) <= width:
            texts = longer
    return ", ".join(texts) or clip(_spoken(plain_texts[0]) if plain_texts else "", width, _spoken("…"))


def _note(one: Notable, labels: Mapping[str, str]) -> str:
    """The values that a notable value is compared with, in parentheses."""
    if one.ends:
        low, high = (_shown(end, labels) for end in one.ends)
        return f" ({one.against} {low if low == high else f'{low} to {high}'})"
    if one.against == "best":
        return " (only here, none of the best)" if one.is_alone else " (none of the best)"
    return " (only here)" if one.is_alone else ""


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
    return _shown(trial.parameters[name], labels) if name in trial.parameters else "—"


def _shown(value: Scalar, labels: Mapping[str, str]) -> str:
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
