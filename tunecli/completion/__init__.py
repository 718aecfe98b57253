"""Answers for the shells' TAB key: the words that can follow on a command line of tunecli.

A shell asks by running the command with `VARIABLE` in its environment. The answer must come fast, so this package
loads no typer, pydantic or torch: the verbs and options come from ``command_line.json``, which `tunecli.cli.describe`
writes. An answer is never an error: a broken file or a damaged study has no words.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

VARIABLE = "_TUNECLI_COMPLETE"
"""The environment variable by which a shell asks: ``complete_bash``, ``complete_zsh`` or ``complete_fish``."""


def answer(environ: Mapping[str, str], words: Sequence[str]) -> None:
    """Write the answer for a shell to stdout.

    Args:
        environ: the environment. `VARIABLE` names the shell. For bash, ``_TUNECLI_LINE`` is the command line up to the
            cursor, and ``_TUNECLI_WORD`` its part that bash replaces.
        words: for zsh and fish, the words behind the command's name; the last one ends at the cursor.
    """
    try:
        import os

        from tunecli.completion.shells import answer_of

        text = answer_of(environ, words)
        sys.stdout.buffer.write(os.fsencode(text))
        sys.stdout.buffer.flush()
    except (Exception, KeyboardInterrupt):  # an error here would be printed into the line that a person types
        return
