"""The candidates of a confirmation: chosen from the search's record alone, and then frozen on record.

The choice uses no fresh run, so the fresh scores of a candidate have no selection in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from shlex import quote
from typing import Any

from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.results.ranking import rank
from tunecli.search.prediction import Prediction, predict_trials
from tunecli.study.record.confirmation import DEFAULT_TOP, FIRST, Recorded, recorded_confirmations
from tunecli.study.record.history import History
from tunecli.study.record.lifecycle import Study
from tunecli.trial import Confirmation, State, Trial

LEAST_REPEATS = 3
"""With two runs, the interval of a mean is seven deviations wide on each side."""
_SHOWN_OF_FRONT = 5


@dataclass(frozen=True, slots=True)
class Request:
    """A request to `confirm`, as a person makes it.

    Attributes:
        n_top: the number of candidates that the record chooses, beside the first trial.
        n_repeats: the number of runs of each candidate; None: as many as are on record, else the default.
        numbers: the trials to confirm, in place of ``n_top``.
        is_split: whether each repeat has a split of the data of its own.
        is_test_opened: whether to open the test part although it was opened before.
    """

    n_top: int = DEFAULT_TOP
    n_repeats: int | None = None
    numbers: tuple[int, ...] = field(default=())
    is_split: bool = False
    is_test_opened: bool = False

    @property
    def recorded(self) -> dict[str, Any]:
        """How the record names the choice of the candidates."""
        return {"trials": list(dict.fromkeys(self.numbers))} if self.numbers else {"top": self.n_top}


def require_possible(request: Request, study: Study) -> None:
    """Refuse a request that no study, or not this study, can fulfil.

    Raises:
        UsageError: there are too few repeats or candidates, or several goals and no trials by number.
    """
    if request.n_repeats is not None and request.n_repeats < LEAST_REPEATS:
        raise UsageError(
            f"--repeats {request.n_repeats} is too few: an interval needs at least {LEAST_REPEATS} runs",
            hint=f"--repeats {LEAST_REPEATS}",
        )
    if request.n_top < 1:
        raise UsageError(f"--top {request.n_top} leaves no trial to confirm", hint="--top 1 or more")
    objective = study.spec.objective
    if objective.further_objectives and not request.numbers:
        front = [row.trial.number for row in rank(study.log.trials(), objective) if row.front == 1]
        options = " ".join(f"--trial {number}" for number in front[:_SHOWN_OF_FRONT]) or "--trial N"
        raise UsageError(
            f"`confirm` compares trials by one goal, and this study has {len(objective.goals)}",
            hint=f"tunecli confirm {quote(str(study.folder.path))} {options} confirms trials of the Pareto front by "
            f"{objective.metric}",
        )


def chosen(study: Study, request: Request, trials: Sequence[Trial]) -> Recorded:
    """The confirmation on record that a request continues, or a new one, which is not on record yet.

    A request continues the newest confirmation of its kind if it would choose the same candidates.

    Raises:
        NoTrialSucceeded: no trial has a score.
        UsageError: there is no such trial, or it has not ended.
    """
    everything = recorded_confirmations(study)
    alike = [
        recorded
        for recorded in everything
        if recorded.confirmation.is_split == request.is_split
        and recorded.confirmation.request == request.recorded
    ]
    n_ended = sum(trial.outcome is not None for trial in trials)
    if alike and (request.numbers or alike[-1].confirmation.n_trials == n_ended):
        return alike[-1]
    candidates = _candidates(study, request, trials)
    if alike and alike[-1].confirmation.candidates == candidates:
        return alike[-1]
    number = 1 + max((recorded.confirmation.id for recorded in everything), default=0)
    confirmation = Confirmation(number, candidates, request.recorded, request.is_split, n_ended)
    last = everything[-1] if everything else Recorded(confirmation)
    return Recorded(confirmation, (), last.n_openings, last.next_repeat)


def _candidates(study: Study, request: Request, trials: Sequence[Trial]) -> tuple[int, ...]:
    by_number = {trial.number: trial for trial in trials}
    if request.numbers:
        candidates = [_asked(study, number).number for number in dict.fromkeys(request.numbers)]
    else:
        candidates = _best(study, request.n_top, trials)
    first = by_number.get(FIRST)
    is_usable = first is not None and first.outcome is not None and first.state is not State.FAILED
    return tuple(dict.fromkeys([*candidates, *([FIRST] if is_usable else [])]))


def _asked(study: Study, number: int) -> Trial:
    trial = study.log.trial(number)
    if trial.outcome is None:
        raise UsageError(
            f"trial {number} is {trial.state.shown.value}: it has no score to confirm",
            hint=f"tunecli results {quote(str(study.folder.path))} shows the trials that have ended",
        )
    return trial


def _best(study: Study, n: int, trials: Sequence[Trial]) -> list[int]:
    """The best trials in turn by score and by the model's noise-free estimate of it."""
    objective = study.spec.objective
    ranked = [row for row in rank(trials, objective) if row.rank is not None]
    if any(row.is_feasible for row in ranked):
        ranked = [row for row in ranked if row.is_feasible]
    if not ranked:
        path = quote(str(study.folder.path))
        raise NoTrialSucceeded(
            "no trial of this study has a score yet",
            hint=f"tunecli resume {path} runs its trials" if not trials else f"tunecli status {path}",
        )
    by_score = [row.trial.number for row in ranked]
    history = History(trials, objective).up_to(len(trials))
    return in_turn(by_score, predict_trials(study.spec.space, history, study.spec.settings.seed))[:n]


def in_turn(by_score: Sequence[int], predicted: Mapping[int, Prediction]) -> list[int]:
    """The numbers of trials in turn by score and by prediction, each once.

    Args:
        by_score: the numbers, the one with the best score first.
        predicted: by number, the predictions of some trials.
    """
    by_prediction = sorted(
        (number for number in by_score if number in predicted),
        key=lambda number: (predicted[number].loss, number),
    )
    turns = chain.from_iterable(zip_longest(by_score, by_prediction))
    return list(dict.fromkeys(number for number in turns if number is not None))
