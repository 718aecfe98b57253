"""The classes or labels of the best trial: precision, recall and F1 of each on its validation data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunecli.text import counted

MOST_ROWS = 30
"""The most classes that a table shows: those with the lowest F1."""
COLUMNS = ("examples", "precision", "recall", "F1")


@dataclass(frozen=True, slots=True)
class ClassScore:
    """The scores of one class or label.

    Attributes:
        name: its name.
        n_examples: validation examples that have it, or their weight.
        precision: share of right ones among the examples that get it; None: none does.
        recall: share of the examples with it that get it; None: none has it.
        f1: harmonic mean of both; None: no example has it or gets it.
    """

    name: str
    n_examples: float
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The scores of all classes or labels of one trial.

    Attributes:
        trial: its number.
        word: ``class`` or ``label``.
        scores: in the order of the classes.
        threshold: the threshold that decides; None: one half, or the likeliest class.
        n_models: the number of models whose validation data are added up.
        is_tuned: whether the threshold was tuned on the validation data.
    """

    trial: int
    word: str
    scores: tuple[ClassScore, ...]
    threshold: float | None = None
    n_models: int = 1
    is_tuned: bool = True

    @property
    def shown(self) -> tuple[ClassScore, ...]:
        """The scores that a table shows: all, or those with the lowest F1 in the order of the classes."""
        if len(self.scores) <= MOST_ROWS:
            return self.scores
        ranked = sorted(range(len(self.scores)), key=lambda k: (self.scores[k].f1 or 0.0, k))
        return tuple(self.scores[k] for k in sorted(ranked[:MOST_ROWS]))

    @property
    def note(self) -> str:
        """One or two sentences about the table."""
        plural = "classes" if self.word == "class" else "labels"
        text = f"Trial {self.trial} on its validation data."
        if self.n_models > 1:
            text = (
                f"Trial {self.trial} on its validation data, added up over {counted(self.n_models, 'model')}."
            )
        if self.threshold is not None:
            text += f" It decides by the threshold {self.threshold:.4g}"
            text += ", which was tuned on the same data." if self.is_tuned else "."
        if len(self.shown) < len(self.scores):
            text += f" These are the {len(self.shown)} of {len(self.scores):,} {plural} with the lowest F1."
        return text

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The shown scores as texts."""
        return tuple(
            (
                one.name,
                f"{one.n_examples:,.6g}",
                *(_shown(value) for value in (one.precision, one.recall, one.f1)),
            )
            for one in self.shown
        )


def class_scores(
    names: Sequence[str], counts: Iterable[tuple[float, float, float]]
) -> tuple[ClassScore, ...]:
    """The scores of classes or labels.

    Args:
        names: of the classes.
        counts: of each one, the number of examples that have it and get it, have it, and get it.
    """
    return tuple(
        ClassScore(name, true, _ratio(hits, guessed), _ratio(hits, true), _ratio(2.0 * hits, true + guessed))
        for name, (hits, true, guessed) in zip(names, counts, strict=True)
    )


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 0 else None


def _shown(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"
