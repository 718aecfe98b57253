"""Labels for a choice's options on a screen, where the record's own labels say too little or look alike.

The record calls two sub-trees of one name ``cross_entropy`` and ``cross_entropy#2``; here the second is
``cross_entropy(label_smoothing=0.1)``, by what it differs in. Only for people: what is recorded stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from tunecli.config import expressions
from tunecli.config.domains import Categorical, described, shown
from tunecli.config.expressions import Choice, Expression, Fixed, Group, Listing, Numeric
from tunecli.config.space import Space, join
from tunecli.trial import Scalar

_LONGEST = 48
_RANGE = "…"


def options_of(space: Space) -> dict[str, tuple[Scalar, ...]]:
    """By the name of each choice, its options; those of all branches where several hold a choice of that name."""
    found: dict[str, tuple[Scalar, ...]] = {}
    for parameter in space.parameters:
        if isinstance(parameter.domain, Categorical):
            found[parameter.name] = (*found.get(parameter.name, ()), *parameter.domain.options)
    return found


def option_labels(space: Space) -> dict[str, dict[str, str]]:
    """For each choice by name, the label of each option by its ``repr``; only options that need another label."""
    found: dict[str, dict[str, str]] = {}
    for name, options in options_of(space).items():
        alike: dict[str, set[str]] = {}
        for option in options:
            alike.setdefault(_short(option), set()).add(repr(option))
        for option in options:
            if len(alike[_short(option)]) > 1 and isinstance(option, float | str):
                text = f'"{option}"' if isinstance(option, str) else repr(option)
                found.setdefault(name, {})[repr(option)] = text
    for name, choice in _choices(space.tree, ""):
        found.setdefault(name, {}).update(_told_apart(choice))
    return {name: labels for name, labels in found.items() if labels}


def _short(option: Scalar) -> str:
    return f"{option:.4g}" if isinstance(option, float) else shown(option)


def _choices(expression: Expression, name: str) -> Iterator[tuple[str, Choice]]:
    match expression:
        case Group(items=named):
            for step, item in named.items():
                yield from _choices(item, join(name, step))
        case expressions.Sequence(items=items) | Listing(items=items):
            for place, item in enumerate(items):
                yield from _choices(item, join(name, place))
        case Choice(options=options):
            yield expression.name_at(name), expression
            for option in options:
                yield from _choices(option, name)


def _told_apart(choice: Choice) -> dict[str, str]:
    """Labels for the sub-trees that the record tells apart by a number alone."""
    numbered = sorted(
        (label.partition("#")[0], place)
        for place, label in enumerate(choice.labels)
        if isinstance(label, str)
    )
    found: dict[str, str] = {}
    for base, group in groupby(numbered, key=lambda each: each[0]):
        places = [place for _, place in group]
        labels = (
            _by_difference(base, [choice.options[place] for place in places]) if len(places) > 1 else None
        )
        if base and labels:
            found |= {repr(choice.labels[place]): label for place, label in zip(places, labels, strict=True)}
    texts = [found.get(repr(label), shown(label)) for label in choice.labels]
    return found if len(set(texts)) == len(texts) else {}


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
    is_short = all(len(label) <= _LONGEST for label in labels)
    return labels if is_short and len(set(labels)) == len(labels) else None


def _parts(leaves: Mapping[str, str], keys: Sequence[str]) -> list[str]:
    return [f"{key.rpartition('.')[2]}={leaves[key]}" for key in keys if key in leaves]


def _leaves(expression: Expression, name: str) -> Iterator[tuple[str, str]]:
    match expression:
        case Group(items=named):
            for step, item in named.items():
                yield from _leaves(item, join(name, step))
        case expressions.Sequence(items=items) if items and all(isinstance(item, Fixed) for item in items):
            yield name, f"[{', '.join(_short(item.value) for item in items if isinstance(item, Fixed))}]"
        case expressions.Sequence(items=items):
            for place, item in enumerate(items):
                yield from _leaves(item, join(name, place))
        case Fixed(value=value):
            yield name, _short(value)
        case Numeric(domain=domain):
            yield name, described(domain)
        case _:
            yield name, _RANGE
