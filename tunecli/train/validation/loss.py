"""Losses that do not fit the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from tunecli.config.schema.base import UserCode
from tunecli.config.schema.losses import AnyClassLoss, AnyNumberLoss, Bce, CrossEntropy, Focal, Hinge, Poisson
from tunecli.train.validation.case import Case, Complaint, Rule


def _task(case: Case) -> Iterator[Complaint]:
    loss, task = case.config.loss, case.facts.task
    if loss is None or isinstance(loss, UserCode) or task in loss.tasks:
        return
    family = AnyClassLoss if task == "classification" else AnyNumberLoss
    names = ", ".join(each.model_fields["name"].default for each in get_args(family))
    yield Complaint("loss", f"`{loss.name}` does not work for {task}", f"use one of {names}")


def _class_weights(case: Case) -> Iterator[Complaint]:
    loss, facts, is_balanced = case.config.loss, case.facts, case.config.data.balance == "weight"
    if facts.task != "classification":
        return
    if isinstance(loss, UserCode) and is_balanced:
        message = "a loss of your own takes no class weights"
        yield Complaint("data.balance", message, "use `balance: sample`, or weigh in your loss")
    if not isinstance(loss, CrossEntropy | Focal | Hinge | Bce) or not loss.class_weights:
        return
    if len(loss.class_weights) != facts.n_classes:
        message = f"{len(loss.class_weights)} class weights, and the data has {facts.n_classes} classes"
        yield Complaint("loss.class_weights", message)
    if is_balanced:
        message = "`balance: weight` has class weights of its own"
        yield Complaint("loss.class_weights", message, "keep one of the two")


def _counts(case: Case) -> Iterator[Complaint]:
    least = case.facts.min_target
    if isinstance(case.config.loss, Poisson) and least is not None and least < 0:
        yield Complaint("loss", f"poisson needs counts, and a target is {least:g}", "use mse or huber")


RULES: tuple[Rule, ...] = (_task, _class_weights, _counts)
