"""A real shell in a pseudo-terminal, in which a test types a line and presses TAB."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_COMMANDS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
_PREPARATION = {
    "bash": "bind 'set bell-style none'; source {script}",
    "zsh": "unsetopt BEEP LIST_BEEP; autoload -Uz compinit; compinit -D; source {script}",
    "fish": "source {script}",
}
_DEADLINE_S = 60.0


class TypedShell:
    """A shell that reads the keys which a test types."""

    def __init__(self, descriptor: int, shell: str) -> None:
        self._descriptor, self._shell, self._seen, self._n_lines = descriptor, shell, "", 0

    def run(self, line: str) -> Self:
        """Run a line and wait for its end."""
        self._n_lines += 1
        self._type(f"{line}; echo done-'{self._n_lines}'-\r")
        self._until(rf"done-{self._n_lines}-")
        return self

    def words_after_tab(self, line: str) -> list[str]:
        """The words of ``line`` after TAB, without their quotes, as the shell hands them to a program."""
        self._n_lines += 1
        begin, end = f"begin-{self._n_lines}-", f"end-{self._n_lines}-"
        # Ctrl-A puts the cursor at the start, Ctrl-E at the end of the line.
        split = f"printf '<%s>' begin-'{self._n_lines}'- "
        self._type(f"{line}\t\x01{split}\x05 end-'{self._n_lines}'-\r")
        return re.findall("<([^>]*)>", self._until(rf"<{begin}>(.*)<{end}>"))

    def _type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def _until(self, pattern: str) -> str:
        """Read until ``pattern`` is on the screen; its group, or all of it."""
        end_s = time.monotonic() + _DEADLINE_S
        while not (match := re.search(pattern, self._seen, re.DOTALL)):
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, end_s - time.monotonic()))
            assert ready, f"{self._shell} shows no {pattern!r}: {self._seen!r}"
            self._seen += os.read(self._descriptor, 65536).decode(errors="replace")
        self._seen = self._seen[match.end() :]
        return match[1] if match.re.groups else match[0]


@contextmanager
def typed_shell(shell: str, script: Path, folder: Path, environ: Mapping[str, str]) -> Iterator[TypedShell]:
    """Start a shell in ``folder`` that has loaded ``script``; it ends with the block."""
    ours, theirs = pty.openpty()
    opened = 'exec "$@" 0<>"$TERMINAL" 1>&0 2>&0'  # a session that opens a terminal is controlled by it, as fish needs
    process = subprocess.Popen(
        ["sh", "-c", opened, "sh", *_COMMANDS[shell]],
        cwd=folder,
        env={**environ, "TERM": "dumb", "PS1": "$ ", "TERMINAL": os.ttyname(theirs)},
        start_new_session=True,
    )
    try:
        yield TypedShell(ours, shell).run(_PREPARATION[shell].format(script=script))
    finally:
        process.kill()
        process.wait()
        # `theirs` stays open until here: a terminal cannot be read while no process has its other end open
        os.close(theirs)
        os.close(ours)
