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


def _install(shell: str | None) -> None:
    if shell is not None:
        from tunecli.completion.install import chosen_shell, install
        from tunecli.console import Console

        for sentence in install(chosen_shell(shell)):
            Console().say(sentence)
        raise typer.Exit


def _script(shell: str | None) -> None:
    if shell is not None:
        from tunecli.completion.install import chosen_shell
        from tunecli.completion.shells import script_of
        from tunecli.console import Console

        Console().raw(script_of(chosen_shell(shell)))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    install_completion: Annotated[
        str | None,
        typer.Option(
            "--install-completion",
            metavar="[SHELL]",
            callback=_install,
            is_eager=True,
            help="Make bash, zsh or fish complete commands [default: the shell of SHELL].",
        ),
    ] = None,
    show_completion: Annotated[
        str | None,
        typer.Option(
            "--show-completion",
            metavar="[SHELL]",
            callback=_script,
            is_eager=True,
            help="Print the script of the completion.",
        ),
    ] = None,
) -> None:
    """Tune deep-learning models from one YAML file."""
