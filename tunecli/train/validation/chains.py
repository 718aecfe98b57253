"""Links of the learning-rate chain that never act, or that the run is too short for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tunecli.config.schema.learning_rate import (
    AnyLink,
    CosineRestarts,
    Cut,
    MultiStep,
    Step,
    Warmup,
    WarmupStableDecay,
)
from tunecli.config.schema.optimizers import Rprop
from tunecli.train.validation.case import Case, Complaint, Rule, never_acts


def _links(case: Case) -> Iterator[Complaint]:
    n_epochs = case.n_epochs
    for number, link in enumerate(case.config.learning_rate):
        path = f"learning_rate.{number}.{link.name}"
        if link.from_epoch >= n_epochs:
            yield never_acts(link, path, n_epochs)
            continue  # nothing else of it matters
        end, whose = n_epochs, "run"
        if link.until_epoch is not None and link.until_epoch < n_epochs:
            end, whose = float(link.until_epoch), "link"
        yield from _milestones(link, path, end, whose)
        yield from _lengths(link, path, end - link.from_epoch)
        yield from _slopes(link, path)


def _follows_no_rate(case: Case) -> Iterator[Complaint]:
    if isinstance(case.config.optimizer, Rprop) and case.config.learning_rate:
        message = "rprop reads its rate once, at the first step, and finds its own from there"
        yield Complaint("learning_rate", message, "drop the chain, or take another optimizer")


def _milestones(link: AnyLink, path: str, end: float, whose: str) -> Iterator[Complaint]:
    late = [epoch for epoch in link.at or [] if epoch >= end] if isinstance(link, Cut | MultiStep) else []
    if late:
        message = f"a cut after epoch {late[0]} never acts: the {whose} ends after {end:g}"
        last = math.ceil(end) - 1
        yield Complaint(f"{path}.at", message, f"at most {last}" if last else "drop the link")


def _lengths(link: AnyLink, path: str, n_epochs: float) -> Iterator[Complaint]:
    match link:
        case Warmup() if link.epochs > n_epochs:
            message = f"the warmup lasts {link.epochs:g} epochs, but its part of training only {n_epochs:g}"
        case CosineRestarts() if link.epochs > n_epochs:
            message = (
                f"the first period lasts {link.epochs:g} epochs, but its part of training only {n_epochs:g}"
            )
        case Step() if link.epochs >= n_epochs:
            message = f"a step after {link.epochs} epochs never comes: it has {n_epochs:g}"
        case _:
            return
    yield Complaint(f"{path}.epochs", message, "take fewer, or train longer")


def _slopes(link: AnyLink, path: str) -> Iterator[Complaint]:
    if isinstance(link, WarmupStableDecay) and link.warmup_fraction + link.decay_fraction > 1 + _ROUNDING:
        total = link.warmup_fraction + link.decay_fraction
        message = f"warmup and decay overlap: they take {total:g} of the run together"
        yield Complaint(f"{path}.decay_fraction", message, f"at most {1 - link.warmup_fraction:g}")


_ROUNDING = 1e-9

RULES: tuple[Rule, ...] = (_links, _follows_no_rate)
