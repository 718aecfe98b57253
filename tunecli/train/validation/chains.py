"""Links of the two chains that never act, that the run is too short for, or that leave no weights.

Weights are counted for the models whose layers follow from the file; for other models no problem is found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from math import prod

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.learning_rate import (
    AnyLink,
    CosineRestarts,
    Cut,
    MultiStep,
    Step,
    Warmup,
    WarmupStableDecay,
)
from tunecli.config.schema.models import AnyModel
from tunecli.config.schema.optimizers import Rprop
from tunecli.config.schema.weights import SPARE_OUTPUT, WeightCut
from tunecli.train.data.sources import DataFacts
from tunecli.train.validation.case import Case, Problem, Rule, never_acts
from tunecli.train.weight_shapes import Shape, shapes_of

_ROUNDING = 1e-9


def _learning_rate_links(case: Case) -> Iterator[Problem]:
    n_epochs = case.n_epochs
    for number, link in enumerate(case.config.learning_rate):
        path = f"learning_rate.{number}.{link.name}"
        if link.from_epoch >= n_epochs:
            yield never_acts(link, path, n_epochs)
            continue  # its other settings have no effect
        end, whose = n_epochs, "run"
        if link.until_epoch is not None and link.until_epoch < n_epochs:
            end, whose = float(link.until_epoch), "link"
        yield from _milestones(link, path, end, whose)
        yield from _lengths(link, path, end - link.from_epoch)
        yield from _overlap(link, path)


def _rprop(case: Case) -> Iterator[Problem]:
    if isinstance(case.config.optimizer, Rprop) and case.config.learning_rate:
        message = "rprop reads its learning rate only at the first step, and then adapts its own step sizes"
        yield Problem("learning_rate", message, "drop the chain, or use another optimizer")


def _milestones(link: AnyLink, path: str, end: float, whose: str) -> Iterator[Problem]:
    late = [epoch for epoch in link.at or [] if epoch >= end] if isinstance(link, Cut | MultiStep) else []
    if late:
        message = f"a cut after epoch {late[0]} never acts: the {whose} ends after {end:g}"
        last = math.ceil(end) - 1
        yield Problem(f"{path}.at", message, f"at most {last}" if last else "drop the link")


def _lengths(link: AnyLink, path: str, n_epochs: float) -> Iterator[Problem]:
    match link:
        case Warmup() if link.epochs > n_epochs:
            message = f"the warmup lasts {link.epochs:g} epochs, but its part of training only {n_epochs:g}"
        case CosineRestarts() if link.epochs > n_epochs:
            message = (
                f"the first period lasts {link.epochs:g} epochs, but its part of training only {n_epochs:g}"
            )
        case Step() if link.epochs >= n_epochs:
            message = f"a step after {link.epochs} epochs never comes: its part of training has {n_epochs:g}"
        case _:
            return
    yield Problem(f"{path}.epochs", message, "set fewer, or train longer")


def _overlap(link: AnyLink, path: str) -> Iterator[Problem]:
    if isinstance(link, WarmupStableDecay) and link.warmup_fraction + link.decay_fraction > 1 + _ROUNDING:
        total = link.warmup_fraction + link.decay_fraction
        message = f"warmup and decay overlap: together they take {total:g} of the run"
        yield Problem(f"{path}.decay_fraction", message, f"at most {1 - link.warmup_fraction:g}")


def _weight_links(case: Case) -> Iterator[Problem]:
    n_epochs = case.n_epochs
    for number, link in enumerate(case.config.weights):
        path = f"weights.{number}.{link.name}"
        if link.from_epoch >= n_epochs:
            yield never_acts(link, path, n_epochs)
        elif isinstance(link, WeightCut) and link.gradual and (link.until_epoch or 0) > n_epochs:
            message = (
                f"the cut never reaches its fraction: that is due at epoch {link.until_epoch} of {n_epochs:g}"
            )
            yield Problem(f"{path}.until_epoch", message, "leave it out to end with the run")


def _cuts(case: Case) -> Iterator[Problem]:
    shapes = _shapes(case.config.model, case.facts)
    if not shapes:
        return
    for number, link in enumerate(case.config.weights):
        if not isinstance(link, WeightCut):
            continue
        key = f"weights.{number}.cut"
        n_units = _n_units(link, shapes)
        if not n_units:
            words = {"classification": "classes", "multilabel": "labels", "regression": "prediction"}
            outputs = words[case.facts.task]
            message = f"no rows can be cut: the model has only its output layer, whose rows are the {outputs}"
            hint = "use magnitude, random or columns, or a model with hidden layers"
            yield Problem(f"{key}.by", message, hint)
        elif all(round(link.fraction * n) == n for n in n_units):
            units = f"{max(n_units)} {_unit_name(link)}"
            message = f"a fraction of {link.fraction:g} cuts all of {units} and leaves nothing"
            yield Problem(f"{key}.fraction", message, "use a lower one")


def cut_notes(config: TrialConfig, facts: DataFacts) -> Iterator[str]:
    """Notes on a sound chain's cuts: those too small to cut anything, and cuts that together leave nothing.

    The effect of several cuts together is computed only if all of them choose among the same units, in the order in
    which they act.
    """
    shapes = _shapes(config.model, facts)
    cuts = {number: link for number, link in enumerate(config.weights) if isinstance(link, WeightCut)}
    for number, link in cuts.items():
        n_units = _n_units(link, shapes)
        if n_units and all(round(link.fraction * n) == 0 for n in n_units):
            units = f"{max(n_units):,} {_unit_name(link)}"
            yield f"weights.{number}.cut cuts nothing: a fraction of {link.fraction:g} of {units} rounds to none"
    families = {(_unit_name(link), tuple(_n_units(link, shapes))) for link in cuts.values()}
    if len(cuts) < 2 or len(families) > 1:
        return
    ((unit_name, n_units_of_all),) = families
    n_left = list(n_units_of_all)
    for link in sorted(cuts.values(), key=lambda cut: cut.from_epoch):
        n_left = [n - round(link.fraction * n) for n in n_left]
    if n_units_of_all and not any(n_left):
        yield f"the {len(cuts)} cuts of `weights` together leave none of the {unit_name}"


def _n_units(link: WeightCut, shapes: list[Shape]) -> list[int]:
    """Number of units that the cut chooses among, for each of its choices."""
    if link.by in SPARE_OUTPUT:
        return [shape[0] for shape in shapes[:-1]]
    if link.by == "columns":
        return [shape[1] for shape in shapes]
    sizes = [prod(shape) for shape in shapes]
    return sizes if link.per == "tensor" or not sizes else [sum(sizes)]


def _unit_name(link: WeightCut) -> str:
    """The units that a cut removes, in the plural: weights, rows or columns."""
    return "weights" if link.by in ("magnitude", "random") else link.by.removeprefix("random_")


def _shapes(model: AnyModel, facts: DataFacts) -> list[Shape]:
    """The shapes of the model's weights; empty if they are unknown."""
    return shapes_of(model, facts.inputs, facts.n_outputs)


RULES: tuple[Rule, ...] = (_learning_rate_links, _rprop, _weight_links, _cuts)
