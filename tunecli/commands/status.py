"""`tunecli status`: the state of a study, from its record and its lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from tunecli.commands.outcome_summary import (
    front_data,
    front_lines,
    metric_texts,
    reason_line,
    resume_command,
    resume_options,
)
from tunecli.commands.status_progress import running_data, running_text, running_trials, session_of
from tunecli.objective import Objective
from tunecli.results.progress import BestSoFar, RunningTrial, Session, add_to, sparkline
from tunecli.results.ranking import FrontSummary, best, front_summary
from tunecli.results.search_setup import earlier_data, earlier_lines
from tunecli.results.view import View
from tunecli.store.annotation import Annotation, annotation_lines, annotation_of
from tunecli.store.folder import RunFolder
from tunecli.store.lock import Holder, holder
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.study.record.phase import number_ended, phase_of
from tunecli.text import duration
from tunecli.trial import EarlierStudy, FailureKind, State, Trial

_SPARK_WIDTH = 20
_WAITING = {
    "running": "suggested, not started",
    "interrupted": "suggested, not ended; resume runs them first",
    "finished": "suggested, not ended",
}
"""For each phase, a note on the trials that wait."""


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a study.

    Attributes:
        study: the study's name.
        path: the run folder.
        word: ``running``; ``finished``; or ``interrupted``: no process holds the study and trials are left to run.
        holder: the process that holds the study; None: no process does.
        n_trials: the total number of trials.
        counts: the number of trials in each state.
        objective: the goals and constraints.
        best: the trial of rank 1; None: no trial has a score.
        front_summary: the Pareto front and the feasible trials; None: there is one goal and no constraint.
        elapsed_s: the time that all sweeps of the study took, in seconds.
        ending: why its last sweep ended; empty: it was interrupted or still runs.
        session: the time of its last session.
        failures: the number of failed trials of each kind.
        best_so_far: the trials that were better than all those before them.
        running: the trials that run.
        annotation: the study's note and tags.
        stagnation: the number at `search.stop.stagnation`; None: the file has none.
        earlier: the earlier studies that inform the sampler.
        notices: a sentence for each thing that the engine of the running sweep waits for.
    """

    study: str
    path: str
    word: str
    holder: Holder | None
    n_trials: int
    counts: Mapping[State, int]
    objective: Objective
    best: Trial | None
    front_summary: FrontSummary | None
    elapsed_s: float
    ending: str
    session: Session = field(default_factory=Session)
    failures: Counter[FailureKind] = field(default_factory=Counter)
    best_so_far: BestSoFar = field(default_factory=lambda: BestSoFar(1.0))
    running: tuple[RunningTrial, ...] = ()
    annotation: Annotation = field(default_factory=Annotation)
    stagnation: int | None = None
    earlier: tuple[EarlierStudy, ...] = ()
    notices: tuple[str, ...] = ()


def status(folder: RunFolder) -> Status:
    """The state of the study in ``folder``.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    held_by = holder(folder.path)
    with open_to_read(folder) as study:
        return status_of(study, held_by)


def status_of(study: Study, held_by: Holder | None, trials: Sequence[Trial] | None = None) -> Status:
    """The state of an open study.

    Args:
        study: the study.
        held_by: the process that holds it; None: no process does.
        trials: all its trials, if they are known; otherwise as few as possible are read.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    counts = shown_counts(study)
    facts = facts_of(study.log)
    objective, summary = study.spec.objective, None
    course = BestSoFar(objective.sign)
    if objective.further_objectives or objective.constraints:
        trials = study.log.trials() if trials is None else trials
        for trial in trials:
            add_to(course, trial, objective)
        winner, summary = best(trials, objective), front_summary(trials, objective)
    else:  # the scores alone show the best trial, so not every trial is read
        for number, score in study.log.scores():
            course.add(number, score)
        winner = None if course.best is None else study.log.trial(course.best[0])
    elapsed_s, ending = float(facts["elapsed_s"]), str(facts["ending"])
    word = phase_of(study.log, facts, counts, is_held=held_by is not None)
    progress = study.log.progress()
    session = session_of(study.log, progress.end_times, is_running=held_by is not None)
    failures = Counter(progress.failures)
    running = running_trials(study, progress.starts) if held_by is not None else ()
    stop = study.spec.settings.search.stop
    if held_by is None:  # a trial that runs on record was interrupted with its process
        counts[State.WAITING] = counts.get(State.WAITING, 0) + counts.pop(State.RUNNING, 0)
    elif n_interrupted := min(progress.n_interrupted, counts.get(State.RUNNING, 0)):
        counts[State.RUNNING] -= n_interrupted
        counts[State.WAITING] = counts.get(State.WAITING, 0) + n_interrupted
    return Status(
        study.spec.settings.study,
        str(study.folder.path),
        word,
        held_by,
        study.plan.n_trials,
        counts,
        objective,
        winner,
        summary,
        elapsed_s,
        ending,
        session,
        failures,
        course,
        running,
        annotation_of(study.folder.path),
        None if stop is None else stop.stagnation,
        study.spec.space.earlier,
        tuple(facts["notices"]) if held_by is not None else (),
    )


def shown_counts(study: Study) -> dict[State, int]:
    """The number of trials in each state that is shown: a paused trial is shown as pruned.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    counts = study.log.counts()
    counts[State.PRUNED] += counts.pop(State.PAUSED)
    return counts


def status_view(status: Status) -> View:
    """The state as labelled lines, with the command that continues an interrupted study."""
    n_ended = number_ended(status.counts)
    lines = [
        ("study", status.study),
        ("state", status.word + (f" by {status.holder}" if status.holder else "")),
        ("trials", f"{n_ended} of {status.n_trials} ended"),
        *((state.value, _count_text(status, state, n)) for state, n in status.counts.items() if n),
    ]
    lines += [("", running_text(running, status.objective.metric)) for running in status.running]
    lines += [("waits" if not number else "", notice) for number, notice in enumerate(status.notices)]
    score = None
    lines += front_lines(status.front_summary)
    if status.best is not None and status.best.outcome is not None:
        score = status.best.outcome.score
        metrics = "  ".join(metric_texts(status.best, status.objective))
        lines.append(("best", f"{metrics} (trial {status.best.number})"))
        if bars := sparkline(status.best_so_far.values(_SPARK_WIDTH), _SPARK_WIDTH):
            lines.append(("", f"{bars} so far"))
    if pace := str(status.session.pace):
        lines.append(("rate", pace))
    if status.elapsed_s:
        lines.append(("elapsed", duration(status.elapsed_s)))
    is_limited = status.word == "interrupted" and resume_options(status.ending)
    if (status.word == "finished" and status.ending) or is_limited:
        lines.append(reason_line(status.ending, status.n_trials, status.stagnation))
    lines += [*earlier_lines(status.earlier), *annotation_lines(status.annotation)]
    if status.word == "interrupted":
        lines.append(("next", resume_command(status.path, status.ending)))
    data = {
        "study": status.study,
        "path": status.path,
        "state": status.word,
        "n_trials": status.n_trials,
        "n_ended": n_ended,
        "counts": {state.value: n for state, n in status.counts.items()},
        "best": None
        if status.best is None
        else {"trial": status.best.number, "metric": status.objective.metric, "score": score},
        **front_data(status.front_summary),
        "elapsed_s": status.elapsed_s,
        "trials_per_minute": asdict(status.session.pace),
        "failures": {str(kind): n for kind, n in status.failures.items()},
        "best_so_far": [{"trial": number, "score": score} for number, score in status.best_so_far.steps],
        "running_trials": [running_data(running, status.objective.metric) for running in status.running],
        "notices": list(status.notices),
        "reason": status.ending or None,
        **earlier_data(status.earlier),
        "tags": list(status.annotation.tags),
        "note": status.annotation.note or None,
        "holder": str(status.holder) if status.holder else None,
    }
    return View("status", data, tuple(lines))


def _count_text(status: Status, state: State, n: int) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in status.failures.most_common())
    note = kinds if state is State.FAILED else _WAITING[status.word] if state is State.WAITING else ""
    return f"{n} ({note})" if note else str(n)


def damage_view(path: str, why: str) -> View:
    """The view of a study whose database cannot be read; ``why`` is the error."""
    return View(
        "status", {"path": path, "state": "damaged", "why": why}, (("path", path), ("state", "damaged"))
    )
