"""`tunecli schema`: the JSON Schema of a study's file, or a table of its keys."""

from __future__ import annotations

from tunecli.config.json_schema import json_schema
from tunecli.config.json_schema import schema_text as written
from tunecli.config.reference import markdown_table
from tunecli.errors import UsageError

FORMS = ("json", "markdown")


def schema_text(form: str = "json") -> str:
    """The JSON Schema as an indented document, or the table of every key in Markdown.

    Args:
        form: ``json`` or ``markdown``.

    Raises:
        UsageError: ``form`` is neither.
    """
    if form == "markdown":
        return markdown_table()
    if form != "json":
        raise UsageError(f"--format: unknown format `{form}`", hint="use json or markdown")
    return written(json_schema())
