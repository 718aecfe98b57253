"""Links of the weight chain that could never act, or would leave nothing to act on.

Knows the layers of the models whose structure the file tells; of any other model nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import prod
from typing import Any

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.models import AnyModel, Cnn, Linear, Mlp
from tunecli.config.schema.weights import SPARE_OUTPUT, WeightCut
from tunecli.train.data.sources import DataFacts
from tunecli.train.inputs import Inputs
from tunecli.train.validation.case import Case, Complaint, Rule, never_acts

Shape = tuple[int, ...]


def _linear(knob: Linear, inputs: Inputs, n_outputs: int) -> list[Shape]:
    return [(n_outputs, inputs.n_values)]


def _mlp(knob: Mlp, inputs: Inputs, n_outputs: int) -> list[Shape]:
    widths = [inputs.n_values, *knob.widths, n_outputs]
    return [(n_out, n_in) for n_in, n_out in pairwise(widths)]


def _cnn(knob: Cnn, inputs: Inputs, n_outputs: int) -> list[Shape]:
    channels = [inputs.shape[0], *knob.channels]
    kernels: list[Shape] = [(n_out, n_in, knob.kernel, knob.kernel) for n_in, n_out in pairwise(channels)]
    return [*kernels, (n_outputs, channels[-1])]


WEIGHT_SHAPES: dict[type[Any], Callable[[Any, Inputs, int], list[Shape]]] = {
    Linear: _linear,
    Mlp: _mlp,
    Cnn: _cnn,
}
"""(knob, inputs, outputs) → the shapes of its tensors of two dimensions or more, in order."""


def _window(case: Case) -> Iterator[Complaint]:
    n_epochs = case.n_epochs
    for number, link in enumerate(case.config.weights):
        path = f"weights.{number}.{link.name}"
        if link.from_epoch >= n_epochs:
            yield never_acts(link, path, n_epochs)
        elif isinstance(link, WeightCut) and link.gradual and (link.until_epoch or 0) > n_epochs:
            message = f"the cut never reaches its fraction, due at epoch {link.until_epoch} of {n_epochs:g}"
            yield Complaint(f"{path}.until_epoch", message, "leave it out to end with the run")


def cut_notes(config: TrialConfig, facts: DataFacts) -> Iterator[str]:
    """What a person should know of a sound chain's cuts: those too small to cut anything, and too many to leave any.

    What several leave is known where all of them choose among the same units; it is counted as they act.
    """
    shapes = _shapes(config.model, facts)
    cuts = {n: link for n, link in enumerate(config.weights) if isinstance(link, WeightCut)}
    for number, link in cuts.items():
        n_units = _n_units(link, shapes)
        if n_units and all(round(link.fraction * n) == 0 for n in n_units):
            of_each = f"{max(n_units):,} {_unit(link)}"
            yield f"weights.{number}.cut cuts nothing: a fraction of {link.fraction:g} of {of_each} rounds to none"
    families = {(_unit(link), tuple(_n_units(link, shapes))) for link in cuts.values()}
    if len(cuts) < 2 or len(families) > 1:
        return
    ((unit, n_units_of_all),) = families
    n_left = list(n_units_of_all)
    for link in sorted(cuts.values(), key=lambda each: each.from_epoch):
        n_left = [n - round(link.fraction * n) for n in n_left]
    if n_units_of_all and not any(n_left):
        yield f"the {len(cuts)} cuts of `weights` together leave none of the {unit}"


def _shapes(model: AnyModel, facts: DataFacts) -> list[Shape]:
    """The shapes of the model's weights, none where they are not known."""
    if type(model) not in WEIGHT_SHAPES or (isinstance(model, Cnn) and facts.inputs.kind != "image"):
        return []
    return WEIGHT_SHAPES[type(model)](model, facts.inputs, facts.n_classes or 1)


def _unit(link: WeightCut) -> str:
    """What the cut takes whole."""
    return "weights" if link.by in ("magnitude", "random") else link.by.removeprefix("random_")


def _cuts(case: Case) -> Iterator[Complaint]:
    shapes = _shapes(case.config.model, case.facts)
    if not shapes:
        return
    for number, link in enumerate(case.config.weights):
        if not isinstance(link, WeightCut):
            continue
        key = f"weights.{number}.cut"
        n_units = _n_units(link, shapes)
        if not n_units:
            message = f"no rows can be cut: the model has its output layer alone, whose rows are the {_outputs(case)}"
            yield Complaint(
                f"{key}.by", message, "use magnitude, random or columns, or a model with hidden layers"
            )
        elif all(round(link.fraction * n) == n for n in n_units):
            message = (
                f"a fraction of {link.fraction:g} cuts all of {max(n_units)} {_unit(link)} and leaves nothing"
            )
            yield Complaint(f"{key}.fraction", message, "use a lower one")


def _n_units(link: WeightCut, shapes: list[Shape]) -> list[int]:
    """How many units the cut chooses among, for each choice that it makes."""
    if link.by in SPARE_OUTPUT:
        return [shape[0] for shape in shapes[:-1]]
    if link.by == "columns":
        return [shape[1] for shape in shapes]
    sizes = [prod(shape) for shape in shapes]
    return sizes if link.per == "tensor" or not sizes else [sum(sizes)]


def _outputs(case: Case) -> str:
    return "classes" if case.facts.task == "classification" else "prediction"


RULES: tuple[Rule, ...] = (_window, _cuts)
