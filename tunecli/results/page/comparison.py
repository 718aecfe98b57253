"""Several studies on one page: best and confirmed scores, budgets, and the searches side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunecli.results.confirmed import Interval
from tunecli.results.page.axes import Scale, number, padded, ticks, without_outliers
from tunecli.results.page.choice import spread
from tunecli.results.page.markup import Markup, escape, join, table, tag
from tunecli.results.page.page import document
from tunecli.results.page.progress import best_so_far, whole_ticks
from tunecli.results.page.summary import goals_text, trials_text
from tunecli.results.page.svg import (
    Frame,
    axis_name,
    base_line,
    columns_grid,
    figure,
    legend,
    lines,
    mark,
    path_through,
    percent,
    rows_grid,
)
from tunecli.results.page.values import PageValues, score_of
from tunecli.results.report import Report, differing_files
from tunecli.text import counted, duration

MOST_STUDIES = 60
"""Studies with a figure; of more, the page lists the others in the table alone."""
_MOST_DRAWN = 100  # trials of one study
_ROW = 40  # pixels
_HEIGHT = 150


@dataclass(frozen=True, slots=True)
class _Study:
    """A report, the values of its figures, and a name that no other study of the page has."""

    name: str
    values: PageValues

    @property
    def report(self) -> Report:
        return self.values.report


def comparison_page(reports: Sequence[Report]) -> str:
    """The page of several studies.

    Args:
        reports: at least one, in the order of the page.

    Returns:
        HTML that can be encoded as UTF-8; it has no script.

    Raises:
        ValueError: there is no report.
    """
    if not reports:
        raise ValueError("no report")
    studies = list(_studies(reports))
    groups = _groups(studies)
    sections = [
        (
            "scores",
            "Scores",
            join([_cautions(studies), *(_scores(group, at) for at, group in enumerate(groups))]),
        ),
        ("budgets", "Budgets", _budgets(studies)),
        ("searches", "How the searches went", join(_searches(group, at) for at, group in enumerate(groups))),
    ]
    title = f"{counted(len(studies), 'study') if len(studies) == 1 else f'{len(studies):,} studies'} compared"
    names = join((escape(study.name, 60) for study in studies[:MOST_STUDIES]), " · ")
    main = [
        tag("header", tag("h1", title), tag("p", names, class_="dim")),
        *(
            tag(
                "section",
                tag("h2", text, id=f"{name}-heading"),
                content,
                id=name,
                aria_labelledby=f"{name}-heading",
            )
            for name, text, content in sections
        ),
    ]
    return document(title, main, links=[(name, text) for name, text, _ in sections])


def _studies(reports: Sequence[Report]) -> Iterator[_Study]:
    """Each study under its name; under its path, if several have one name."""
    times = Counter(report.facts.name for report in reports)
    for report in reports:
        facts = report.facts
        yield _Study(facts.name if times[facts.name] == 1 else facts.path, PageValues(report))


def _groups(studies: Sequence[_Study]) -> list[list[_Study]]:
    """The studies by their first goal, since only scores of one metric share an axis."""
    by_goal: dict[tuple[str, bool], list[_Study]] = {}
    for study in studies:
        goal = study.report.objective
        by_goal.setdefault((goal.metric, goal.maximize), []).append(study)
    return list(by_goal.values())


def _cautions(studies: Sequence[_Study]) -> Markup:
    """Reasons, other than the configurations, why scores of the studies may differ."""
    facts = [study.report.facts for study in studies]
    sentences = []
    if len({goals_text(study.report.objective) for study in studies}) > 1:
        sentences.append("The studies have different goals: only scores of one metric can be compared.")
    if len({one.n_valid for one in facts if one.n_valid is not None}) > 1:
        sentences.append("The validation parts have different sizes.")
    if differing_files(facts):
        sentences.append("A file of data or code differs between studies.")
    if len({one.is_folded for one in facts}) > 1:
        sentences.append("Some scores are means over folds, and others are not.")
    if any(study.report.confirmed is None for study in studies):
        sentences.append(
            "A best score is optimistic, and more so with more trials. Compare confirmed scores."
        )
    return join(tag("p", sentence, class_="notice") for sentence in sentences)


def _confirmed(study: _Study) -> Interval | None:
    confirmed = study.report.confirmed
    return confirmed.quote.score if confirmed is not None and confirmed.quote is not None else None


def _best(study: _Study) -> float | None:
    best = study.report.best
    score = None if best is None else score_of(best)
    return score if score is not None and math.isfinite(score) else None


def _scores(group: Sequence[_Study], at: int) -> Markup:
    """The best and the confirmed score of each study on one axis."""
    objective = group[0].report.objective
    drawn = [study for study in group if _best(study) is not None or _confirmed(study) is not None][
        :MOST_STUDIES
    ]
    if not drawn:
        return tag("p", f"No study has a score of {objective.metric}.", class_="dim")
    intervals = [interval for study in drawn if (interval := _confirmed(study)) is not None]
    values = [end for interval in intervals for end in (interval.low, interval.high)]
    scale = padded([*values, *(best for study in drawn if (best := _best(study)) is not None)])
    height = _ROW * len(drawn)
    entries = [("chosen", "diamond", "best score")]
    if intervals:
        entries += [("mean", "", "confirmed score"), ("interval", "bar", "its 95 % interval")]
    frame = Frame(
        f"scores-{at}",
        f"Scores of {len(drawn)} studies",
        " ".join(_sentence(study) for study in drawn[:20]),
        height=height,
        left=12,
        bottom=40,
    )
    direction = "higher" if objective.maximize else "lower"
    return figure(
        frame,
        columns_grid(ticks(scale), height),
        *(_score_row(study, place * _ROW, scale) for place, study in enumerate(drawn)),
        axis_name(objective.metric, height, y=36),
        caption=f"{objective.metric}, {direction} is better.",
        below=legend(entries),
    )


def _score_row(study: _Study, top: float, scale: Scale) -> Markup:
    y = top + 28
    best, interval = _best(study), _confirmed(study)
    parts: list[str] = [tag("text", escape(study.name, 50), x=0, y=top + 15, class_="ink start")]
    if interval is not None:
        ends = [percent(scale.at(end)) for end in (interval.low, interval.high)]
        parts.append(tag("line", class_="interval", x1=ends[0], x2=ends[1], y1=y, y2=y))
        parts.append(mark(None, scale.at(interval.mean), y, "mean", title=_sentence(study)))
    if best is not None:
        parts.append(mark(None, scale.at(best), y, "chosen", shape="diamond", title=_sentence(study)))
    return join(parts)


def _sentence(study: _Study) -> str:
    best, interval = _best(study), _confirmed(study)
    single = "no score" if best is None else f"best score {number(best)}"
    return f"{study.name}: {single}, {'not confirmed' if interval is None else f'confirmed {interval}'}."


def _budgets(studies: Sequence[_Study]) -> Markup:
    columns = (
        "study",
        "goal",
        "trials",
        "best score",
        "confirmed score, 95 %",
        "time",
        "training time",
        "sampler",
    )
    rows = []
    for study in studies:
        facts, objective = study.report.facts, study.report.objective
        best, interval = _best(study), _confirmed(study)
        seconds = sum(
            row.trial.outcome.seconds for row in study.values.ended if row.trial.outcome is not None
        )
        rows.append(
            (
                study.name,
                goals_text(objective),
                trials_text(study.report),
                "—" if best is None else number(best),
                "—" if interval is None else str(interval),
                duration(facts.elapsed_s),
                duration(seconds),
                facts.sampler,
            )
        )
    return table("Budgets and scores", columns, rows, n_text_columns=3)


def _searches(group: Sequence[_Study], at: int) -> Markup:
    """A small figure for each study, all with the same axes, so that a reader can compare them."""
    objective = group[0].report.objective
    drawn = [study for study in group if study.values.scores][:MOST_STUDIES]
    if not drawn:
        return tag("p", f"No study has a score of {objective.metric}.", class_="dim")
    scale = without_outliers(
        (score for study in drawn for score in study.values.scores), maximize=objective.maximize
    )
    bests = [best for study in drawn if (best := _best(study)) is not None]
    if bests:
        scale = Scale(min(scale.low, *bests), max(scale.high, *bests))
    last = max(study.values.ended_numbers[-1] for study in drawn)
    across = Scale(-0.5, max(1.5, last + 0.5))
    cards = [_search(study, f"search-{at}-{place}", scale, across, last) for place, study in enumerate(drawn)]
    more = (
        tag("p", f"{len(group) - len(drawn)} studies have no figure.", class_="dim")
        if len(drawn) < len(group)
        else ""
    )
    entries = [("complete", "", "trial"), ("best-so-far", "step", "best so far")]
    if any(not scale.contains(score) for study in drawn for score in study.values.scores):
        entries.append(("out", "down" if objective.maximize else "up", "beyond the axis"))
    note = f"{objective.metric} by trial number; all figures have the same axes."
    return join([tag("p", note, class_="dim"), legend(entries), tag("div", *cards, class_="cards"), more])


def _search(study: _Study, name: str, scale: Scale, across: Scale, last: int) -> Markup:
    values = study.values
    records = [(across.at(at), scale.at(score)) for at, score in best_so_far(values)]
    dots = [
        _dot(scale, across.at(row.trial.number), score)
        for row in spread(values.ended, _MOST_DRAWN)
        if (score := score_of(row.trial)) is not None
    ]
    if records:
        records.append((across.at(values.ended_numbers[-1]), records[-1][1]))
    line = (
        tag("path", class_="best-so-far", d=path_through(records, _HEIGHT, is_step=True)) if records else ""
    )
    drawing = figure(
        Frame(name, f"Search of {study.name}", _sentence(study), height=_HEIGHT, left=48, bottom=24),
        rows_grid(ticks(scale, 4), _HEIGHT),
        columns_grid(whole_ticks(across, last), _HEIGHT, lines=False),
        base_line(_HEIGHT),
        *dots,
        lines(_HEIGHT, line) if line else "",
    )
    n_drawn = f", {_MOST_DRAWN} drawn" if len(values.ended) > _MOST_DRAWN else ""
    note = tag("p", f"{counted(len(values.ended), 'trial')} ended{n_drawn}", class_="small")
    return tag("article", tag("h3", escape(study.name, 60)), note, drawing, class_="card")


def _dot(scale: Scale, x: float, score: float) -> Markup:
    y = (1 - scale.at(score)) * _HEIGHT
    if scale.contains(score):
        return mark(None, x, y, "complete")
    return mark(None, x, y, "out", shape="up" if score > scale.high else "down")
