"""Which rows and columns of the ranked table a command line asks for, and what in it does not go together."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.errors import UsageError

_FORMS = ("table", "csv", "json", "markdown")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows and columns are asked for.

    Attributes:
        n_shown: how many rows, from the first on; None: all.
        sort_by: the column to sort by, a `-` before it for the other way round; empty: by rank.
        columns: their names, in full or the end of them that is no other's; empty: all.
        is_failed_only: the trials that failed alone.
    """

    n_shown: int | None = None
    sort_by: str = ""
    columns: tuple[str, ...] = ()
    is_failed_only: bool = False


def selection_of(
    *,
    form: str = "table",
    is_json: bool = False,
    number: int | None = None,
    n_shown: int | None = None,
    sort_by: str | None = None,
    columns: str | None = None,
    is_failed_only: bool = False,
    is_predicted: bool = False,
) -> Selection:
    """What the options of `results` ask for; ``columns`` are names with commas between them.

    Raises:
        UsageError: an option does not go with another, or names nothing.
    """
    if form not in _FORMS:
        raise UsageError(f"--format: unknown format `{form}`", hint="use table, csv, json or markdown")
    is_text = form in ("csv", "markdown")
    if is_json and is_text:
        raise UsageError(f"--format {form} and --json ask for two formats", hint="use one of them")
    used = {
        "--top": n_shown is not None,
        "--sort": sort_by is not None,
        "--columns": columns is not None,
        "--failed": is_failed_only,
        "--predict": is_predicted,
        f"--format {form}": is_text,
    }
    for option in [name for name, is_used in used.items() if is_used and number is not None]:
        raise UsageError(f"{option} does not work with --trial", hint="drop one of them")
    if is_failed_only and is_predicted:
        raise UsageError(
            "--predict does not work with --failed", hint="a failed trial has no score: drop one"
        )
    named = tuple(name for part in (columns or "").split(",") if (name := part.strip()))
    if columns is not None and not named:
        raise UsageError("--columns names no column", hint="name some: --columns rank,trial")
    by = (sort_by or "").strip()
    if sort_by is not None and not by.removeprefix("-"):
        raise UsageError("--sort names no column", hint="name one: --sort trial")
    return Selection(n_shown, by, named, is_failed_only)
