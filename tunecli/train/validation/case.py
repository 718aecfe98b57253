"""What a rule is given, and what it answers with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.base import Timed
from tunecli.objective import Objective
from tunecli.train.data.sources import DataFacts
from tunecli.train.workload import steps_per_epoch


class Complaint(NamedTuple):
    """One thing wrong with a trial.

    Attributes:
        parameter: the path under ``trial`` that is to blame, or ``objective.metric``.
        message: what is wrong, in one sentence.
        hint: what to do about it; empty where the message says so already.
    """

    parameter: str
    message: str
    hint: str = ""


class FactsUnknownError(LookupError):
    """A rule asked for what is not known of the user's own data; what it said before stands."""


@dataclass(frozen=True, slots=True)
class Case:
    """A trial with all that is known of it before training.

    Attributes:
        config: the trial.
        known_facts: of its data; None where they are unknown. Rules ask for `facts`.
        known_n_train: examples that train, in the smallest part; None likewise. Rules ask for `n_train`.
        known_n_valid: examples that validate, in the smallest part; None likewise. Rules ask for `n_valid`.
        objective: what is optimised.
        base_path: the folder that relative file names start from.
    """

    config: TrialConfig
    known_facts: DataFacts | None
    known_n_train: int | None
    known_n_valid: int | None
    objective: Objective
    base_path: Path

    @property
    def facts(self) -> DataFacts:
        """What is known of the data.

        Raises:
            FactsUnknownError: nothing is; the rule is left there.
        """
        if self.known_facts is None:
            raise FactsUnknownError
        return self.known_facts

    @property
    def n_train(self) -> int:
        """Examples that train, in the smallest part.

        Raises:
            FactsUnknownError: as `facts`.
        """
        if self.known_n_train is None:
            raise FactsUnknownError
        return self.known_n_train

    @property
    def n_valid(self) -> int:
        """Examples that validate, in the smallest part.

        Raises:
            FactsUnknownError: as `facts`.
        """
        if self.known_n_valid is None:
            raise FactsUnknownError
        return self.known_n_valid

    @property
    def n_epochs(self) -> float:
        """How long the run is, with fractions where it is counted in steps.

        Raises:
            FactsUnknownError: as `facts`, where it is counted in steps.
        """
        training = self.config.training
        if training.steps is None:
            return float(training.epochs)
        return training.steps / steps_per_epoch(self.config, self.n_train)


def never_acts(link: Timed, path: str, n_epochs: float) -> Complaint:
    """What to say of a link whose window opens after the run has ended."""
    message = (
        f"{path.rpartition('.')[2]} never acts: it begins after epoch {link.from_epoch}, of {n_epochs:g}"
    )
    return Complaint(f"{path}.from_epoch", message, f"at most {math.ceil(n_epochs) - 1}")


Rule = Callable[[Case], Iterator[Complaint]]
"""What a rule has to say of a case. Where facts are unknown, it ends where it first asks for them."""
