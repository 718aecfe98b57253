"""What to do next: the findings with their evidence, each beside its command."""

from __future__ import annotations

from tunecli.results.page.choice import run_argument
from tunecli.results.page.markup import Markup, escape_lines, join, tag
from tunecli.results.page.values import PageValues
from tunecli.results.report import Finding, Report, Severity
from tunecli.text import counted

_MOST_NAMED = 12
_WORDS = {
    Severity.MISLEADING: "Warning",
    Severity.PROBLEM: "Problem",
    Severity.CHANCE: "Opportunity",
    Severity.NOTE: "Note",
}


def advice(values: PageValues) -> Markup:
    """The findings, each with its evidence and a command."""
    report = values.report
    if not report.findings:
        return join(
            [tag("p", "No rule found a problem or an opportunity.", class_="dim"), _otherwise(report)]
        )
    items = [_item(finding) for finding in report.findings]
    more = ""
    if report.n_silenced:
        more = tag("p", f"{counted(report.n_silenced, 'further finding')} not shown.", class_="dim")
    return join([tag("ol", *items, class_="findings"), more])


def _otherwise(report: Report) -> Markup:
    """The next step of a study in which no rule found anything; empty: it has no trial to export, or still runs."""
    if report.best is None or report.facts.phase == "running":
        return Markup("")
    if report.objective.further_objectives:
        text, option = "Choose a trial of the front, and export it as a file to train: ", " --trial N"
    else:
        text, option = "Export the best trial as a file to train: ", ""
    command = tag("code", f"tunecli export {run_argument(report.facts.path)}{option} -o best.yaml")
    return tag("p", text, command, class_="wide-text")


def _item(finding: Finding) -> Markup:
    named = finding.trials[:_MOST_NAMED]
    chips = [tag("span", str(trial), class_="t chip", data_t=str(trial)) for trial in named]
    if len(finding.trials) > _MOST_NAMED:
        chips.append(Markup(f"and {len(finding.trials) - _MOST_NAMED} more"))
    trials = (
        tag("span", "Trials " if len(named) > 1 else "Trial ", join(chips, " "), class_="dim")
        if chips
        else ""
    )
    word = tag("span", _WORDS[finding.severity], class_="severity")
    told = [
        tag("p", word, " ", tag("strong", with_code(finding.claim))),
        tag("p", with_code(finding.evidence), " ", trials) if finding.evidence or chips else "",
    ]
    return tag("li", tag("div", *told), _command(finding.command), class_=f"finding of-{finding.severity}")


def _command(text: str) -> Markup:
    """A command to run, or the lines of the study's file to change; empty: there is none."""
    if not text:
        return Markup("")
    kind = "Run" if text.startswith("tunecli ") else "Set in the study's file"
    return tag(
        "div", tag("p", kind, class_="small"), tag("pre", tag("code", escape_lines(text, 40))), class_="then"
    )


def with_code(text: str) -> Markup:
    """A sentence in which a name stands between two backticks, with the name as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return join([text])
    return join(tag("code", part) if place % 2 else part for place, part in enumerate(parts))
