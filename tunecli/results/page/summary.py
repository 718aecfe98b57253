"""The head of the page: the study, four numbers, and the advice."""

from __future__ import annotations

from tunecli.objective import Objective
from tunecli.results.confirmed import Confirmed
from tunecli.results.page.axes import number
from tunecli.results.page.choice import run_argument
from tunecli.results.page.markup import Markup, escape_lines, join, tag
from tunecli.results.page.values import PageValues
from tunecli.results.report import Finding, Report, Severity
from tunecli.text import counted, duration
from tunecli.trial import State

_MOST_NAMED = 12
_WORDS = {
    Severity.MISLEADING: "Misleading",
    Severity.PROBLEM: "Problem",
    Severity.CHANCE: "Chance",
    Severity.NOTE: "Note",
}


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
    )


def goals_text(objective: Objective) -> str:
    """The goals and constraints in words."""
    goals = [f"{goal.metric}, {'higher' if goal.maximize else 'lower'} is better" for goal in objective.goals]
    return "; ".join([*goals, *map(str, objective.constraints)])


def trials_text(report: Report) -> str:
    """The number of trials in each state."""
    counts = {state: n for state, n in report.facts.counts.items() if n}
    total = sum(counts.values())
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
    """The best single run, the confirmed score, how many trials cannot be distinguished, and the effect of a seed."""
    report = values.report
    if values.best is None:
        return tag("p", nothing_text(report), class_="notice")
    best = report.best
    score = best.outcome.score if best is not None and best.outcome is not None else None
    n_ranked = len(report.leading)
    chosen = f"the highest of {n_ranked:,}" if report.objective.maximize else f"the lowest of {n_ranked:,}"
    if report.objective.further_objectives:
        first = (
            "On the Pareto front",
            f"{len(report.front.front) if report.front else 0:,}",
            f"of {n_ranked:,} ranked trials",
        )
    else:
        shown = "" if score is None else number(score)
        first = ("Best single run", shown, f"trial {values.best}, chosen as {chosen}")
    facts = [first, *_confirmed_facts(report)]
    return tag(
        "dl",
        *(
            tag("div", tag("dt", name), tag("dd", value, class_="value"), tag("dd", note), class_="fact")
            for name, value, note in facts
        ),
        class_="facts",
    )


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


def _confirmed_facts(report: Report) -> list[tuple[str, str, str]]:
    confirmed = report.confirmed
    if report.objective.further_objectives:
        return [("Confirmed", "not available", "tunecli confirms studies with one goal")]
    if confirmed is None:
        return [
            ("Confirmed score", "not yet", f"tunecli confirm {run_argument(report.facts.path)}"),
            ("Cannot be distinguished", "unknown", "fresh runs of the best trials show it"),
            _seed_fact(report),
        ]
    return [_quote_fact(confirmed), _set_fact(confirmed), _seed_fact(report)]


def _quote_fact(confirmed: Confirmed) -> tuple[str, str, str]:
    quote = confirmed.quote
    name = "Confirmed score"
    if confirmed.n_missing and (quote is None or quote.score is None):
        return (
            name,
            "not complete",
            f"{counted(confirmed.n_missing, 'training')} missing: run tunecli confirm again",
        )
    if quote is None:
        return name, "none", "every fresh run failed"
    if quote.score is None:
        reason = (
            "the training ignores its seed" if confirmed.is_seed_ignored else "too few fresh runs succeeded"
        )
        return name, "unknown", f"trial {quote.number}: {reason}"
    n_runs = len(quote.scores) - quote.n_failed
    return name, str(quote.score), f"trial {quote.number}, {n_runs} runs that chose nothing, 95 %"


def _set_fact(confirmed: Confirmed) -> tuple[str, str, str]:
    name = "Cannot be distinguished"
    if not confirmed.is_set_known:
        reason = "the training ignores its seed" if confirmed.is_seed_ignored else "trainings are missing"
        return name, "unknown", reason
    in_set = confirmed.in_set
    named = ", ".join(str(candidate.number) for candidate in in_set[:_MOST_NAMED])
    more = f" and {len(in_set) - _MOST_NAMED} more" if len(in_set) > _MOST_NAMED else ""
    noun = "trial" if len(in_set) == 1 else "trials"
    return (
        name,
        f"{len(in_set)} of {len(confirmed.candidates)}",
        f"{noun} {named}{more}, 95 %",
    )


def _seed_fact(report: Report) -> tuple[str, str, str]:
    name = "A seed alone moves the score by"
    confirmed, facts = report.confirmed, report.facts
    if confirmed is not None and confirmed.is_seed_ignored:
        return name, "unknown", "the training ignores its seed"
    deviation = None if confirmed is None else confirmed.seed_deviation
    if deviation is None:
        return name, "unknown", "fresh runs of the best trials show it"
    note = "standard deviation"
    quote = None if confirmed is None else confirmed.quote
    n_valid = facts.n_valid or (None if quote is None else quote.n_valid)
    if (
        n_valid and report.step and abs(report.step * n_valid - round(report.step * n_valid)) < 0.01
    ):  # it counts examples
        note += f"; {deviation * n_valid:.1f} of {n_valid:,} examples"
    return name, number(deviation, 2), note


def advice(values: PageValues) -> Markup:
    """The findings, each with its evidence and a command."""
    report = values.report
    if not report.findings:
        return tag("p", "No rule found a problem or a chance.", class_="dim")
    items = [_item(finding) for finding in report.findings]
    more = ""
    if report.n_silenced:
        more = tag("p", f"{counted(report.n_silenced, 'further finding')} not shown.", class_="dim")
    return join([tag("ol", *items, class_="findings"), more])


def _item(finding: Finding) -> Markup:
    named = finding.trials[:_MOST_NAMED]
    chips = [tag("span", str(trial), class_="t chip", data_t=str(trial)) for trial in named]
    if len(finding.trials) > _MOST_NAMED:
        chips.append(Markup(f"and {len(finding.trials) - _MOST_NAMED} more"))
    return tag(
        "li",
        tag("p", tag("span", _WORDS[finding.severity], class_="severity"), " ", tag("strong", finding.claim)),
        tag("p", finding.evidence) if finding.evidence else "",
        tag("p", "Trials ", join(chips, " "), class_="dim") if chips else "",
        tag("pre", tag("code", escape_lines(finding.command, 40))) if finding.command else "",
        class_=f"finding of-{finding.severity}",
    )
