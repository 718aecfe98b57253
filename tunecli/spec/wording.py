"""How names are suggested to a person who mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The hint "did you mean `lr`?", or empty where nothing known is near enough."""
    names = list(known)
    begun = [name for name in names if len(word) > 2 and name.startswith(word)]
    matches = begun or difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean `{matches[0]}`?" if matches else ""
