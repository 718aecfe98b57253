"""`run.events: tensorboard` writes event files that hold each trial's epochs, whatever ended the sweep."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.study.sweeps import Silent
from tests.support import tensorboard_writer as writer
from tunecli.commands.check import load_checked
from tunecli.commands.search import resume, search
from tunecli.exporters.tensorboard_messages import Status, end_event, parameters_event, scalars_event
from tunecli.registry.exporters import EVENTS_FOLDER
from tunecli.store.database import Log
from tunecli.tfrecords import record
from tunecli.train.user_code.tensorboard_events import read_scalars, scalars_of

STUDY = """\
study: events
objective: {{metric: val_loss}}
trial: {{python: 'own_events:train', params: {{x: {{uniform: [0, 1]}}, kind: {{choice: [a, null, 7]}}}}}}
search: {{sampler: random, trials: {n}{more}}}
run: {{engine: inline, device: cpu, workers: 1, events: tensorboard, report: off}}
"""
OWN = """
def train(params, trial):
    for epoch in range(1, 4):
        trial.report(epoch, val_loss=params["x"] / epoch, size=epoch)
    if trial.number == 1:
        raise ValueError("broken")
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "own_events.py").write_text(OWN)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(n=4, more=""))
    return path


def run_study(path: Path, run: Path) -> list[str]:
    """Run the study of a file by `search`; the lines that it says."""
    said: list[str] = []
    search(load_checked(path, ()), run, Silent(), said.append)
    return said


def scalars_in(run: Path, number: int) -> list[tuple[int, dict[str, float]]]:
    """The scalars of a trial's file, read by the reader of programs' event files."""
    (path,) = (run / EVENTS_FOLDER / f"trial-{number:05d}").iterdir()
    with path.open("rb") as file:
        found = [scalars for _, scalars in read_scalars(file, 0, 10**9) if scalars is not None]
    # The events of the HParams tab hold an empty tensor, which is no scalar.
    return [(one.step, dict(one.values)) for one in found]


def in_float32(value: float) -> float:
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


def recorded(run: Path) -> dict[int, list[tuple[int, dict[str, float]]]]:
    with Log.open_to_read(run / "study.db") as log:
        return {
            trial.number: [
                (epoch.epoch, {name: in_float32(value) for name, value in epoch.metrics.items()})
                for epoch in log.epochs(trial.number)
            ]
            for trial in log.trials()
        }


def test_each_trial_has_a_file_with_every_recorded_epoch(study: Path, tmp_path: Path) -> None:
    run_study(study, tmp_path / "run")
    on_record = recorded(tmp_path / "run")
    assert sorted(on_record) == [0, 1, 2, 3]
    assert len(on_record[1]) == 3
    for number, epochs in on_record.items():
        assert scalars_in(tmp_path / "run", number) == epochs


def test_files_that_a_kill_left_incomplete_or_missing_are_completed_from_the_record(
    study: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run_study(study, run)
    whole = {number: next((run / EVENTS_FOLDER / f"trial-{number:05d}").iterdir()) for number in range(4)}
    whole[0].write_bytes(whole[0].read_bytes()[:-20])
    whole[2].unlink()
    whole[2].parent.rmdir()
    untouched = whole[3].read_bytes()
    resume(
        str(run),
        {"n_trials": 5},
        (),
        config_path=None,
        fork_name=None,
        display=Silent(),
        say=lambda _: None,
    )
    on_record = recorded(run)
    assert sorted(on_record) == [0, 1, 2, 3, 4]
    for number, epochs in on_record.items():
        assert scalars_in(run, number) == epochs
    assert whole[3].read_bytes() == untouched


def test_the_writer_agrees_with_an_independent_encoding() -> None:
    event = scalars_event(1.7e9, 3, {"val/loss": 0.5, "x": -2.0})
    assert scalars_of(event) is not None
    parts = writer.event(3, writer.value("val/loss", 0.5), writer.value("x", -2.0))
    # The independent encoding writes a summary per value, so the values are compared one by one.
    assert event[:11] == parts[:11]
    assert record(event) == writer.record(event)
    single = scalars_event(1.7e9, 1, {"a": 0.25})
    body = writer.field(1, b"a") + writer.varint(2 << 3 | 5) + struct.pack("<f", 0.25)
    assert single == writer.event(1) + writer.field(5, writer.field(1, body))


@pytest.mark.parametrize("value", [1e300, -1e300, float("nan"), float("inf"), 1e-320])
def test_every_float_is_written(value: float) -> None:
    found = scalars_of(scalars_event(0.0, 0, {"x": value}))
    assert found is not None
    assert str(found.values["x"]) in {str(value), "inf" if value > 0 else "-inf", "0.0"}


def test_events_without_scalars_hold_the_parameters_and_the_end() -> None:
    start = parameters_event(5.0, "trial-00007", {"lr": 0.5, "on": True, "kind": None, "name": "\udcff漢"})
    assert scalars_of(start) is None
    for text in (b"_hparams_/session_start_info", b"trial-00007", b"lr", b"null", "漢".encode()):
        assert text in start
    assert scalars_of(end_event(5.0, Status.FAILURE)) is None
