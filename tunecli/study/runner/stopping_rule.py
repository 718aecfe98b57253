"""Why and when a sweep ends: a limit is reached, every trial fails alike, or `search.stop` applies.

Everything here is a pure function of the record, seen with the study's lookahead (record-is-the-state,
speed-independence). So a resumed sweep ends where the uninterrupted one does, for any number of workers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tunecli.config.domains import Categorical
from tunecli.config.run import Limit
from tunecli.config.space import Space
from tunecli.config.study import Stop, StudySpec
from tunecli.objective import Objective
from tunecli.registry.implementations import implementation
from tunecli.registry.samplers import sampler_info
from tunecli.results.ranking import total_violation
from tunecli.study.record.history import History
from tunecli.study.record.phase import EndReason
from tunecli.trial import Failure, FailureKind, State, Trial

FAILED_ALIKE = 5
"""If the first trials all fail with one message, this many of them end the sweep."""
MOST_OF_ONE_OPTION = 3 * FAILED_ALIKE
"""So many of them end it if all have the same option of a choice, which may be their cause."""
_NUMBERS = re.compile(
    r"0x[0-9a-f]+"  # an address
    r"|(?<![a-z0-9])(?=[a-f-]*[0-9])[0-9a-f]{8,}(-[0-9a-f]{4,12})*(?![a-z0-9])"  # a hash, a UUID
    r"|(?<![a-z0-9])tmp[a-z0-9_]{8}(?![a-z0-9_])"  # a temporary file's name
    r"|[-+]?[0-9][0-9.]*(e[-+]?[0-9]+)?",
    re.IGNORECASE,
)


class StoppingRule:
    """Decides before each suggestion whether the sweep ends instead; it caches each number's expected improvement."""

    def __init__(self, spec: StudySpec, lookahead: int) -> None:
        self._spec, self._lookahead = spec, lookahead
        self._improvements: dict[int, float | None] = {}

    def reason(self, trials: Mapping[int, Trial], number: int) -> EndReason | None:
        """Why the sweep ends before trial ``number``; None if that trial begins.

        Args:
            trials: all trials on record by number; those up to ``number`` - lookahead have ended.
            number: the next trial's number.
        """
        return self._limit_reached(trials, number - self._lookahead) or self._nothing_gained(trials, number)

    def _limit_reached(self, trials: Mapping[int, Trial], last_seen: int) -> EndReason | None:
        """The limit that the trials up to ``last_seen`` reach."""
        limit = self._spec.settings.run.limit
        if limit.trials is not None and len(trials) >= limit.trials:
            return EndReason.TRIALS
        visible = [trials[number] for number in range(last_seen + 1)]
        is_alike = fail_alike(limit, map(failure_without_values, visible))
        if is_alike and not may_be_one_option(self._spec.space, visible):
            return EndReason.ALIKE
        if limit.epochs is None and not limit.failures:
            return None
        seen = [trial for trial in trials.values() if trial.outcome and trial.number <= last_seen]
        n_epochs = sum(trial.outcome.epochs for trial in seen if trial.outcome)
        return spent_by(limit, n_epochs, sum(trial.state is State.FAILED for trial in seen))

    def _nothing_gained(self, trials: Mapping[int, Trial], number: int) -> EndReason | None:
        """Whether `search.stop` ends the sweep: the target, stagnation, or too little expected improvement."""
        stop, objective = self._spec.settings.search.stop, self._spec.objective
        if stop is None:
            return None
        if stop.stagnation is not None or stop.target is not None:
            seen = [trials[seen_number] for seen_number in range(max(0, number - self._lookahead + 1))]
            scores = [
                (
                    total_violation(objective.violations(outcome.metrics), objective),
                    objective.sign * outcome.score,
                )
                for trial in seen
                if trial.state is State.COMPLETE and (outcome := trial.outcome) and outcome.score is not None
            ]
            if reason := gained_enough(stop, objective, scores):
                return reason
        if stop.improvement is not None and number >= stop.patience:
            recent = range(number, number - stop.patience, -1)
            if all(self._is_below(trials, suggestion, stop.improvement) for suggestion in recent):
                return EndReason.IMPROVEMENT
        return None

    def _is_below(self, trials: Mapping[int, Trial], number: int, least: float) -> bool:
        """Whether suggestion ``number`` had an expected improvement below ``least`` when it was made."""
        if number not in self._improvements:
            before = {earlier: trials[earlier] for earlier in range(number)}
            spec = self._spec
            history = History(before.values(), spec.objective).up_to(number - self._lookahead)
            search = spec.settings.search
            expected = implementation(sampler_info(search.sampler_name).expected_improvement)
            self._improvements[number] = expected(
                spec.space, history, number, spec.settings.seed, **search.sampler_settings
            )
        improvement = self._improvements[number]
        return improvement is not None and improvement < least


def spent_by(limit: Limit, n_epochs: int, n_failed: int) -> EndReason | None:
    """The limit that ``n_epochs`` epochs and ``n_failed`` failed trials reach; None if neither."""
    if limit.epochs is not None and n_epochs >= limit.epochs:
        return EndReason.EPOCHS
    return EndReason.FAILURES if limit.failures and n_failed >= limit.failures else None


def gained_enough(
    stop: Stop, objective: Objective, scores: Sequence[tuple[float, float]]
) -> EndReason | None:
    """Whether complete trials end the sweep: one of them reaches the target, or the last ones bring no improvement.

    Args:
        stop: ``search.stop``.
        objective: the study's objective.
        scores: of each visible complete trial in order, the total violation of its constraints and its loss.
    """
    if stop.target is not None and any(
        violation <= 0 and math.isfinite(loss) and loss <= objective.sign * stop.target
        for violation, loss in scores
    ):
        return EndReason.TARGET
    is_stagnant = stop.stagnation is not None and n_since_best(scores) >= stop.stagnation
    return EndReason.STAGNATION if is_stagnant else None


def fail_alike(limit: Limit, failures: Iterable[Failure | None]) -> bool:
    """Whether all visible trials failed with the same message, and they are at least `FAILED_ALIKE`.

    A wrong name or a missing package fails every trial, and the rest of the sweep would only repeat it.

    Args:
        limit: the file's limits; ``limit.failures``, 0 included, replaces this rule.
        failures: of the visible trials, in order: how each failed; None: it did not fail.
    """
    if limit.failures is not None:
        return False
    first, n_alike = None, 0
    for failure in failures:
        if failure is None or (first is not None and _without_numbers(failure) != first):
            return False
        first, n_alike = _without_numbers(failure), n_alike + 1
    return n_alike >= FAILED_ALIKE


def may_be_one_option(space: Space, failed: Sequence[Trial]) -> bool:
    """Whether one option of a choice may be the cause of failures that are alike: all of the trials have it.

    The first trials of `bayes` repeat the most likely options, so five of them may say nothing on the others. From
    `MOST_OF_ONE_OPTION` trials on, the program counts as wrong.

    Args:
        space: the space of the study.
        failed: the failed trials.
    """
    if len(failed) >= MOST_OF_ONE_OPTION:
        return False
    choices = [
        one.name
        for one in space.parameters
        if isinstance(one.domain, Categorical) and len(one.domain.options) > 1 and not one.conditions
    ]
    return any(len({repr(trial.parameters.get(name)) for trial in failed}) == 1 for name in choices)


def failure_without_values(trial: Trial) -> Failure | None:
    """How a trial failed, without the values of its parameters; None: it did not fail.

    A program that refuses its arguments repeats them: "unrecognized arguments: --optimizer=adam" is the same mistake
    with another value.
    """
    failure = trial.outcome.failure if trial.outcome else None
    if failure is None:
        return None
    values = sorted({str(v) for v in trial.parameters.values() if isinstance(v, str | bool) and str(v)})
    pattern = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    if not pattern:
        return failure
    cause = re.sub(rf"(?<!\w)({pattern})(?!\w)", "…", failure.cause, flags=re.IGNORECASE)
    return replace(failure, cause=cause)


def _without_numbers(failure: Failure) -> tuple[FailureKind, str]:
    return failure.kind, _NUMBERS.sub("0", failure.cause)


def n_since_best(scores: Iterable[tuple[float, float]]) -> int:
    """Number of trials after the first of the best ones; trials with a number that is not finite do not count.

    Args:
        scores: of each trial in order, the total violation of its constraints, which is compared first, and its loss.
    """
    best, n = (math.inf, math.inf), 0
    for score in scores:
        if all(map(math.isfinite, score)):
            best, n = (score, 0) if score < best else (best, n + 1)
    return n
