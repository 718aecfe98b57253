"""Values that look like a mistyped range: the user's own code gets whatever its `params` hold, so none is an error."""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.spec.expressions import Expression, Group, Sequence
from tunecli.spec.grammar import MODIFIERS, RANGE_KEYS
from tunecli.spec.space import children, join
from tunecli.spec.wording import nearest


def near_ranges(tree: Expression, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Of each such map its path, the key in it that is no range's, and which one may be meant, as a hint."""
    if isinstance(tree, Group):
        keys = [key for key in tree.items if key not in MODIFIERS]
        if len(keys) == 1 and isinstance(tree.items[keys[0]], Sequence):
            hint = nearest(keys[0], RANGE_KEYS)
            if hint:
                yield name, keys[0], hint
    if isinstance(tree, Group | Sequence):
        for step, child in children(tree):
            yield from near_ranges(child, join(name, str(step)))
