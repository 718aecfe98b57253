"""The classes or labels of the best trial: a table of precision, recall and F1."""

from __future__ import annotations

from tunecli.results.classes import COLUMNS
from tunecli.results.page.markup import Markup, join, table, tag
from tunecli.results.page.values import PageValues


def classes_section(values: PageValues) -> Markup:
    """The scores of each class of the best trial; empty: they are not known."""
    found = values.report.classes
    if found is None:
        return Markup("")
    caption = f"Each {found.word} of trial {found.trial}"
    return join([tag("p", found.note, class_="dim"), table(caption, (found.word, *COLUMNS), found.rows)])
