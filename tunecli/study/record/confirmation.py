"""A study's confirmations as its record holds them, and their values.

Fresh runs are no trials: they are read here and nowhere in the search. Loads neither torch nor the model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from tunecli.config.concrete_trial import concrete
from tunecli.config.metric_names import metric_of
from tunecli.config.metrics import is_clock
from tunecli.config.schema.data import Data
from tunecli.objective import Objective
from tunecli.results.confirmed import Confirmed
from tunecli.results.confirming import confirmed_of
from tunecli.results.fresh import FreshCandidate, FreshQuote, FreshRuns, least_gap
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.part_sizes import PartSizes, recorded_sizes
from tunecli.trial import Confirmation, FreshRun, Outcome, Stage, State, Trial

DEFAULT_TOP = 3
"""The number of candidates that the record chooses if the request names none."""
FIRST = 0
"""The number of the first trial, an untuned configuration."""
CURRENT = "confirmation"
"""The key of the fact with the id of the confirmation that the last complete `confirm` made or showed."""
FRACTIONS = ("val_accuracy",)
"""The metrics of tunecli's own loop that are a fraction of the validation examples."""
_NAMES_OF_FRACTIONS = {"acc", "accuracy"}


@dataclass(frozen=True)
class Recorded:
    """One confirmation with its runs.

    Attributes:
        confirmation: its plan.
        runs: its runs, by repeat and trial.
        n_openings: how often the test part of the study's data was opened, in all confirmations.
        next_repeat: the first repeat that no run of the study has.
    """

    confirmation: Confirmation
    runs: tuple[FreshRun, ...] = ()
    n_openings: int = 0
    next_repeat: int = 0

    @property
    def is_alone(self) -> bool:
        """Whether there is a single candidate: nothing is chosen, so all its runs can be quoted."""
        return len(self.confirmation.candidates) == 1

    def of(self, number: int, stage: Stage) -> tuple[FreshRun, ...]:
        """The runs of one candidate in one stage, by repeat."""
        return tuple(run for run in self.runs if run.number == number and run.stage is stage)

    @property
    def n_repeats(self) -> int:
        """The number of runs of each candidate that were decided on."""
        stage = Stage.QUOTE if self.is_alone else Stage.RACE
        return len(self.of(self.confirmation.candidates[0], stage))

    @property
    def quoted(self) -> int | None:
        """The trial whose further runs were decided on last; None: there are none."""
        return next((run.number for run in reversed(self.runs) if run.stage is Stage.QUOTE), None)

    @property
    def missing(self) -> tuple[FreshRun, ...]:
        """The runs that were decided on and have not ended."""
        return tuple(run for run in self.runs if run.outcome is None)

    @property
    def options(self) -> str:
        """The options of `confirm RUN` that choose this confirmation, each after a blank."""
        request = self.confirmation.request
        named = request.get("trials", ())
        words = [f" --trial {number}" for number in named] if isinstance(named, list) else []
        if request.get("top", DEFAULT_TOP) != DEFAULT_TOP:
            words.append(f" --top {request['top']}")
        return "".join(words) + " --splits" * self.confirmation.is_split


def recorded_confirmations(study: Study) -> list[Recorded]:
    """The study's confirmations by id, each with its runs.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    runs = study.log.fresh_runs()
    n_openings = max((run.opening for run in runs), default=0)
    next_repeat = 1 + max((run.repeat for run in runs), default=-1)
    return [
        Recorded(
            confirmation,
            tuple(run for run in runs if run.confirmation == confirmation.id),
            n_openings,
            next_repeat,
        )
        for confirmation in study.log.confirmations()
    ]


def confirmed_of_study(study: Study) -> Confirmed | None:
    """The confirmation that every output of a study shows; None: there is none.

    Args:
        study: the study, open to read or to write.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    recorded = current_confirmation(study)
    return None if recorded is None else confirmed(study, recorded, study.log.trials())


def current_confirmation(study: Study) -> Recorded | None:
    """The confirmation of the last `confirm` that was complete, else the newest one; None: there is none.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    everything = recorded_confirmations(study)
    current = facts_of(study.log)[CURRENT]
    newest = everything[-1] if everything else None
    return next((one for one in everything if one.confirmation.id == current), newest)


def confirmed(study: Study, recorded: Recorded, trials: Sequence[Trial]) -> Confirmed:
    """The values of a confirmation so far."""
    value = confirmed_of(fresh_runs(study, recorded, trials))
    n_missing = len(recorded.missing)
    if recorded.quoted is None and not recorded.is_alone and not is_over(value):
        n_missing += recorded.n_repeats
    return replace(value, n_missing=n_missing, options=recorded.options)


def is_over(value: Confirmed) -> bool:
    """Whether no further run can show anything: every run failed, or the training ignores its seed."""
    scores = [score for candidate in value.candidates for score in candidate.scores]
    is_complete = all(len(candidate.scores) >= value.n_repeats for candidate in value.candidates)
    return is_complete and (value.is_seed_ignored or not any(map(math.isfinite, scores)))


def fresh_runs(study: Study, recorded: Recorded, trials: Sequence[Trial]) -> FreshRuns:
    """The raw scores of a confirmation."""
    by_number = {trial.number: trial for trial in trials}
    confirmation, objective = recorded.confirmation, study.spec.objective
    stage = Stage.QUOTE if recorded.is_alone else Stage.RACE
    candidates = tuple(
        _candidate(by_number[number], recorded.of(number, stage)) for number in confirmation.candidates
    )
    sizes = recorded_sizes(facts_of(study.log))
    is_fraction = _is_fraction(objective, trials)
    return FreshRuns(
        id=confirmation.id,
        n_repeats=recorded.n_repeats,
        n_trials_then=confirmation.n_trials,
        is_maximized=objective.maximize,
        candidates=candidates,
        quote=_quote(recorded),
        is_split=confirmation.is_split,
        step=_step(study, recorded, trials, sizes, is_fraction=is_fraction),
        is_fraction=is_fraction,
        n_train=sizes.n_train,
        n_valid=sizes.n_valid,
    )


def has_test_part(study: Study, trial: Trial) -> bool:
    """Whether the data of a trial have a test part."""
    return bool(concrete(study.spec.space, trial.parameters).get("data", {}).get("test"))


def has_data(study: Study, trial: Trial) -> bool:
    """Whether tunecli itself reads and splits the data of a trial."""
    return "data" in concrete(study.spec.space, trial.parameters)


def data_settings(study: Study, trial: Trial) -> Data | None:
    """The settings of a trial's data; None: your own code reads them, or they name secrets that are not set."""
    plain = concrete(study.spec.space, trial.parameters)
    if "data" not in plain:
        return None
    try:
        return Data.model_validate(plain["data"])
    except ValidationError:
        return None


def repeatable_metrics(outcome: Outcome) -> dict[str, float]:
    """The metrics of a run without those that a clock measures."""
    return {name: value for name, value in outcome.metrics.items() if not is_clock(name)}


def _candidate(trial: Trial, runs: Sequence[FreshRun]) -> FreshCandidate:
    ends = [run.outcome for run in runs if run.outcome is not None]
    complete = [end for end in ends if end.state is State.COMPLETE]
    search_score = trial.outcome.score if trial.outcome is not None else None
    seconds = [end.seconds for end in complete]
    if not seconds and trial.outcome is not None:
        seconds = [trial.outcome.seconds]
    return FreshCandidate(
        number=trial.number,
        scores=tuple(map(_score, runs)),
        search_score=search_score,
        is_first=trial.number == FIRST,
        seconds=math.fsum(seconds) / len(seconds) if seconds else 0.0,
        metrics=tuple(map(repeatable_metrics, complete)),
    )


def _quote(recorded: Recorded) -> FreshQuote | None:
    number = recorded.quoted
    if number is None:
        return None
    runs = recorded.of(number, Stage.QUOTE)
    tested: dict[str, tuple[float, ...]] = {}
    ends = [run.outcome for run in runs if run.opening and run.outcome is not None]
    for name in sorted({name for end in ends for name in end.metrics if name.startswith("test_")}):
        tested[name] = tuple(end.metrics.get(name, math.nan) for end in ends)
    return FreshQuote(number, tuple(map(_score, runs)), tested, recorded.n_openings)


def _score(run: FreshRun) -> float | None:
    if run.outcome is None:
        return None
    is_scored = run.outcome.state is State.COMPLETE and run.outcome.score is not None
    return run.outcome.score if is_scored else math.nan


def _is_fraction(objective: Objective, trials: Sequence[Trial]) -> bool:
    """Whether a score is a fraction of examples: accuracy, also under a name of the user's own."""
    if not objective.python and metric_of(objective.metric) is not None:
        return objective.metric in FRACTIONS
    scores = [score for trial in trials if (score := _finite_score(trial.outcome)) is not None]
    words = re.split(r"[^a-z0-9]+", objective.metric.lower())
    return bool(_NAMES_OF_FRACTIONS & {*words}) and all(0 <= score <= 1 for score in scores)


def _step(
    study: Study, recorded: Recorded, trials: Sequence[Trial], sizes: PartSizes, *, is_fraction: bool
) -> float | None:
    """The least difference between two scores; None: fewer than two different scores are on record.

    The race is decided with it, so the further runs have no part in it (quoted numbers did not choose).
    """
    if is_fraction and sizes.n_valid:
        return 1 / (sizes.n_valid * sizes.n_draws * study.spec.settings.search.repeats)
    raced = [run.outcome for run in recorded.runs if recorded.is_alone or run.stage is Stage.RACE]
    outcomes = [trial.outcome for trial in trials] + raced
    return least_gap(outcome.score for outcome in outcomes if outcome is not None)


def _finite_score(outcome: Outcome | None) -> float | None:
    if outcome is None or outcome.score is None or not math.isfinite(outcome.score):
        return None
    return outcome.score
