"""Names for the options of a choice: in the record, and on a screen where the record's label says too little.

The record labels two sub-trees of one name ``cross_entropy`` and ``cross_entropy#2``. On a screen the second is
``cross_entropy(label_smoothing=0.1)``, from the keys in which the two differ.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from tunecli.config.domains import (
    Categorical,
    Domain,
    Integer,
    Normal,
    Powers,
    Real,
    last_value,
    n_values,
)
from tunecli.config.expressions import (
    Choice,
    Derived,
    Expression,
    Fixed,
    FixedList,
    Group,
    Numeric,
    VariableList,
    join,
)
from tunecli.config.range_words import range_word
from tunecli.config.reader import MapNode, Node, ScalarNode, SequenceNode, plain_of
from tunecli.config.schema.metrics_from import STEP
from tunecli.config.space import Space
from tunecli.trial import Scalar

_LONGEST_LABEL = 40


def labels_of(options: tuple[Node, ...]) -> tuple[Scalar, ...]:
    """The label of each option in the record: a scalar itself; a sub-tree's name; else its text or its number."""
    told_apart = _labels_by_difference(options)
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


def _labels_by_difference(options: tuple[Node, ...]) -> dict[int, str]:
    """Labels such as ``source=iris``, by index, for maps whose labels would otherwise differ in a number only.

    These are maps with the same single key, and maps too long for a label. The label lists the keys in which they
    differ, if every map has them with plain values and the text is short.
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
    return range_word(node) not in ("", "expr")  # a formula has its text as its label


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
            word = range_word(option)
            if word == "expr":
                text = str(plain_of(items[word]))
                return text if len(text) <= _LONGEST_LABEL else word
            if word:
                return word
            if len(items) == 1:
                return next(iter(items))
        case SequenceNode(items=items) if any(isinstance(item, MapNode) for item in items):
            return f"[{', '.join(str(_label(item, place)) for place, item in enumerate(items, start=1))}]"
    return flow_label(option) or f"#{number}"


def flow_label(node: Node) -> str:
    """A short plain sub-tree in one line; empty if it is long or contains a range."""

    def plain(part: Node) -> Any:
        match part:
            case ScalarNode(value=value):
                return value
            case SequenceNode(items=items):
                return [plain(item) for item in items]
            case MapNode(items=named):
                if _is_range(part):
                    raise ValueError
                return {key: plain(item) for key, item in named.items()}

    try:
        text = json.dumps(plain(node), ensure_ascii=False)
    except ValueError:
        return ""
    return text if len(text) <= _LONGEST_LABEL else ""


_LONGEST_ON_SCREEN = 48
_RANGE = "…"


def options_of(space: Space) -> dict[str, tuple[Scalar, ...]]:
    """The options of each choice by name, over all branches that have a choice of that name."""
    options: dict[str, tuple[Scalar, ...]] = {}
    for parameter in space.parameters:
        if isinstance(parameter.domain, Categorical):
            options[parameter.name] = (*options.get(parameter.name, ()), *parameter.domain.options)
    return options


def option_labels(space: Space) -> dict[str, dict[str, str]]:
    """By choice, the screen label of each option (by its ``repr``) that needs another one than in the record."""
    found: dict[str, dict[str, str]] = {}
    for name, options in options_of(space).items():
        alike: dict[str, set[str]] = {}
        for option in options:
            alike.setdefault(_shown_short(option), set()).add(repr(option))
        for option in options:
            if len(alike[_shown_short(option)]) > 1 and isinstance(option, float | str):
                text = f'"{option}"' if isinstance(option, str) else repr(option)
                found.setdefault(name, {})[repr(option)] = text
    for name, choice in _choices(space.tree, ""):
        found.setdefault(name, {}).update(_distinct_labels(choice))
    return {name: labels for name, labels in found.items() if labels}


def _shown_short(option: Scalar) -> str:
    return f"{option:.4g}" if isinstance(option, float) else shown(option)


def _choices(expression: Expression, name: str) -> Iterator[tuple[str, Choice]]:
    match expression:
        case Group(items=named):
            for step, item in named.items():
                yield from _choices(item, join(name, step))
        case FixedList(items=items) | VariableList(items=items):
            for place, item in enumerate(items):
                yield from _choices(item, join(name, place))
        case Choice(options=options):
            yield expression.name_at(name), expression
            for option in options:
                yield from _choices(option, name)


def _distinct_labels(choice: Choice) -> dict[str, str]:
    """Labels for sub-trees that differ in a number only in the record."""
    numbered = sorted(
        (label.partition("#")[0], place)
        for place, label in enumerate(choice.labels)
        if isinstance(label, str)
    )
    distinct: dict[str, str] = {}
    for base, group in groupby(numbered, key=lambda pair: pair[0]):
        places = [place for _, place in group]
        labels = (
            _by_difference(base, [choice.options[place] for place in places]) if len(places) > 1 else None
        )
        if base and labels:
            distinct |= {
                repr(choice.labels[place]): label for place, label in zip(places, labels, strict=True)
            }
    texts = [distinct.get(repr(label), shown(label)) for label in choice.labels]
    return distinct if len(set(texts)) == len(texts) else {}


def _by_difference(base: str, options: Sequence[Expression]) -> list[str] | None:
    """``base(key=value, …)`` for each option, with the keys in which they differ; None if that is too long."""
    leaves = [dict(_leaves(option, "")) for option in options]
    keys = dict.fromkeys(key for each in leaves for key in each)
    differing = [key for key in keys if len({each.get(key) for each in leaves}) > 1]
    if any(
        key in ("", "name") for key in differing
    ):  # an option that is a text alone has nothing but its name
        differing = [key for key in differing if key not in ("", "name")]
    labels = [
        f"{base}({', '.join(parts)})" if (parts := _parts(each, differing)) else base for each in leaves
    ]
    is_short = all(len(label) <= _LONGEST_ON_SCREEN for label in labels)
    return labels if is_short and len(set(labels)) == len(labels) else None


def _parts(leaves: Mapping[str, str], keys: Sequence[str]) -> list[str]:
    return [f"{key.rpartition('.')[2]}={leaves[key]}" for key in keys if key in leaves]


def _leaves(expression: Expression, name: str) -> Iterator[tuple[str, str]]:
    match expression:
        case Group(items=named):
            for step, item in named.items():
                yield from _leaves(item, join(name, step))
        case FixedList(items=items) if items and all(isinstance(item, Fixed) for item in items):
            yield (
                name,
                f"[{', '.join(_shown_short(item.value) for item in items if isinstance(item, Fixed))}]",
            )
        case FixedList(items=items):
            for place, item in enumerate(items):
                yield from _leaves(item, join(name, place))
        case Fixed(value=value):
            yield name, _shown_short(value)
        case Numeric(domain=domain):
            yield name, described(domain)
        case Derived(formula=formula):
            yield name, f"= {formula.text}"
        case _:
            yield name, _RANGE


def shown(value: Scalar) -> str:
    """A value as in a file and in the tables: ``null``, ``true``."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def described(domain: Domain) -> str:
    """The domain in a few words, as in the file."""
    match domain:
        case Categorical(options=options, weights=weights):
            if weights:
                pairs = zip(options, weights, strict=True)
                return "choice " + ", ".join(f"{shown(option)} (weight {_short(w)})" for option, w in pairs)
            return "choice " + ", ".join(map(shown, options))
        case Normal(mean=mean, deviation=deviation, step=step):
            by = "" if step is None else f" by {_short(step)}"
            return f"{'lognormal' if domain.is_log else 'normal'} {_short(mean)} ± {_short(deviation)}{by}"
        case Powers(base=base, exponents=exponents):
            return f"{_short(base)} to the power of {described(exponents)}"
        case Integer(is_log=is_log):
            name, has_step = "logint" if is_log else "int", domain.step != 1
        case Real(is_log=is_log):
            name, has_step = "loguniform" if is_log else "uniform", domain.step is not None
    last = last_value(domain)
    if domain.step is None or not has_step:
        return f"{name} {_short(domain.low)} … {_short(last)}"
    between = ", " if n_values(domain) == 2 else " … "
    return f"{name} {_short(domain.low)}{between}{_short(last)} by {_short(domain.step)}"


def _short(number: float) -> str:
    """A number in a few digits, or in all that it takes to read it back."""
    text = str(number) if isinstance(number, int) else f"{number:g}"
    return text if isinstance(number, int) or float(text) == number else repr(number)


def unit_of(space: Space) -> str:
    """The unit of a trial's reports: ``epochs``, or ``steps`` for a trial that reports by steps and finds no epochs."""
    items = space.tree.items if isinstance(space.tree, Group) else {}
    every, metrics = items.get("every"), items.get("metrics")
    is_by_step = isinstance(every, Fixed) and every.value == STEP
    has_epochs = isinstance(metrics, Group) and "epoch" in metrics.items
    return "steps" if is_by_step and not has_epochs else "epochs"
