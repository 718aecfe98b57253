"""`tunecli confirm`: train the best trials again with fresh seeds, and show the confirmed score.

For a complete confirmation the verb only reads: it needs no lock, and works in a read-only folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from tunecli.commands.report_page import written_at_end
from tunecli.errors import ClusterGone, Interrupted, NoTrialSucceeded, UsageError
from tunecli.objective import Objective
from tunecli.results.confirmed import Confirmed
from tunecli.store.folder import RunFolder
from tunecli.study.confirming import confirm as train_fresh_runs
from tunecli.study.confirming import open_to_confirm
from tunecli.study.record.candidates import Request, chosen, require_possible
from tunecli.study.record.confirmation import (
    Recorded,
    confirmed,
    current_confirmation,
    data_settings,
    has_data,
    has_test_part,
)
from tunecli.study.record.confirmed_files import are_published
from tunecli.study.record.facts import facts_of
from tunecli.study.record.fresh_plan import next_runs
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.study.record.part_sizes import PartSizes, recorded_sizes
from tunecli.study.runner.signals import Signalled
from tunecli.text import counted, duration, sanitize
from tunecli.train.data.splits import is_redrawn
from tunecli.trial import FreshRun, Outcome, Stage, Trial


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of the missing fresh runs, estimated from the record of the search.

    Attributes:
        n_runs: the number of missing fresh runs.
        seconds: wall time; 0: unknown.
    """

    n_runs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A confirmation and the study that it is about.

    Attributes:
        study, path: the study's name, and its run folder.
        objective: the goals; the first one is confirmed.
        request: the request.
        value: the values of the confirmation so far.
        cost: of the missing runs; all 0: it is complete.
        sizes: of the parts of the data.
        has_closed_test: whether the data have a test part that this confirmation did not open.
        runs: the fresh runs that have ended, by repeat and trial.
        page: the report's page, which was written again; empty: it was not.
        page_note: why it was not; may be empty.
    """

    study: str
    path: str
    objective: Objective
    request: Request
    value: Confirmed
    cost: Cost
    sizes: PartSizes
    has_closed_test: bool = False
    runs: tuple[FreshRun, ...] = ()
    page: str = ""
    page_note: str = ""

    @property
    def n_failed(self) -> int:
        """The number of fresh runs that failed."""
        return sum(run.outcome is not None and run.outcome.failure is not None for run in self.runs)

    @property
    def command(self) -> str:
        """The command that makes the request."""
        return command_of(RunFolder(Path(self.path)), self.request)


def confirm(
    folder: RunFolder,
    request: Request,
    say: Callable[[str], None] = lambda _: None,
    *,
    is_dry: bool = False,
    overrides: tuple[str, ...] = (),
) -> Confirmation:
    """Confirm a study's best trials; a confirmation on record is continued.

    Args:
        folder: the run folder.
        request: which trials, and how often.
        say: shows a line to the person.
        is_dry: train nothing.
        overrides: texts ``path=value`` of keys that say where the runs are trained; they are not recorded.

    Raises:
        Interrupted: a signal ended it; the hint is the command that goes on.
        ClusterGone: the machines of the engine are lost; the hint is the same.
        NoTrialSucceeded: no trial has a score.
        UsageError: the request cannot be fulfilled, or the folder is read-only and runs are missing.
        StudyLocked: another process holds the study, and runs are missing.
        StoreDamaged, StoreTooNew, DiskFull: as for every verb.
    """
    with open_to_read(folder) as study:
        require_possible(request, study)
        trials = study.log.trials()
        recorded = chosen(study, request, trials)
        needed = next_runs(study, recorded, request, trials)
        _require_parts(study, request, recorded, trials)
        planned = _confirmation(study, request, recorded, trials, needed)
        is_complete = not needed and not recorded.missing
        if is_dry or (
            is_complete and _is_current(study, recorded) and are_published(study, recorded, trials)
        ):
            return planned
    try:
        with open_to_confirm(folder, overrides) as study:
            if not is_complete:
                say(_opening_line(planned))
            metric = study.spec.objective.metric

            def tell(recorded: Recorded, run: FreshRun) -> None:
                say(_run_line(metric, recorded, run))

            recorded = train_fresh_runs(
                study, request, tell, on_notice=lambda notice: say(f"waiting: {sanitize(notice)}")
            )
            confirmation = _confirmation(study, request, recorded, study.log.trials(), ())
        if study.spec.settings.run.report != "off":  # the study is free by now, and reads as finished
            written = written_at_end(folder)
            confirmation = replace(confirmation, page=written.place, page_note=written.note)
        return confirmation
    except (ClusterGone, Interrupted, Signalled) as stopped:
        stopped.hint = command_of(folder, request)
        raise


def command_of(folder: RunFolder, request: Request) -> str:
    """The command that makes the request."""
    words = ["tunecli confirm", quote(str(folder.path))]
    words += [f"--trial {number}" for number in request.numbers]
    if not request.numbers and request.n_top != Request().n_top:
        words.append(f"--top {request.n_top}")
    if request.n_repeats is not None:
        words.append(f"--repeats {request.n_repeats}")
    words += ["--splits"] * request.is_split + ["--test"] * request.is_test_opened
    return " ".join(words)


def require_one_goal(objective: Objective) -> None:
    """Refuse `search --confirm` before a study of several goals begins: its candidates need numbers.

    Raises:
        UsageError: there are several goals.
    """
    if objective.further_objectives:
        raise UsageError(
            f"--confirm compares trials by one goal, and this study has {len(objective.goals)}",
            hint="leave it out; after the sweep, `tunecli confirm RUN --trial N` confirms a trial by the first goal",
        )


def require_confirmed(confirmation: Confirmation) -> None:
    """Refuse a confirmation of which every run failed.

    Raises:
        NoTrialSucceeded: with the number of runs.
    """
    value = confirmation.value
    scores = [score for candidate in value.candidates for score in candidate.scores]
    if scores and not value.n_missing and not any(map(math.isfinite, scores)):
        raise NoTrialSucceeded(
            f"all {counted(len(scores), 'fresh run')} failed",
            hint=f"{confirmation.path}/confirmed.csv has the cause of each failure",
        )


def _require_parts(study: Study, request: Request, recorded: Recorded, trials: list[Trial]) -> None:
    """Refuse an option about a part of the data that no candidate has: it would change nothing.

    Raises:
        UsageError: there is no test part, no data that tunecli splits, or no part that can be drawn again.
    """
    numbers = recorded.confirmation.candidates
    candidates = [trial for trial in trials if trial.number in numbers]
    if request.is_test_opened and not any(has_test_part(study, trial) for trial in candidates):
        raise UsageError(
            "--test needs a test part, and the study's file has no `data.test`", hint="leave it out"
        )
    if request.is_split and not any(has_data(study, trial) for trial in candidates):
        raise UsageError(
            "--splits needs `trial.data`: your own code splits its data itself",
            hint="leave it out, or split by the trial's seed in your code",
        )
    if request.is_split and not any(_is_redrawn(study, trial) for trial in candidates):
        raise UsageError(
            "--splits cannot draw other parts: files, times or the marks of a column decide which rows they hold",
            hint="leave it out: fresh seeds alone show how much the score depends on chance in training",
        )


def _is_redrawn(study: Study, trial: Trial) -> bool:
    """Whether another seed may give a trial another split."""
    data = data_settings(study, trial)
    return has_data(study, trial) and (data is None or is_redrawn(data))


def _is_current(study: Study, recorded: Recorded) -> bool:
    current = current_confirmation(study)
    return current is not None and current.confirmation.id == recorded.confirmation.id


def _confirmation(
    study: Study, request: Request, recorded: Recorded, trials: list[Trial], needed: tuple[FreshRun, ...]
) -> Confirmation:
    planned = replace(recorded, runs=(*recorded.runs, *needed))
    value = confirmed(study, planned, trials)
    quoted = [trial for trial in trials if trial.number == recorded.quoted]
    has_test = bool(quoted) and has_test_part(study, quoted[0])
    return Confirmation(
        study.spec.settings.study,
        str(study.folder.path),
        study.spec.objective,
        request,
        value,
        _cost(study, planned, value, trials),
        recorded_sizes(facts_of(study.log)),
        has_closed_test=has_test
        and not any(run.opening for run in recorded.of(quoted[0].number, Stage.QUOTE)),
        runs=tuple(run for run in recorded.runs if run.outcome is not None),
    )


def _cost(study: Study, planned: Recorded, value: Confirmed, trials: list[Trial]) -> Cost:
    """The missing runs, and their time if each takes as long as its trial did."""
    spent_s = {trial.number: trial.outcome.seconds if trial.outcome else 0.0 for trial in trials}
    seconds = [spent_s[run.number] for run in planned.missing]
    n_further = value.n_missing - len(seconds)
    of_candidates = [spent_s[number] for number in planned.confirmation.candidates]
    seconds += [math.fsum(of_candidates) / len(of_candidates)] * n_further
    at_a_time = max(1, min(study.plan.n_workers, len(seconds)))
    return Cost(value.n_missing, math.fsum(seconds) / at_a_time)


def _opening_line(confirmation: Confirmation) -> str:
    numbers = " ".join(str(candidate.number) for candidate in confirmation.value.candidates)
    how = "fresh seeds and splits" if confirmation.value.is_split else "fresh seeds"
    return f"confirming trials {numbers} with {how}: {cost_text(confirmation.cost)}"


def cost_text(cost: Cost) -> str:
    """``20 fresh runs, about 1m15s``."""
    about = f", about {duration(cost.seconds)}" if cost.seconds >= 1 else ""
    return f"{counted(cost.n_runs, 'fresh run')}{about}"


def _run_line(metric: str, recorded: Recorded, run: FreshRun) -> str:
    """``trial 7, run 2 of 5 on node-3: val_loss 0.31``; a run on this machine names none."""
    runs = recorded.of(run.number, run.stage)
    place = 1 + [one.repeat for one in runs].index(run.repeat)
    word = "further run" if run.stage is Stage.QUOTE else "run"
    end = run.outcome
    assert end is not None
    how = f"{metric} {end.score:.6g}" if end.score is not None else f"failed: {_cause(end)}"
    where = f" on {sanitize(run.host)}" if run.host else ""
    return f"trial {run.number}, {word} {place} of {len(runs)}{where}: {how}"


def _cause(end: Outcome) -> str:
    return "" if end.failure is None else sanitize(f"{end.failure.kind.value}: {end.failure.cause}")
