"""Which fresh runs a confirmation needs next: a function of its record alone (record-is-the-state).

First each candidate is trained again: the race. Then the candidate that the race puts first is trained further times:
these runs take no part in the choice, and give the confirmed score. A run's seed is made from its trial's seed and
its repeat (seeds-by-name), and no two runs of a study share a repeat of a trial, so no score is used twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunecli.results.confirming import trial_to_quote
from tunecli.results.seed_spread import is_seed_ignored
from tunecli.seeding import seed_for
from tunecli.study.record.candidates import Request
from tunecli.study.record.confirmation import Recorded, fresh_runs, has_test_part
from tunecli.study.record.lifecycle import Study
from tunecli.trial import FreshRun, Stage, Trial

DEFAULT_REPEATS = 5


def next_runs(
    study: Study, recorded: Recorded, request: Request, trials: Sequence[Trial]
) -> tuple[FreshRun, ...]:
    """The runs to decide on next; empty: runs that were decided on are missing, or the confirmation is complete.

    Args:
        study: the study.
        recorded: the confirmation.
        request: the request. Fewer repeats than on record change nothing.
        trials: all trials of the study.
    """
    by_number = {trial.number: trial for trial in trials}
    n_repeats = max(request.n_repeats or (0 if recorded.n_repeats else DEFAULT_REPEATS), recorded.n_repeats)
    candidates = recorded.confirmation.candidates
    if recorded.is_alone:
        return _further(study, recorded, by_number[candidates[0]], n_repeats, request)
    n_new = n_repeats - recorded.n_repeats
    if n_new > 0:
        wanted = [by_number[number] for number in candidates]
        return tuple(_runs(study, recorded, wanted, n_new, Stage.RACE))
    if any(run.outcome is None for run in recorded.runs if run.stage is Stage.RACE):
        return ()
    fresh = fresh_runs(study, recorded, trials)
    number = trial_to_quote(fresh)
    if number is None or is_seed_ignored(fresh):
        return ()
    return _further(study, recorded, by_number[number], n_repeats, request)


def _further(
    study: Study, recorded: Recorded, trial: Trial, n_repeats: int, request: Request
) -> tuple[FreshRun, ...]:
    """The missing further runs of the quoted trial. They open the test part if nothing has opened it, or on request."""
    runs = recorded.of(trial.number, Stage.QUOTE)
    has_opened = any(run.opening for run in runs)
    has_test = has_test_part(study, trial)
    opens = has_test and (not recorded.n_openings or (request.is_test_opened and not has_opened))
    n_new = n_repeats if opens and runs and request.is_test_opened else n_repeats - len(runs)
    opening = recorded.n_openings + 1 if opens else 0
    return tuple(_runs(study, recorded, [trial], n_new, Stage.QUOTE, opening))


def _runs(
    study: Study, recorded: Recorded, trials: Sequence[Trial], n: int, stage: Stage, opening: int = 0
) -> Iterable[FreshRun]:
    confirmation, root = recorded.confirmation, study.spec.settings.seed
    for repeat in range(recorded.next_repeat, recorded.next_repeat + max(n, 0)):
        split_seed = seed_for(root, "confirm", "split", repeat) if confirmation.is_split else None
        for trial in trials:
            seed = seed_for(trial.seed, "confirm", repeat)
            yield FreshRun(confirmation.id, trial.number, repeat, stage, seed, split_seed, opening)
