"""What the search benchmarks compare: problems, and the sweeps of methods on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunecli.config.grammar import parse
from tunecli.config.priors.space_priors import with_priors
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.trial import Parameters

Loss = Callable[[Parameters], float | None]
"""The loss at a point, lower is better; None: the trial fails."""


@dataclass(frozen=True)
class Problem:
    """A function to optimise.

    Attributes:
        name: its name.
        text: its space, as in the file.
        loss: the loss that a trial reports, possibly with noise.
        truth: the loss without noise, which the benchmark evaluates.
        has_priors: whether our samplers get the priors of the settings that the space names (``search.priors``).
        is_own_program: whether the parameters are those of a user's function, whose names say which settings they are.
        folder: the folder of the data files.
    """

    name: str
    text: str
    loss: Loss
    truth: Loss
    has_priors: bool = False
    is_own_program: bool = False
    folder: Path | None = None

    @property
    def space(self) -> Space:
        """The space that ``text`` describes."""
        space = space_of(in_own_program(self.text) if self.is_own_program else self.text)
        return with_priors(space, self.folder) if self.has_priors else space


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep.

    Attributes:
        losses: the true loss of each trial in order; infinite: it failed.
        seconds: the time of each suggestion, of a processor.
    """

    losses: tuple[float, ...]
    seconds: tuple[float, ...]


Method = Callable[[Problem, int, int], Sweep]
"""(problem, seed, number of trials) → the result of a sweep."""


def space_of(text: str) -> Space:
    """The space that the text under `trial` describes."""

    def refuse(problem: Any) -> None:
        raise ValueError(str(problem))

    return Space(parse(read(text.encode(), "benchmark"), refuse))


def in_own_program(text: str) -> str:
    """The text of a space as that of a function of the user, with the same names of the parameters."""
    return f"python: benchmark:train\n{text.strip()}"


def number(point: Parameters, name: str) -> float:
    """The value of a numerical parameter, as a float."""
    value = point[name]
    assert isinstance(value, int | float)
    return float(value)


def true_loss(problem: Problem, point: Parameters) -> float:
    """The loss of a point without noise; infinite: the trial fails."""
    loss = problem.truth(point)
    return math.inf if loss is None else loss
