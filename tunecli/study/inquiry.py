"""Questions to a recorded study, and the answers as frozen values: status, results, export. Nothing trains here,
except where weights are asked for that were not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunecli.engine import InlineEngine
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.results.ranking import best
from tunecli.results.table import Table
from tunecli.spec.space import concrete
from tunecli.store.files import write_atomically
from tunecli.store.folder import RunFolder
from tunecli.store.lock import Holder, holder
from tunecli.study.record import Study, document, look, table_of
from tunecli.trial import Ended, Job, State, Trial


@dataclass(frozen=True, slots=True)
class Status:
    """Where a study stands.

    ``word`` is ``running`` (``holder`` says by whom), ``finished``, or ``interrupted``: nobody holds it and
    there is more to do.
    """

    study: str
    path: str
    word: str
    holder: Holder | None
    n_trials: int
    counts: Mapping[State, int]
    metric: str
    best: Trial | None
    elapsed_s: float


def status(folder: RunFolder) -> Status:
    """Where the study in ``folder`` stands.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    held_by = holder(folder.path)
    with look(folder) as study:
        counts = study.log.counts()
        trials = study.log.trials()
        elapsed_s = float(study.log.facts()["elapsed_s"])
    n_ended = sum(counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    is_finished = n_ended >= study.plan.n_trials
    word = "running" if held_by else "finished" if is_finished else "interrupted"
    return Status(
        study.spec.settings.study,
        str(folder.path),
        word,
        held_by,
        study.plan.n_trials,
        counts,
        study.spec.objective.metric,
        best(trials, study.spec.objective),
        elapsed_s,
    )


def results(folder: RunFolder) -> Table:
    """The ranked table of everything that has ended.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    with look(folder) as study:
        return table_of(study, study.log.trials())


def export(folder: RunFolder, number: int | None, weights_path: Path | None) -> str:
    """The best trial, or trial ``number``, as a complete runnable file; its weights to ``weights_path``.

    Raises:
        NoTrialSucceeded: the best is asked for and no trial has a score.
        UsageError: there is no such trial, or its weights cannot be had.
    """
    with look(folder) as study:
        trials = study.log.trials()
        trial = best(trials, study.spec.objective) if number is None else _numbered(trials, number)
        if trial is None:
            raise NoTrialSucceeded(
                "no trial of this study has a score yet", hint=f"tunecli status {folder.path}"
            )
        if weights_path is not None:
            _export_weights(study, trial, weights_path)
        return document(study, trial)


def _numbered(trials: list[Trial], number: int) -> Trial:
    if not 0 <= number < len(trials):
        raise UsageError(f"there is no trial {number}; they are numbered 0 to {len(trials) - 1}")
    return trials[number]


def _export_weights(study: Study, trial: Trial, weights_path: Path) -> None:
    if trial.outcome is None or trial.state is State.FAILED:
        raise UsageError(f"trial {trial.number} is {trial.state.value}: it has no weights")
    kept = study.folder.weights_path(trial.number)
    if kept.is_file():
        write_atomically(weights_path, kept.read_bytes())
    else:
        _train_again(study, trial, weights_path)


def _train_again(study: Study, trial: Trial, weights_path: Path) -> None:
    """Only the best trial's weights are kept; any other's are a function of its record."""
    spec, outcome = study.spec, trial.outcome
    job = Job(
        number=trial.number,
        attempt=1,
        config=concrete(spec.space, trial.parameters),
        objective=spec.objective,
        study_seed=spec.settings.seed,
        seed=trial.seed,
        device=outcome.device if outcome else study.plan.device,
        threads=study.plan.threads,
        base_path=str(spec.base_path),
        weights_path=str(weights_path.absolute()),
    )
    again = run_here(job)
    if outcome is None or again.outcome.score != outcome.score:
        score = None if outcome is None else outcome.score
        raise UsageError(
            f"trained again, trial {trial.number} scores {again.outcome.score!r} and not {score!r} as recorded",
            hint="another machine, device or version computes other bits",
        )


def run_here(job: Job) -> Ended:
    """Train one job in this process, to its end."""
    engine = InlineEngine()
    engine.submit(job)
    while True:
        for event in engine.events(0.0):
            if isinstance(event, Ended):
                return event
