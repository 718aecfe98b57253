"""A study in its run folder: begin, resume, or read it.

A study is its spec (the file), its plan (decided when it began) and its log (its history). All of it is read from the
record (record-is-the-state), and nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

from tunecli.config.comparison import says
from tunecli.config.concrete_trial import concrete_trials
from tunecli.config.study import StudySpec, as_began
from tunecli.config.user_code import code_hashes
from tunecli.errors import UsageError
from tunecli.store.database import Log
from tunecli.store.files import kind_of, require_room, write_atomically
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.study.plan.automatic import decided
from tunecli.study.plan.machines import Machines, machines_of, require_device, require_engine_files
from tunecli.study.plan.plan import Plan, plan_for
from tunecli.study.record.config_change import (
    PLAN_PATHS,
    ConfigChange,
    assignments,
    raised_total,
    read_config_change,
    require_same_data,
    require_same_study,
)
from tunecli.study.record.earlier_points import start_facts, with_recorded_points
from tunecli.study.record.earlier_studies import earlier_facts, with_recorded_studies
from tunecli.study.record.facts import (
    choice_facts,
    data_hashes,
    facts_of,
    order_facts,
    plan_of,
    prior_facts,
    recorded_spec,
    require_known_plan,
    with_recorded_space,
)
from tunecli.study.record.part_sizes import measured_sizes, size_facts
from tunecli.study.record.plug_ins import plug_ins_of
from tunecli.study.record.suggestions import TOTALS, with_total
from tunecli.study.record.user_files import user_files
from tunecli.study.record.versions import changed_versions, versions
from tunecli.train.validation import trial_problems

# free space that a sweep needs: a small study's record and its best weights
LEAST_ROOM_BYTES = 16 << 20
NOTHING_RECORDED: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Study:
    """An open study: its spec, plan, run folder and log."""

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
    machines: Machines | None = None,
    facts: Mapping[str, Any] = NOTHING_RECORDED,
    fill: Callable[[Log], None] | None = None,
) -> Iterator[Study]:
    """Create the run folder of a new study, and lock it.

    Args:
        spec: the study's file.
        path: the run folder.
        plan: the study's plan; None: the one that `plan_for` makes.
        machines: the machines that run its trials; None: ask its engine.
        facts: further facts for the record, which has the sizes of the parts of the data already.
        fill: writes the first entries of the log; the log appears with all of them, or not at all.

    Yields:
        The study.

    Raises:
        UsageError: the folder holds a study already, or cannot be written; or the engine's machines do not answer, have
            no such device, or cannot have the study's files.
        StudyLocked: another process holds the study.
        DiskFull: less than `LEAST_ROOM_BYTES` are free.
    """
    machines, spec = machines or machines_of(spec.settings.run), decided(spec)
    plan = plan or plan_for(spec, machines)
    if kind_of(path / "study.db"):
        RunFolder(path).require_own_files(is_writing=True)
        with hold(path):  # if another process holds the study, the more exact error is StudyLocked
            raise UsageError(
                f"{path} holds a study already",
                hint=f"tunecli resume {quote(str(path))}, or --out another folder, or --restart to begin anew",
            )
    require_device(plan.device, spec.settings.run.devices_per_trial, machines)
    require_room(path, LEAST_ROOM_BYTES)
    code, data = code_hashes(spec), data_hashes(spec)
    if code or data or any("command" in plain for plain in concrete_trials(spec.space)):
        # Fail now, and not when a trial is exported after the training.
        require_text(str(spec.base_path.resolve()), spec.base_path)
    base_path = spec.base_path.resolve()
    require_engine_files(spec.settings.run, base_path, lambda: user_files(base_path, code, data))
    folder = RunFolder.create(path)
    with hold(folder.path):
        is_named = says(spec.text, spec.overrides, "study")
        facts = {
            "config": spec.text,
            # Without the key `study`, the study has the name of its file. The run folder's copy has another name.
            "overrides": [*spec.overrides, *([] if is_named else [f'study="{spec.settings.study}"'])],
            "base_path": str(base_path),
            "plan": asdict(plan),
            "versions": versions(plug_ins_of(spec)),
            "code": code,
            "data": data,
            "elapsed_s": 0.0,
            "defaults": spec.space.defaults,
            **start_facts(spec),
            **earlier_facts(spec),
            **order_facts(spec),
            **prior_facts(spec),
            **choice_facts(spec),
            **size_facts(measured_sizes(spec)),
            **facts,
        }
        with _created(folder.database_path, facts, fill) as log:
            write_atomically(folder.config_path, spec.text)  # a copy to read, and to edit before a resume
            yield Study(spec, plan, folder, log)


def _created(path: Path, facts: Mapping[str, Any], fill: Callable[[Log], None] | None) -> Log:
    if fill is None:
        return Log.create(path, facts)
    with TemporaryDirectory(prefix="tunecli-") as draft_folder:
        draft_path = Path(draft_folder) / path.name
        with Log.create(draft_path, facts) as draft, draft.atomic():
            fill(draft)
        write_atomically(path, draft_path.read_bytes())
    return Log.open(path)


@contextmanager
def reopen(
    folder: RunFolder,
    changes: Mapping[str, Any],
    overrides: tuple[str, ...] = (),
    *,
    config_path: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Study]:
    """Lock a recorded study to resume it, with its file as it is now.

    Args:
        folder: the run folder; an edited ``config.yaml`` in it takes effect.
        changes: changed fields of the plan: ``n_trials`` (at least the number of suggested trials), ``n_workers``,
            ``device``.
        overrides: further assignments ``path=value``.
        config_path: a file to use in place of the folder's file.
        say: is called with each line for the user: differences and notes.

    Yields:
        The study.

    Raises:
        ConfigError: the file is wrong, or the recorded file is not valid any more, for example without its data.
        StudyLocked: another process holds the study.
        StoreDamaged, StoreTooNew: the database cannot be used.
        UsageError: ``n_trials`` is below the number of suggested trials, there is no such device, or the changed
            settings, data or code would make it a different study; or the engine's machines do not answer.
    """
    path = folder.database_path
    folder.require_own_files(is_writing=True)
    with hold(folder.path), Log.open(path, lambda recorded: require_known_plan(recorded, path)) as log:
        require_room(folder.path, LEAST_ROOM_BYTES)
        facts = facts_of(log)
        change = read_config_change(folder, facts, (*overrides, *assignments(changes)), config_path)
        require_same_study(change, facts, folder)
        spec = as_began(change.inspected(trial_problems), change.recorded)
        spec = with_recorded_points(with_recorded_space(spec, facts), facts)
        spec = with_recorded_studies(spec, facts, path)
        require_same_data(spec, facts, folder)
        log.require_agreement(change.recorded.objective.metric)
        machines = machines_of(spec.settings.run)
        plan = replace(_replanned(plan_of(facts, path), change, machines), **changes)
        require_device(plan.device, spec.settings.run.devices_per_trial, machines)
        n_suggested = sum(log.counts().values())
        if plan.n_trials < n_suggested:
            raise UsageError(
                f"{n_suggested} trials were suggested already; the total cannot be {plan.n_trials}"
            )
        notes = raised_total(spec, plan_of(facts, path).n_trials, plan.n_trials, n_suggested)
        for line in (*change.lines, *changed_versions(facts["versions"], plug_ins_of(spec)), *notes):
            say(line)
        if spec.text != facts["config"] or not folder.config_path.exists():
            # Written before the log: after a crash between the two, the next resume applies the edited file again.
            write_atomically(folder.config_path, spec.text)
        with log.atomic():
            log.set_fact("plan", asdict(plan))
            if (before := plan_of(facts, path).n_trials) != plan.n_trials:
                log.set_fact(TOTALS, with_total(facts, before, plan.n_trials, n_suggested))
            if change.differences or spec.text != facts["config"]:
                log.set_fact("overrides", list(spec.overrides))
                log.set_fact("config", spec.text)
        yield Study(spec, plan, folder, log)


def _replanned(plan: Plan, change: ConfigChange, machines: Machines) -> Plan:
    """The plan; those of its fields that depend on changed settings are decided again."""
    changed = {difference.path for difference in change.differences}
    fields = {field for field, path in PLAN_PATHS.items() if path in changed}
    if "run.engine" in changed:
        fields |= {"engine", "n_workers"}
    if changed & {"run.device", "run.per_device", "run.devices_per_trial"}:
        fields.add("n_workers")
    fresh = asdict(plan_for(change.requested, machines, plan.lookahead)) if fields else {}
    return replace(plan, **{field: fresh[field] for field in fields})


@contextmanager
def open_to_read(folder: RunFolder, *, must_know_plan: bool = False) -> Iterator[Study]:
    """Open a study to read it; another process may hold it.

    Args:
        folder: the run folder.
        must_know_plan: refuse a study whose plan has unknown fields; needed to run its trials.

    Yields:
        The study.

    Raises:
        ConfigError: this version refuses the study's file, which another version accepted.
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    with Log.open_to_read(folder.database_path) as log:
        facts = facts_of(log)
        if must_know_plan:
            require_known_plan(facts, log.path)
        spec = with_recorded_studies(recorded_spec(facts, folder), facts, log.path)
        log.require_agreement(spec.objective.metric)
        yield Study(spec, plan_of(facts, log.path), folder, log)


def is_text(name: str) -> bool:
    """Whether a file name is valid UTF-8; Linux allows any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_text(tree: Any, base_path: Path) -> None:
    """Make sure that every string of a tree can be written to a YAML file.

    Args:
        tree: content of an exported file.
        base_path: the folder that relative paths start from. Only its name can fail to be UTF-8.

    Raises:
        UsageError: a string is not valid UTF-8.
    """
    if not all(is_text(text) for text in _texts(tree)):
        raise UsageError(
            f"the name of the folder {str(base_path.resolve())!a} is not UTF-8, and an exported file must hold it",
            hint="rename the folder, or move the study's file and the files it names to another folder",
        )


def _texts(tree: Any) -> Iterator[str]:
    match tree:
        case str():
            yield tree
        case Mapping():
            for item in tree.values():
                yield from _texts(item)
        case list() | tuple():
            for item in tree:
                yield from _texts(item)
