"""Parameters of the user's own command that no argument mentions, and which are therefore searched for nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.config.command import placeholders
from tunecli.config.expressions import Fixed, Group, Reference, Sequence, walk
from tunecli.config.space import Space

_PREFIX = "params."


def unused_parameters(space: Space) -> Iterator[str]:
    """The names, under ``params``, of the parameters that no placeholder of any command in the space names."""
    commands = list(_commands(space))
    if not commands:
        return
    paths = {path for texts in commands for text in texts for path in placeholders(text)}
    paths |= {part.path.removeprefix(_PREFIX) for part in walk(space.tree) if isinstance(part, Reference)}
    for name in space.names:
        if name.startswith(_PREFIX):
            path = name.removeprefix(_PREFIX)
            owner = path.removesuffix(".choice").removesuffix(".length")
            if not any(_is_on_one_line(owner, each) for each in paths):
                yield path


def _is_on_one_line(path: str, other: str) -> bool:
    """Whether one of two paths leads to the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def _commands(space: Space) -> Iterator[list[str]]:
    """The texts of each command that a trial may run."""
    for part in walk(space.tree):
        if isinstance(part, Group) and "command" in part.items:
            for lists in walk(part.items["command"]):
                if isinstance(lists, Sequence):
                    yield [
                        each.value
                        for each in walk(lists)
                        if isinstance(each, Fixed) and isinstance(each.value, str)
                    ]
            return
