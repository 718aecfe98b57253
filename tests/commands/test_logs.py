"""`logs` shows the output of a trial, also while it prints and while the middle is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.study.sweeps import run_whole
from tunecli.commands.logs import Follower, followed, last_lines, log_lines, log_of, logs, logs_view
from tunecli.commands.one_trial import one_trial, one_trial_view
from tunecli.commands.results import Selection, results, results_view
from tunecli.errors import UsageError
from tunecli.store.folder import RunFolder
from tunecli.train.user_code.trial_log import LogFile, TrialLog

STUDY = """\
study: own
objective: {metric: val_loss}
trial:
  command: [sh, -c, 'printf "\\033[1mcolour\\033[0m\\n1%%\\r2%%\\n"; echo "val_loss={x}"; echo end >&2; exit {x}']
  params: {x: {choice: [0, 3]}}
  metrics: {val_loss: 'val_loss=(.*)'}
search: {sampler: grid}
run: {device: cpu, workers: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("logs")
    (folder / "own.yaml").write_text(STUDY)
    run_whole(folder / "own.yaml", folder / "run")
    return RunFolder.open_existing(folder / "run")


def text_of(run: RunFolder, number: int | None, **options) -> tuple[str, list[str]]:
    said: list[str] = []
    return "".join(log_of(run, number, said.append, is_followed=False, **options)), said


def test_logs_are_listed_with_size_and_last_line(run):
    found = logs(run)
    assert [(log.number, log.status) for log in found.logs] == [(0, "complete"), (1, "failed")]
    assert found.shown == 1
    view = logs_view(found)
    assert [row[3] for row in view.sections[0].rows] == [log.last_line for log in found.logs]
    assert view.data["logs"][0]["bytes"] == run.trial_log_path(0).stat().st_size
    assert view.lines == (("next", f"tunecli logs {run.path} --trial 1"),)
    json.dumps(view.data)


def test_last_lines_keep_their_indentation(tmp_path):
    (tmp_path / "log").write_text("Traceback:\n  File x\n\tdeep   gap\n" + " " * 99 + "far\n  \n")
    assert last_lines(tmp_path / "log") == ("Traceback:", "  File x", "    deep gap", " " * 16 + "far")


def test_a_traceback_of_a_program_is_shown_once(tmp_path):
    (tmp_path / "t.py").write_text("print('begin', flush=True)\nraise ValueError('bad shape')\n")
    study = "study: t\nobjective: {metric: loss}\ntrial: {command: [python, t.py]}\nrun: {device: cpu}\n"
    (tmp_path / "t.yaml").write_text(study)
    run_whole(tmp_path / "t.yaml", tmp_path / "run")
    text = one_trial_view(one_trial(RunFolder(tmp_path / "run"), 0)).text
    assert text.count("ValueError: bad shape") == 1
    assert text.endswith("\n\nlast lines of the log before that:\n  begin")


def test_failed_trials_are_shown_with_the_end_of_the_first_log(run):
    path = str(run.path)
    first, *lines = log_lines(path, [7, 1, 0])
    assert first == ("log", f"{run.trial_log_path(1)} (tunecli logs {path} --trial 1); it ends with")
    assert {text for _, text in lines} == set(last_lines(run.trial_log_path(1), 3))
    assert log_lines(path, [7]) == []
    found = results(run, selection=Selection(is_failed_only=True))
    assert first in results_view(found, "table").lines


def test_one_log_is_shown_whole(run):
    text, said = text_of(run, 0)
    assert text.encode() == run.trial_log_path(0).read_bytes()
    assert said == []
    assert {"val_loss=0", "end"} <= set(text.splitlines())


def test_trial_that_does_not_exist_is_refused(run):
    with pytest.raises(UsageError, match="no trial 7"):
        text_of(run, 7)


def test_trial_without_a_log_gets_a_message(run, tmp_path):
    path = run.trial_log_path(0)
    path.rename(tmp_path / "away")
    try:
        assert text_of(run, 0) == ("", ["trial 0 has printed nothing that was kept"])
    finally:
        (tmp_path / "away").rename(path)


def test_link_in_place_of_a_log_is_not_read(run, tmp_path):
    path, other = run.trial_log_path(0), tmp_path / "other"
    other.write_text("secret")
    path.rename(tmp_path / "away")
    path.symlink_to(other)
    try:
        with pytest.raises(UsageError, match=path.name):
            text_of(run, 0)
        assert last_lines(path) == ()
        assert [log.number for log in logs(run).logs] == [1]
    finally:
        (tmp_path / "away").replace(path)


def test_following_a_trial_that_has_ended_shows_its_log_and_ends(run):
    assert "".join(followed(run, 1)).encode() == run.trial_log_path(1).read_bytes()


def test_failed_trial_shows_the_end_and_the_path_of_its_log(run):
    one = one_trial(run, 1)
    view = one_trial_view(one)
    assert ("log", str(run.trial_log_path(1))) in view.lines
    assert "end\n\nlast lines of the log before that:\n  " in view.text
    assert "  val_loss=3" in view.text.splitlines()
    assert view.data["log"] == str(run.trial_log_path(1))
    assert one_trial_view(one_trial(run, 0)).text == ""


def test_last_lines_have_no_escape_codes_and_no_header(run):
    shown = last_lines(run.trial_log_path(1), 9)
    assert {"colour", "1%", "2%"} <= set(shown)
    assert not [line for line in shown if line.startswith("---")]


def numbered(start: int, end: int) -> bytes:
    return b"".join(b"line %06d\n" % n for n in range(start, end))


def test_follower_shows_every_line_once_until_the_middle_is_left_out(tmp_path):
    path, now = tmp_path / "logs" / "trial-00000.log", 0.0
    follower = Follower(path)
    assert follower.new_text() == ""
    log = TrialLog(LogFile(str(path), 4_000), lambda: now)
    shown = ""
    for step in range(60):
        now += 1.0
        log.add(numbered(step * 10, step * 10 + 10))
        shown += follower.new_text()
    log.close()
    shown += follower.new_text()
    lines = [line for line in shown.splitlines() if line.startswith("line")]
    assert lines == numbered(0, 600).decode().splitlines()


def test_follower_that_comes_late_says_what_was_left_out(tmp_path):
    path, now = tmp_path / "logs" / "trial-00000.log", 0.0
    follower = Follower(path)
    log = TrialLog(LogFile(str(path), 4_000), lambda: now)
    log.add(numbered(0, 50))
    first = follower.new_text()
    now = 1.0
    log.add(numbered(50, 5_000))
    second = follower.new_text()
    assert first.endswith("line 000049\n")
    assert second.startswith("line 000050\n")
    assert "bytes are left out here ---\n" in second
    assert second.endswith("line 004999\n")
    log.close()
    with TrialLog(LogFile(str(path), 4_000, attempt=2)) as log:
        log.add(b"again\n")
    third = follower.new_text()
    assert third.startswith("--- attempt 2, begun ")
    assert third.endswith(" ---\nagain\n")


def test_run_folder_of_an_older_version_has_no_logs(run):
    folder = run.trial_logs_path
    away = folder.rename(folder.with_name("away"))
    try:
        assert logs_view(logs(run)).lines == (("logs", "no trial of own has printed anything that was kept"),)
    finally:
        away.rename(folder)


def test_path_of_a_log_has_the_trials_number():
    assert RunFolder(Path("r")).trial_log_path(7) == Path("r/logs/trial-00007.log")
