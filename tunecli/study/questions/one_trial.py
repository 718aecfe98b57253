"""One trial whole: its parameters and metrics, how it stands among the others, and where it failed."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.results.failures import Place, place_of
from tunecli.results.ranking import Ranked, rank
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import look
from tunecli.study.record.overview import Overview, overview
from tunecli.trial import FailedAttempt, Trial


@dataclass(frozen=True)
class OneTrial:
    """A trial and what is on record of it.

    Attributes:
        study: the study's name.
        overview: of all trials.
        ranked: the trial, and how it stands.
        n_ranked: how many trials have a rank.
        n_attempts: how often it was begun.
        setbacks: the attempts that did not end it.
        place: the line of the user's own code at which it failed; None where it did not, or where none is known.
    """

    study: str
    overview: Overview
    ranked: Ranked
    n_ranked: int
    n_attempts: int
    setbacks: tuple[FailedAttempt, ...]
    place: Place | None

    @property
    def trial(self) -> Trial:
        return self.ranked.trial


def one_trial(folder: RunFolder, number: int) -> OneTrial:
    """What is on record of trial ``number``.

    Raises:
        UsageError: there is no such trial.
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    with look(folder) as study:
        study.log.trial(number)  # whether there is one
        trials = study.log.trials()
        ranked = rank(trials, study.spec.objective, include_unfinished=True)
        found = next(each for each in ranked if each.trial.number == number)
        failure = found.trial.outcome.failure if found.trial.outcome else None
        return OneTrial(
            study.spec.settings.study,
            overview(study, trials),
            found,
            sum(each.rank is not None for each in ranked),
            study.log.attempts(number),
            tuple(study.log.setbacks(number)),
            None if failure is None else place_of(failure),
        )
