"""A signal before the first training: one line, the right exit code, and the command that resumes a begun study."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tunecli.errors import Interrupted
from tunecli.study.runner.signals import ended_by_signals, noted_signals, resumable

ROOT = Path(__file__).parents[3]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PHASES = {
    "the imports": ("tunecli.cli", None, False),
    "the guess of a server": ("tunecli.study.prefork", "_file", False),
    "the check": ("tunecli.commands.check", "check", False),
    "the look at the data": ("tunecli.study.record.facts", "data_hashes", False),
    "the folder": ("tunecli.store.folder", "RunFolder.create", False),
    "the copy of the file": ("tunecli.study.record.lifecycle", "write_atomically", True),
    "the engine": ("tunecli.study.sweep", "engine_of", True),
    "the reading of the record": ("tunecli.study.sweep", "Coordinator", True),
    "the answer": ("tunecli.cli.running", "_show_ending", True),
}
# The program sends itself the signal at the start of a phase, so the test does not depend on timing.
PROGRAM = """
import os, sys
number, module, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.argv[1:] = sys.argv[4:]
def send():
    os.kill(os.getpid(), number)
if name == "None":
    class Finder:
        def find_spec(self, asked, *_):
            if asked == module:
                send()
    sys.meta_path.insert(0, Finder())
else:
    from importlib.machinery import PathFinder
    class Finder:
        def find_spec(self, asked, path, target=None):
            if asked != module:
                return None
            spec = PathFinder.find_spec(asked, path)
            run = spec.loader.exec_module
            def exec_module(loaded):
                run(loaded)
                *owners, last = name.split(".")
                of = loaded
                for each in owners:
                    of = getattr(of, each)
                whole = getattr(of, last)
                def first_sends(*arguments, **options):
                    send()
                    return whole(*arguments, **options)
                setattr(of, last, first_sends)
            spec.loader.exec_module = exec_module
            return spec
    sys.meta_path.insert(0, Finder())
from tunecli.__main__ import main
main()
"""
STUDY = """\
study: own
objective: {metric: val_loss}
trial: {python: 'own:train', params: {x: {uniform: [0, 1]}}}
search: {sampler: random, trials: 1}
run: {engine: inline}
"""


def searched(folder: Path, number: int, phase: str) -> subprocess.CompletedProcess[str]:
    (folder / "own.py").write_text("def train(params, trial):\n    return params['x']\n")
    (folder / "own.yaml").write_text(STUDY)
    module, name, _ = PHASES[phase]
    command = [sys.executable, "-c", PROGRAM, str(number), module, str(name), "search", "own.yaml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_before_training_ends_the_sweep_with_one_line(tmp_path: Path, phase: str) -> None:
    number = SIGNALS[list(PHASES).index(phase) % len(SIGNALS)]
    done = searched(tmp_path, number, phase)
    is_begun = PHASES[phase][2]
    assert done.returncode == 128 + number, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(("error", "Interrupted"))]
    is_resumable = is_begun and phase != "the answer"
    ending = ". Continue: tunecli resume runs/own" if is_resumable else ""
    assert line.startswith(f"Interrupted by {number.name}")
    assert line.endswith(ending or number.name)
    assert "Traceback" not in done.stderr
    assert (tmp_path / "runs/own/study.db").is_file() is is_begun
    assert not (tmp_path / "runs/own/holder.json").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_is_raised_once_and_earlier_handlers_are_restored(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Interrupted) as caught, ended_by_signals():
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 0.5)
    assert (caught.value.exit_code, caught.value.hint) == (128 + number, "")
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_signal_during_training_is_recorded_and_raises_no_exception() -> None:
    with ended_by_signals():
        with noted_signals() as received:
            os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("is_begun", "was_there", "is_told"), [(True, True, True), (False, True, False), (False, False, True)]
)
def test_the_hint_to_resume_names_only_a_study_that_this_command_began(
    tmp_path: Path, is_begun: bool, was_there: bool, is_told: bool
) -> None:
    if was_there:
        (tmp_path / "study.db").touch()
    with pytest.raises(Interrupted) as caught, ended_by_signals(), resumable(tmp_path, is_begun=is_begun):
        (tmp_path / "study.db").touch()
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 0.5)
    assert caught.value.hint == (f"tunecli resume {tmp_path}" if is_told else "")


@pytest.mark.parametrize(("was_there", "is_named"), [(False, True), (True, False)])
def test_ctrl_c_in_a_program_of_python_names_only_a_study_that_the_call_began(
    tmp_path: Path, was_there: bool, is_named: bool
) -> None:
    if was_there:
        (tmp_path / "study.db").touch()
    with pytest.raises(Interrupted) as caught, resumable(tmp_path, is_begun=False):
        (tmp_path / "study.db").touch()
        raise KeyboardInterrupt
    assert (caught.value.exit_code, caught.value.message) == (130, "Interrupted by SIGINT")
    assert caught.value.hint == (f"tunecli resume {tmp_path}" if is_named else "")


def test_a_command_stopped_before_its_study_exists_names_no_study(tmp_path: Path) -> None:
    with pytest.raises(Interrupted) as caught, ended_by_signals(), resumable(tmp_path / "a", is_begun=False):
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 0.5)
    assert caught.value.hint == ""


def test_a_second_sigint_during_training_interrupts_python_where_python_handles_it() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a notebook
    try:
        with noted_signals() as received:
            os.kill(os.getpid(), signal.SIGINT)
            assert received == [signal.SIGINT]
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
                signal.sigtimedwait([], 0.5)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_signals_are_not_noted_outside_the_main_thread() -> None:
    noted: list[tuple[list[int], object]] = []

    def run() -> None:
        with noted_signals() as received:
            noted.append((received, signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert noted == [([], before)]
