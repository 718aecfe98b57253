"""Parameters' names for a screen: the shortest end of each path that no other path shares.

``optimizer.lr`` is ``lr`` where no other parameter ends in ``lr``, and ``model.hidden.0`` is ``hidden.0``: a part that
says nothing alone (a position, ``length``, ``choice``, ``name``) keeps the part before it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Sequence

_SAY_NOTHING_ALONE = {"length", "choice", "name", "from", "to", "of", "at", "by", "every"}


def short_names(names: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """A short name for each name, no two alike.

    Args:
        names: dotted paths, each once.
        taken: names of other columns, which no short name may be.
    """
    ends = Counter(end for name in names for end in set(_ends(name)))
    return {
        name: next(
            (end for end in _ends(name) if ends[end] == 1 and end not in taken and _says_something(end)), name
        )
        for name in names
    }


def matching(asked: str, names: Collection[str]) -> list[str]:
    """The names that ``asked`` may mean: itself, or else all that end in it, or else none."""
    return [asked] if asked in names else [name for name in names if asked in _ends(name)]


def nearest(asked: str, names: Sequence[str]) -> str | None:
    """The name most like ``asked``, or like its last parts; None where none is."""
    whole_of = {end: name for name in reversed(names) for end in _ends(name)} | {name: name for name in names}
    found = difflib.get_close_matches(asked, whole_of, n=1, cutoff=0.6)
    return whole_of[found[0]] if found else None


def _ends(name: str) -> list[str]:
    """``a.b.c`` → ``c``, ``b.c``, ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[place:]) for place in range(len(parts) - 1, -1, -1)]


def _says_something(end: str) -> bool:
    first = end.partition(".")[0]
    return not (first.isdigit() or (first == end and first in _SAY_NOTHING_ALONE))
