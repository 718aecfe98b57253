"""Install the completion for a shell: write its script, and make the shell's start-up file load it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from tunecli.completion.shells import SHELLS, script_of
from tunecli.errors import UsageError, from_os_error


def chosen_shell(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The shell that a user names; ``auto`` is the one of the variable SHELL.

    Raises:
        UsageError: there is no completion for this shell.
    """
    shell = Path(environ.get("SHELL", "")).name if name == "auto" else name
    if shell not in SHELLS:
        known = ", ".join(SHELLS)
        problem = f"there is no completion for the shell `{shell}`" if shell else "SHELL names no shell"
        raise UsageError(problem, hint=f"name one of {known}: `tunecli --install-completion bash`")
    return shell


def install(shell: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Install the completion; a repetition replaces the script and changes nothing else.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.
        environ: HOME, XDG_DATA_HOME, XDG_CONFIG_HOME and ZDOTDIR are read.

    Returns:
        A sentence for each file that was written, and how to begin.

    Raises:
        UsageError: a file cannot be written.
        DiskFull: the disk is full.
    """
    home = Path(environ.get("HOME") or Path.home())
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    if shell == "fish":
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        return [_written(config / "fish/completions/tunecli.fish", shell), "A new fish completes tunecli."]
    if shell == "zsh":
        path, start_up = data / "zsh/site-functions/_tunecli", Path(environ.get("ZDOTDIR") or home) / ".zshrc"
        line = f"(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}; source {quote(str(path))}"
    else:
        path, start_up = data / "bash-completion/completions/tunecli", home / ".bashrc"
        line = f"[ -r {quote(str(path))} ] && source {quote(str(path))}"
    return [
        _written(path, shell),
        *_with_line(start_up, f"{line}  # completion of tunecli"),
        f"A new {shell} completes tunecli.",
    ]


def _written(path: Path, shell: str) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script_of(shell), encoding="utf-8")
    except OSError as error:
        raise from_os_error(error, path) from error
    return f"wrote {path}"


def _with_line(path: Path, line: str) -> list[str]:
    """Append ``line`` to the start-up file unless it is there."""
    try:
        content = path.read_bytes() if path.exists() else b""
        if os.fsencode(line) in content.splitlines():
            return []
        gap = b"" if not content or content.endswith(b"\n") else b"\n"
        with path.open("ab") as file:
            file.write(gap + os.fsencode(line) + b"\n")
    except OSError as error:
        raise from_os_error(error, path) from error
    return [f"added a line to {path}"]
