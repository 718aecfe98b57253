"""What `train` found, as an `Answer`: one training run and its metrics."""

from __future__ import annotations

from tunecli.config.study import StudySpec
from tunecli.results.answer import Answer
from tunecli.study.answers.data import first_lines
from tunecli.study.questions.data import data_of
from tunecli.study.questions.train import Trained
from tunecli.trial import Outcome


def opening_lines(spec: StudySpec) -> list[str]:
    """What a person should see before a training begins: its data in few lines.

    Raises:
        DataError: the data cannot be read or split.
    """
    return first_lines(data_of(spec))


def of_training(trained: Trained) -> Answer:
    """One training run and its metrics."""
    outcome = trained.outcome
    metrics = sorted(outcome.metrics.items(), key=lambda item: (item[0] != trained.metric, item[0]))
    lines = [(name, f"{value:.6g}") for name, value in metrics]
    lines += [("epochs", _epochs(outcome)), ("seconds", f"{outcome.seconds:.2f}"), ("device", outcome.device)]
    data = {
        "study": trained.study,
        "state": outcome.state.value,
        "objective": trained.metric,
        "score": outcome.score,
        "metrics": {name: value if value - value == 0 else None for name, value in metrics},
        "epochs": outcome.epochs,
        "kept_epoch": outcome.kept_epoch,
        "seconds": outcome.seconds,
        "seed": trained.seed,
        "device": outcome.device,
    }
    return Answer("train", data, tuple(lines))


def _epochs(outcome: Outcome) -> str:
    if outcome.kept_epoch in (0, outcome.epochs):
        return str(outcome.epochs)
    return f"{outcome.epochs}, of which epoch {outcome.kept_epoch} is kept"
