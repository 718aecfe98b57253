"""Questions to a recorded study, and the answers as frozen values: status, results, export. Nothing trains here,
except where weights are asked for that were not kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from tunecli.engine.engine import Engine
from tunecli.engine.inline import InlineEngine
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.results.ranking import Standing, best, standing
from tunecli.spec.knobs import TrialConfig
from tunecli.spec.load import trial_models
from tunecli.spec.metrics import is_clock
from tunecli.spec.pruners import Pausing
from tunecli.spec.space import concrete
from tunecli.store.database import Log
from tunecli.store.files import write_where_asked
from tunecli.store.folder import RunFolder
from tunecli.store.lock import Holder, holder
from tunecli.study.record import Study, document, job_for, look
from tunecli.study.standstill import ENDED_BY_ITSELF
from tunecli.trial import Ended, Job, Objective, Outcome, State, Trial

_WAIT_S = 0.2
_FINAL = {"exhausted", *ENDED_BY_ITSELF}


@dataclass(frozen=True, slots=True)
class Status:
    """Where a study stands.

    ``word`` is ``running`` (``holder`` says by whom), ``finished``, or ``interrupted``: nobody holds it and
    there is more to do. A study that cannot be read is damaged, and that is an error. ``standing`` is None where one
    metric tells all. ``ending`` is why its last sweep came to its end; empty where it did not.
    """

    study: str
    path: str
    word: str
    holder: Holder | None
    n_trials: int
    counts: Mapping[State, int]
    objective: Objective
    best: Trial | None
    standing: Standing | None
    elapsed_s: float
    ending: str


def status(folder: RunFolder) -> Status:
    """Where the study in ``folder`` stands.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    held_by = holder(folder.path)
    with look(folder) as study:
        counts = study.log.counts()
        facts = study.log.facts()
        objective, stands = study.spec.objective, None
        if objective.others or objective.constraints:
            trials = study.log.trials()
            winner, stands = best(trials, objective), standing(trials, objective)
        else:  # which is told without reading every trial
            scores = [(objective.sign * score, n) for n, score in study.log.scores() if math.isfinite(score)]
            winner = study.log.trial(min(scores)[1]) if scores else None
        elapsed_s, ending = float(facts["elapsed_s"]), facts.get("ending", "")
    n_ended = sum(counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    if held_by is None:  # begun, and left by whoever held the study
        counts[State.WAITING] = counts.get(State.WAITING, 0) + counts.pop(State.RUNNING, 0)
    # Where trials pause, all may have ended as they stand, and yet some are to be continued.
    is_settled = ending == "complete" or not isinstance(study.spec.settings.search.pruner, Pausing)
    is_finished = (n_ended >= study.plan.n_trials and is_settled) or ending in _FINAL
    word = "running" if held_by else "finished" if is_finished else "interrupted"
    return Status(
        study.spec.settings.study,
        str(folder.path),
        word,
        held_by,
        study.plan.n_trials,
        counts,
        objective,
        winner,
        stands,
        elapsed_s,
        ending,
    )


def mixtures(log: Log, trials: Iterable[Trial]) -> list[str]:
    """What the trials of one table do not have in common though their scores may depend on it: devices and versions.

    Args:
        log: the record.
        trials: all on it.

    Raises:
        StoreDamaged: the database cannot be used.
    """
    ended = [trial.outcome for trial in trials if trial.outcome is not None]
    used = set(log.sessions_of_results().values())
    versions = [session["versions"] for session in log.sessions() if session["id"] in used]
    devices = sorted({outcome.device for outcome in ended if outcome.device})
    found = [f"the trials ran on several devices: {', '.join(devices)}"] if len(devices) > 1 else []
    for package in sorted({name for each in versions for name in each}):
        seen = sorted({each.get(package, "absent") for each in versions})
        if len(seen) > 1:
            found.append(f"the trials ran under several versions of {package}: {', '.join(seen)}")
    return found


@dataclass(frozen=True, slots=True)
class Exported:
    """A trial as a file of its own, and its metrics on the test part where that was asked for."""

    text: str
    tested: Mapping[str, float]


def export(
    folder: RunFolder, number: int | None, weights_path: Path | None, *, open_test: bool = False
) -> Exported:
    """The best trial, or trial ``number``, as a complete runnable file; its weights to ``weights_path``.

    With ``open_test`` it is trained again, to the recorded score, and measured on what ``data.test`` sets apart.

    Raises:
        NoTrialSucceeded: the best is asked for and no trial has a score.
        UsageError: there is no such trial, its weights cannot be had, or nothing is set apart to test on.
    """
    with look(folder) as study:
        trials = study.log.trials()
        trial = best(trials, study.spec.objective) if number is None else _numbered(trials, number)
        if trial is None:
            raise NoTrialSucceeded(
                "no trial of this study has a score yet", hint=f"tunecli status {quote(str(folder.path))}"
            )
        if weights_path is not None:
            _export_weights(study, trial, weights_path)
        tested = _tested(study, trial) if open_test else {}
        return Exported(document(study, trial, tested), tested)


def _numbered(trials: list[Trial], number: int) -> Trial:
    if not 0 <= number < len(trials):
        raise UsageError(f"there is no trial {number}; they are numbered 0 to {len(trials) - 1}")
    return trials[number]


def _export_weights(study: Study, trial: Trial, weights_path: Path) -> None:
    if trial.outcome is None or trial.state is State.FAILED:
        raise UsageError(f"trial {trial.number} is {trial.state.value}: it has no weights")
    _require_complete(study, trial)
    if trial_models(study.spec.space.tree) != {TrialConfig}:
        kept_by_it = study.folder.checkpoint_dir(trial.number)
        raise UsageError(
            f"trial {trial.number} is your own training", hint=f"what it kept is in {kept_by_it}"
        )
    if weights_path.exists() and not weights_path.is_file():
        raise UsageError(f"{weights_path} is no regular file, which weights need")
    kept = study.folder.weights_path(trial.number)
    if kept.is_file():
        write_where_asked(weights_path, kept.read_bytes())
    else:
        _train_again(study, trial, weights_path)


def _tested(study: Study, trial: Trial) -> Mapping[str, float]:
    if trial.outcome is None or trial.state is State.FAILED:
        raise UsageError(f"trial {trial.number} is {trial.state.value}: there is nothing to test")
    _require_complete(study, trial)
    if not concrete(study.spec.space, trial.parameters).get("data", {}).get("test"):
        raise UsageError(
            "this study sets nothing apart to test on", hint="`data.test` does, before it begins"
        )
    metrics = _train_again(study, trial, open_test=True).metrics
    return {name: value for name, value in metrics.items() if name.startswith("test_")}


def _require_complete(study: Study, trial: Trial) -> None:
    """Trained again, a trial is trained to its end, which is not where a pruned one's score is from."""
    if trial.state is State.PRUNED and trial.outcome is not None:
        run, number = quote(str(study.folder.path)), trial.number
        raise UsageError(
            f"trial {number} was pruned after epoch {trial.outcome.epochs}, and weights are those of a whole training",
            hint=f"tunecli export {run} --trial {number} -o trial.yaml, then tunecli train trial.yaml",
        )


def _train_again(
    study: Study, trial: Trial, weights_path: Path | None = None, *, open_test: bool = False
) -> Outcome:
    """Only the best trial's weights are kept; any other's are a function of its record."""
    outcome = trial.outcome
    plan = replace(study.plan, device=outcome.device if outcome else study.plan.device)
    job = job_for(study.spec, plan, trial, weights_path=weights_path, open_test=open_test)
    again = run_here(job)
    if again.outcome.failure is not None:
        failure = again.outcome.failure
        raise UsageError(f"trained again, trial {trial.number} failed: {failure.kind}: {failure.cause}")
    is_reproduced = is_clock(job.objective.metric) or again.outcome.score == (outcome and outcome.score)
    if outcome is None or not is_reproduced:
        score = None if outcome is None else outcome.score
        raise UsageError(
            f"trained again, trial {trial.number} scores {again.outcome.score!r} and not {score!r} as recorded",
            hint="another machine, device or version computes other bits",
        )
    return again.outcome


def run_here(job: Job) -> Ended:
    """Train one job in this process, to its end."""
    return run_to_end(InlineEngine(), job)


def run_to_end(engine: Engine, job: Job) -> Ended:
    """Train one job on an engine that has no other, to its end; the engine is closed after it."""
    try:
        engine.submit(job)
        while True:
            for event in engine.events(_WAIT_S):
                if isinstance(event, Ended):
                    return event
    finally:
        engine.close()
