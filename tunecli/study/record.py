"""A study in its folder: what was asked (spec), what was settled when it began (plan), what happened (log).

Law 1: everything a study knows is read back from here; nothing else survives a crash, and nothing is pickled.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

import tunecli
from tunecli.errors import UsageError
from tunecli.results.export import concrete_document
from tunecli.results.ranking import best, rank
from tunecli.results.table import Table, results_table, to_csv
from tunecli.seeding import seed_for
from tunecli.spec.code import uses
from tunecli.spec.difference import says
from tunecli.spec.fingerprint import fingerprint
from tunecli.spec.knobs.data import with_absolute_paths
from tunecli.spec.load import understand
from tunecli.spec.space import DanglingReferenceError, concrete
from tunecli.spec.study import StudySpec
from tunecli.store.database import Log
from tunecli.store.files import require_room, write_atomically
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.study import datafiles
from tunecli.study.plan import Plan, plan_for
from tunecli.study.revision import (
    PLAN_PATHS,
    Revision,
    assignments,
    raised_total,
    require_same_data,
    require_same_study,
    revision,
)
from tunecli.train.accelerators import places
from tunecli.train.inspection import complaints
from tunecli.trial import Checkpoint, Job, Parameters, Trial

# that a sweep begins or goes on with: a small study's record and its best weights
LEAST_ROOM_BYTES = 16 << 20
NOTHING_TESTED: Mapping[str, float] = {}
NOTHING_RECORDED: Mapping[str, str] = {}
_CHECKPOINT_EPOCHS: Mapping[str, int | None] = {"auto": None, "off": 0}
_PACKAGES = ("torch", "numpy", "scikit-learn", "scikit-optimize", "scipy")


@dataclass(frozen=True)
class Study:
    """A study that is open: its spec, its plan and its log."""

    spec: StudySpec
    plan: Plan
    folder: RunFolder
    log: Log


@contextmanager
def begin(
    spec: StudySpec,
    path: Path,
    *,
    plan: Plan | None = None,
    facts: Mapping[str, Any] = NOTHING_RECORDED,
    fill: Callable[[Log], None] | None = None,
) -> Iterator[Study]:
    """Make the run folder and hold the study.

    Args:
        spec: what is asked.
        path: the folder.
        plan: what is settled; None: what `plan_for` settles.
        facts: what the record is to hold besides.
        fill: writes what the study begins with into its log, before the log appears: with all of that, or not at all.

    Raises:
        UsageError: the folder holds a study already, or cannot be written.
        StudyLocked: another process holds it.
        DiskFull: next to no room is left.
    """
    plan = plan or plan_for(spec)
    if (path / "study.db").exists():
        with hold(path):  # in another's hands, that is what there is to say
            raise UsageError(
                f"{path} holds a study already",
                hint=f"tunecli resume {quote(str(path))}, or --out another folder",
            )
    require_device(plan.device)
    require_room(path, LEAST_ROOM_BYTES)
    folder = RunFolder.create(path)
    with hold(folder.path):
        is_named = says(spec.text, spec.overrides, "study")
        facts = {
            "config": spec.text,
            # the file's own name, which the run folder's copy does not have
            "overrides": [*spec.overrides, *([] if is_named else [f'study="{spec.settings.study}"'])],
            "base_path": str(spec.base_path.resolve()),
            "plan": asdict(plan),
            "versions": versions(),
            "code": fingerprint(spec),
            "data": datafiles.contents(spec),
            "elapsed_s": 0.0,
            **facts,
        }
        with _created(folder.database_path, facts, fill) as log:
            write_atomically(folder.config_path, spec.text)  # a copy for people; the log has the truth
            yield Study(spec, plan, folder, log)


def _created(path: Path, facts: Mapping[str, Any], fill: Callable[[Log], None] | None) -> Log:
    if fill is None:
        return Log.create(path, facts)
    with TemporaryDirectory(prefix="tunecli-") as place:
        draft_path = Path(place) / path.name
        with Log.create(draft_path, facts) as draft, draft.atomic():
            fill(draft)
        write_atomically(path, draft_path.read_bytes())
    return Log.open(path)


def require_device(name: str) -> None:
    """Make sure that a device is here before trials are spent on it; loads torch where it is an accelerator.

    Raises:
        UsageError: there is no such device here.
    """
    if name not in ("auto", "cpu") and not places(name):
        from tunecli.train import devices

        devices.resolve(name)


@contextmanager
def reopen(
    folder: RunFolder,
    changes: Mapping[str, Any],
    overrides: tuple[str, ...] = (),
    *,
    config_path: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Study]:
    """Hold a recorded study to go on with it, as its file now asks.

    Args:
        folder: the run folder. Where its ``config.yaml`` was edited, that is asked.
        changes: fields of the plan that are asked to differ from now on: ``n_trials`` (never fewer than were
            suggested), ``n_workers``, ``device``.
        overrides: ``path=value``, from now on.
        config_path: a file that takes the place of the folder's.
        say: is told, a line each, what differs from now on, and what else a person should know.

    Raises:
        ConfigError: the file is wrong, or what was recorded no longer sound, for example because its data have gone.
        StudyLocked: another process holds it.
        StoreDamaged, StoreTooNew: the database cannot be used.
        UsageError: ``n_trials`` is below what was suggested already, there is no such device, or what is asked, the
            data or the user's own code are another study's.
    """
    with hold(folder.path), Log.open(folder.database_path) as log:
        require_room(folder.path, LEAST_ROOM_BYTES)
        facts = log.facts()
        asked = revision(folder, facts, (*overrides, *assignments(changes)), config_path)
        require_same_study(asked, facts, folder)
        spec = asked.inspected(complaints)
        require_same_data(spec, facts, folder)
        plan = replace(_replanned(Plan(**facts["plan"]), asked), **changes)
        require_device(plan.device)
        n_suggested = sum(log.counts().values())
        if plan.n_trials < n_suggested:
            raise UsageError(
                f"{n_suggested} trials were suggested already; the total cannot be {plan.n_trials}"
            )
        notes = raised_total(spec, facts["plan"]["n_trials"], plan.n_trials, n_suggested)
        for line in (*asked.lines, *changed_versions(facts.get("versions", {})), *notes):
            say(line)
        if spec.text != facts["config"] or not folder.config_path.exists():
            # Before its row: cut off between the two, it is asked once more.
            write_atomically(folder.config_path, spec.text)
        with log.atomic():
            log.set_fact("plan", asdict(plan))
            if asked.differences or spec.text != facts["config"]:
                log.set_fact("overrides", list(spec.overrides))
                log.set_fact("config", spec.text)
        yield Study(spec, plan, folder, log)


def _replanned(plan: Plan, asked: Revision) -> Plan:
    """The plan with what is asked to differ settled anew."""
    changed = {each.path for each in asked.differences}
    fields = {field for field, path in PLAN_PATHS.items() if path in changed}
    if "run.engine" in changed:
        fields |= {"engine", "n_workers"}
    if changed & {"run.device", "run.per_device"}:
        fields.add("n_workers")
    fresh = asdict(plan_for(asked.asked)) if fields else {}
    return replace(plan, **{field: fresh[field] for field in fields})


def changed_versions(then: Mapping[str, str]) -> list[str]:
    """A line for each version that is not what it was ``then``."""
    return [
        f"note: {name} was {then[name]}, and is {now}"
        for name, now in versions().items()
        if then.get(name, now) != now
    ]


@contextmanager
def look(folder: RunFolder) -> Iterator[Study]:
    """A study to read from, whoever holds it.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    with Log.open_to_read(folder.database_path) as log:
        yield _recorded(folder, log)


def _recorded(folder: RunFolder, log: Log) -> Study:
    facts = log.facts()
    file, base_path = str(folder.config_path), Path(facts["base_path"])
    spec = understand(facts["config"].encode(), file, tuple(facts["overrides"]), base_path)
    return Study(spec, Plan(**facts["plan"]), folder, log)


def trial_seed(spec: StudySpec, number: int, point: Parameters) -> int:
    """The seed of trial ``number``: what the file says under ``trial.seed``, or else its own."""
    try:
        fixed = concrete(spec.space, point).get("seed")
    except DanglingReferenceError:  # such a trial ends before it needs a seed
        fixed = None
    return seed_for(spec.settings.seed, number, "trial") if fixed is None else int(fixed)


def job_for(
    spec: StudySpec,
    plan: Plan,
    trial: Trial,
    *,
    attempt: int = 1,
    weights_path: Path | None = None,
    keep_below: float | None = None,
    checkpoint_dir: Path | None = None,
    code: Mapping[str, str] = NOTHING_RECORDED,
    open_test: bool = False,
    checkpoints_path: Path | None = None,
    checkpoints: Sequence[Checkpoint] = (),
    stop_above: Sequence[float | None] = (),
    micro_batches: int = 1,
    spent_s: float = 0.0,
    until_epoch: int | None = None,
) -> Job:
    """Everything a worker needs to run ``trial``; see `Job`. ``spent_s``: what it took of its time limit already."""
    run = spec.settings.run
    limit_s = run.trial_limit.time
    return Job(
        number=trial.number,
        attempt=attempt,
        config=concrete(spec.space, trial.parameters),
        objective=spec.objective,
        study_seed=spec.settings.seed,
        seed=trial.seed,
        repeats=spec.settings.search.repeats,
        device=plan.device,
        threads=plan.threads,
        base_path=str(spec.base_path),
        weights_path="" if weights_path is None else str(weights_path.absolute()),
        keep_below=keep_below,
        time_limit_s=None if limit_s is None else max(0.0, limit_s - spent_s),
        idle_limit_s=run.trial_limit.idle,
        open_test=open_test,
        code=dict(code),
        checkpoint_dir="" if checkpoint_dir is None else str(checkpoint_dir.absolute()),
        checkpoints_path="" if checkpoints_path is None else str(checkpoints_path.absolute()),
        checkpoint_epochs=_CHECKPOINT_EPOCHS[run.checkpoint]
        if isinstance(run.checkpoint, str)
        else run.checkpoint.epochs,
        checkpoints=tuple(checkpoints),
        stop_above=tuple(stop_above),
        micro_batches=micro_batches,
        is_fused=plan.fuse > 0,
        until_epoch=until_epoch,
    )


@cache
def versions() -> Mapping[str, str]:
    """What a result may depend on: this program, Python and the packages that compute."""
    found = {"tunecli": tunecli.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def document(study: Study, trial: Trial, tested: Mapping[str, float] = NOTHING_TESTED) -> str:
    """A trial as a complete runnable file: its ranges replaced by its values, its seed fixed; with its test metrics."""
    spec = study.spec
    config = concrete(spec.space, trial.parameters)
    run: dict[str, Any] = {"threads": study.plan.threads}
    if study.plan.fuse:
        run["fuse"] = study.plan.fuse
    if any(uses(config, spec.objective)) or "command" in config:
        run["folder"] = str(spec.base_path.resolve())
    if "data" in config:
        config = with_absolute_paths(config, spec.base_path)
    score = trial.outcome.score if trial.outcome else None
    device = trial.outcome.device if trial.outcome and trial.outcome.device else study.plan.device
    return concrete_document(
        study_name=spec.settings.study,
        study_seed=spec.settings.seed,
        objective=spec.objective,
        trial_config=config,
        trial_seed=trial.seed,
        run={"device": device, **run},
        repeats=spec.settings.search.repeats,
        number=trial.number,
        score=score,
        metrics=trial.outcome.metrics if trial.outcome else None,
        tested=tested,
    )


def table_of(study: Study, trials: Sequence[Trial]) -> Table:
    """The ranked table of ``trials``."""
    return results_table(rank(trials, study.spec.objective), study.spec.objective, study.spec.space.names)


def publish(study: Study, trials: Sequence[Trial]) -> None:
    """Write what people read: results.csv, ranked, and best.yaml."""
    write_atomically(study.folder.results_path, to_csv(table_of(study, trials)))
    winner = best(trials, study.spec.objective)
    if winner is not None:
        write_atomically(study.folder.best_path, document(study, winner))
