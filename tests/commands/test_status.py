"""`status` shows the recorded state of a study, or reports that the folder has no study."""

from tests.study.sweeps import Silent, run_whole
from tests.support.recorded import recorded_study
from tunecli.commands.check import load_checked
from tunecli.commands.search import ending_view
from tunecli.commands.status import status, status_view
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep
from tunecli.trial import State


def test_status_counts_ended_trials_and_shows_the_best(study_file, tmp_path):
    run_whole(study_file(), tmp_path / "run")
    found = status(RunFolder.open_existing(tmp_path / "run"))
    assert (found.word, found.n_trials, found.counts[State.COMPLETE]) == ("finished", 6, 6)
    assert found.best is not None
    assert found.holder is None


def test_an_exhausted_study_is_finished(study_file, tmp_path):
    run_whole(study_file(), tmp_path / "run", "optimizer=adam", "search.trials=9")
    assert status(RunFolder.open_existing(tmp_path / "run")).word == "finished"


def test_a_study_of_curves_whose_space_is_exhausted_is_finished(study_file, tmp_path):
    path = study_file(**{"sampler: random": "sampler: bayes", "epochs: 4": "epochs: 9"})
    run_whole(
        path, tmp_path / "run", "optimizer={name: sgd, lr: {choice: [0.1, 0.2]}}", "search.pruner=curves"
    )
    found = status(RunFolder.open_existing(tmp_path / "run"))
    assert (found.word, found.ending) == ("finished", "exhausted")


def test_a_study_at_its_limit_names_the_limit_and_the_command_that_continues(study_file, tmp_path):
    run_whole(study_file(), tmp_path / "run", "run.limit.trials=2")
    lines = dict(status_view(status(RunFolder.open_existing(tmp_path / "run"))).lines)
    assert lines["state"] == "interrupted"
    assert lines["stopped"] == "run.limit.trials is reached"
    assert lines["next"] == f"tunecli resume {tmp_path / 'run'} --set run.limit.trials=…"


def test_stagnation_is_named_with_its_number(study_file, tmp_path):
    overrides = ("search.trials=30", "search.stop={stagnation: 2}")
    with begin(load_checked(study_file(), overrides), tmp_path / "run") as study:
        ending = sweep(study, Silent())
    said = "2 complete trials in a row brought no improvement (search.stop.stagnation)"
    found = status(RunFolder.open_existing(tmp_path / "run"))
    assert (found.word, found.ending) == ("finished", "stagnation")
    assert dict(status_view(found).lines)["finished"] == said
    assert dict(ending_view(ending).lines)["finished"] == said


def test_the_trials_that_wait_are_explained(tmp_path):
    folder = recorded_study(tmp_path, [0.5, None, "running"])
    lines = dict(status_view(status(folder)).lines)
    assert lines["waiting"] == "2 (suggested, not ended; resume runs them first)"
    with hold(folder.path):
        assert dict(status_view(status(folder)).lines)["waiting"] == "1 (suggested, not started)"


def test_a_damaged_study_is_reported_and_its_csv_table_stays_readable(study_file, tmp_path, tunecli):
    run_whole(study_file(), tmp_path / "run")
    database = tmp_path / "run" / "study.db"
    database.write_bytes(database.read_bytes()[:4096] + b"\xff" * 8192)
    before = database.read_bytes()
    done = tunecli("status", tmp_path / "run")
    assert done.returncode == 5
    assert "damaged" in done.stdout
    assert "results.csv" in done.stderr
    assert tunecli("resume", tmp_path / "run").returncode == 5
    assert database.read_bytes() == before
    assert len((tmp_path / "run" / "results.csv").read_text().splitlines()) == 7
