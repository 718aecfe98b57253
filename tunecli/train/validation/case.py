"""The value that every rule takes, and the value that it yields."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.learning_rate import Timed
from tunecli.objective import Objective
from tunecli.train.data.sources import DataFacts
from tunecli.train.data.split_facts import SplitFacts
from tunecli.train.workload import steps_per_epoch


class Problem(NamedTuple):
    """One thing wrong with a trial.

    Attributes:
        parameter: the path under ``trial`` at fault, or ``objective.metric``.
        message: the problem, in one sentence.
        hint: what to do about it; empty if the message says so.
    """

    parameter: str
    message: str
    hint: str = ""


class FactsUnknownError(LookupError):
    """A rule asked for a fact that is unknown for the user's own data. Problems that it yielded before remain."""


@dataclass(frozen=True, slots=True)
class Case:
    """A trial, with the facts of its data that are known before training.

    Attributes:
        config: the trial.
        known_facts: facts of its data; None if unknown. Rules ask for `facts`.
        known_n_train: number of training examples in the smallest part; None if unknown. Rules ask for `n_train`.
        known_n_valid: number of validation examples in the smallest part; None if unknown. Rules ask for `n_valid`.
        objective: the goals and constraints.
        base_path: the folder that relative file names start from.
        known_split: facts of the split of its data; None if unknown. Rules ask for `split`.
    """

    config: TrialConfig
    known_facts: DataFacts | None
    known_n_train: int | None
    known_n_valid: int | None
    objective: Objective
    base_path: Path
    known_split: SplitFacts | None = None

    @property
    def split(self) -> SplitFacts:
        """Facts of the split of the data.

        Raises:
            FactsUnknownError: as `facts`.
        """
        if self.known_split is None:
            raise FactsUnknownError
        return self.known_split

    @property
    def facts(self) -> DataFacts:
        """Facts of the data.

        Raises:
            FactsUnknownError: they are unknown; the rule ends there.
        """
        if self.known_facts is None:
            raise FactsUnknownError
        return self.known_facts

    @property
    def n_train(self) -> int:
        """Number of training examples in the smallest part.

        Raises:
            FactsUnknownError: as `facts`.
        """
        if self.known_n_train is None:
            raise FactsUnknownError
        return self.known_n_train

    @property
    def n_valid(self) -> int:
        """Number of validation examples in the smallest part.

        Raises:
            FactsUnknownError: as `facts`.
        """
        if self.known_n_valid is None:
            raise FactsUnknownError
        return self.known_n_valid

    @property
    def n_epochs(self) -> float:
        """Length of the run in epochs, with a fraction if it is set in steps.

        Raises:
            FactsUnknownError: the length depends on the data, which is unknown.
        """
        training = self.config.training
        if training.fixed_epochs is not None:
            return float(training.fixed_epochs)
        n_per_epoch = steps_per_epoch(self.config, self.n_train)
        return self.config.n_steps(n_per_epoch) / n_per_epoch


def never_acts(link: Timed, path: str, n_epochs: float) -> Problem:
    """The problem of a chain's link that starts after the run has ended."""
    message = (
        f"{path.rpartition('.')[2]} never acts: it begins after epoch {link.from_epoch}, of {n_epochs:g}"
    )
    return Problem(f"{path}.from_epoch", message, f"at most {math.ceil(n_epochs) - 1}")


Rule = Callable[[Case], Iterator[Problem]]
"""Yields the problems of a case. It ends at the first fact that is unknown."""
