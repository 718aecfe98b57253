"""Sweeps from Python: in this process, in a script without a guard, and in a thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import tunecli
from tunecli.messages import Ended, Event, SweepInfo
from tunecli.trial import FailedAttempt

OWN = "def loss(params, trial):\n    return (params['x'] - 1) ** 2\n"
CONFIG: dict[str, Any] = {
    "study": "small",
    "seed": 7,
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "trial": {
        "data": {"source": "iris"},
        "model": {"name": "linear"},
        "optimizer": {"name": "sgd", "lr": {"loguniform": [1e-2, 1.0]}},
        "training": {"epochs": 2},
    },
    "search": {"trials": 2, "sampler": "random"},
    "run": {"engine": "inline", "device": "cpu", "report": "off"},
}


@pytest.fixture(autouse=True)
def _in_an_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def script_output(folder: Path, text: str, *options: str) -> str:
    (folder / "sweep_script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, *options, "sweep_script.py"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sweep_of_a_dict_is_recorded_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    study = tunecli.search(CONFIG)
    assert (study.status, study.name, study.ending and study.ending.reason) == (
        "finished",
        "small",
        "complete",
    )
    assert study.path == Path.cwd() / "runs" / "small"
    printed = capsys.readouterr()
    assert not printed.out
    assert "small: 2 trials" in printed.err
    again = tunecli.resume("small", trials=3, progress=False)
    assert not capsys.readouterr().err
    assert [trial.number for trial in again.trials] == [0, 1, 2]
    assert again.trials[:2] == study.trials[:2]


def test_a_sweep_of_a_loaded_study_takes_no_overrides() -> None:
    spec = tunecli.load(CONFIG, overrides={"search.trials": 1})
    with pytest.raises(tunecli.UsageError, match="takes no overrides"):
        tunecli.search(spec, trials=2)
    assert len(tunecli.search(spec, progress=False).trials) == 1


def test_restart_begins_a_new_study() -> None:
    tunecli.search(CONFIG, progress=False)
    with pytest.raises(tunecli.UsageError, match="holds a study already"):
        tunecli.search(CONFIG, progress=False)
    said: list[str] = []
    assert len(tunecli.search(CONFIG, trials=1, restart=True, progress=False, say=said.append).trials) == 1
    assert any("moved" in line for line in said)


def test_a_sweep_without_a_score_raises_and_names_its_study() -> None:
    Path("broken.py").write_text("def loss(params, trial):\n    raise ValueError('no')\n")
    config = {
        "study": "broken",
        "objective": {"metric": "loss", "direction": "minimize"},
        "trial": {"python": "broken:loss", "params": {"x": {"uniform": [0, 1]}}},
        "search": {"trials": 2},
        "run": {"engine": "inline"},
    }
    with pytest.raises(tunecli.NoTrialSucceeded) as caught:
        tunecli.search(config, progress=False)
    assert [trial.state for trial in caught.value.study.trials] == [tunecli.State.FAILED] * 2
    assert caught.value.study.best is None


def test_a_script_without_a_guard_tunes_its_own_function(tmp_path: Path) -> None:
    text = f"""
import tunecli
from tunecli.messages import Ended, Event, SweepInfo
from tunecli.trial import FailedAttempt
{OWN}
study = tunecli.search(
    {{"study": "own", "objective": {{"metric": "loss", "direction": "minimize"}},
     "trial": {{"python": loss, "params": {{"x": {{"uniform": [0, 2]}}}}}}, "search": {{"trials": 4}}}},
    workers=2, progress=False,
)
print(len(study.trials), {{trial.state.value for trial in study.trials}}, study.config()["trial"]["python"])
"""
    assert script_output(tmp_path, text) == "4 {'complete'} sweep_script:loss\n"


def test_a_sweep_runs_in_a_thread() -> None:
    found: list[tunecli.Study] = []
    thread = threading.Thread(target=lambda: found.append(tunecli.search(CONFIG, progress=False)))
    thread.start()
    thread.join()
    assert found[0].status == "finished"


class CtrlC:
    """A display that sends SIGINT to this process when the first trial has ended."""

    def began(self, heading: SweepInfo, trials: list[tunecli.Trial]) -> None: ...

    def suggested(self, trial: tunecli.Trial) -> None: ...

    def happened(self, event: Event | FailedAttempt) -> None:
        if isinstance(event, Ended) and event.number == 0:
            os.kill(os.getpid(), signal.SIGINT)

    def ended(self) -> None: ...


def test_ctrl_c_raises_interrupted_and_the_study_is_resumed() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(tunecli.Interrupted) as caught:
            tunecli.search(CONFIG, overrides={"run.fuse": "off"}, progress=CtrlC(), say=lambda line: None)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.hint == "tunecli resume runs/small"
    study = tunecli.open_study("small")
    assert (study.status, study.trials[0].state) == ("interrupted", tunecli.State.COMPLETE)
    again = tunecli.resume(study, progress=False)
    assert (again.status, again.trials[0]) == ("finished", study.trials[0])


def test_ctrl_c_after_the_training_raises_interrupted_too() -> None:
    def say(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(tunecli.Interrupted) as caught:
        tunecli.search(CONFIG, progress=False, say=say)
    assert caught.value.hint == "tunecli resume runs/small"


def test_a_module_that_runs_a_sweep_when_it_is_imported_fails_the_trial_that_imports_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "inner_sweep.py").write_text("import tunecli\n\ntunecli.search('nothing.yaml')\n")
    (tmp_path / "outer_code.py").write_text(f"import inner_sweep\n\n{OWN}")
    config = {
        "study": "nested",
        "objective": {"metric": "loss", "direction": "minimize"},
        "trial": {"python": "outer_code:loss", "params": {"x": {"uniform": [0, 1]}}},
        "search": {"trials": 1},
        "run": {"engine": "inline"},
    }
    with pytest.raises(tunecli.NoTrialSucceeded) as caught:
        tunecli.search(config, progress=False)
    failure = caught.value.study.trials[0].outcome.failure
    assert "`inner_sweep` calls tunecli.search when it is imported" in failure.cause
