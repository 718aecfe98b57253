"""`confirm` as a loop: decide on fresh runs → record → train → record, until the record holds a score to quote.

Runs are on record before a worker gets them (write-ahead), so a kill at any point costs the runs that were under way,
and the same command completes the rest. The search sees none of it: fresh runs are neither suggestions nor results.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from tunecli.config.user_code import code_changes
from tunecli.engine.protocol import Engine
from tunecli.errors import Interrupted, UsageError
from tunecli.store.database import Log
from tunecli.store.files import remove_leftovers, require_room
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.study.plan.machines import machines_of, require_device, worker_count
from tunecli.study.record.candidates import Request, chosen, require_possible
from tunecli.study.record.config_change import require_same_data
from tunecli.study.record.confirmation import CURRENT, Recorded, recorded_confirmations
from tunecli.study.record.confirmed_files import publish_confirmed
from tunecli.study.record.earlier_points import with_recorded_points
from tunecli.study.record.facts import facts_of, plan_of, recorded_spec, require_known_plan
from tunecli.study.record.fresh_plan import next_runs
from tunecli.study.record.lifecycle import LEAST_ROOM_BYTES, Study
from tunecli.study.record.part_sizes import PART_SIZES, measured_sizes, size_facts
from tunecli.study.runner.fresh_queue import FreshQueue, train
from tunecli.study.runner.job_queue import engine_of
from tunecli.study.runner.signals import noted_signals
from tunecli.text import counted
from tunecli.trial import FreshRun, Trial


@contextmanager
def open_to_confirm(folder: RunFolder, overrides: tuple[str, ...] = ()) -> Iterator[Study]:
    """Open a study to add fresh runs, and lock it. It reads the recorded file, not later edits of it.

    Args:
        folder: the run folder.
        overrides: texts ``path=value`` that say where the runs are trained; they are not recorded.

    Yields:
        The study.

    Raises:
        StudyLocked: another process holds the study.
        StoreDamaged, StoreTooNew: the database cannot be used.
        UsageError: the data or the user's code have changed since the study began, there is no such device, the
            engine's machines do not answer, or the folder is read-only.
        DiskFull: there is too little room.
    """
    path = folder.database_path
    folder.require_own_files(is_writing=True)
    with hold(folder.path), Log.open(path, lambda recorded: require_known_plan(recorded, path)) as log:
        require_room(folder.path, LEAST_ROOM_BYTES)
        facts = facts_of(log)
        then = {**facts, "overrides": [*facts["overrides"], *overrides]}
        spec, plan = with_recorded_points(recorded_spec(then, folder), facts), plan_of(facts, path)
        if changes := code_changes(facts["code"], spec):
            raise UsageError(
                f"your own code has changed since the study began: {', '.join(changes)}",
                hint="undo the changes: fresh runs of other code do not confirm these trials",
            )
        require_same_data(spec, facts, folder)
        log.require_agreement(spec.objective.metric)
        run = spec.settings.run
        machines = machines_of(run)
        require_device(plan.device, run.devices_per_trial, machines)
        if run.engine_name != plan.engine:
            n_workers = worker_count(run, machines, plan.lookahead)
            plan = replace(plan, engine=run.engine_name, n_workers=n_workers)
        yield Study(spec, plan, folder, log)


def confirm(
    study: Study,
    request: Request,
    on_ended: Callable[[Recorded, FreshRun], None] = lambda *_: None,
    engine: Engine | None = None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> Recorded:
    """Train the fresh runs that a confirmation lacks; a complete one trains nothing.

    Args:
        study: open, and held by this process.
        request: what to confirm.
        on_ended: called with the confirmation, each run once its end is on record.
        engine: where runs are trained; None: the engine of the study's plan.
        on_notice: called with each new notice of the engine.

    Returns:
        The complete confirmation.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came. Runs that ended are on record.
        ClusterGone: the machines of the engine are lost. Runs that ended are on record.
        NoTrialSucceeded: no trial has a score.
        UsageError: the request cannot be fulfilled.
        DiskFull, StoreFailed: the disk refuses a write. The record is kept, too.
    """
    require_possible(request, study)
    trials = study.log.trials()
    recorded = chosen(study, request, trials)
    with noted_signals() as received, ExitStack() as cleanup:
        while True:
            recorded = _decided(study, recorded, request, trials)
            if not recorded.missing:
                break
            if engine is None:
                cleanup.callback(remove_leftovers, study.folder.path)
                engine = engine_of(study)
                cleanup.callback(engine.close)
            _train(study, recorded, engine, trials, received, on_ended, on_notice)
            recorded = _read(study, recorded)
    if facts_of(study.log)[CURRENT] != recorded.confirmation.id:
        study.log.set_fact(CURRENT, recorded.confirmation.id)
    publish_confirmed(study, recorded, trials)
    return recorded


def _decided(study: Study, recorded: Recorded, request: Request, trials: list[Trial]) -> Recorded:
    """The confirmation with the runs that are decided on next; they are on record."""
    if recorded.missing:
        return recorded
    runs = next_runs(study, recorded, request, trials)
    if not runs:
        return recorded
    with study.log.atomic():
        if not recorded.runs:
            study.log.append_confirmation(recorded.confirmation)
            _record_sizes(study)
        study.log.append_fresh_runs(runs)
    return _read(study, recorded)


def _record_sizes(study: Study) -> None:
    """Record the sizes of the parts of the data if the study began without them."""
    if PART_SIZES not in study.log.facts():
        for key, value in size_facts(measured_sizes(study.spec)).items():
            study.log.set_fact(key, value)


def _read(study: Study, recorded: Recorded) -> Recorded:
    key = recorded.confirmation.id
    return next(one for one in recorded_confirmations(study) if one.confirmation.id == key)


def _train(
    study: Study,
    recorded: Recorded,
    engine: Engine,
    trials: list[Trial],
    received: list[int],
    on_ended: Callable[[Recorded, FreshRun], None],
    on_notice: Callable[[str], None],
) -> None:
    by_number = {trial.number: trial for trial in trials}
    queue = FreshQueue(study, engine, recorded.missing, by_number)

    def note(run: FreshRun) -> None:
        study.folder.append_log(_log_record(run, study.plan.engine))
        on_ended(recorded, run)

    train(queue, engine, received, note, on_notice)
    if received:
        n_left = len(_read(study, recorded).missing)
        raise Interrupted(
            f"Interrupted by {signal.Signals(received[0]).name}, {counted(n_left, 'fresh run')} before the end of this "
            "stage; nothing is lost",
            signal_number=received[0],
        )


def _log_record(run: FreshRun, engine: str) -> dict[str, Any]:
    end = run.outcome
    assert end is not None
    record: dict[str, Any] = {"confirmed": run.number, "repeat": run.repeat, "stage": run.stage.value}
    record |= {"state": end.state.value, "score": end.score, "seconds": end.seconds, "engine": engine}
    if run.host:
        record["host"] = run.host
    if end.failure is not None:
        record |= {"kind": end.failure.kind.value, "cause": end.failure.cause}
    return record
