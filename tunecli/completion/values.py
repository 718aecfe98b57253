"""The possible values at a place of a command line, from the files of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tunecli.completion.command_line import Position, Slot, Table
from tunecli.completion.files import config_files, model_files, run_folder, run_folders, tags_below


class Candidate(NamedTuple):
    """A possible word at the cursor.

    Attributes:
        value: the complete word.
        about: a description, which zsh and fish show.
        is_open: whether the word goes on, so that no blank follows it: ``optimizer.lr=``, ``runs/``.
    """

    value: str
    about: str = ""
    is_open: bool = False


def is_left_to_the_shell(position: Position) -> bool:
    """Whether the shell itself completes the name of a file: any file, or one in a home folder."""
    slot = position.slot
    if slot is None or _is_option(position):
        return False
    return slot.source == "files" or (position.text.startswith("~") and slot.source in _PATHS)


def candidates(position: Position, table: Table) -> list[Candidate]:
    """The possible words at ``position``, in the order in which a shell shows them."""
    every = [one._replace(value=position.head + one.value) for one in _every(position, table)]
    typed = position.head + position.text
    unique = {one.value: one for one in every if one.value.startswith(typed) and one.value.isprintable()}
    return [*unique.values()]


def _every(position: Position, table: Table) -> Iterator[Candidate]:
    if position.slot is not None and not _is_option(position):
        yield from _of_slot(position.slot, position, table)
        return
    if position.text.startswith("-"):
        options = table.options if position.verb is None else table.verbs[position.verb].options
        for option in options:
            if option.is_many or option.names[0] not in position.given:
                yield from (Candidate(name, option.about) for name in option.names if name.startswith("--"))
    elif position.verb is None:
        yield from (Candidate(name, verb.about) for name, verb in table.verbs.items())


def _is_option(position: Position) -> bool:
    """Whether the word at the cursor begins the name of an option."""
    return position.has_options and position.text.startswith("-") and position.text != "-"


def _of_slot(slot: Slot, position: Position, table: Table) -> Iterable[Candidate]:
    if slot.source == "values":
        return map(Candidate, slot.values)
    if slot.source == "keys":
        from tunecli.completion.keys import set_words

        config_path = _config_path(position)
        return (
            Candidate(word, "", word[-1] in "=.")
            for word in set_words(position.text, config_path, table.keys)
        )
    if slot.source in _PATHS:
        return (Candidate(path, "", path.endswith("/")) for path in _PATHS[slot.source](position.text))
    if slot.source == "tags":
        return map(Candidate, tags_below(position.given.get("files", ("runs",))[0]))
    source = _OF_A_RUN.get(slot.source)
    folder = _run(position)
    return source(folder, position.text) if source and folder else ()


def _run(position: Position) -> Path | None:
    """The run folder on the line."""
    named = position.given.get("runs") or position.given.get("runs_and_models")
    return run_folder(named[0]) if named else None


def _config_path(position: Position) -> Path | None:
    """The study's file on the line: CONFIG, ``--config``, or that of RUN."""
    for name in ("configs", "--config"):
        if named := position.given.get(name):
            return Path(named[-1])
    folder = _run(position)
    return folder / "config.yaml" if folder else None


def _trials(folder: Path, text: str) -> Iterator[Candidate]:
    from tunecli.store.glance import trials_at_a_glance

    for trial in trials_at_a_glance(folder):
        score = f"{float(trial.score):.6g}" if trial.score else ""
        about = f"{trial.state} {score}".strip() if trial.state else "not finished"
        yield Candidate(str(trial.number), about)


def _metrics(folder: Path, text: str) -> Iterator[Candidate]:
    from tunecli.store.glance import metrics_at_a_glance

    names = metrics_at_a_glance(folder)
    return _in_a_list([*names, "all"] if names else [], text)


def _columns(folder: Path, text: str) -> Iterator[Candidate]:
    return _in_a_list(_header(folder), text)


def _sort_column(folder: Path, text: str) -> Iterator[Candidate]:
    sign = "-" if text.startswith("-") else ""
    return (Candidate(sign + name) for name in _header(folder))


def _header(folder: Path) -> list[str]:
    """The columns of the ranked table."""
    import csv

    path = folder / "results.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _in_a_list(names: Iterable[str], text: str) -> Iterator[Candidate]:
    """The names as the last item of a list with commas, without those that the list has."""
    head, comma, _ = text.rpartition(",")
    used = head.split(",")
    return (Candidate(f"{head}{comma}{name}") for name in names if name not in used)


_PATHS: Mapping[str, Callable[[str], Iterable[str]]] = {
    "runs": run_folders,
    "configs": config_files,
    "runs_and_models": lambda text: [*run_folders(text), *model_files(text)],
}
_OF_A_RUN: Mapping[str, Callable[[Path, str], Iterable[Candidate]]] = {
    "trials": _trials,
    "metrics": _metrics,
    "columns": _columns,
    "sort_column": _sort_column,
}
SOURCES = frozenset({"values", "keys", "files", "tags", "text", *_PATHS, *_OF_A_RUN})
"""Each source of values; ``text`` has none."""
