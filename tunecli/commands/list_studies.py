"""`tunecli list`: the studies in a folder, one row each, from a few quick reads of each record.

A study that cannot be read is a row that says why. `tunecli status` reads and checks the whole record.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunecli.config.objective_alone import objective_alone
from tunecli.errors import ConfigError, StoreDamaged, StoreTooNew, TunecliError, UsageError
from tunecli.objective import Objective
from tunecli.results.progress import BestSoFar
from tunecli.results.table import ABSENT, Cell, Table, to_csv, to_markdown
from tunecli.results.view import Fit, Section, View
from tunecli.store.annotation import Annotation, annotation_of
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder, studies_under
from tunecli.store.glance import holds_study
from tunecli.store.lock import holder
from tunecli.store.removal import is_removed_in_part
from tunecli.study.record.phase import number_ended, phase_of
from tunecli.text import sanitize, shown_bytes, shown_number

_MOST_NOTE = 60


@dataclass(frozen=True, slots=True)
class Listed:
    """One study of the list.

    Attributes:
        name: the name of its folder.
        path: the run folder.
        state: ``running``, ``finished``, ``interrupted``, ``damaged``, ``newer`` (a later tunecli wrote it),
            ``unreadable`` (this version refuses its file), or ``deleted in part``.
        why: why the record cannot be read; empty: it can.
        n_ended, n_trials: the trials that ended, and their total; None: unknown.
        objective: the first goal; None: unknown.
        best: the number and the score of the best trial; None: none has a score.
        began, changed: when it began, and when a trial last ended, ISO 8601 in UTC; empty: unknown.
        n_bytes: the size of its folder.
        annotation: its note and tags.
    """

    name: str
    path: str
    state: str
    why: str = ""
    n_ended: int | None = None
    n_trials: int | None = None
    objective: Objective | None = None
    best: tuple[int, float] | None = None
    began: str = ""
    changed: str = ""
    n_bytes: int = 0
    annotation: Annotation = field(default_factory=Annotation)


SORT_KEYS: Mapping[str, Callable[[Listed], Any]] = {
    "study": lambda one: one.name,
    "state": lambda one: one.state,
    "ended": lambda one: one.n_ended,
    "trials": lambda one: one.n_trials,
    "metric": lambda one: one.objective and one.objective.metric,
    "best": lambda one: one.best and one.best[1],
    "began": lambda one: one.began or None,
    "changed": lambda one: one.changed or None,
    "size": lambda one: one.n_bytes,
}
"""The columns that `--sort` takes."""


def studies(runs: Path, tag: str | None = None, sort_by: str | None = None) -> tuple[Listed, ...]:
    """The studies directly under a folder; the one that changed last comes first.

    Args:
        runs: the folder.
        tag: only studies with this tag; None: all.
        sort_by: the column to sort by, with a `-` in front to sort from high to low.

    Raises:
        UsageError: the folder is missing or is a study itself, or there is no such column.
    """
    column = (sort_by or "").strip()
    key = column.removeprefix("-")
    if sort_by is not None and key not in SORT_KEYS:
        raise UsageError(f"--sort: no column `{key}`", hint=f"use {', '.join(SORT_KEYS)}")
    folders = studies_under(runs)
    if holds_study(runs):
        raise UsageError(
            f"{runs} is a study itself", hint=f"tunecli status {runs}, or name the folder above it"
        )
    partly = sorted(path for path in runs.iterdir() if _is_removed_in_part(path))
    rows = [_listed(RunFolder(path)) for path in folders] + [_partly_deleted(path) for path in partly]
    rows = [one for one in rows if tag is None or tag in one.annotation.tags]
    if not column:
        return tuple(
            sorted(sorted(rows, key=lambda one: one.name), key=lambda one: one.changed, reverse=True)
        )
    value = SORT_KEYS[key]
    known = [one for one in rows if value(one) is not None]
    known.sort(key=lambda one: (value(one), one.name), reverse=column.startswith("-"))
    return (*known, *(one for one in rows if value(one) is None))


def _listed(folder: RunFolder) -> Listed:
    path, about = folder.path, annotation_of(folder.path)
    name, n_bytes = path.name, _size(path)
    try:
        folder.require_own_files()
        held_by = holder(path)
        with Log.open_to_read(folder.database_path, is_whole=False) as log:
            facts = log.facts()
            counts, sessions, end_times = log.counts(), log.sessions(), log.progress().end_times
            n_ended, n_trials = number_ended(counts), int(facts["plan"]["n_trials"])
            state = phase_of(log, facts, counts, is_held=held_by is not None)
            began = str(sessions[0]["at"]) if sessions else ""
            changed = end_times[-1] if end_times else str(sessions[-1]["at"]) if sessions else ""
            objective = objective_alone(
                facts["config"], tuple(facts.get("overrides", ())), str(folder.config_path)
            )
            objective = objective or _recorded_objective(facts, folder)
            best = _best(log, objective)
    except StoreTooNew as error:
        return Listed(name, str(path), "newer", error.message, n_bytes=n_bytes, annotation=about)
    except ConfigError as error:
        why = str(error.problems[0]) if error.problems else error.message
        return Listed(
            name, str(path), "unreadable", why, n_ended, n_trials, None, None, began, changed, n_bytes, about
        )
    except StoreDamaged as error:
        return Listed(name, str(path), "damaged", error.message, n_bytes=n_bytes, annotation=about)
    except TunecliError as error:  # no permission, a link in place of a file, a busy database
        return Listed(name, str(path), "unreadable", error.message, n_bytes=n_bytes, annotation=about)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"a record of the study is malformed ({error})"
        return Listed(name, str(path), "damaged", why, n_bytes=n_bytes, annotation=about)
    return Listed(
        name, str(path), state, "", n_ended, n_trials, objective, best, began, changed, n_bytes, about
    )


def _is_removed_in_part(path: Path) -> bool:
    try:
        return is_removed_in_part(path)
    except TunecliError:  # no permission to look into the folder
        return False


def _partly_deleted(path: Path) -> Listed:
    why = "its deletion was interrupted; `tunecli delete` finishes it"
    return Listed(path.name, str(path), "deleted in part", why, n_bytes=_size(path))


def _recorded_objective(facts: Mapping[str, Any], folder: RunFolder) -> Objective:
    from tunecli.study.record.facts import checked, recorded_spec

    return recorded_spec(checked(facts, folder.database_path), folder).objective


def _best(log: Log, objective: Objective) -> tuple[int, float] | None:
    if objective.further_objectives or objective.constraints:
        from tunecli.results.ranking import best

        winner = best(log.trials(), objective)
        score = winner.outcome.score if winner is not None and winner.outcome is not None else None
        return None if winner is None or score is None else (winner.number, score)
    best_so_far = BestSoFar(objective.sign)
    for number, score in log.scores():
        best_so_far.add(number, score)
    return best_so_far.best


def _size(path: Path) -> int:
    """The bytes of all files in a folder; links are not followed."""
    n_bytes, folders = 0, [str(path)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        n_bytes += entry.stat(follow_symlinks=False).st_size
        except OSError:  # removed just now, or no permission
            continue
    return n_bytes


_COLUMNS = (
    *("study", "state", "ended", "trials", "metric", "best", "trial", "began", "changed", "bytes"),
    *("tags", "note", "path"),
)


def list_view(rows: Sequence[Listed], runs: Path, tag: str | None = None, form: str = "table") -> View:
    """The studies as a table, and a sentence for each one that cannot be read."""
    data = {"folder": str(runs), "studies": [_data(one) for one in rows]}
    notes = tuple(f"{one.name}: {one.why}" for one in rows if one.why)
    messages: tuple[str, ...] = ()
    if not rows:
        kind = f" with the tag {tag}" if tag is not None else ""
        how = (
            ""
            if tag is not None
            else "; `tunecli init` writes a file to start from, `tunecli search FILE` runs it"
        )
        messages = (f"there are no studies{kind} in {runs}{how}",)
    if form in ("csv", "markdown"):
        table = Table(_COLUMNS, tuple(map(_row, rows)), 1)
        text = to_csv(table) if form == "csv" else to_markdown(table)
        return View("list", data, raw=text, messages=messages, notes=notes)
    if not rows:
        return View("list", data, messages=messages)
    columns = ("study", "state", "trials", "best", "changed", "size", "tags", "note")
    fit = Fit(columns, (0, 1, 2, 3, 4), (6, 7, 5), "--format csv")
    return View("list", data, sections=(Section("", columns, tuple(map(_shown, rows)), fit),), notes=notes)


def _row(one: Listed) -> tuple[Cell, ...]:
    number, score = one.best or (None, None)
    metric = None if one.objective is None else one.objective.metric
    return (
        *(one.name, one.state, one.n_ended, one.n_trials, metric, score, number),
        *(one.began or None, one.changed or None, one.n_bytes),
        *(" ".join(one.annotation.tags) or None, one.annotation.title or None, one.path),
    )


def _data(one: Listed) -> dict[str, Any]:
    row = dict(zip(_COLUMNS, _row(one), strict=True))
    goals = [] if one.objective is None else one.objective.goals
    return {
        **row,
        "direction": None if one.objective is None else "maximize" if one.objective.maximize else "minimize",
        "metrics": [goal.metric for goal in goals],
        "tags": list(one.annotation.tags),
        "note": one.annotation.note or None,
        "why": one.why or None,
    }


def _shown(one: Listed) -> tuple[str, ...]:
    best = ABSENT
    if one.best is not None and one.objective is not None:
        best = f"{one.objective.metric} {shown_number(one.best[1])}"
    title = sanitize(one.annotation.title)
    return (
        one.name,
        one.state,
        ABSENT if one.n_trials is None else f"{one.n_ended}/{one.n_trials}",
        best,
        _local(one.changed),
        shown_bytes(one.n_bytes),
        " ".join(one.annotation.tags),
        title if len(title) <= _MOST_NOTE else f"{title[: _MOST_NOTE - 1]}…",
    )


def _local(moment: str) -> str:
    """A time of the record on this machine's clock: ``2026-05-04 17:30``."""
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return ABSENT
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone().strftime("%Y-%m-%d %H:%M")
