"""`tunecli verify --confirmed`: run a fresh run of the quoted trial again, and compare its metrics with the record."""

from __future__ import annotations

from dataclasses import replace

from tunecli.commands.export import not_quoted
from tunecli.commands.verify import Verification, Verified, causes_of, clock_metrics, run_again
from tunecli.results.comparison import RunRecord, Verdict, compare
from tunecli.store.folder import RunFolder
from tunecli.study.plan.machines import require_device
from tunecli.study.record.confirmation import confirmed_of_study, current_confirmation
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.study.runner.fresh_queue import fresh_job
from tunecli.study.runner.jobs import job_for, with_metrics_of
from tunecli.train.machine import without_group
from tunecli.trial import FreshRun, Stage, State


def verify_confirmed(folder: RunFolder, device: str | None = None, *, is_exact: bool = False) -> Verification:
    """Run the first complete run of the quote again; it opens the test part only if it did before.

    Args:
        folder: the run folder; nothing in it changes.
        device: the device to run on; None: the recorded one.
        is_exact: accept identical bits only.

    Raises:
        UsageError: no trial is quoted, or this machine does not have the device.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    with open_to_read(folder, must_know_plan=True) as study:
        run = _quoted_run(study)
        trial, facts = study.log.trial(run.number), facts_of(study.log)
    assert run.outcome is not None
    device = device or without_group(run.outcome.device) or study.plan.device
    require_device(device)
    study = replace(study, plan=replace(study.plan, device=device))
    job = with_metrics_of(fresh_job(study, trial, run, {}), run.outcome.metrics)
    # a reader writes nothing, so the job has the files of a trial that is run outside of a sweep
    again = run_again(study, replace(job, files=job_for(study.spec, study.plan, trial).files))
    comparison = compare(
        RunRecord([], run.outcome),
        RunRecord([], again.outcome),
        uncounted=clock_metrics(study, run.outcome),
    )
    is_same = comparison.verdict is Verdict.IDENTICAL
    causes = () if is_same else causes_of(study, facts, run.outcome, again.outcome)
    verified = Verified(trial.number, comparison, run.outcome, again.outcome, causes)
    name, metric = study.spec.settings.study, study.spec.objective.metric
    return Verification(name, str(folder.path), metric, is_exact, (verified,))


def _quoted_run(study: Study) -> FreshRun:
    recorded = current_confirmation(study)
    if recorded is not None and recorded.quoted is not None:
        for run in recorded.of(recorded.quoted, Stage.QUOTE):
            if run.outcome is not None and run.outcome.state is State.COMPLETE:
                return run
    raise not_quoted(study, confirmed_of_study(study))
