"""Hints for refused values of keys under `search`: a pruner named as the sampler, a study in place of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunecli.config.suggestions import meant
from tunecli.registry.pruners import PRUNERS
from tunecli.registry.samplers import SAMPLERS

_OTHER_KEY: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sampler": ("pruner", PRUNERS),
    "pruner": ("sampler", SAMPLERS),
}


def search_hint(key: str, given: Any) -> str:
    """The hint for a value that the key `search.KEY` refuses; empty if the key alone says nothing on it.

    Args:
        key: the last step of the key's path.
        given: the refused value, plain.
    """
    if key == "from" and not isinstance(given, str | list):
        return "write `from: [runs/a, runs/b]`"
    if key not in _OTHER_KEY:
        return ""
    other, known = _OTHER_KEY[key]
    word = given.get("name") if isinstance(given, Mapping) else given
    own = SAMPLERS if key == "sampler" else PRUNERS
    if not isinstance(word, str) or word in own or meant(word, list(own)):
        return ""
    name = word if word in known else meant(word, list(known))
    return f"`{name}` is a {other}: write `{other}: {name}`" if name else ""
