"""Forks a study: begins a new one that reuses trials of another.

A trial is reused if the new space contains the same concrete trial and its constraints allow it, and if everything else
that its score depends on is unchanged: the study's seed, repeats, threads, the user's code and the data. The objective
may differ if the recorded metrics give the new score (`rescored`). A reused trial keeps its seed, outcome and epochs,
and gets the next number of the new study, which goes on from there as from any record (record-is-the-state). The other
study is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from tunecli.config.comparison import fitting_point
from tunecli.config.concrete_trial import concrete
from tunecli.config.enumeration import grid_position_of_point
from tunecli.config.feasibility import is_feasible
from tunecli.config.metrics import MEASURED
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.study import StudySpec
from tunecli.config.surroundings import KEYS
from tunecli.config.user_code import code_hashes
from tunecli.errors import UsageError
from tunecli.messages import Ended, EpochEnded, Started
from tunecli.objective import LAST, Objective
from tunecli.registry.pruners import is_pausing
from tunecli.registry.samplers import sampler_info
from tunecli.search.samplers.grid import require_grid
from tunecli.store.annotation import Annotation, annotate, annotation_of
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.plan.automatic import decided
from tunecli.study.plan.machines import machines_of
from tunecli.study.plan.plan import Plan, plan_for
from tunecli.study.record.config_change import ConfigChange, assignments, read_config_change
from tunecli.study.record.earlier_points import with_earlier_points, with_recorded_points
from tunecli.study.record.earlier_studies import with_earlier_studies, with_recorded_studies
from tunecli.study.record.facts import data_hashes, facts_of, require_known_plan
from tunecli.study.record.lifecycle import Study, begin
from tunecli.study.record.plug_ins import plug_ins_of
from tunecli.study.record.versions import changed_versions
from tunecli.train.validation import trial_problems
from tunecli.trial import FailedAttempt, Failure, FailureKind, Outcome, State, Trial


@dataclass(frozen=True)
class _ReusedTrial:
    """A reused trial: the trial with its new number, its number before, its epochs, and the versions that ran it.

    ``ended_by`` is the limit or the person that ended it, as of `Log.ended_by`.
    """

    trial: Trial
    old_number: int
    epochs: Sequence[EpochEnded]
    versions: Mapping[str, str]
    ended_by: Failure | None = None


@contextmanager
def fork(
    folder: RunFolder,
    name: str,
    changes: Mapping[str, Any],
    overrides: tuple[str, ...] = (),
    *,
    config_path: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Study]:
    """Begin the study ``name`` in a folder beside ``folder``, with that study's edited file, and lock it.

    The new study gets the tags of the other one, and no note.

    Args:
        folder: the run folder of the other study; another process may hold it.
        name: name of the new study and of its folder.
        changes: changed fields of the plan: ``n_trials``, ``n_workers``, ``device``. The total includes the reused
            trials and is never below their number.
        overrides: assignments ``path=value``.
        config_path: a file to use in place of the folder's file.
        say: is called with each line for the user: differences, the number of reused trials, notes.

    Yields:
        The new study.

    Raises:
        ConfigError: the file is wrong.
        StoreDamaged, StoreTooNew: the other study's database cannot be used.
        UsageError: ``name`` is not valid or is taken, the space has no grid for a grid sampler, or there is no such
            device.
    """
    new_folder = RunFolder.named(name, _beside(folder.path))
    if new_folder.database_path.exists():
        hint = f"give the new study another name, or resume this one: tunecli resume {quote(str(new_folder.path))}"
        raise UsageError(f"{new_folder.path} holds a study already", hint=hint)
    with Log.open_to_read(folder.database_path) as log:
        require_known_plan(log.facts(), log.path)
        facts = facts_of(log)
        change = read_config_change(
            folder, facts, (*overrides, *assignments(changes), f'study="{name}"'), config_path
        )
        spec = decided(change.inspected(trial_problems))
        if spec.settings.search.start == change.recorded.settings.search.start:
            spec = with_recorded_points(spec, facts)
        else:
            spec = with_earlier_points(spec, change.file)
        if spec.settings.search.earlier == change.recorded.settings.search.earlier:
            spec = with_recorded_studies(spec, facts, log.path)
        else:
            spec = with_earlier_studies(spec, change.file)
        if sampler_info(spec.settings.search.sampler_name).needs_grid:
            require_grid(spec.space)
        machines = machines_of(spec.settings.run)
        plan = plan_for(spec, machines)
        ended = [trial for trial in log.trials() if trial.outcome is not None]
        differences = _global_differences(change.recorded, spec, facts)
        reused = [] if differences else list(_reusable_trials(change, spec, ended, log))
    plan = replace(plan, n_trials=_total(spec, plan, reused))
    origin = {"path": str(folder.path.resolve()), "trials": [entry.old_number for entry in reused]}
    with begin(
        spec,
        new_folder.path,
        plan=plan,
        machines=machines,
        facts={"forked_from": origin},
        fill=_writer(reused),
    ) as study:
        if tags := annotation_of(folder.path).tags:  # the note tells of the other study alone
            annotate(study.folder.path, lambda _: Annotation(tags=tags))
        shown = [line for line in change.lines if not line.startswith("changed: study:")]
        for line in (*shown, *changed_versions(facts.get("versions", {}), plug_ins_of(spec))):
            say(line)
        if not reused and not differences and change.recorded.objective != spec.objective:
            differences = ["the objective differs"]
        why = f", since {' and '.join(differences)}" if differences else ""
        say(f"reused: {len(reused)} of the {len(ended)} trials that ended in {folder.path}{why}")
        yield study


def reusable(folder: RunFolder, config_path: Path) -> tuple[list[int], int]:
    """Which trials `fork` would reuse with the file at ``config_path``, without beginning a study.

    Returns:
        The numbers of those trials, and the number of trials that ended.

    Raises:
        ConfigError: the file is wrong.
        StoreDamaged, StoreTooNew: the study's database cannot be used.
    """
    with Log.open_to_read(folder.database_path) as log:
        facts = facts_of(log)
        change = read_config_change(folder, facts, (), config_path)
        spec = change.requested
        ended = [trial for trial in log.trials() if trial.outcome is not None]
        if _global_differences(change.recorded, spec, facts):
            return [], len(ended)
        return [entry.old_number for entry in _reusable_trials(change, spec, ended, log)], len(ended)


def _beside(path: Path) -> Path:
    return path.parent if path.name not in ("", "..") else path.resolve().parent


def _global_differences(recorded: StudySpec, spec: StudySpec, facts: Mapping[str, Any]) -> list[str]:
    """Differences that prevent the reuse of any trial; empty if there are none."""
    old, new = recorded.settings, spec.settings
    differs = {
        "the seed": old.seed != new.seed,
        "search.repeats": old.search.repeats != new.search.repeats,
        "run.threads": facts["plan"]["threads"] != new.run.threads,
        **{f"run.{key}": getattr(old.run, key) != getattr(new.run, key) for key in KEYS},
        "run.trial_limit.epochs": old.run.trial_limit.epochs != new.run.trial_limit.epochs,
    }
    differences = [f"{name} differs" for name, is_different in differs.items() if is_different]
    code, data = code_hashes(spec), data_hashes(spec)
    # No trial of both studies reads a file that only one of them names, but a file that both name may import it.
    differences += [
        f"{name} is gone"
        for name in facts.get("code", {})
        if name not in code and not (spec.base_path / name).is_file()
    ]
    before = {**facts.get("code", {}), **facts.get("data", {})}
    now = {**code, **data}
    return differences + [
        f"{name} has changed" for name in before if now.get(name, before[name]) != before[name]
    ]


def _reusable_trials(
    change: ConfigChange, spec: StudySpec, ended: Sequence[Trial], log: Log
) -> Iterator[_ReusedTrial]:
    """The ``ended`` trials that the new study can reuse, with new numbers in their order."""
    recorded = change.recorded
    pruner = spec.settings.search.pruner
    # A paused trial cannot be continued here: its checkpoint belongs to the other study.
    is_pruned_alike = recorded.settings.search.pruner == pruner and not is_pausing(pruner)
    epochs = log.epochs_of(trial.number for trial in ended)
    sessions = {session["id"]: session["versions"] for session in log.sessions()}
    sessions_of = log.sessions_of_results()
    first_versions, ended_early = facts_of(log)["versions"], log.ended_early()
    number = 0
    for trial in ended:
        try:
            config = concrete(recorded.space, trial.parameters)
        except DanglingReferenceError:
            continue
        point = fitting_point(spec.space, trial.parameters, config)
        if point is None or (trial.state.shown is State.PRUNED and not is_pruned_alike):
            continue
        if not is_feasible(spec.space, point):
            continue
        assert trial.outcome is not None
        result = rescored(trial.outcome, epochs[trial.number], config, recorded.objective, spec.objective)
        if result is None:
            continue
        outcome, own_epochs = result
        versions = sessions.get(sessions_of.get(trial.number), first_versions)
        renumbered = replace(trial, number=number, parameters=point, outcome=outcome)
        yield _ReusedTrial(renumbered, trial.number, own_epochs, versions, ended_early.get(trial.number))
        number += 1


def _total(spec: StudySpec, plan: Plan, reused: Sequence[_ReusedTrial]) -> int:
    """The new study's total. A grid without ``search.trials`` adds the reused trials that are not on the grid."""
    n_off_grid = 0
    if sampler_info(spec.settings.search.sampler_name).needs_grid and spec.settings.search.trials is None:
        # The plan counts the start points that are not on the grid already.
        others = [entry for entry in reused if entry.trial.parameters not in spec.space.start]
        positions = [grid_position_of_point(spec.space, entry.trial.parameters) for entry in others]
        n_off_grid = len(others) - len({position for position in positions if position is not None})
    return max(plan.n_trials + n_off_grid, len(reused))


def _writer(reused: Sequence[_ReusedTrial]) -> Callable[[Log], None]:
    """A function that writes the reused trials into the log of the new study."""

    def write(log: Log) -> None:
        sessions: dict[str, int] = {}
        for entry in reused:
            number, outcome = entry.trial.number, entry.trial.outcome
            assert outcome is not None
            log.append_suggestion(entry.trial)
            if outcome.device or entry.epochs:
                session_key = str(sorted(entry.versions.items()))
                if session_key not in sessions:
                    sessions[session_key] = log.append_session(entry.versions)
                log.append_start(Started(number, 1, outcome.device, 0), sessions[session_key])
            log.append_epochs([replace(epoch, number=number, attempt=1) for epoch in entry.epochs])
            # The weights are not copied: they are a function of the record, and are computed again on demand.
            log.append_result(Ended(number, 1, replace(outcome, weights_sha256="")))
            if entry.ended_by is not None:
                log.append_failed_attempt(FailedAttempt(number, 1, entry.ended_by))

    return write


_MACHINE_FAILURES = (FailureKind.OOM, FailureKind.TIMEOUT, FailureKind.CRASH, FailureKind.LOST)


def rescored(
    outcome: Outcome, epochs: Sequence[EpochEnded], config: Mapping[str, Any], old: Objective, new: Objective
) -> tuple[Outcome, Sequence[EpochEnded]] | None:
    """The outcome and epochs of a trial under another objective.

    The record holds each metric by its name. So if the training would have been the same under ``new``, the score is
    read from the record, and the trial does not run again. The first objective may differ only if it did not affect the
    training: no early stopping, no epoch ends by its metric, no pruning, no deviation over folds and repeats. A failure
    is kept if its cause is the machine.

    Args:
        outcome: the outcome recorded under ``old``.
        epochs: the recorded epochs.
        config: the concrete trial.
        old, new: the objectives.

    Returns:
        The new outcome and epochs; None if the record does not determine them.
    """
    if old == new:
        return outcome, epochs
    own = [goal for goal in old.goals if goal.python]
    if any(goal.python and not any(_is_same(goal, old_goal) for old_goal in own) for goal in new.goals):
        return None
    if outcome.failure is not None:
        return (outcome, epochs) if outcome.failure.kind in _MACHINE_FAILURES else None
    if {old.score_rule, new.score_rule} != {LAST} and not (_is_same(old, new) and old.metrics == new.metrics):
        return None  # the recorded metrics are those of one report, or means, by the old rule
    if (old.tunes_threshold, old.threshold) != (new.tunes_threshold, new.threshold):
        return None  # the recorded metrics are those of another threshold
    if not _is_same(old, new) and _affects_training(old, outcome, config):
        return None
    needed = new.metrics if outcome.state is State.COMPLETE else (new.metric,)
    if any(name not in outcome.metrics for name in needed):
        return None
    dropped = ({*old.metrics} & {*MEASURED}) | {goal.metric for goal in own}
    dropped -= {*new.metrics}
    new_outcome = replace(
        outcome, score=outcome.metrics[new.metric], metrics=_without(dropped, outcome.metrics)
    )
    return new_outcome, [replace(epoch, metrics=_without(dropped, epoch.metrics)) for epoch in epochs]


def _is_same(one: Objective, other: Objective) -> bool:
    return replace(one, further_objectives=(), constraints=()) == replace(
        other, further_objectives=(), constraints=()
    )


def _affects_training(goal: Objective, outcome: Outcome, config: Mapping[str, Any]) -> bool:
    """Whether another first objective could have changed the trial's training."""
    training = config.get("training")
    stops_early = isinstance(training, Mapping) and bool(training.get("early_stop"))
    ends_epochs = "command" in config and bool(config.get("metrics"))
    has_deviation = f"{goal.metric}_std" in outcome.metrics
    return stops_early or ends_epochs or has_deviation or outcome.state is not State.COMPLETE


def _without(names: set[str], metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name not in names}
