"""The application, and the options that every verb shares."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from tunecli.console.usage import Verb, Verbs

app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tune deep-learning models from one YAML file.",
)
verb = partial(app.command, cls=Verb)


def _version(is_asked: bool) -> None:
    if is_asked:
        from tunecli.console import Console
        from tunecli.study.record.versions import tunecli_version

        Console().raw(f"tunecli {tunecli_version()}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tune deep-learning models from one YAML file."""
