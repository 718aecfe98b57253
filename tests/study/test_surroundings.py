"""A study of a command keeps the folders of its trials, and everything that runs a trial again gets a new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.sweeps import Silent, run_whole
from tunecli.commands.check import load_checked
from tunecli.commands.export import export
from tunecli.commands.train import train
from tunecli.commands.verify import verify
from tunecli.errors import UsageError
from tunecli.results.comparison import Verdict
from tunecli.store.folder import RunFolder
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import reopen
from tunecli.study.sweep import sweep

STUDY = """\
study: small
objective: {metric: n_files, direction: minimize}
trial:
  command: [sh, train.sh, "{x}"]
  params: {x: {uniform: [0.0, 2.0]}}
search: {sampler: random, trials: 2, lookahead: 1}
run: {device: cpu, engine: inline, cwd: trial, link: [data]}
"""
SCRIPT = """\
test -e data/x && touch out.$1
echo "{\\"n_files\\": $(ls | wc -l)}"
"""


@pytest.fixture
def ran(tmp_path: Path) -> RunFolder:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").touch()
    (tmp_path / "train.sh").write_text(SCRIPT)
    (tmp_path / "small.yaml").write_text(STUDY)
    table = run_whole(tmp_path / "small.yaml", tmp_path / "runs" / "small")
    assert [row[table.columns.index("n_files")] for row in table.rows] == [2.0, 2.0]
    return RunFolder.open_existing(tmp_path / "runs" / "small")


def test_each_trial_keeps_a_folder_and_verify_and_train_use_a_new_one(ran: RunFolder, tmp_path: Path) -> None:
    for number in range(2):
        assert len([*ran.trial_dir(number).glob("out.*")]) == 1
    verified = verify(ran, is_all=True)
    assert {one.comparison.verdict for one in verified.trials} == {Verdict.IDENTICAL}
    elsewhere = tmp_path / "elsewhere" / "best.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(export(ran, None, None).text)
    assert train(load_checked(elsewhere, ()), None).outcome.metrics == {"n_files": 2.0}
    assert len([*ran.trial_dir(0).iterdir()]) == 2


def test_another_working_folder_makes_another_study(ran: RunFolder) -> None:
    with (
        pytest.raises(UsageError, match=r"run\.cwd: trial → data"),
        reopen(ran, {}, ("run.cwd=data", "run.link=[]")),
    ):
        pass
    lines: list[str] = []
    with fork(ran, "two", {}, ("run.link=[data, train.sh]",), say=lines.append) as study:
        sweep(study, Silent())
    assert lines[-1].startswith("reused: 0 of the 2 trials")
    assert lines[-1].endswith("since run.link differs")


def test_a_folder_of_a_trial_that_is_a_link_is_refused(ran: RunFolder, tmp_path: Path) -> None:
    ran.trial_dir(5).symlink_to(tmp_path / "data")
    with pytest.raises(UsageError, match=r"trial-00005 is a symbolic link"):
        ran.require_own_files(is_writing=True)
