"""`tunecli import`: another tool's sweep file as a study's file, checked, with an account of every key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunecli.config.load import bytes_of, parse_study
from tunecli.config.reader import MAX_BYTES
from tunecli.errors import ConfigError, DataError, Problem, UsageError
from tunecli.importers.account import Entry, Fate
from tunecli.importers.kinds import ImportedStudy, import_study
from tunecli.importers.program_seed import passes_seed, seed_argument
from tunecli.results.view import View
from tunecli.store.destination import as_argument, path_in_message, require_destination, write_where_asked
from tunecli.store.files import kind_of
from tunecli.text import counted
from tunecli.train.validation import trial_problems

STDIN = Path("-")


@dataclass(frozen=True)
class Import:
    """An imported study.

    Attributes:
        imported: the study's text, and the account of the other tool's file.
        problems: what `tunecli check` reports about the text; empty: the study can run.
        path: the file that the text is written to; None: stdout.
    """

    imported: ImportedStudy
    problems: tuple[Problem, ...]
    path: Path | None

    @property
    def is_complete(self) -> bool:
        """Whether the study can run as it is."""
        return not self.problems and not self.imported.account.of(Fate.FILL_IN)


def import_sweep(path: Path, out: Path | None, kind: str | None) -> Import:
    """Convert the file at ``path``, check the result, and write it to ``out``.

    Args:
        path: the other tool's file; ``-`` is stdin.
        out: the file to write; None: nothing is written.
        kind: the kind of the file; None: recognised by its content.

    Raises:
        ConfigError: the file cannot be read, or has parameters that make no range.
        UsageError: ``out`` exists or cannot be written; the kind is unknown, or the content has none.
    """
    if out is not None:
        if kind_of(out):
            raise UsageError(f"{out} exists already", hint="name another file")
        require_destination(out)
    is_stdin = path == STDIN
    data = (
        sys.stdin.buffer.read(MAX_BYTES + 1)
        if is_stdin
        else bytes_of(path, if_missing="name the sweep's file")
    )
    imported = import_study(data, "stdin" if is_stdin else str(path), kind)
    folder = out.parent if out is not None else Path() if is_stdin else path.parent
    _propose_seed(imported, folder)
    problems = tuple(_problems(imported.text, out or Path("study.yaml"), folder))
    if out is not None:
        write_where_asked(out, imported.text)
    return Import(imported, problems, out)


def _propose_seed(imported: ImportedStudy, folder: Path) -> None:
    """Note that the program could get the trial's seed, if its source declares an option for it."""
    if not passes_seed(imported.command, imported.parameters):
        argument, program = seed_argument(imported.command, folder)
        if argument:
            imported.account.note(
                f'trial.command: add "{argument}"',
                f"{program} takes a seed; with it, a trial can be repeated, and `confirm` trains with fresh seeds",
            )


def _problems(text: str, path: Path, folder: Path) -> Iterator[Problem]:
    """What `tunecli check` reports about the text as a file in ``folder``."""
    try:
        parse_study(text.encode(), path.name, (), folder, trial_problems)
    except ConfigError as error:
        yield from error.problems
    except (UsageError, DataError) as error:
        yield Problem(error.message, path.name, hint=error.hint)


def import_view(result: Import) -> View:
    """The account on stderr, and the study's text on stdout unless a file has it."""
    imported, account = result.imported, result.imported.account
    entries = account.of(Fate.CARRIED, Fate.CHANGED, Fate.LEFT_OUT)
    fill_in = account.of(Fate.FILL_IN)
    messages = [f"{imported.kind.title}:", *(f"  {entry}" for entry in entries)]
    if fill_in or result.problems:
        messages += ["before it can run:", *(f"  {entry}" for entry in fill_in)]
        messages += [f"  {problem}" for problem in result.problems]
    messages.append(_summary(result))
    data = {
        "from": imported.kind.name,
        "config": imported.text,
        "out": None if result.path is None else str(result.path),
        "complete": result.is_complete,
        "account": [_as_data(entry) for entry in (*entries, *fill_in)],
        "problems": [str(problem) for problem in result.problems],
    }
    raw = imported.text if result.path is None else ""
    return View("import", data, messages=tuple(messages), raw=raw)


def _as_data(entry: Entry) -> dict[str, str | int]:
    return {
        "fate": entry.fate.value,
        "line": entry.line,
        "source": entry.source,
        "result": entry.result,
        "note": entry.note,
    }


def _summary(result: Import) -> str:
    account = result.imported.account
    n_carried, n_left_out = len(account.of(Fate.CARRIED, Fate.CHANGED)), len(account.of(Fate.LEFT_OUT))
    counts = f"{counted(n_carried, 'key')} carried over, {n_left_out} without a counterpart"
    n_open = len(account.of(Fate.FILL_IN)) + len(result.problems)
    state = (
        "passes `tunecli check`"
        if result.is_complete
        else f"{counted(n_open, 'place')} to fill in or correct"
    )
    if result.path is None:
        return f"{counts}; {state}"
    then = (
        f"`tunecli search {as_argument(result.path)}`"
        if result.is_complete
        else "correct it and check it again"
    )
    return f"wrote {path_in_message(result.path)}: {counts}; {state}; {then}"
