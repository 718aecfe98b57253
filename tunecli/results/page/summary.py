"""The head of the page: the study and its four numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunecli.effects import Reliability
from tunecli.objective import Objective
from tunecli.results.confirmed import Confirmed
from tunecli.results.page.axes import number
from tunecli.results.page.choice import run_argument
from tunecli.results.page.markup import Markup, escape_lines, join, tag
from tunecli.results.page.values import PageValues, metrics_of
from tunecli.results.report import Report
from tunecli.text import counted, duration
from tunecli.trial import State

_MOST_NAMED = 12
_MOST_LINES = 200  # of a note
_MISSING = "is-missing"


def head(values: PageValues) -> Markup:
    """The study's name, its goals, its trials and its time."""
    report = values.report
    facts = report.facts
    if facts.sampler:
        sampler = f"sampler {facts.sampler}" + (f", pruner {facts.pruner}" if facts.pruner else "")
    else:
        sampler = ""
    time = duration(facts.elapsed_s) if facts.elapsed_s > 0 else ""
    parts = [goals_text(report.objective), trials_text(report), time, sampler]
    badge = tag("span", _phase(report), class_="badge") if _phase(report) else Markup("")
    return tag(
        "header",
        tag("h1", facts.name, " ", badge),
        tag("p", join([part for part in parts if part], " · "), class_="dim"),
        tag("p", *(f"{note} " for note in facts.mixtures), class_="dim") if facts.mixtures else "",
        tag("p", "Tags: ", ", ".join(facts.tags), class_="dim") if facts.tags else "",
        tag("pre", escape_lines(facts.note, _MOST_LINES), class_="note", tabindex="0") if facts.note else "",
    )


def goals_text(objective: Objective) -> str:
    """The goals and constraints in words."""
    goals = [f"{goal.metric}, {'higher' if goal.maximize else 'lower'} is better" for goal in objective.goals]
    return "; ".join([*goals, *map(str, objective.constraints)])


def trials_text(report: Report) -> str:
    """The number of trials in each state."""
    counts = {state: n for state, n in report.facts.counts.items() if n}
    total = sum(counts.values())
    if len(counts) == 1 and total > 1:
        return f"{counted(total, 'trial')}, all {next(iter(counts)).shown}"
    states = ", ".join(f"{n:,} {state.shown}" for state, n in counts.items())
    return f"{counted(total, 'trial')}: {states}" if states else "no trial has begun"


def _phase(report: Report) -> str:
    counts = report.facts.counts
    n_ended = sum(counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    match report.facts.phase:
        case "running":
            return f"running, {n_ended:,} of {report.facts.n_planned:,} trials ended"
        case "interrupted":
            return f"interrupted after {n_ended:,} of {report.facts.n_planned:,} trials"
        case _:
            return ""


def four_numbers(values: PageValues) -> Markup:
    """The best score, the confirmed score, how many trials cannot be distinguished, and the noise of the score.

    Of several goals: the size of the front, the best value of each, and how many trials satisfy the constraints.
    """
    report = values.report
    if values.best is None:
        return tag("p", nothing_text(report), class_="notice")
    if report.objective.further_objectives:
        facts = _front_facts(values)
    else:
        facts = [_best_fact(values), *_confirmed_facts(report)]
    return tag("dl", *map(_fact, facts), class_="facts")


@dataclass(frozen=True, slots=True)
class _Fact:
    """One of the four numbers: ``kind`` is a further class, and a note that is a command is shown as one."""

    name: str
    value: str
    note: str
    kind: str = ""


def _fact(fact: _Fact) -> Markup:
    note = tag("code", fact.note) if fact.note.startswith("tunecli ") else fact.note
    return tag(
        "div",
        tag("dt", fact.name),
        tag("dd", fact.value, class_="value"),
        tag("dd", note),
        class_=f"fact {fact.kind}".strip(),
    )


def _best_fact(values: PageValues) -> _Fact:
    report = values.report
    best = report.best
    score = best.outcome.score if best is not None and best.outcome is not None else None
    extreme = "highest" if report.objective.maximize else "lowest"
    note = f"trial {values.best}, chosen as the {extreme} of {len(report.leading):,}"
    if report.baseline is not None and report.baseline.scored:
        simple = (f"{number(one.score or 0.0)} {one.model}" for one in report.baseline.scored)
        note += f"; baseline: {', '.join(simple)}"
    return _Fact("Best score", "" if score is None else number(score), note)


def _front_facts(values: PageValues) -> list[_Fact]:
    """The size of the front, the best value of each goal on it, and the feasible trials; at most four facts."""
    report = values.report
    objective, front = report.objective, report.front
    facts = [
        _Fact(
            "On the Pareto front",
            f"{len(front.front) if front else 0:,}",
            f"of {len(report.leading):,} ranked trials",
        )
    ]
    last = []
    if front is not None and front.n_feasible is not None:
        bounds = " and ".join(map(str, objective.constraints))
        last = [_Fact("Satisfy the constraints", f"{front.n_feasible:,} of {front.n_ranked:,}", bounds)]
    for goal in objective.goals:
        found = [
            (goal.sign * value, value, row.trial.number)
            for row in report.ranked
            if row.trial.number in values.leaders
            and (value := metrics_of(row, objective).get(goal.metric)) is not None
            and math.isfinite(value)
        ]
        if found:
            _, value, trial = min(found)
            facts.append(_Fact(f"Best {goal.metric}", number(value), f"trial {trial}, on the front"))
    return [*facts[: 4 - len(last)], *last]


def nothing_text(report: Report) -> str:
    """Why there is no best trial."""
    counts = report.facts.counts
    if counts.get(State.COMPLETE, 0):
        return "No complete trial has a finite score."
    if counts.get(State.FAILED, 0):
        return "No trial has succeeded. The section on failures says why."
    if counts.get(State.PRUNED, 0) + counts.get(State.PAUSED, 0):
        return "No trial is complete yet."
    return "No trial has ended."


def _confirmed_facts(report: Report) -> list[_Fact]:
    confirmed = report.confirmed
    if confirmed is None:
        return [
            _Fact(
                "Confirmed score", "not yet", f"tunecli confirm {run_argument(report.facts.path)}", _MISSING
            ),
            _Fact("Cannot be distinguished", "unknown", "fresh runs of the best trials show it", _MISSING),
            _noise_fact(report),
        ]
    return [_quote_fact(confirmed), _set_fact(confirmed), _noise_fact(report)]


def _quote_fact(confirmed: Confirmed) -> _Fact:
    quote = confirmed.quote
    name = "Confirmed score"
    if confirmed.n_missing and (quote is None or quote.score is None):
        note = f"{counted(confirmed.n_missing, 'fresh run')} to do: run tunecli confirm again"
        return _Fact(name, "not complete", note, _MISSING)
    if quote is None:
        return _Fact(name, "none", "every fresh run failed", _MISSING)
    if quote.score is None:
        reason = (
            "the training ignores its seed" if confirmed.is_seed_ignored else "too few fresh runs succeeded"
        )
        return _Fact(name, "unknown", f"trial {quote.number}: {reason}", _MISSING)
    n_runs = len(quote.scores) - quote.n_failed
    note = f"trial {quote.number}; 95 % from {n_runs} fresh runs after the choice"
    return _Fact(name, str(quote.score), note, "is-quoted")


def _set_fact(confirmed: Confirmed) -> _Fact:
    if not confirmed.is_set_known:
        reason = "the training ignores its seed" if confirmed.is_seed_ignored else "fresh runs are missing"
        return _Fact("Cannot be distinguished", "unknown", reason, _MISSING)
    in_set = confirmed.in_set
    named = ", ".join(str(candidate.number) for candidate in in_set[:_MOST_NAMED])
    more = f" and {len(in_set) - _MOST_NAMED} more" if len(in_set) > _MOST_NAMED else ""
    noun = "trial" if len(in_set) == 1 else "trials"
    value = f"{len(in_set)} of {len(confirmed.candidates)}"
    return _Fact("Cannot be distinguished", value, f"at 95 %: {noun} {named}{more}")


def _noise_fact(report: Report) -> _Fact:
    name = "Noise of the score"
    confirmed, facts, effects = report.confirmed, report.facts, report.effects
    if confirmed is not None and confirmed.is_seed_ignored:
        return _Fact(name, "unknown", "the training ignores its seed", _MISSING)
    deviation = None if confirmed is None else confirmed.seed_deviation
    if deviation is None:
        if effects.reliability is not Reliability.UNKNOWN and effects.noise:
            return _Fact(
                name, f"≈ {number(effects.noise, 2)}", "standard deviation, by the model of the scores"
            )
        return _Fact(name, "unknown", "fresh runs of the best trials show it", _MISSING)
    note = "standard deviation over seeds"
    quote = None if confirmed is None else confirmed.quote
    n_valid = facts.n_valid or (None if quote is None else quote.n_valid)
    if (
        n_valid and report.step and abs(report.step * n_valid - round(report.step * n_valid)) < 0.01
    ):  # it counts examples
        note += f"; {deviation * n_valid:.1f} of {n_valid:,} examples"
    return _Fact(name, number(deviation, 2), note)
