"""`tunecli compare`: several studies side by side: best and confirmed score, budget, and where their files differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunecli.commands.report_data import plain
from tunecli.commands.report_record import study_facts
from tunecli.config.axes import distinct_names
from tunecli.config.concrete_trial import concrete
from tunecli.config.labels import described, shown
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.space import Space, point_with
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.results.baseline import Baseline, baseline_data
from tunecli.results.confirmed import Interval
from tunecli.results.ranking import best
from tunecli.results.report import StudyFacts, differing_files
from tunecli.results.table import ABSENT, Cell, Table, to_csv, to_markdown
from tunecli.results.view import Chapter, Fit, Section, View
from tunecli.store.annotation import Annotation
from tunecli.store.folder import RunFolder
from tunecli.store.lock import holder
from tunecli.study.baseline import recorded_baseline
from tunecli.study.record.confirmation import confirmed_of_study
from tunecli.study.record.lifecycle import open_to_read
from tunecli.text import duration, shown_number
from tunecli.trial import State


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the studies that are compared.

    Attributes:
        facts: what its record says of it.
        objective: its goals and constraints.
        best: the number and the score of the trial of rank 1; None: no trial has a rank.
        confirmed: the confirmed score; None: it has none.
        epochs: the number of epochs of all its trials.
        seconds: the training time of all its trials.
        rank: among the studies, from 1; None: they cannot be ranked, or it has no score.
        ranges: by parameter, its range in words, or its fixed value.
        baseline: the scores of simple models on its data; None: they were not fitted.
    """

    facts: StudyFacts
    objective: Objective
    best: tuple[int, float] | None
    confirmed: Interval | None
    epochs: int
    seconds: float
    rank: int | None
    ranges: Mapping[str, str]
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several studies side by side.

    Attributes:
        studies: in the order in which they were named.
        ranked_by: ``confirmed`` or ``best``; empty: they are not ranked.
        notes: why they are not ranked, and what else to know.
        differences: the parameters whose ranges differ, each with the range in every study.
    """

    studies: tuple[Compared, ...]
    ranked_by: str
    notes: tuple[str, ...]
    differences: Mapping[str, tuple[str, ...]]


def compare(folders: Sequence[RunFolder]) -> Comparison:
    """Compare the studies in these run folders.

    Raises:
        UsageError: fewer than two studies, or one of them twice.
        ConfigError: this version refuses a study's file, which another version accepted.
        StoreDamaged, StoreTooNew: a database cannot be read.
    """
    require_several(folders)
    studies = [_compared(folder) for folder in folders]
    ranked_by, notes = _order(studies)
    if ranked_by:
        studies = _ranked(studies, ranked_by)
    notes += _further_notes(studies)
    names = dict.fromkeys(name for one in studies for name in one.ranges)
    rows = {name: tuple(one.ranges.get(name, ABSENT) for one in studies) for name in names}
    different = {name: row for name, row in rows.items() if len(set(row)) > 1}
    return Comparison(tuple(studies), ranked_by, tuple(notes), different)


def require_several(folders: Sequence[RunFolder]) -> None:
    """Refuse a comparison of fewer than two studies, or of a study with itself.

    Raises:
        UsageError: there is nothing to compare.
    """
    places = [folder.path.resolve() for folder in folders]
    if len(places) < 2:
        raise UsageError("a comparison needs two studies", hint="name a second run folder")
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise UsageError(f"{twice} is named twice", hint="name each study once")


def _compared(folder: RunFolder) -> Compared:
    held_by = holder(folder.path)
    with open_to_read(folder) as study:
        trials, objective = study.log.trials(), study.spec.objective
        winner = best(trials, objective)
        outcomes = [trial.outcome for trial in trials if trial.outcome is not None]
        score = None if winner is None or winner.outcome is None else winner.outcome.score
        confirmed = confirmed_of_study(study)
        quoted = confirmed.quote if confirmed is not None else None
        return Compared(
            study_facts(study, trials, held_by),
            objective,
            None if winner is None or score is None else (winner.number, score),
            quoted.score if quoted is not None else None,
            sum(outcome.epochs for outcome in outcomes),
            math.fsum(outcome.seconds for outcome in outcomes),
            None,
            _ranges(study.spec.space),
            recorded_baseline(study, trials),
        )


def _ranges(space: Space) -> dict[str, str]:
    """Each parameter's range in words by its distinct name, and each fixed value of the first trial's tree."""
    names = distinct_names(space)
    ranges = {names[parameter.key]: described(parameter.domain) for parameter in space.parameters}
    taken = {parameter.name for parameter in space.parameters}
    try:
        tree = concrete(space, point_with(space, {}))
    except (KeyError, DanglingReferenceError):
        return ranges
    # Below a choice among sub-trees, the values of the first trial hold for its own option only.
    below = tuple(f"{name}." for name in taken)
    fixed = {
        path: text for path, text in _leaves(tree, "") if path not in taken and not path.startswith(below)
    }
    return ranges | {path: value for path, value in fixed.items() if path not in ranges}


def _leaves(tree: Any, path: str) -> Sequence[tuple[str, str]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
    if items is None:
        return [(path, shown(tree))]
    return [leaf for key, item in items for leaf in _leaves(item, f"{path}.{key}" if path else str(key))]


def _order(studies: Sequence[Compared]) -> tuple[str, list[str]]:
    """By which score the studies are ranked, and why they are not ranked or ranked by an optimistic score."""
    goals = {(one.objective.metric, one.objective.maximize) for one in studies}
    if any(one.objective.further_objectives for one in studies):
        return "", ["the studies are not ranked: one of them has several goals"]
    if len(goals) > 1:
        texts = ", ".join(f"{metric} ({'max' if is_max else 'min'}imize)" for metric, is_max in sorted(goals))
        return "", [f"the studies are not ranked, since their goals differ: {texts}"]
    if all(one.confirmed is not None for one in studies):
        return "confirmed", []
    return "best", [
        "the studies are ranked by their best scores, which are optimistic; `tunecli confirm` gives confirmed scores"
    ]


def _ranked(studies: Sequence[Compared], ranked_by: str) -> list[Compared]:
    scored = [one for one in studies if _merit(one, ranked_by) is not None]
    scored.sort(key=lambda one: (_merit(one, ranked_by) or 0.0) * one.objective.sign)
    ranks = {one.facts.path: place for place, one in enumerate(scored, start=1)}
    return [replace(one, rank=ranks.get(one.facts.path)) for one in studies]


def _merit(one: Compared, ranked_by: str) -> float | None:
    if ranked_by == "confirmed":
        return None if one.confirmed is None else one.confirmed.mean
    return None if one.best is None else one.best[1]


def _further_notes(studies: Sequence[Compared]) -> list[str]:
    notes = []
    if changed := differing_files(one.facts for one in studies):
        notes.append(f"a file differs between the studies: {', '.join(changed[:3])}")
    if any(one.facts.phase == "running" for one in studies):
        notes.append("a study is still running, so its scores can change")
    return notes


_COLUMNS = (
    *("rank", "study", "metric", "best", "trial", "confirmed", "low", "high", "trials", "complete", "failed"),
    *("epochs", "seconds", "sampler", "state", "path", "tags"),
)


def compare_view(comparison: Comparison, form: str = "table") -> View:
    """The studies as a table, and the ranges that differ."""
    table = Table(_COLUMNS, tuple(_row(one) for one in comparison.studies), 1)
    messages = tuple(f"note: {note}" for note in comparison.notes)
    data = {
        "ranked_by": comparison.ranked_by or None,
        "notes": list(comparison.notes),
        "studies": [_data(one) for one in comparison.studies],
        "differences": {name: list(texts) for name, texts in comparison.differences.items()},
    }
    if form in ("csv", "markdown"):
        text = to_csv(table) if form == "csv" else to_markdown(table)
        return View("compare", data, raw=text, messages=messages)
    columns = (
        "rank",
        "study",
        "best",
        "confirmed",
        "trials",
        "failed",
        "epochs",
        "training",
        "sampler",
        "state",
        "tags",
        "note",
    )
    rows = tuple(_shown(one) for one in comparison.studies)
    section = Section(
        "", columns, rows, Fit(columns, (0, 1, 2, 3, 4), (7, 6, 5, 8, 9, 10, 11), "--format csv")
    )
    chapters = [Chapter(_title(comparison), section=section)]
    if comparison.differences:
        names = ("parameter", *(one.facts.name for one in comparison.studies))
        different = tuple((name, *texts) for name, texts in comparison.differences.items())
        chapters.append(Chapter("Where the files differ", section=Section("", names, different)))
    return View("compare", data, chapters=tuple(chapters), messages=messages)


def _title(comparison: Comparison) -> str:
    objective = comparison.studies[0].objective
    direction = "higher" if objective.maximize else "lower"
    return f"{objective.metric}, {direction} is better" if comparison.ranked_by else "Studies"


def _row(one: Compared) -> tuple[Cell, ...]:
    counts, fresh = one.facts.counts, one.confirmed
    number, score = one.best or (None, None)
    return (
        *(one.rank, one.facts.name, one.objective.metric, score, number),
        *((None, None, None) if fresh is None else (fresh.mean, fresh.low, fresh.high)),
        *(sum(counts.values()), counts.get(State.COMPLETE, 0), counts.get(State.FAILED, 0)),
        *(one.epochs, one.seconds, one.facts.sampler, one.facts.phase, one.facts.path),
        " ".join(one.facts.tags) or None,
    )


def _data(one: Compared) -> dict[str, Any]:
    row = dict(zip(_COLUMNS, _row(one), strict=True))
    direction = "maximize" if one.objective.maximize else "minimize"
    about = {"tags": list(one.facts.tags), "note": one.facts.note or None}
    return {**plain(row), "direction": direction, "baseline": baseline_data(one.baseline), **about}


def _shown(one: Compared) -> tuple[str, ...]:
    counts = one.facts.counts
    metric = f"{one.objective.metric} " if one.rank is None else ""
    return (
        str(one.rank or ABSENT),
        one.facts.name,
        ABSENT if one.best is None else f"{metric}{shown_number(one.best[1])} (trial {one.best[0]})",
        ABSENT if one.confirmed is None else str(one.confirmed),
        str(sum(counts.values())),
        str(counts.get(State.FAILED, 0)),
        str(one.epochs),
        duration(one.seconds),
        one.facts.sampler,
        one.facts.phase,
        " ".join(one.facts.tags),
        Annotation(one.facts.note).title,
    )
