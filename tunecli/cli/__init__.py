"""The command line: options → commands → console → exit code.

Each verb imports its command when it is called, so `--help` is fast and only verbs that train load torch. `--help`
lists the verbs in the order in which they are registered here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tunecli.cli import running, reading, trials, predicting, keeping, files  # isort: skip
from tunecli.cli.app import app
from tunecli.console.streams import prepare
from tunecli.console.usage import run_verb
from tunecli.errors import TunecliError

__all__ = ["app", "files", "keeping", "main", "predicting", "reading", "running", "trials"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb and exit with its code."""
    from tunecli.study.prefork import head_start
    from tunecli.study.runner.signals import ended_by_signals

    prepare()
    words = sys.argv[1:] if arguments is None else [*arguments]
    try:
        with ended_by_signals(), head_start(words):
            code = run_verb(app, words or ["--help"])
        sys.exit(code if words else 2)
    except TunecliError as error:
        from tunecli.console import Console

        Console(is_json="--json" in words).error(error)
        sys.exit(error.exit_code)
