"""Forks: which trials of another study are reused, and how the new study continues."""

import json
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.study.folder_content import folder_of
from tests.study.record.test_config_change import CODE, OWN
from tests.study.sweeps import Silent, comparable, run_whole
from tests.support.forked import run_tasks
from tests.verbs import called
from tunecli.commands.check import load_checked
from tunecli.commands.export import export
from tunecli.commands.results import results
from tunecli.commands.status import status
from tunecli.commands.train import train
from tunecli.commands.verify import verify
from tunecli.errors import ConfigError, Interrupted, StudyLocked, UsageError
from tunecli.messages import Ended as EndedEvent
from tunecli.messages import EpochEnded, Started
from tunecli.search.samplers.grid import grid
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.sweep import sweep
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial


@pytest.fixture
def parent(study_file, tmp_path):
    """A study of four trials that have ended."""
    run_whole(study_file(), tmp_path / "runs" / "small", "search.trials=4")
    return RunFolder.open_existing(tmp_path / "runs" / "small")


def forked(folder, name="two", changes=None, overrides=(), display=None, **options):
    """Fork a study and run it; the lines for the user, the fork's folder, and the numbers of the trials that ran."""
    lines: list[str] = []
    display = display or Silent()
    with fork(folder, name, changes or {}, overrides, say=lines.append, **options) as study:
        sweep(study, display)
    return lines, RunFolder.open_existing(folder.path.parent / name), display.started


def trials_of(folder):
    with open_to_read(folder) as study:
        return study.log.trials()


def epochs_of(folder, number):
    with open_to_read(folder) as study:
        return [(event.epoch, event.total_epochs, event.metrics) for event in study.log.epochs(number)]


def test_a_fork_without_changes_reuses_all_trials_and_runs_up_to_its_total(parent):
    lines, folder, ran = forked(parent, changes={"n_trials": 6})
    assert lines == [
        "changed: search.trials: 4 → 6",
        f"reused: 4 of the 4 trials that ended in {parent.path}",
    ]
    assert folder.path == parent.path.parent / "two"
    assert ran == [4, 5]
    before, after = trials_of(parent), trials_of(folder)
    for old, new in zip(before, after, strict=False):
        assert (new.number, new.parameters, new.seed, new.state) == (
            old.number,
            old.parameters,
            old.seed,
            old.state,
        )
        assert new.outcome is not None and old.outcome is not None
        assert (new.outcome.score, new.outcome.metrics, new.outcome.epochs) == (
            old.outcome.score,
            old.outcome.metrics,
            old.outcome.epochs,
        )
        assert epochs_of(folder, new.number) == epochs_of(parent, old.number)
    assert len(after) == 6
    progress = status(folder)
    assert (progress.study, progress.word, progress.n_trials) == ("two", "finished", 6)


def test_a_fork_with_another_total_equals_a_whole_study(parent, study_file, tmp_path):
    """If only the total differs, the fork equals the study that had that total from the start."""
    _, folder, _ = forked(parent, changes={"n_trials": 6})
    whole = run_whole(study_file(), tmp_path / "whole", "study=two")
    assert comparable(results(folder).table) == comparable(whole)


def test_a_fork_records_the_sizes_of_its_own_parts_and_a_resumed_study_keeps_them(parent):
    _, folder, _ = forked(parent)
    _, other, _ = forked(parent, "three", overrides=("data.validation.fraction=0.4",))
    with reopen(folder, {"n_trials": 5}) as study:
        sweep(study, Silent())
    sizes = []
    for each in (parent, folder, other):
        with open_to_read(each) as study:
            sizes.append(study.log.facts()["part_sizes"])
    assert sizes[0] == sizes[1] == {"train": 120, "valid": 30, "test": 0, "folded": False}
    assert sizes[2] == {"train": 90, "valid": 60, "test": 0, "folded": False}


def test_only_trials_that_still_fit_are_reused_in_their_order(parent, tmp_path):
    before = trials_of(parent)
    kept = [trial for trial in before if trial.parameters["training.batch_size"] == 16]
    assert 0 < len(kept) < 4
    lines, folder, ran = forked(parent, overrides=("training.batch_size=16",), changes={"n_trials": 5})
    assert lines[-1] == f"reused: {len(kept)} of the 4 trials that ended in {parent.path}"
    after = trials_of(folder)
    for number, (old, new) in enumerate(zip(kept, after, strict=False)):
        assert (new.number, new.seed) == (number, old.seed)
        assert {**new.parameters, "training.batch_size": 16} == old.parameters
    assert ran == list(range(len(kept), 5))
    with open_to_read(folder) as study:
        assert study.log.facts()["forked_from"] == {
            "path": str(parent.path.resolve()),
            "trials": [trial.number for trial in kept],
        }


def test_a_fixed_key_may_become_a_range_that_contains_its_value(parent):
    lines, folder, ran = forked(parent, overrides=("training.epochs={int: [2, 4]}",), changes={"n_trials": 5})
    assert lines[-1].startswith("reused: 4 of the 4")
    assert {trial.parameters["training.epochs"] for trial in trials_of(folder)[:4]} == {4}
    assert ran == [4]


def test_a_reused_trial_can_be_exported_trained_and_verified(parent, tmp_path):
    _, folder, _ = forked(parent, overrides=("training.batch_size=16",), changes={"n_trials": 4})
    assert verify(folder, is_all=True, is_exact=True).unreproduced == ()
    best = tmp_path / "best.yaml"
    exported = export(folder, None, tmp_path / "best.safetensors")
    best.write_text(exported.text)
    assert train(load_checked(best, ()), None).outcome.score == results(folder).table.rows[0][3]
    assert (tmp_path / "best.safetensors").is_file()


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (("seed=4",), "the seed differs"),
        (("objective.subject_to={n_parameters: '<= 3000'}",), "the objective differs"),
        (("search.repeats=2",), "search.repeats differs"),
        (("run.threads=2",), "run.threads differs"),
        (("seed=4", "search.repeats=2"), "the seed differs and search.repeats differs"),
    ],
)
def test_no_trial_is_reused_if_its_score_would_differ_and_the_reason_is_reported(parent, overrides, why):
    lines, folder, ran = forked(parent, overrides=(*overrides, "search.trials=1"))
    assert lines[-1] == f"reused: 0 of the 4 trials that ended in {parent.path}, since {why}"
    assert ran == [0]
    assert len(trials_of(folder)) == 1


@pytest.mark.parametrize(
    ("objective", "metric"),
    [
        ("{metric: val_f1}", "val_f1"),
        ("{metric: val_accuracy, subject_to: {val_loss: '<= 1.0'}}", "val_accuracy"),
        ("{pareto: [{metric: val_loss}, {metric: val_accuracy}]}", "val_loss"),
    ],
)
def test_a_recorded_metric_becomes_the_new_score(parent, objective, metric):
    lines, folder, ran = forked(parent, overrides=(f"objective={objective}", "search.trials=4"))
    assert lines[-1].startswith("reused: 4 of the 4")
    assert ran == []
    assert [t.outcome.score for t in trials_of(folder)] == [
        t.outcome.metrics[metric] for t in trials_of(parent)
    ]
    assert verify(folder, is_all=True, is_exact=True).unreproduced == ()


def test_no_trial_is_reused_if_another_metric_stopped_it_early(parent):
    _, earlier, _ = forked(
        parent, name="earlier", overrides=("training.early_stop={patience: 1}", "search.trials=2")
    )
    lines, _, ran = forked(earlier, name="later", overrides=("objective.metric=val_f1", "search.trials=1"))
    assert lines[-1] == f"reused: 0 of the 2 trials that ended in {earlier.path}, since the objective differs"
    assert ran == [0]


def test_changes_of_the_search_do_not_prevent_reuse(parent):
    overrides = ("search.sampler=bayes", "search.lookahead=1", "run.checkpoint=off", "search.trials=4")
    lines, _, ran = forked(parent, overrides=overrides)
    assert lines[-1].startswith("reused: 4 of the 4")
    assert ran == []


def test_a_total_below_the_number_of_reused_trials_is_raised_to_it(parent):
    lines, folder, ran = forked(parent, changes={"n_trials": 2})
    assert lines[-1].startswith("reused: 4 of the 4")
    assert ran == []
    assert (status(folder).word, status(folder).n_trials) == ("finished", 4)


def test_a_fork_uses_the_edited_file_of_the_folder_or_another_file(parent, tmp_path):
    text = parent.config_path.read_text()
    parent.config_path.write_text(text.replace("[1e-3, 1.0]", "[1e-3, 0.5]"))
    with pytest.raises(UsageError, match="would make it a different study"), reopen(parent, {}):
        pass
    lines, folder, _ = forked(parent)
    assert (
        "changed: trial.optimizer.choice.0.lr: {loguniform: [0.001, 1.0]} → {loguniform: [0.001, 0.5]}"
        in lines
    )
    assert folder.config_path.read_text() == parent.config_path.read_text()
    (tmp_path / "wish.yaml").write_text(text.replace("[16, 32]", "[16, 32, full]").replace("small", "other"))
    lines, folder, _ = forked(parent, "three", config_path=tmp_path / "wish.yaml")
    assert "changed: trial.training.batch_size.choice: [16, 32] → [16, 32, full]" in lines
    assert status(folder).study == "three", "the folder's name is the study's"


def test_a_fork_can_be_forked(parent):
    forked(parent, changes={"n_trials": 5})
    lines, folder, ran = forked(RunFolder(parent.path.parent / "two"), "three", {"n_trials": 6})
    assert lines[-1].startswith("reused: 5 of the 5")
    assert ran == [5]
    assert status(folder).study == "three"


def test_a_stopped_fork_can_be_resumed(parent):
    with pytest.raises(Interrupted) as caught:
        forked(parent, changes={"n_trials": 8}, display=Silent(stop_after=2, signal_number=signal.SIGTERM))
    assert f"tunecli resume {parent.path.parent / 'two'}" in caught.value.hint
    display = Silent()
    with reopen(RunFolder.open_existing(parent.path.parent / "two"), {}) as study:
        sweep(study, display)
        assert len(study.log.trials()) == 8
    assert display.started == [6, 7]


def test_trials_that_have_not_ended_are_not_reused(study_file, tmp_path):
    with (
        pytest.raises(Interrupted),
        begin(load_checked(study_file(), ()), tmp_path / "runs" / "small") as study,
    ):
        sweep(study, Silent(stop_after=2))
    parent = RunFolder.open_existing(tmp_path / "runs" / "small")
    with reopen(parent, {}) as study, study.log.atomic():
        n = len(study.log.trials())
        point = {"optimizer": "sgd", "optimizer.lr": 0.5, "training.batch_size": 16}
        study.log.append_suggestion(Trial(n, point, 1))
        study.log.append_suggestion(Trial(n + 1, point, 2))
        study.log.append_start(Started(n + 1, 1, "cpu", 1))
    lines, _, ran = forked(parent, changes={"n_trials": 3})
    assert lines[-1].startswith("reused: 2 of the 2")
    assert ran == [2]


def ended(study, number, state, *, lr, failure=None, device="cpu"):
    """Record a trial with that outcome."""
    point = {"optimizer": "sgd", "optimizer.lr": lr, "training.batch_size": 16}
    score = None if failure else 0.5
    log = study.log
    with log.atomic():
        log.append_suggestion(Trial(number, point, 100 + number))
        if device:
            log.append_start(Started(number, 1, device, 1))
            log.append_epochs([EpochEnded(number, 1, 1, 4, {"val_accuracy": 0.5}, 0.1)])
        metrics = {} if failure else {"val_accuracy": 0.5}
        log.append_result(EndedEvent(number, 1, Outcome(state, score, metrics, 1, 1, 0.1, device, failure)))


@pytest.fixture
def mixed(study_file, tmp_path):
    """A study with a pruner, and with a complete, a pruned and two failed trials."""
    path = study_file(**{"lookahead: 2": "lookahead: 2, pruner: median"})
    with begin(load_checked(path, ()), tmp_path / "runs" / "small") as study:
        ended(study, 0, State.COMPLETE, lr=0.1)
        ended(study, 1, State.PRUNED, lr=0.2)
        ended(study, 2, State.FAILED, lr=0.3, failure=Failure(FailureKind.DIVERGED, "no number", "Traceback"))
        ended(study, 3, State.FAILED, lr=0.4, failure=Failure(FailureKind.ERROR, "never began"), device="")
    return RunFolder.open_existing(tmp_path / "runs" / "small")


def test_trials_of_every_state_are_reused_with_their_state(mixed):
    lines, folder, _ = forked(mixed, changes={"n_trials": 4})
    assert lines[-1].startswith("reused: 4 of the 4")
    trials = trials_of(folder)
    assert [trial.state for trial in trials] == [State.COMPLETE, State.PRUNED, State.FAILED, State.FAILED]
    assert [trial.seed for trial in trials] == [100, 101, 102, 103]
    assert trials[2].outcome is not None
    assert trials[2].outcome.failure == Failure(FailureKind.DIVERGED, "no number", "Traceback")


@pytest.mark.parametrize("pruner", ["none", "{name: median, startup_trials: 3}"])
def test_a_trial_that_another_pruner_ended_is_not_reused(mixed, pruner):
    lines, folder, _ = forked(mixed, overrides=(f"search.pruner={pruner}", "search.trials=3"))
    assert lines[-1].startswith("reused: 3 of the 4")
    assert [trial.state for trial in trials_of(folder)] == [State.COMPLETE, State.FAILED, State.FAILED]


def test_a_reused_trial_keeps_the_versions_that_it_ran_with(mixed):
    with reopen(mixed, {}) as study:
        study.log.set_fact("versions", {"torch": "1.0"})
    lines, folder, _ = forked(mixed, changes={"n_trials": 3})
    assert any(line.startswith("note: torch was 1.0, and is ") for line in lines)
    with open_to_read(folder) as study:
        sessions = {session["id"]: session["versions"] for session in study.log.sessions()}
        session_of = study.log.sessions_of_results()
    assert sessions[session_of[0]] == sessions[session_of[1]] == {"torch": "1.0"}


GRID = """\
study: small
seed: 3
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [4]}
  optimizer: {name: sgd, lr: {loguniform: [1e-2, 1.0], grid: 3, default: 0.1}}
  training: {epochs: 1, batch_size: {choice: [16, 32, full]}}
search: {sampler: grid, lookahead: 2}
run: {device: cpu, workers: 1, engine: inline}
"""


def test_a_forked_grid_runs_every_point_once(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(GRID)
    run_whole(path, tmp_path / "runs" / "small", "search.trials=5")
    parent = RunFolder.open_existing(tmp_path / "runs" / "small")
    lines, folder, ran = forked(
        parent, overrides=("training.batch_size={choice: [full, 16, 8]}", "search.trials=")
    )
    n_reused = 9 - len(ran)
    assert lines[-1].startswith(f"reused: {n_reused} of the 5")
    assert 0 < n_reused < 5
    points = [json.dumps(trial.parameters, sort_keys=True) for trial in trials_of(folder)]
    with open_to_read(folder) as study:
        space = study.spec.space
    assert len(points) == 9
    assert {json.dumps(grid(space, [], n, 0), sort_keys=True) for n in range(9)} == set(points)
    assert status(folder).n_trials == 9


def test_reused_trials_off_the_grid_count_in_addition_to_it(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(GRID.replace("sampler: grid", "sampler: random, trials: 3").replace(", default: 0.1", ""))
    run_whole(path, tmp_path / "runs" / "small")
    parent = RunFolder.open_existing(tmp_path / "runs" / "small")
    lines, folder, ran = forked(parent, overrides=("search.sampler=grid", "search.trials="))
    assert lines[-1].startswith("reused: 3 of the 3")
    assert status(folder).n_trials == 12
    assert ran == list(range(3, 12))


def test_changed_code_prevents_reuse_unless_only_a_dropped_option_uses_it(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "other.py").write_text(CODE)
    (tmp_path / "own.yaml").write_text(OWN.replace("mine:train", "{choice: [mine:train, other:train]}"))
    run_whole(tmp_path / "own.yaml", tmp_path / "runs" / "own", "search.trials=6")
    parent = RunFolder.open_existing(tmp_path / "runs" / "own")
    n_mine = sum(trial.parameters["python"] == "mine:train" for trial in trials_of(parent))
    assert 0 < n_mine < 6
    (tmp_path / "other.py").write_text(CODE + "\n")
    lines, _, _ = forked(parent, "two", overrides=("search.trials=1",))
    assert lines[-1] == f"reused: 0 of the 6 trials that ended in {parent.path}, since other.py has changed"
    lines, _, _ = forked(parent, "three", overrides=("python=mine:train", "search.trials=1"))
    assert lines[-1].startswith(f"reused: {n_mine} of the 6")
    (tmp_path / "other.py").unlink()
    lines, _, _ = forked(parent, "four", overrides=("python=mine:train", "search.trials=1"))
    assert lines[-1].endswith("since other.py is gone"), "it may have been imported"


@pytest.mark.parametrize("name", ["../out", "a/b", "", ".hidden", "a" * 65, "small", "007"])
def test_a_fork_needs_a_valid_and_unused_name(parent, name):
    before = sorted(item.name for item in parent.path.parent.iterdir())
    if name == "007":  # YAML would read it as a number
        assert forked(parent, name)[1].path.name == name
        return
    with pytest.raises(UsageError) as caught, fork(parent, name, {}):
        pass
    assert (
        "not a valid name of a study" in caught.value.message
        or "holds a study already" in caught.value.message
    )
    assert sorted(item.name for item in parent.path.parent.iterdir()) == before


def test_a_failed_fork_leaves_nothing_behind(parent):
    for overrides in (("training.epochs=0",), ("search.sampler=grid",), ("run.device=cuda:77",)):
        with pytest.raises((ConfigError, UsageError)), fork(parent, "two", {}, overrides):
            pass
    assert [item.name for item in parent.path.parent.iterdir()] == ["small"]


@pytest.mark.slow
def test_a_killed_fork_has_all_its_reused_trials_or_does_not_exist(parent, tmp_path):
    fork_it = ["resume", "small", "--fork", "two", "--trials", "5"]
    steps_path = tmp_path / "whole" / "failpoints.txt"
    tasks = {"whole": [{"arguments": fork_it, "failpoint": ["count", 0]}]}
    assert run_forked(parent, tmp_path, tasks)["whole"][0]["ended"] == 0
    n_steps = len(steps_path.read_text().splitlines())
    assert n_steps > 10
    tasks = {
        f"kill-{at}": [
            {"arguments": fork_it, "failpoint": ["kill", at]},
            {"arguments": ["resume", "two"], "where": "runs/two/study.db"},
            {"arguments": fork_it, "unless": "runs/two/study.db"},
        ]
        for at in range(1, n_steps + 1)
    }
    ends = run_forked(parent, tmp_path, tasks)
    whole = folder_of(tmp_path / "whole" / "runs" / "two")
    for name, (killed, mended) in ends.items():
        assert (killed["ended"], mended["ended"]) == (-signal.SIGKILL, 0), (name, mended)
        assert whole.differences(folder_of(tmp_path / name / "runs" / "two")) == []


def run_forked(parent, place, tasks):
    """The exit code and output of each step of each task; each task has its own copy of the study."""
    for name in tasks:
        shutil.copytree(parent.path.parent, place / name / "runs")
    return run_tasks({name: {"folder": str(place / name), "steps": steps} for name, steps in tasks.items()})


def test_the_other_study_is_only_read_and_may_be_locked(parent):
    before = {item.name: item.read_bytes() for item in parent.path.iterdir() if item.is_file()}
    with hold(parent.path):
        forked(parent)
    after = {item.name: item.read_bytes() for item in parent.path.iterdir() if item.is_file()}
    assert {name: after[name] for name in before} == before
    with (
        hold(parent.path.parent / "two"),
        pytest.raises(StudyLocked),
        reopen(RunFolder(parent.path.parent / "two"), {}),
    ):
        pass


def test_a_fork_is_created_beside_its_study_for_any_spelling_of_the_path(parent, monkeypatch):
    monkeypatch.chdir(parent.path)
    with fork(RunFolder(Path()), "two", {}) as study:
        assert study.folder.path.resolve() == parent.path.parent / "two"


@pytest.fixture
def tunecli_here(parent, capsys, monkeypatch):
    """Run a verb in this process, in the folder that contains runs/small; its exit code, stdout and stderr."""
    monkeypatch.chdir(parent.path.parent.parent)
    return partial(called, capture=capsys, monkeypatch=monkeypatch)


def test_the_verb_resume_refuses_changes_and_forks(tunecli_here):
    code, out, err = tunecli_here("resume", "small", "--set", "training.epochs=5")
    assert (code, out) == (2, "")
    assert "trial.training.epochs: 4 → 5" in err
    assert "tunecli resume runs/small --fork NAME" in err
    code, out, err = tunecli_here(
        "resume", "small", "--fork", "two", "--set", "training.batch_size=16", "--trials", "5", "--json"
    )
    assert code == 0, err
    assert "changed: trial.training.batch_size: {choice: [16, 32]} → 16" in err
    assert "reused: " in err
    assert len(json.loads(out)["trials"]) == 5
    assert json.loads(out)["path"] == "runs/two"
    code, out, err = tunecli_here("resume", "small", "--fork", "two")
    assert (code, out) == (2, "")
    assert "runs/two holds a study already" in err
    assert "tunecli resume runs/two" in err


def test_the_verb_resume_takes_another_file(tunecli_here):
    text = Path("runs/small/config.yaml").read_text()
    Path("wish.yaml").write_text(text.replace("trials: 6", "trials: 5"))
    code, out, err = tunecli_here("resume", "small", "--config", "wish.yaml", "--json")
    assert code == 0, err
    assert "changed: search.trials: 4 → 5" in err
    assert len(json.loads(out)["trials"]) == 5
    code, _, err = tunecli_here("resume", "small", "--config", "none.yaml")
    assert code == 2
    assert "none.yaml: file not found" in err
