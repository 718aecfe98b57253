"""The verbs, options and keys of tunecli, read from ``command_line.json``, and the next place of a command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

TABLE_PATH = Path(__file__).with_name("command_line.json")


class Slot(NamedTuple):
    """A place for a value on a command line: an argument, or an option.

    Attributes:
        names: the names of an option; empty for an argument.
        about: one sentence of help.
        source: where values come from, a name in `tunecli.completion.values`; empty: a flag without a value.
        values: the fixed values, for the source ``values``.
        is_many: whether it may be given several times.
        is_optional: whether an option's value may be left out.
    """

    names: tuple[str, ...]
    about: str
    source: str
    values: tuple[str, ...]
    is_many: bool
    is_optional: bool


class Verb(NamedTuple):
    """A verb: its help, its arguments in order, its options."""

    about: str
    arguments: tuple[Slot, ...]
    options: tuple[Slot, ...]


class Key(NamedTuple):
    """A key of a study's file.

    Attributes:
        values: its fixed values.
        members: the members of the family above it that have the key; empty: all. For a key of a trial, the kinds of
            trials: ``training``, ``python`` or ``command``.
        is_record: whether it only holds further keys.
    """

    values: tuple[str, ...]
    members: tuple[str, ...]
    is_record: bool


class Table(NamedTuple):
    """All verbs by name, the options of the program itself, and all keys by their paths."""

    verbs: Mapping[str, Verb]
    options: tuple[Slot, ...]
    keys: Mapping[str, Key]


class Position(NamedTuple):
    """The place at the cursor of a command line.

    Attributes:
        verb: the verb on the line; None before it.
        slot: the argument or option whose value ends at the cursor; None: a verb, an option's name, or nothing.
        head: the part of the last word before the value, such as ``--set=``.
        text: the value, or the word, up to the cursor.
        given: the values of arguments and options before the cursor, by the first name of an option, or by the source
            of an argument.
        has_options: whether the name of an option is possible at the cursor.
    """

    verb: str | None
    slot: Slot | None
    head: str
    text: str
    given: Mapping[str, tuple[str, ...]]
    has_options: bool


def read_table() -> Table:
    """Read the table that is part of the package."""
    content = json.loads(TABLE_PATH.read_bytes())
    verbs = {
        name: Verb(verb["about"], _slots(verb["arguments"]), _slots(verb["options"]))
        for name, verb in content["verbs"].items()
    }
    keys = {
        path: Key(tuple(key.get("values", ())), tuple(key.get("members", ())), key.get("record", False))
        for path, key in content["keys"].items()
    }
    return Table(verbs, _slots(content["options"]), keys)


def locate(words: Sequence[str], table: Table) -> Position:
    """Find the place at the end of ``words``.

    Args:
        words: the words behind the command's name; the last one ends at the cursor and may be empty.
        table: the verbs and options.
    """
    *before, last = words or [""]
    start = next((place for place, word in enumerate(before) if word in table.verbs), None)
    if start is None:
        slot = _option(table.options, before[-1]) if before else None
        return Position(None, slot if slot and slot.source else None, "", last, {}, True)
    verb = table.verbs[before[start]]
    given: dict[str, list[str]] = {}
    awaited: Slot | None = None
    n_arguments, has_options = 0, True
    for word in before[start + 1 :]:
        if awaited is not None and not (awaited.is_optional and word.startswith("-")):
            given.setdefault(awaited.names[0], []).append(word)
            awaited = None
        elif has_options and word == "--":
            awaited, has_options = None, False
        elif has_options and word.startswith("-") and word != "-":
            name, is_joined, value = word.partition("=")
            awaited = _option(verb.options, name)
            if awaited is not None:
                given.setdefault(awaited.names[0], []).extend([value] if is_joined else [])
                awaited = None if is_joined or not awaited.source else awaited
        else:
            awaited = None
            if argument := _argument(verb, n_arguments):
                given.setdefault(argument.source, []).append(word)
            n_arguments += 1
    found = {name: tuple(values) for name, values in given.items()}
    name, is_joined, value = last.partition("=")
    joined = _option(verb.options, name) if has_options and is_joined and name.startswith("--") else None
    if awaited is not None and not (awaited.is_optional and last.startswith("-")):
        return Position(before[start], awaited, "", last, found, awaited.is_optional)
    if joined is not None:
        return Position(before[start], joined, f"{name}=", value, found, False)
    if has_options and last.startswith("-"):
        return Position(before[start], None, "", last, found, True)
    return Position(before[start], _argument(verb, n_arguments), "", last, found, has_options)


def _argument(verb: Verb, place: int) -> Slot | None:
    if place < len(verb.arguments):
        return verb.arguments[place]
    return verb.arguments[-1] if verb.arguments and verb.arguments[-1].is_many else None


def _option(options: Sequence[Slot], name: str) -> Slot | None:
    return next((option for option in options if name in option.names), None)


def _slots(rows: Sequence[dict[str, object]]) -> tuple[Slot, ...]:
    return tuple(
        Slot(
            _texts(row.get("names")),
            str(row["about"]),
            str(row.get("source", "")),
            _texts(row.get("values")),
            bool(row.get("many")),
            bool(row.get("optional")),
        )
        for row in rows
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
