"""Models, and ways to begin them, that do not fit the data or each other."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import get_args

from tunecli.config.schema.base import UserCode
from tunecli.config.schema.models import AnyModel, Cnn, ResNet, Transformer
from tunecli.train.validation.case import Case, Complaint, Rule

_PLURALS = {"features": "plain features", "sequence": "sequences", "image": "images", "tokens": "tokens"}


def _inputs(case: Case) -> Iterator[Complaint]:
    model, kind = case.config.model, case.facts.inputs.kind
    if isinstance(model, UserCode) or kind in model.kinds:
        return
    taken = _either([_PLURALS[each] for each in model.kinds])
    message = f"{model.name} needs {taken}, and the data has {_PLURALS[kind]}"
    yield Complaint("model", message, f"use {_either(_models_for(kind))}")


def _models_for(kind: str) -> list[str]:
    return [
        name
        for each in get_args(AnyModel)
        if each is not UserCode and kind in each.kinds
        for name in get_args(each.model_fields["name"].annotation)
    ]


def _either(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _patch(case: Case) -> Iterator[Complaint]:
    model = case.config.model
    if not isinstance(model, Transformer) or case.facts.inputs.kind != "image":
        return
    _, rows, columns = case.facts.inputs.shape
    if rows % model.patch or columns % model.patch:
        common = gcd(rows, columns)
        fitting = [str(patch) for patch in range(1, common + 1) if common % patch == 0]
        message = f"a patch of {model.patch} does not divide an image of {rows} × {columns}"
        yield Complaint("model.patch", message, f"one of {', '.join(fitting)}")


def _initialisation(case: Case) -> Iterator[Complaint]:
    model = case.config.model
    if isinstance(model, UserCode):
        return
    has_convolutions = isinstance(model, Cnn | ResNet)
    if has_convolutions and model.init.name in ("eye", "sparse"):
        message = f"{model.init.name} fits linear layers, and {model.name} has convolutions"
        yield Complaint("model.init", message, "use dirac or orthogonal")
    if not has_convolutions and model.init.name == "dirac":
        message = f"dirac fits convolutions, and {model.name} has none"
        yield Complaint("model.init", message, "use eye or orthogonal")


RULES: tuple[Rule, ...] = (_inputs, _patch, _initialisation)
