"""`check --run` runs the first trial for one epoch, shows its metrics, and touches no run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunecli.commands.check import load_checked
from tunecli.commands.check_run import CheckRun, check_run, check_run_view, first_point, require_works
from tunecli.errors import NoTrialSucceeded
from tunecli.trial import FailureKind

COMMAND = """\
objective: {{metric: val_loss}}
trial:
  command: [sh, -c, {text!r}]
  unused: allow
  params: {{x: {{uniform: [0.0, 1.0], default: 0.5}}}}
  metrics: {{val_loss: 'val_loss=(.*)'}}
run: {{device: cpu}}
"""
FUNCTION = """\
objective: {metric: val_loss}
trial: {python: 'mine:train', params: {x: {choice: [3, 4]}}}
run: {device: cpu}
"""
MINE = """
import time

def train(params, trial):
    print("starting", params["x"])
    (trial.checkpoint_dir / "state.txt").write_text("1")
    for epoch in range(1, 1000):
        trial.report(epoch, val_loss=params["x"] / epoch, other=2.0)
        time.sleep(0.01)
"""
BUILT_IN = """\
objective: {metric: val_accuracy}
trial: {data: {source: iris}, model: {name: mlp, hidden: [4]}, training: {epochs: 1000000}}
run: {device: cpu}
"""


def run_of(folder: Path, text: str, longest_s: float = 60.0) -> CheckRun:
    (folder / "own.yaml").write_text(text)
    return check_run(load_checked(folder / "own.yaml", ()), longest_s)


def lines_of(run: CheckRun) -> dict[str, str]:
    view = check_run_view(run)
    json.dumps(view.data, allow_nan=False)
    return dict(view.lines)


def test_first_epoch_of_a_command_is_understood(tmp_path):
    text = "echo hello; echo val_loss={x}; sleep 600"
    run = run_of(tmp_path, COMMAND.format(text=text))
    assert (run.metrics, run.epoch, run.is_whole, run.failure) == ({"val_loss": 0.5}, 1, False, None)
    assert run.printed == ("hello", "val_loss=0.5")
    lines = lines_of(run)
    assert lines["objective"] == "minimize val_loss"
    assert lines["result"] == "the file works: the first epoch of the trial reported val_loss"
    require_works(run)
    assert [path.name for path in tmp_path.iterdir()] == ["own.yaml"]


def test_function_is_run_for_one_epoch_and_its_files_are_named(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    run = run_of(tmp_path, FUNCTION)
    x = run.parameters["params.x"]
    assert run.metrics == {"val_loss": x, "other": 2.0}
    assert run.printed == (f"starting {x}",)
    assert run.files == ("state.txt",)
    assert lines_of(run)["files"] == "state.txt"


@pytest.mark.slow
def test_built_in_trial_is_run_for_one_epoch(tmp_path):
    run = run_of(tmp_path, BUILT_IN)
    assert run.failure is None
    assert run.epoch == 1
    assert "val_accuracy" in run.metrics
    assert check_run_view(run).text == "it printed nothing"


def test_failure_is_shown_with_the_output(tmp_path):
    run = run_of(tmp_path, COMMAND.format(text="echo 'Epoch 3: valid loss 0.25' >&2"))
    assert run.missing == ("val_loss",)
    assert run.printed == ("Epoch 3: valid loss 0.25",)
    assert lines_of(run)["result"] == "the file does not work yet"
    with pytest.raises(NoTrialSucceeded, match=r"the nearest lines: `Epoch 3: valid loss 0\.25`"):
        require_works(run)


def test_trial_that_reports_nothing_in_time_gets_the_nearest_lines(tmp_path):
    run = run_of(tmp_path, COMMAND.format(text="echo 'valid loss 0.25'; exec sleep 600"), longest_s=0.5)
    assert run.failure is not None
    assert run.failure.kind is FailureKind.TIMEOUT
    assert "`valid loss 0.25`" in run.hint
    assert lines_of(run)["result"] == "nothing is known yet"
    with pytest.raises(NoTrialSucceeded, match="no epoch ended within"):
        require_works(run)


def test_file_without_ranges_has_the_point_without_parameters(tmp_path):
    (tmp_path / "own.yaml").write_text(
        COMMAND.format(text="echo val_loss=1").replace("{uniform: [0.0, 1.0], default: 0.5}", "1")
    )
    assert first_point(load_checked(tmp_path / "own.yaml", ())) == {}
