"""The report of one study as one self-contained HTML page.

The page is complete without a script. It sends no request to a server, and its content security policy forbids
requests. The same report gives the same bytes: no clock and no random number enters it. It shows the run folder as
the user named it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from tunecli.results.page.advice_section import advice
from tunecli.results.page.classes_section import classes_section
from tunecli.results.page.confirmed_figure import confirmed_section
from tunecli.results.page.curves_figure import curves_section
from tunecli.results.page.data import data_block
from tunecli.results.page.failures_section import failures_section
from tunecli.results.page.front_figure import front_section
from tunecli.results.page.importance_figure import importance_section
from tunecli.results.page.markup import Markup, escape, tag
from tunecli.results.page.parameter_cards import cards_section
from tunecli.results.page.progress import progress_section
from tunecli.results.page.provenance import provenance_section
from tunecli.results.page.script import page_script
from tunecli.results.page.summary import four_numbers, head
from tunecli.results.page.trials import trials_section
from tunecli.results.page.values import PageValues, with_short_conditions
from tunecli.results.report import Report

_SECTIONS: tuple[tuple[str, str, Callable[[PageValues], Markup]], ...] = (
    ("advice", "What to do next", advice),
    ("confirmation", "Is the best trial really the best?", confirmed_section),
    ("goals", "Goals and constraints", front_section),
    ("search", "How the search went", progress_section),
    ("what-matters", "Which parameters matter", importance_section),
    ("parameters", "Each parameter", cards_section),
    ("learning", "Learning curves", curves_section),
    ("classes", "Classes of the best trial", classes_section),
    ("failures", "Failures", failures_section),
)
_FIRST = ("advice", "failures")
"""The first sections of a study without a score: its failures are all that it shows."""
_LAST = [("trials", "All trials"), ("provenance", "Methods")]


def page_of(report: Report, *, refresh_s: int | None = None) -> str:
    """The page of one study.

    Args:
        report: all that the page shows.
        refresh_s: seconds after which a browser reads the page again, while the study runs; None: it never does.

    Returns:
        HTML that can be encoded as UTF-8.
    """
    values = PageValues(with_short_conditions(report))
    sections = _SECTIONS if values.scores else sorted(_SECTIONS, key=lambda one: one[0] not in _FIRST)
    written = [(name, title, section(values)) for name, title, section in sections]
    shown = [(name, title, content) for name, title, content in written if content]
    main = [
        head(values),
        tag("section", tag("h2", "In short", id="short"), four_numbers(values), aria_labelledby="short"),
        *(_section(name, title, content) for name, title, content in shown),
        Markup(trials_section(report)),
        _section("provenance", "How this was computed", provenance_section(values)),
    ]
    links = [*((name, title) for name, title, _ in shown), *_LAST]
    return document(
        report.facts.name,
        main,
        links=links,
        data=data_block(report),
        script=page_script(),
        refresh_s=refresh_s,
    )


def _section(name: str, title: str, content: Markup) -> Markup:
    heading = f"{name}-heading"
    return tag("section", tag("h2", title, id=heading), content, id=name, aria_labelledby=heading)


def document(
    title: str,
    main: list[Markup],
    *,
    links: list[tuple[str, str]],
    data: str = "",
    script: str = "",
    refresh_s: int | None = None,
) -> str:
    """A whole HTML document with the style of the page.

    Args:
        title: of the document; it may contain anything.
        main: the content.
        links: the name and the title of each section, for the list of contents.
        data: a script element of JSON; empty: none.
        script: JavaScript; empty: none.
        refresh_s: seconds after which a browser reads the page again; None: it never does.
    """
    style = page_style()
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src '{hash_of(style)}'",
            f"script-src '{hash_of(script)}'" if script else "script-src 'none'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    refresh = "" if refresh_s is None else tag("meta", http_equiv="refresh", content=str(max(1, refresh_s)))
    contents = tag("ul", *(tag("li", tag("a", text, href=f"#{name}")) for name, text in links))
    parts = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=Markup(policy.replace('"', "&quot;"))),
        refresh,
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", escape(title, 80), ": report"),
        Markup(f"<style>{style}</style>"),
    ]
    body = [
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag("nav", contents, aria_label="Sections"),
        tag("main", *main, id="content"),
        tag("footer", tag("p", "Written by tunecli. This page is complete without a network.", class_="dim")),
        Markup(data),
        Markup(f"<script>{script}</script>") if script else "",
    ]
    html = tag("html", tag("head", *parts), "\n", tag("body", *body), lang="en")
    return f"<!doctype html>\n{html}\n"


@cache
def page_style() -> str:
    """The page's style sheet, from two files of this package: of the figures, and of the parts with a script."""
    folder = files(__package__)
    return "".join(folder.joinpath(name).read_text("utf-8") for name in ("page.css", "trials.css"))


def hash_of(text: str) -> str:
    """A content security policy's source for an inline style or script: its SHA-256 in base 64."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
