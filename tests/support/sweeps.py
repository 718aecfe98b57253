"""Reports of whole studies of any size, for the page: 15 parameters with branches, failures, pruned trials, curves."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from tunecli.effects import Effects, Reliability
from tunecli.objective import Objective
from tunecli.results.ranking import rank
from tunecli.results.report import MAX_CURVES, Axis, AxisKind, Curve, Report, StudyFacts
from tunecli.trial import Failure, FailureKind, Outcome, Scalar, State, Trial

ACCURACY = Objective("val_accuracy", maximize=True)
AXES = (
    Axis("model.hidden.length", "hidden.length", AxisKind.WHOLE, 1, 3),
    Axis("model.hidden.0", "hidden.0", AxisKind.WHOLE, 16, 256, is_log=True),
    Axis("model.hidden.1", "hidden.1", AxisKind.WHOLE, 16, 256, "model.hidden.length ≥ 2", True),
    Axis("model.hidden.2", "hidden.2", AxisKind.WHOLE, 16, 256, "model.hidden.length ≥ 3", True),
    Axis("model.activation", "activation", AxisKind.OPTIONS, 0, 1, options=("relu", "gelu", "tanh")),
    Axis("model.dropout", "dropout", AxisKind.NUMBER, 0.0, 0.5),
    Axis(
        "model.init",
        "init",
        AxisKind.OPTIONS,
        0,
        1,
        options=("kaiming_normal", "xavier_uniform", "orthogonal"),
    ),
    Axis("loss", "loss", AxisKind.OPTIONS, 0, 1, options=("cross_entropy", "focal")),
    Axis("loss.gamma", "gamma", AxisKind.NUMBER, 0.5, 5.0, "loss = focal"),
    Axis("optimizer", "optimizer", AxisKind.OPTIONS, 0, 1, options=("sgd", "adamw")),
    Axis("optimizer.lr (sgd)", "lr (sgd)", AxisKind.NUMBER, 1e-3, 1.0, "optimizer = sgd", True),
    Axis("optimizer.momentum", "momentum", AxisKind.NUMBER, 0.0, 0.99, "optimizer = sgd"),
    Axis("optimizer.lr (adamw)", "lr (adamw)", AxisKind.NUMBER, 1e-5, 0.1, "optimizer = adamw", True),
    Axis("optimizer.weight_decay", "weight_decay", AxisKind.NUMBER, 1e-6, 0.1, "optimizer = adamw", True),
    Axis("training.batch_size", "batch_size", AxisKind.OPTIONS, 0, 1, options=("32", "64", "128")),
)


def sweep_report(n_trials: int, seed: int = 0, **facts: Any) -> Report:
    """The report of a random search on a smooth score with noise.

    Every 23rd trial fails, every 17th is pruned, and the last one still runs.

    Args:
        n_trials: at least 1.
        seed: of the points and the noise.
        facts: fields of `StudyFacts`.
    """
    generator = np.random.default_rng(seed)
    trials, positions = [], {}
    for number in range(n_trials):
        units = generator.uniform(size=len(AXES))
        point, at = _point(units)
        trials.append(
            _trial(number, point, at, float(generator.normal(0, 0.006)), is_last=number == n_trials - 1)
        )
        positions[number] = tuple(at)
    ranked = tuple(rank(trials, ACCURACY, include_unfinished=True))
    curves = {
        row.trial.number: _curve(row.trial, generator) for row in ranked[:MAX_CURVES] if row.trial.outcome
    }
    study = StudyFacts(
        "digits-mlp", "runs/digits-mlp", "study: digits-mlp\n", "bayes", 7, n_trials, n_valid=359
    )
    counts = Counter(trial.state.shown for trial in trials)
    return Report(
        replace(study, counts=counts, **facts),
        ACCURACY,
        ranked,
        AXES,
        positions,
        Effects(Reliability.UNKNOWN, reason="a random report has no model"),
        curves,
    )


def _point(units: Any) -> tuple[dict[str, Scalar], list[float | None]]:
    """The values of the active parameters, and the position of each axis."""
    length, is_focal, is_sgd = int(units[0] * 3), units[7] >= 0.5, units[9] < 0.5
    active = {
        2: length >= 1,
        3: length >= 2,
        8: is_focal,
        10: is_sgd,
        11: is_sgd,
        12: not is_sgd,
        13: not is_sgd,
    }
    point: dict[str, Scalar] = {}
    positions: list[float | None] = []
    for place, axis in enumerate(AXES):
        if not active.get(place, True):
            positions.append(None)
            continue
        unit = float(units[place])
        if axis.kind is AxisKind.OPTIONS:
            index = int(unit * len(axis.options))
            point[axis.name] = (
                int(axis.options[index]) if axis.options[index].isdigit() else axis.options[index]
            )
            positions.append(float(index))
            continue
        value = (
            axis.low * (axis.high / axis.low) ** unit
            if axis.is_log
            else axis.low + unit * (axis.high - axis.low)
        )
        point[axis.name.partition(" ")[0]] = round(value) if axis.kind is AxisKind.WHOLE else value
        if axis.kind is AxisKind.WHOLE:
            low, high, whole = axis.low, axis.high, round(value)
            unit = (
                math.log(whole / low) / math.log(high / low) if axis.is_log else (whole - low) / (high - low)
            )
        positions.append(unit)
    return point, positions


def _trial(
    number: int, point: dict[str, Scalar], at: list[float | None], noise: float, *, is_last: bool
) -> Trial:
    if is_last:
        return Trial(number, point, 2**52 + number, State.RUNNING)
    if number % 23 == 22:
        failure = Failure(FailureKind.DIVERGED, f"the loss is NaN at step {number % 5}")
        outcome = Outcome(State.FAILED, epochs=2, seconds=1.5, device="cpu", failure=failure)
        return Trial(number, point, 2**52 + number, State.FAILED, outcome)
    lr = at[10] if at[10] is not None else at[12]
    assert lr is not None
    score = 0.985 - 0.3 * (lr - 0.75) ** 2 - 0.02 * abs(float(at[5] or 0) - 0.4) + noise
    state = State.PRUNED if number % 17 == 16 else State.COMPLETE
    epochs = 6 if state is State.PRUNED else 20
    score -= 0.1 if state is State.PRUNED else 0.0
    outcome = Outcome(
        state, min(1.0, round(score * 359) / 359), {}, epochs, epochs - 1, 0.1 * epochs + number % 7, "cpu"
    )
    return Trial(number, point, 2**52 + number, state, outcome)


def _curve(trial: Trial, generator: Any) -> Curve:
    assert trial.outcome is not None
    n = trial.outcome.epochs
    score = trial.outcome.score if trial.outcome.score is not None else math.nan
    epochs = np.arange(1, n + 1)
    scores = score - 0.3 * np.exp(-epochs / 3) + generator.normal(0, 0.003, n)
    train = 1.5 * np.exp(-epochs / 4) + 0.02
    valid = 1.4 * np.exp(-epochs / 4) + 0.06 + 0.002 * epochs
    return Curve(tuple(map(int, epochs)), tuple(scores), tuple(train), tuple(valid), trial.outcome.kept_epoch)
