"""`report` writes its page whole or not at all, and each unusual record gets a page that says what it is."""

import json
import math
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.sweeps import Silent
from tests.support.forked import started_verb
from tests.support.recorded import STUDY, recorded_study, spec_in
from tests.support.reports import text_of
from tests.verbs import called
from tunecli.commands.check import load_checked
from tunecli.commands.compare import compare
from tunecli.commands.report import read_report, report
from tunecli.commands.report_page import written_at_end
from tunecli.commands.report_text import state_text
from tunecli.commands.search import ending_view, search
from tunecli.effects import Reliability
from tunecli.store import schema
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.study.record.lifecycle import begin

SCORES = [0.5, 0.25, "ValueError: bad shape", 0.75, 0.125]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Call a verb in a folder of its own, after warnings as errors."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: called(*words, capture=capsys, monkeypatch=monkeypatch)


def test_the_page_is_written_into_the_run_folder_and_its_place_is_named(tmp_path, run):
    folder = recorded_study(tmp_path, SCORES)
    code, out, err = run("report", "run")
    assert (code, err) == (0, "")
    assert out.endswith("page  run/report.html\n")
    assert "best score       0.125 (trial 4, the best of 4)" in out
    page = folder.report_path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "bad shape" in page


def test_the_same_record_gives_the_same_bytes_and_a_further_trial_others(tmp_path, run):
    folder = recorded_study(tmp_path, SCORES)
    run("report", "run")
    first = folder.report_path.read_bytes()
    run("report", "run")
    assert folder.report_path.read_bytes() == first
    (tmp_path / "other").mkdir()
    other = recorded_study(tmp_path / "other", [*SCORES, 0.1])
    shutil.copy(other.database_path, folder.database_path)
    run("report", "run")
    assert folder.report_path.read_bytes() != first


def test_o_writes_the_page_elsewhere_or_to_stdout_and_leaves_the_run_folder_alone(tmp_path, run):
    folder = recorded_study(tmp_path, SCORES)
    assert run("report", "run", "-o", "page.html")[0] == 0
    code, out, err = run("report", "run", "-o", "-")
    assert (code, err) == (0, "")
    assert out == (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not folder.report_path.exists()


def test_json_names_the_page(tmp_path, run):
    recorded_study(tmp_path, SCORES)
    code, out, _ = run("report", "run", "--json")
    assert (code, json.loads(out)["page"]) == (0, "run/report.html")


@pytest.mark.parametrize(
    "words",
    [("--json", "-o", "-"), ("--json", "--watch"), ("-o", "-", "--watch"), ("-o", "run/study.db"), ("-o", "run"),
     ("-o", "none/page.html"), ("--watch", "0")],
    ids=" ".join,
)  # fmt: skip
def test_options_that_cannot_be_followed_are_refused(tmp_path, run, words):
    folder = recorded_study(tmp_path, SCORES)
    before = folder.database_path.read_bytes()
    code, out, err = run("report", "run", *words)
    assert (code, out) == (2, "")
    assert "error" in err
    assert folder.database_path.read_bytes() == before


def test_another_kind_of_file_at_the_page_is_refused_before_the_work(tmp_path, run):
    folder = recorded_study(tmp_path, SCORES)
    folder.report_path.mkdir()
    code, _, err = run("report", "run")
    assert code == 2
    assert "run/report.html is a directory" in err
    assert "-o FILE" in err


def test_a_read_only_folder_gets_the_text_and_a_hint_to_use_o(open_path, read_only, run):
    folder = recorded_study(open_path, SCORES)
    with read_only(folder.path):
        code, out, err = run("report", folder.path)
        again = run("report", folder.path, "-o", "-")
    assert code == 0
    assert "best score" in out
    assert "note: no page was written: cannot write" in err
    assert "-o FILE" in err
    assert again[0] == 0
    assert again[1].startswith("<!doctype html>")
    assert not folder.report_path.exists()


def test_a_named_file_that_cannot_be_written_is_an_error(open_path, read_only, run):
    folder = recorded_study(open_path, SCORES)
    (open_path / "pages").mkdir()
    with read_only(open_path / "pages"):
        code, _, err = run("report", folder.path, "-o", open_path / "pages" / "page.html")
    assert code == 2
    assert "error: cannot write" in err


LIMITED = """
import resource, sys
from tunecli.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
main(sys.argv[1:])
"""


def test_a_full_disk_ends_with_6_and_keeps_the_old_page(tmp_path):
    folder = recorded_study(tmp_path, SCORES)
    folder.report_path.write_text("the old page")
    command = [sys.executable, "-c", LIMITED, "report", str(folder.path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 6, done.stderr
    assert "best score" in done.stdout
    assert folder.report_path.read_text() == "the old page"
    assert not [path for path in folder.path.iterdir() if path.suffix == ".tmp"]


def test_a_damaged_record_and_a_newer_one_end_with_5_and_keep_the_old_page(tmp_path, run):
    folder = recorded_study(tmp_path, SCORES)
    folder.report_path.write_text("the old page")
    whole = folder.database_path.read_bytes()
    folder.database_path.write_bytes(whole[:4096] + b"\xff" * 8192)
    assert run("report", "run")[0] == 5
    folder.database_path.write_bytes(whole)
    connection = sqlite3.connect(folder.database_path)
    connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    connection.close()
    code, _, err = run("report", "run")
    assert code == 5
    assert "later tunecli" in err
    assert folder.report_path.read_text() == "the old page"


def test_a_running_study_is_read_without_its_lock_and_stamped(tmp_path, run):
    folder = recorded_study(tmp_path, [*SCORES, "running", None])
    with hold(folder.path):
        code, out, _ = run("report", "run")
    assert code == 0
    assert "running, 5 of 60 trials" in out
    page = folder.report_path.read_text(encoding="utf-8")
    assert "running" in page
    assert "5 of 60" in page
    assert '<meta http-equiv="refresh"' not in page
    found = report(folder)
    assert state_text(found) == "interrupted, 5 of 60 trials"


# Each unusual record gets a page, and a text without NaN


def page_and_report(folder, run):
    code, out, err = run("report", folder.path)
    assert code == 0, err
    page = folder.report_path.read_text(encoding="utf-8")
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert not [
        each for each in figures if re.search(r"=\"[^\"]*\b(nan|inf|infinity)\b", each, re.IGNORECASE)
    ]
    return page, out, report(folder)


def test_a_study_without_trials_says_that_none_has_ended(tmp_path, run):
    page, out, found = page_and_report(recorded_study(tmp_path, []), run)
    assert "no trial has ended" in out
    assert "no trial has ended" in page.lower()
    assert found.facts.phase == "empty"
    assert found.best is None
    assert "loguniform" in page  # its file


def test_waiting_and_running_trials_alone_say_that_none_has_ended(tmp_path, run):
    folder = recorded_study(tmp_path, [None, "running"])
    with hold(folder.path):
        page, out, found = page_and_report(folder, run)
        assert report(folder).facts.phase == "running"
    assert "no trial has ended" in out
    assert "no trial has ended" in page.lower()
    assert found.facts.counts


def test_one_trial_has_its_score_and_its_curve_and_no_importance(tmp_path, run):
    page, out, found = page_and_report(recorded_study(tmp_path, [0.5]), run)
    assert "best score       0.5 (trial 0, the only one)" in out
    assert found.effects.reliability is Reliability.UNKNOWN
    assert found.curves[0].scores == (0.5, 0.5, 0.5)
    assert "0.5" in page


def test_a_study_of_failures_groups_them_and_is_no_error(tmp_path, run):
    causes = ["ValueError: bad shape"] * 3 + ["KeyError: x"]
    page, out, found = page_and_report(recorded_study(tmp_path, causes), run)
    assert "3 trials failed: ValueError: bad shape: trials 0, 1, 2" in out
    assert "1 trial failed: KeyError: x: trial 3" in out
    assert "bad shape" in page
    assert found.best is None


def test_equal_scores_have_no_step_and_no_model(tmp_path, run):
    _, out, found = page_and_report(recorded_study(tmp_path, [0.31] * 25), run)
    assert found.step is None
    assert found.effects.reliability is Reliability.UNKNOWN
    assert "not known: all scores are equal" in out


ODD = [math.nan, math.inf, -math.inf, 1e300, -1e300, -5.0, 0.0, 1e-12, 2e-12, 0.5]


def test_scores_of_any_size_have_a_page_and_only_finite_ones_have_a_rank(tmp_path, run):
    _, out, found = page_and_report(recorded_study(tmp_path, ODD), run)
    assert {row.trial.number for row in found.ranked if row.rank is None} == {0, 1, 2}
    assert found.best.number == 4
    assert found.step == pytest.approx(1e-12)
    assert "best score       -1e+300" in out


def test_many_scores_of_any_size_have_a_model_or_none_but_never_an_error(tmp_path, run):
    page_and_report(recorded_study(tmp_path, [*ODD, *(n / 30 for n in range(20))]), run)


def test_scores_within_a_trillionth_of_each_other_have_a_page(tmp_path, run):
    page_and_report(recorded_study(tmp_path, [1 + n * 1e-12 for n in range(6)]), run)


def test_hostile_names_and_causes_never_become_markup(tmp_path, run):
    hostile = "</script><img src=x onerror=alert(1)>\u202e\x00\x1b[31m"
    text = STUDY.replace(
        "[a, b]", "['</script><script>alert(2)</script>', \"<b>\\u202e</b>\", " + f"'{'x' * 10_000}']"
    )
    folder = recorded_study(tmp_path, [0.5, hostile, 0.25, f"{hostile}{'y' * 10_000}"], text)
    page, out, _ = page_and_report(folder, run)
    for mark in ("<img src=x", "<script>alert", "<b>"):
        assert mark not in page
    assert "\u202e" not in page
    assert "\x00" not in page
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_secrets_stay_unresolved(tmp_path, run, monkeypatch):
    monkeypatch.setenv("TUNECLI_TEST_SECRET", "hunter2hunter2")
    text = STUDY.replace("kind:", "token: '${env:TUNECLI_TEST_SECRET}', kind:")
    page, out, _ = page_and_report(recorded_study(tmp_path, SCORES, text), run)
    assert "hunter2" not in page
    assert "hunter2" not in out
    assert "${env:TUNECLI_TEST_SECRET}" in page


def test_a_record_of_many_epochs_and_options_keeps_to_its_bounds(tmp_path, run):
    options = ", ".join(f"option-{n}" for n in range(200))
    text = STUDY.replace("[a, b]", f"[{options}]")
    folder = recorded_study(tmp_path, [0.5, 0.25, 0.75], text, n_epochs=10_000)
    page, _, found = page_and_report(folder, run)
    assert len(found.curves[0].epochs) == 10_000
    assert len(page) < 1_500_000


def test_an_older_record_without_sizes_leaves_the_lines_out(tmp_path, run):
    _, out, found = page_and_report(recorded_study(tmp_path, SCORES), run)
    assert (found.facts.n_train, found.facts.n_valid, found.facts.n_test) == (None, None, None)
    assert "examples" not in out


def test_a_forked_study_says_how_many_trials_it_took_over(tmp_path):
    spec = spec_in(tmp_path)
    origin = {"path": str(tmp_path), "trials": [3, 1, 4]}
    with begin(spec, tmp_path / "run", facts={"forked_from": origin}):
        pass
    assert report(RunFolder(Path(tmp_path / "run"))).facts.n_carried == 3


# A sweep writes the page at its end


def test_a_sweep_writes_the_page_at_its_end_and_says_where(study_file, tmp_path, run):
    study_file()
    code, out, _ = run("search", "small.yaml", "--out", "run", "--trials", "3")
    assert code == 0
    assert "report      run/report.html" in out
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert '<meta http-equiv="refresh"' not in page
    run("report", "run", "-o", "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page
    code, out, _ = run("resume", "run", "--trials", "4", "--json")
    assert json.loads(out)["report"] == "run/report.html"
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") != page


def test_run_report_off_writes_no_page(study_file, tmp_path, run):
    study_file()
    code, out, _ = run("search", "small.yaml", "--out", "run", "--trials", "2", "--set", "run.report=off")
    assert code == 0
    assert "report.html" not in out
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_page_that_cannot_be_written_is_a_note_and_the_sweep_succeeds(
    study_file, tmp_path, monkeypatch, capsys
):
    class InTheWay(Silent):
        def ended(self):
            (tmp_path / "run" / "report.html").mkdir()

    spec = load_checked(study_file(), ("search.trials=2",))
    ending = search(spec, tmp_path / "run", InTheWay(), lambda line: None)
    assert (ending.reason, ending.n_scored, ending.page) == ("complete", 2, "")
    assert ending.page_note.startswith("no report was written: ")
    assert "is a directory" in ending.page_note
    assert ending_view(ending).messages == (f"note: {ending.page_note}",)


def test_a_small_sweep_loads_no_model_for_its_page(tmp_path):
    recorded_study(tmp_path, SCORES)
    program = (
        "import sys\nfrom tunecli.cli import main\n"
        "try:\n    main(['report', 'run'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'sklearn', 'skopt') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_end_of_a_sweep_does_not_wait_for_a_large_model_and_the_report_fits_it(tmp_path, monkeypatch):
    folder = recorded_study(tmp_path, [math.sin(number) for number in range(24)])
    small = read_report(folder, is_at_end=True).report.effects
    assert small.r2 is not None and not small.is_deferred and not small.predicted
    monkeypatch.setattr("tunecli.commands.report.MAX_SIZE_AT_END", 3 * 24 - 1)
    page = Path(written_at_end(folder).place).read_text(encoding="utf-8")
    assert "a sweep does not wait for a model of 3 parameters" in page
    found = read_report(folder, is_at_end=True).report
    assert found.effects.is_deferred
    assert "importance-unknown" not in {finding.rule for finding in found.findings}
    whole = report(folder).effects
    assert replace(whole, predicted={}) == small and whole.predicted


# A page that follows its study


def test_watch_writes_once_and_ends_when_no_process_runs_the_study(tmp_path, run):
    folder = recorded_study(tmp_path, SCORES)
    code, out, err = run("report", "run", "--watch")
    assert (code, out) == (0, "")
    assert err == "wrote run/report.html; no process runs the study\n"
    assert '<meta http-equiv="refresh"' not in folder.report_path.read_text(encoding="utf-8")


def watch(folder):
    return "report", folder.path, "--watch", 1


def test_watch_follows_a_study_to_its_end_and_then_stops_the_reloading(tmp_path):
    folder = recorded_study(tmp_path, [*SCORES, "running"])
    with ExitStack() as exit_stack:
        with hold(folder.path):
            watching = exit_stack.enter_context(started_verb(*watch(folder), cwd=tmp_path))
            first = watching.stderr.readline()
            page = folder.report_path.read_text(encoding="utf-8")
        assert "writing" in first
        assert '<meta http-equiv="refresh" content="1"' in page
        _, err = watching.communicate()
    assert watching.returncode == 0
    assert "no process runs the study" in err
    assert '<meta http-equiv="refresh"' not in folder.report_path.read_text(encoding="utf-8")


def test_a_signal_ends_a_watch_and_the_page_no_longer_reloads_itself(tmp_path):
    folder = recorded_study(tmp_path, [*SCORES, "running"])
    with hold(folder.path), started_verb(*watch(folder), cwd=tmp_path) as watching:
        watching.stderr.readline()
        watching.send_signal(signal.SIGTERM)  # a background process ignores SIGINT
        watching.communicate()
    assert watching.returncode == 143
    page = folder.report_path.read_text(encoding="utf-8")
    assert '<meta http-equiv="refresh"' not in page
    assert "running" in page


# Several studies, and the next one


@pytest.fixture
def two(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    recorded_study(tmp_path / "one", SCORES)
    recorded_study(tmp_path / "other", [0.0625, 0.5], STUDY.replace("study: written", "study: second"))


def test_several_studies_are_compared_as_text_and_on_one_page(two, tmp_path, run):
    code, out, _ = run("report", "one/run", "other/run", "-o", "both.html")
    assert code == 0
    assert out.startswith("loss, lower is better\nrank  study")
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "second" in page
    assert "0.0625" in page
    assert run("report", "one/run", "other/run", "-o", "-")[1] == page
    assert run("report", "one/run", "other/run")[0] == 0
    assert not list(tmp_path.glob("*/run/report.html"))


@pytest.mark.parametrize(
    "words", [("--watch",), ("--next", "next.yaml"), ("one/run",)], ids=["watch", "next", "twice"]
)
def test_options_for_one_study_are_refused_with_several(two, run, words):
    code, out, err = run("report", "one/run", "other/run", *words)
    assert (code, out) == (2, "")
    assert "error" in err


def test_next_writes_the_file_of_the_next_study_and_no_page(tmp_path, run):
    folder = recorded_study(tmp_path, [n / 30 for n in range(25)])
    code, out, err = run("report", "run", "--next", "next.yaml")
    assert (code, out) == (0, ""), err
    assert "wrote next.yaml: study written-2" in err
    assert "study: written-2" in (tmp_path / "next.yaml").read_text()
    assert not folder.report_path.exists()
    assert run("report", "run", "--next", "next.yaml")[0] == 2


def test_a_confirmed_study_shows_the_quote_in_the_report_and_the_comparison(study_file, tmp_path, run):
    study_file()
    assert run("search", "small.yaml", "--out", "run", "--trials", "3", "--set", "run.report=off")[0] == 0
    code, _, err = run("confirm", "run", "--top", "1", "--repeats", "3")
    assert code == 0, err
    found = report(RunFolder(Path("run")))
    assert found.confirmed is not None
    quoted = found.confirmed.quote
    assert quoted is not None
    assert quoted.score is not None
    assert (found.facts.n_valid, found.step) == (30, pytest.approx(1 / 30))
    assert f"(trial {quoted.number}, 3 fresh runs after the choice, 95 %)" in text_of(found)
    shutil.copytree("run", "copy")
    compared = compare([RunFolder(Path("run")), RunFolder(Path("copy"))])
    assert compared.ranked_by == "confirmed"
    assert compared.studies[0].confirmed == quoted.score
