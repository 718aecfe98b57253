"""How the page was computed: methods, the study's file, versions, hashes, and how often test data was read."""

from __future__ import annotations

from collections.abc import Iterable

from tunecli.effects import Reliability
from tunecli.results.page.axes import number, percent
from tunecli.results.page.markup import Markup, details, escape, escape_lines, join, table, tag
from tunecli.results.page.values import PageValues
from tunecli.results.report import StudyFacts
from tunecli.results.search_setup import earlier_lines, priors_text
from tunecli.text import counted

_MOST_LINES = 400
_MOST_ROWS = 200
_METHODS = """
Trials are ranked by the score in the search. The best of many scores is optimistic, because luck is part of it.
A confirmation trains candidates again with fresh seeds. Candidates that cannot be distinguished \
form a set that holds the best one with at least 95 %. The confirmed score comes from further fresh runs, which take \
no part in this choice.
Shares are total Sobol shares of a Gaussian process of the scores. They are reliable if the process predicts at least \
85 % of the variance of trials that its fit left out (leave-one-out R²), if its kernels and a random forest agree on \
the ranking, and if there are three trials for each parameter.
Figures draw outliers on the edge of the plot. The edge lies beyond the third quartile of the scores, by 1.5 times its \
distance from the best score, or beyond the median by 3 times its distance, if that is nearer. At least three quarters \
of the scores are on the plot.
"""


def provenance_section(values: PageValues) -> Markup:
    """The facts by which a reader judges and repeats the study."""
    parts: list[str] = [
        details("Methods", *(tag("p", text) for text in _METHODS.strip().splitlines())),
        details("Facts of the study", _facts(values)),
    ]
    facts = values.report.facts
    if facts.config:
        parts.append(
            details(
                "config.yaml", tag("pre", tag("code", escape_lines(facts.config, _MOST_LINES)), tabindex="0")
            )
        )
    if facts.versions:
        parts.append(
            details(
                "Versions", _table("Versions of packages", ("package", "version"), facts.versions.items())
            )
        )
    if facts.hashes:
        parts.append(details("Hashes", _table("SHA-256 of files", ("file", "SHA-256"), facts.hashes.items())))
    return join(parts)


def _table(caption: str, columns: tuple[str, str], items: Iterable[tuple[str, str]]) -> Markup:
    rows = sorted(items)
    more = (
        tag("p", f"The table leaves out {len(rows) - _MOST_ROWS} further rows.", class_="dim")
        if len(rows) > _MOST_ROWS
        else ""
    )
    return join([table(caption, columns, rows[:_MOST_ROWS], n_text_columns=2), more])


def _scored_on(facts: StudyFacts) -> str:
    if not facts.is_folded:
        return "one validation part"
    return "mean over folds" if facts.n_draws == 1 else f"mean over folds, drawn {facts.n_draws} times"


def _facts(values: PageValues) -> Markup:
    report = values.report
    facts, effects = report.facts, report.effects
    sizes = [("training", facts.n_train), ("validation", facts.n_valid), ("test", facts.n_test)]
    known = [f"{n:,} {name}" for name, n in sizes if n is not None]
    pairs = [
        ("Run folder", facts.path),
        ("Sampler", facts.sampler if facts.sampler_choice is None else f"auto: {facts.sampler_choice}"),
        ("Priors", priors_text(report) or "none"),
        ("Earlier studies", "; ".join(text for _, text in earlier_lines(report.earlier)) or "none"),
        ("Pruner", facts.pruner or "none"),
        ("Seed", str(facts.seed)),
        ("Planned trials", f"{facts.n_planned:,}"),
        ("First trials without a model", f"{facts.n_initial:,}" if facts.n_initial else "unknown"),
        ("Examples", ", ".join(known) if known else "unknown"),
        ("Score", _scored_on(facts)),
        ("Smallest step of the score", "unknown" if report.step is None else number(report.step, 3)),
        ("Trials reused by a fork", f"{facts.n_carried:,}"),
        ("Model", _model(effects.reliability, effects.r2, effects.n_trials, effects.noise)),
    ]
    if facts.machines:
        texts = [f"{name} ({counted(n, 'trial')})" for name, n in facts.machines.items()]
        pairs.append(("Machines", ", ".join(texts)))
    quote = report.confirmed.quote if report.confirmed is not None else None
    if facts.n_test is not None or (quote is not None and quote.n_openings):
        pairs.append(("Test data opened", counted(quote.n_openings if quote is not None else 0, "time")))
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", escape(text, 400))) for name, text in pairs),
        class_="pairs",
    )


def _model(reliability: Reliability, r2: float | None, n_trials: int, noise: float | None) -> str:
    if r2 is None:
        return "none"
    deviation = "" if noise is None else f", noise {number(noise, 2)}"
    return f"{reliability}: leave-one-out R² {percent(r2) if r2 > 0 else number(r2, 2)}, {n_trials:,} trials{deviation}"
