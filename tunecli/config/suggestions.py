"""How names are suggested to a person who mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 100  # nothing known is near that; comparing takes the product of the lengths


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The hint "did you mean `lr`?", or empty where nothing known is near enough; ``cutoff`` 1 is the same letters."""
    if len(word) > _LONGEST:
        return ""
    names = [name for name in known if name != word]  # what was refused is no suggestion
    begun = [name for name in names if len(word) > 2 and name.startswith(word)]
    spelt = [name for name in names if name.lower() == word.lower()]
    matches = spelt or begun or difflib.get_close_matches(word, names, n=1, cutoff=cutoff)
    return f"did you mean `{matches[0]}`?" if matches else ""
