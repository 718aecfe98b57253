"""A new study that begins with those trials of another which it could have run itself.

A trial fits where the new space holds the very same concrete trial, and all else that its score is a function of is as
it was: the study's seed, repeats, threads, the user's code and the data. What is optimised may differ as far as a
trial's metrics on record tell its new score (`rescored`). A trial keeps its seed, outcome and epochs, and gets the next
number of the new study, which goes on from there as from any record (law 1). The other study is read, and nothing of it
is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from tunecli.config.comparison import fitting_point
from tunecli.config.concrete_trial import DanglingReferenceError, concrete
from tunecli.config.enumeration import grid_position_of_point
from tunecli.config.metrics import MEASURED
from tunecli.config.study import StudySpec
from tunecli.config.user_code import code_hashes
from tunecli.errors import UsageError
from tunecli.messages import Ended, EpochEnded, Started
from tunecli.objective import Objective
from tunecli.registry.pruners import is_pausing
from tunecli.registry.samplers import sampler_info
from tunecli.search.samplers.grid import require_grid
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.plan.plan import Plan, plan_for
from tunecli.study.record.config_change import ConfigChange, assignments, revision
from tunecli.study.record.facts import data_hashes, facts_of, require_known_plan
from tunecli.study.record.lifecycle import Study, begin
from tunecli.study.record.plug_ins import plug_ins_of
from tunecli.study.record.versions import changed_versions
from tunecli.train.validation import trial_problems
from tunecli.trial import FailureKind, Outcome, State, Trial


@dataclass(frozen=True)
class _Reused:
    """A trial under its new number, whom it was before, its epochs, and what its result may depend on."""

    trial: Trial
    number_before: int
    epochs: Sequence[EpochEnded]
    versions: Mapping[str, str]


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
    """Begin the study ``name`` beside the one in ``folder``, as its file now asks, and hold it.

    Args:
        folder: the run folder of the other study, whoever holds it.
        name: of the new study, and of its folder.
        changes: fields of the plan that are asked to differ: ``n_trials``, ``n_workers``, ``device``. The total counts
            the trials that are reused, and is never below their number.
        overrides: ``path=value``.
        config_path: a file that takes the place of the folder's.
        say: is told, a line each, what differs, how many trials are reused, and what else a person should know.

    Raises:
        ConfigError: the file is wrong.
        StoreDamaged, StoreTooNew: the other study's database cannot be used.
        UsageError: ``name`` is none, or there is a study of that name; a grid is asked for and cannot be made; or there
            is no such device.
    """
    new_folder = RunFolder.named(name, _beside(folder.path))
    if new_folder.database_path.exists():
        hint = f"give this one another name, or go on with that: tunecli resume {quote(str(new_folder.path))}"
        raise UsageError(f"{new_folder.path} holds a study already", hint=hint)
    with Log.open_to_read(folder.database_path) as log:
        require_known_plan(log.facts(), log.path)
        facts = facts_of(log)
        asked = revision(folder, facts, (*overrides, *assignments(changes), f'study="{name}"'), config_path)
        spec = asked.inspected(trial_problems)
        if sampler_info(spec.settings.search.sampler_name).needs_grid:
            require_grid(spec.space)
        plan = plan_for(spec)
        ended = [trial for trial in log.trials() if trial.outcome is not None]
        obstacles = _obstacles(asked.recorded, spec, facts, plan)
        reused = [] if obstacles else list(_fitting(asked, spec, ended, log))
    plan = replace(plan, n_trials=_total(spec, plan, reused))
    origin = {"path": str(folder.path.resolve()), "trials": [each.number_before for each in reused]}
    with begin(
        spec, new_folder.path, plan=plan, facts={"forked_from": origin}, fill=_writer(reused)
    ) as study:
        shown = [line for line in asked.lines if not line.startswith("changed: study:")]
        for line in (*shown, *changed_versions(facts.get("versions", {}), plug_ins_of(spec))):
            say(line)
        if not reused and not obstacles and asked.recorded.objective != spec.objective:
            obstacles = ["the objective differs"]
        why = f", since {' and '.join(obstacles)}" if obstacles else ""
        say(f"reused: {len(reused)} of the {len(ended)} trials that ended in {folder.path}{why}")
        yield study


def _beside(path: Path) -> Path:
    return path.parent if path.name not in ("", "..") else path.resolve().parent


def _obstacles(recorded: StudySpec, spec: StudySpec, facts: Mapping[str, Any], plan: Plan) -> list[str]:
    """Why no trial of the recorded study could be one of the new; empty where there is no such reason."""
    old, new = recorded.settings, spec.settings
    differs = {
        "the seed": old.seed != new.seed,
        "search.repeats": old.search.repeats != new.search.repeats,
        "run.threads": facts["plan"]["threads"] != plan.threads,
    }
    found = [f"{what} differs" for what, is_so in differs.items() if is_so]
    code, data = code_hashes(spec), data_hashes(spec)
    # What only one of the two names is read by no trial that is in both; but it may be imported by what both name.
    found += [
        f"{name} is gone"
        for name in facts.get("code", {})
        if name not in code and not (spec.base_path / name).is_file()
    ]
    before = {**facts.get("code", {}), **facts.get("data", {})}
    now = {**code, **data}
    return found + [f"{name} has changed" for name in before if now.get(name, before[name]) != before[name]]


def _fitting(asked: ConfigChange, spec: StudySpec, ended: Sequence[Trial], log: Log) -> Iterator[_Reused]:
    """Those of the ``ended`` trials that the new study holds too, numbered anew in their order."""
    recorded = asked.recorded
    pruner = spec.settings.search.pruner
    # One that paused may yet be continued there, and could not be here: its checkpoint is the other study's.
    is_pruned_alike = recorded.settings.search.pruner == pruner and not is_pausing(pruner)
    epochs = log.epochs_of(trial.number for trial in ended)
    sessions = {session["id"]: session["versions"] for session in log.sessions()}
    sessions_of = log.sessions_of_results()
    first_versions = facts_of(log)["versions"]
    number = 0
    for trial in ended:
        try:
            config = concrete(recorded.space, trial.parameters)
        except DanglingReferenceError:
            continue
        point = fitting_point(spec.space, trial.parameters, config)
        if point is None or (trial.state.shown is State.PRUNED and not is_pruned_alike):
            continue
        assert trial.outcome is not None
        told = rescored(trial.outcome, epochs[trial.number], config, recorded.objective, spec.objective)
        if told is None:
            continue
        outcome, own_epochs = told
        versions = sessions.get(sessions_of.get(trial.number), first_versions)
        again = replace(trial, number=number, parameters=point, outcome=outcome)
        yield _Reused(again, trial.number, own_epochs, versions)
        number += 1


def _total(spec: StudySpec, plan: Plan, reused: Sequence[_Reused]) -> int:
    """How many trials the new study has in all; a grid that is run whole has those beside it as well."""
    n_beside = 0
    if sampler_info(spec.settings.search.sampler_name).needs_grid and spec.settings.search.trials is None:
        positions = [grid_position_of_point(spec.space, each.trial.parameters) for each in reused]
        n_beside = len(reused) - len({position for position in positions if position is not None})
    return max(plan.n_trials + n_beside, len(reused))


def _writer(reused: Sequence[_Reused]) -> Callable[[Log], None]:
    """What writes the reused trials into the log of the new study."""

    def write(log: Log) -> None:
        sessions: dict[str, int] = {}
        for each in reused:
            number, outcome = each.trial.number, each.trial.outcome
            assert outcome is not None
            log.append_suggestion(each.trial)
            if outcome.device or each.epochs:
                known = str(sorted(each.versions.items()))
                if known not in sessions:
                    sessions[known] = log.append_session(each.versions)
                log.append_start(Started(number, 1, outcome.device, 0), sessions[known])
            log.append_epochs([replace(epoch, number=number, attempt=1) for epoch in each.epochs])
            # The weights stay where they are: they are a function of the record, and are made again where asked for.
            log.append_result(Ended(number, 1, replace(outcome, weights_sha256="")))

    return write


_OF_THE_MACHINE = (FailureKind.OOM, FailureKind.TIMEOUT, FailureKind.CRASH, FailureKind.LOST)


def rescored(
    outcome: Outcome, epochs: Sequence[EpochEnded], config: Mapping[str, Any], old: Objective, new: Objective
) -> tuple[Outcome, Sequence[EpochEnded]] | None:
    """How a trial ended, and its epochs, had ``new`` been asked of it; None where the record does not tell.

    The first goal may differ only where nothing of the trial's own course went by it: no early stopping, no end of an
    epoch, no end by a pruner, no deviation over folds and repeats. A failure stands where it is the machine's.

    Args:
        outcome: as it was recorded under ``old``.
        epochs: its epochs.
        config: the concrete trial.
        old, new: the objectives.
    """
    if old == new:
        return outcome, epochs
    own = [goal for goal in old.goals if goal.python]
    if any(goal.python and not any(_is_same(goal, each) for each in own) for goal in new.goals):
        return None
    if outcome.failure is not None:
        return (outcome, epochs) if outcome.failure.kind in _OF_THE_MACHINE else None
    if not _is_same(old, new) and _went_by(old, outcome, config):
        return None
    wanted = new.metrics if outcome.state is State.COMPLETE else (new.metric,)
    if any(name not in outcome.metrics for name in wanted):
        return None
    idle = ({*old.metrics} & {*MEASURED}) | {goal.metric for goal in own}
    idle -= {*new.metrics}
    again = replace(outcome, score=outcome.metrics[new.metric], metrics=_without(idle, outcome.metrics))
    return again, [replace(epoch, metrics=_without(idle, epoch.metrics)) for epoch in epochs]


def _is_same(one: Objective, other: Objective) -> bool:
    return replace(one, further_objectives=(), constraints=()) == replace(
        other, further_objectives=(), constraints=()
    )


def _went_by(goal: Objective, outcome: Outcome, config: Mapping[str, Any]) -> bool:
    """Whether a trial's course is another one under another first goal."""
    training = config.get("training")
    stops_early = isinstance(training, Mapping) and bool(training.get("early_stop"))
    ends_epochs = "command" in config and bool(config.get("metrics"))
    has_deviation = f"{goal.metric}_std" in outcome.metrics
    return stops_early or ends_epochs or has_deviation or outcome.state is not State.COMPLETE


def _without(names: set[str], metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name not in names}
