"""What the record calls the options of a choice, so that each has a name of its own."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tunecli.config.expressions import RANGE_KEYS
from tunecli.config.reader import MapNode, Node, ScalarNode, SequenceNode
from tunecli.trial import Scalar

_LONGEST_LABEL = 40


def labels_of(options: tuple[Node, ...]) -> tuple[Scalar, ...]:
    """What the record calls each option: a scalar itself; a sub-tree its name; else its text or its number."""
    told_apart = _told_apart(options)
    wanted = [told_apart.get(n, _label(option, n + 1)) for n, option in enumerate(options)]
    labels: list[Scalar] = []
    taken: set[tuple[type, Scalar]] = set()
    last: dict[Scalar, int] = {}
    for option, label in zip(options, wanted, strict=True):
        free = label
        while not isinstance(option, ScalarNode) and (type(free), free) in taken:
            last[label] = last.get(label, 1) + 1
            free = f"{label}#{last[label]}"
        labels.append(free)
        taken.add((type(free), free))
    return tuple(labels)


def _told_apart(options: tuple[Node, ...]) -> dict[int, str]:
    """Labels such as ``source=iris``, by place, for the maps whose labels would otherwise differ in a number alone.

    These are maps of one and the same key, and those too long for a label. The keys in which they differ say which is
    which, where all have them with plain values and the text is short.
    """
    maps = {n: each for n, each in enumerate(options) if isinstance(each, MapNode) and not _is_range(each)}
    usual = {n: _label(option, 0) for n, option in maps.items()}
    times = Counter(usual.values())
    bare = [n for n in maps if usual[n] == "#0" or (usual[n] in maps[n].items and times[usual[n]] > 1)]
    plain = [
        {key: _spelt(item) for key, item in maps[n].items.items() if isinstance(item, ScalarNode)}
        for n in bare
    ]
    shared = [key for key in (plain[0] if plain else ()) if all(key in each for each in plain)]
    differing = [key for key in shared if len({each[key] for each in plain}) > 1]
    texts = [", ".join(f"{key}={each[key]}" for key in differing) for each in plain]
    is_short = all(len(text) <= _LONGEST_LABEL for text in texts)
    return dict(zip(bare, texts, strict=True)) if is_short and len(set(texts)) == len(texts) > 1 else {}


def _is_range(node: MapNode) -> bool:
    return not node.items.keys().isdisjoint(RANGE_KEYS)


def _spelt(node: ScalarNode) -> str:
    return node.value if isinstance(node.value, str) else json.dumps(node.value)


def _label(option: Node, number: int) -> Scalar:
    match option:
        case ScalarNode(value=value):
            return value
        case MapNode(items=items):
            name = items.get("name", items.get("python"))
            if isinstance(name, ScalarNode) and isinstance(name.value, str):
                return name.value
            if reserved := set(items) & set(RANGE_KEYS):
                return next(iter(reserved))
            if len(items) == 1:
                return next(iter(items))
        case SequenceNode(items=items) if any(isinstance(item, MapNode) for item in items):
            return f"[{', '.join(str(_label(item, place)) for place, item in enumerate(items, start=1))}]"
    return flow_label(option) or f"#{number}"


def flow_label(node: Node) -> str:
    """A short plain sub-tree as one line; empty where it is long or holds a range."""

    def plain(part: Node) -> Any:
        match part:
            case ScalarNode(value=value):
                return value
            case SequenceNode(items=items):
                return [plain(item) for item in items]
            case MapNode(items=named):
                if set(named) & set(RANGE_KEYS):
                    raise ValueError
                return {key: plain(item) for key, item in named.items()}

    try:
        text = json.dumps(plain(node), ensure_ascii=False)
    except ValueError:
        return ""
    return text if len(text) <= _LONGEST_LABEL else ""
