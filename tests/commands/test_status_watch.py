"""`status` shows the progress of a study, and `--watch` follows one that another process runs until it ends."""

import json
import os
import signal
from contextlib import ExitStack

import pytest

from tests.console.test_terminals import on_a_terminal
from tests.support.forked import started_verb
from tests.support.recorded import STUDY, recorded_study
from tests.verbs import called
from tunecli.commands.status import status, status_view
from tunecli.commands.status_watch import moments
from tunecli.console.board import board_of
from tunecli.messages import Ended, EpochEnded, Started
from tunecli.store.database import Log
from tunecli.store.lock import hold
from tunecli.trial import FailedAttempt, Failure, FailureKind, Outcome, State

SCORES = [0.5, 0.25, "ValueError: bad shape", 0.75, 0.125]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: called(*words, capture=capsys, monkeypatch=monkeypatch)


def watching(folder, *words, seconds=1):
    """A process that follows the study in a pipe."""
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    verb = ("status", folder.path, "--watch", seconds, *words)
    return started_verb(*verb, cwd=folder.path.parent, environment=environment)


def lines_of(folder):
    return dict(status_view(status(folder)).lines)


def test_status_shows_failures_by_kind_the_best_so_far_and_the_rate(tmp_path):
    found = status(recorded_study(tmp_path, SCORES))
    view = status_view(found)
    lines = dict(view.lines)
    assert lines["failed"] == "1 (1 error)"
    assert ("", "█▃▃▃▁ so far") in view.lines
    assert view.data["best_so_far"] == [
        {"trial": 0, "score": 0.5},
        {"trial": 1, "score": 0.25},
        {"trial": 4, "score": 0.125},
    ]
    assert view.data["failures"] == {"error": 1}
    assert view.data["trials_per_minute"]["recent"] is None
    assert found.session.n_before == 0 and len(found.session.ends_s) == len(SCORES)


def test_status_shows_each_running_trial_with_its_epoch_its_curve_and_its_origin(tmp_path):
    folder = recorded_study(tmp_path, [0.5, "running"])
    with Log.open(folder.database_path) as log:
        log.append_epochs([EpochEnded(1, 1, n, 6, {"loss": 1.0 / n}, 0.1) for n in (4, 5)])
    with hold(folder.path):
        found = status(folder)
    [running] = found.running
    assert running.trial.number == 1
    [data] = status_view(found).data["running_trials"]
    assert {**data, "seconds": None} == {
        "trial": 1, "epoch": 5, "total_epochs": 6, "metric": 0.2, "seconds": None, "why": "random",
            "machine": None,
    }  # fmt: skip
    assert data["seconds"] >= 0
    [text] = [text for label, text in status_view(found).lines if text.startswith("trial 1: ")]
    assert text.startswith("trial 1: epoch 5/6, loss 0.2 ")
    assert text.endswith("s, random")
    assert status(folder).running == (), "no process runs it any more"


def test_a_trial_that_an_ended_process_left_running_waits_until_it_begins_again(tmp_path):
    folder = recorded_study(tmp_path, [0.5, "running", "running"])
    with Log.open(folder.database_path) as log:
        session = log.append_session({"tunecli": "0.1.0"})
        log.append_start(Started(2, 2, "cpu", 4712), session)
    with hold(folder.path):
        found = status(folder)
    assert [running.trial.number for running in found.running] == [2]
    assert found.counts[State.RUNNING] == 1
    assert found.counts[State.WAITING] == 1


def test_status_shows_what_the_engine_of_a_running_study_waits_for(tmp_path):
    folder = recorded_study(tmp_path, [0.5, "running"])
    notice = "the cluster has started 1 of 4 workers so far"
    with Log.open(folder.database_path) as log:
        log.set_fact("notices", [notice])
    assert "waits" not in lines_of(folder), "no process runs it"
    with hold(folder.path):
        assert lines_of(folder)["waits"] == notice
        moment = next(moments(folder, 1))
    assert moment.line.endswith(notice)
    assert board_of(moment.snapshot).notices == (notice,)


@pytest.mark.parametrize(
    ("kind", "from_epoch", "why"),
    [
        (FailureKind.OOM, 0, "retry (oom)"),
        (FailureKind.LOST, 2, "retry (lost) from epoch 2"),
        (FailureKind.INTERRUPTED, 2, "continues from epoch 2"),
        (FailureKind.INTERRUPTED, 0, "begins again"),
    ],
)
def test_an_attempt_after_another_one_says_why_it_runs(tmp_path, kind, from_epoch, why):
    folder = recorded_study(tmp_path, [0.5, "running"])
    with Log.open(folder.database_path) as log:
        log.append_failed_attempt(FailedAttempt(1, 1, Failure(kind, "it ended")))
        log.append_start(Started(1, 2, "cpu", 1, from_epoch), 1)
    with hold(folder.path):
        [running] = status(folder).running
    assert running.why == why
    assert [epoch.epoch for epoch in running.epochs][:from_epoch] == [1, 2][:from_epoch]


def test_the_board_of_a_study_that_another_process_runs_shows_the_same_trials(tmp_path):
    folder = recorded_study(tmp_path, [*SCORES, "running"])
    with hold(folder.path):
        moment = next(moments(folder, 1))
    board = board_of(moment.snapshot)
    assert [row.trial.number for row in board.ranked] == [4, 1, 0, 3]
    assert board.failures == {FailureKind.ERROR: 1}
    assert list(board.running) == [5]
    assert list(board.running[5].curve) == [1, 2, 3]
    assert board.n_ended - board.n_before == len(SCORES)
    assert board.seconds_left is not None


def test_a_study_that_no_process_runs_is_one_moment(tmp_path):
    [moment] = moments(recorded_study(tmp_path, SCORES, STUDY.replace("60", "5")), 30)
    assert moment.snapshot is None
    assert moment.line.startswith("finished  5/5 trials  4 complete, 1 failed (1 error)  best loss 0.125")


def test_watch_in_a_pipe_prints_a_line_at_each_change_until_the_study_ends(tmp_path):
    folder = recorded_study(tmp_path, [*SCORES, "running"])
    with hold(folder.path), watching(folder) as process:
        assert process.stdout.readline().startswith("running  5/60 trials")
        with Log.open(folder.database_path) as log:
            log.append_result(Ended(5, 1, Outcome(State.COMPLETE, 0.0625, {"loss": 0.0625}, 3, 3)))
        second = process.stdout.readline()
        assert second.startswith("running  6/60 trials  5 complete, 1 failed (1 error)  best loss 0.0625")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert (out, process.returncode) == ("", 143)
    assert "Traceback" not in err


def test_watch_ends_with_the_study_and_the_last_line_is_its_end(tmp_path):
    folder = recorded_study(tmp_path, [*SCORES, "running"])
    with ExitStack() as exit_stack:
        with hold(folder.path):
            process = exit_stack.enter_context(watching(folder, seconds=600))
            assert process.stdout.readline().startswith("running")
        out, _ = process.communicate()  # long before the 600 seconds are over
    assert process.returncode == 0
    assert out.startswith("interrupted  5/60 trials")
    assert out.count("\n") == 1


def test_watch_as_json_prints_a_document_in_a_line_at_each_change(tmp_path, run):
    recorded_study(tmp_path, SCORES)
    code, out, err = run("status", "run", "--watch", "--json")
    assert (code, err) == (0, "")
    [line] = out.splitlines()
    _, once, _ = run("status", "run", "--json")
    assert json.loads(line) == json.loads(once)


def test_a_reader_that_closes_the_pipe_ends_the_watch(tmp_path):
    folder = recorded_study(tmp_path, [*SCORES, "running"])
    with hold(folder.path), watching(folder) as process:
        process.stdout.readline()
        process.stdout.close()
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("changed", [{}, {"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}, {"NO_COLOR": "1"}])
def test_watch_on_a_terminal_ends_with_the_state(tmp_path, changed):
    folder = recorded_study(tmp_path, SCORES)
    code, text = on_a_terminal(tmp_path, "status", str(folder.path), "--watch", columns=60, **changed)
    assert code == 0, text
    assert "Traceback" not in text
    assert "interrupted" in text
    assert "0.125" in text


def test_watch_refuses_a_wait_that_is_no_whole_number_of_seconds(tmp_path, run):
    recorded_study(tmp_path, SCORES)
    for wait in ("0", "soon"):
        assert run("status", "run", "--watch", wait)[0] == 2
