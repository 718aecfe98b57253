"""Commands and functions whose metrics are in files: read while they run, and once more at their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import tensorboard_writer as writer
from tests.support.jobs import change_job, make_job
from tunecli.messages import Ended, EpochEnded, Event, Job, Stopped
from tunecli.objective import Objective
from tunecli.train.trials import run
from tunecli.trial import FailureKind, Outcome, State

FUNCTIONS = """
from pathlib import Path


def writes(params, trial):
    Path("m.csv").write_text("epoch,val_loss\\\\n0,0.5\\\\n1,0.25\\\\n")


def reports_too(params, trial):
    for epoch in (1, 2, 3):
        trial.report(epoch, speed=epoch)
    Path("m.csv").write_text("val_loss\\\\n0.5\\\\n")
""".replace("\\\\", "\\")


def job_of(folder: Path, text: str, **config: Any) -> Job:
    command = ["sh", "-c", text.replace("{", "{{").replace("}", "}}")]
    return make_job(
        4,
        {"command": command, "params": {}, **config},
        Objective("val_loss", False),
        device="cpu",
        base_path=str(folder),
    )


def events_of(job: Job) -> tuple[list[tuple[int, dict[str, float]]], Event]:
    *_, last = events = [*run(job)]
    return [(event.epoch, dict(event.metrics)) for event in events if isinstance(event, EpochEnded)], last


def outcome_of(job: Job) -> Outcome:
    _, last = events_of(job)
    assert isinstance(last, Ended)
    return last.outcome


def test_rows_are_read_while_the_program_runs_and_can_prune_it(tmp_path: Path) -> None:
    text = "printf 'epoch,val_loss\\n1,3\\n2,2\\n' > m.csv; exec >&- 2>&-; sleep 600"  # it closes its output
    job = change_job(job_of(tmp_path, text, metrics_from={"csv": "m.csv"}), stop_above=(None, 1.0))
    epochs, last = events_of(job)
    assert epochs == [(1, {"val_loss": 3.0}), (2, {"val_loss": 2.0})]
    assert isinstance(last, Ended) and last.outcome.state is State.PRUNED


def test_a_stop_ends_a_program_whose_metrics_are_in_a_file(tmp_path: Path) -> None:
    job = job_of(
        tmp_path, 'printf \'{"epoch": 1, "val_loss": 3}\\n\' > m; sleep 600', metrics_from={"jsonl": "m"}
    )
    events: list[Event] = []
    events.extend(run(job, lambda: any(isinstance(event, EpochEnded) for event in events)))
    assert isinstance(events[-1], Stopped)
    assert sum(isinstance(event, EpochEnded) for event in events) == 1


def test_a_program_that_runs_while_it_prints_still_has_its_files_read(tmp_path: Path) -> None:
    text = "printf 'val_loss\\n3\\n' > m.csv; yes"
    job = change_job(job_of(tmp_path, text, metrics_from={"csv": "m.csv"}), stop_above=(1.0,))
    assert outcome_of(job).state is State.PRUNED


def test_the_rest_of_the_file_is_read_at_the_end(tmp_path: Path) -> None:
    text = "printf 'val_loss,acc\\n3,0.5\\n2,0.75' > m.csv; echo done"
    outcome = outcome_of(job_of(tmp_path, text, metrics_from={"csv": "m.csv"}))
    assert (outcome.state, outcome.metrics, outcome.epochs) == (
        State.COMPLETE,
        {"val_loss": 2.0, "acc": 0.75},
        2,
    )


def test_event_files_of_a_program_are_read(tmp_path: Path) -> None:
    writer.write_events(tmp_path / "made", writer.scalars(1, val_loss=3.0), writer.scalars(2, val_loss=2.0))
    job = job_of(tmp_path, "mkdir -p runs && cp -r made runs/ppo", metrics_from={"tensorboard": "runs"})
    epochs, _ = events_of(job)
    assert epochs == [(1, {"val_loss": 3.0}), (2, {"val_loss": 2.0})]


def test_a_program_that_fails_is_reported_rather_than_its_torn_file(tmp_path: Path) -> None:
    text = "printf '{\"val_loss\": ' > m; echo broken >&2; exit 3"
    failure = outcome_of(job_of(tmp_path, text, metrics_from={"json": "m"})).failure
    assert failure is not None
    assert (failure.kind, failure.cause) == (FailureKind.ERROR, "exit code 3: broken")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"csv": "m.csv"}, "m.csv was never written; it printed nothing"),
        ({"csv": "{nothing}.csv"}, "the program was not started: `{nothing}` is no key under `params`"),
        (
            [{"csv": "a.csv"}, {"tensorboard": "runs"}],
            "a.csv was never written; no event file was written below runs",
        ),
    ],
)
def test_a_missing_file_is_named_in_the_failure(tmp_path: Path, source: Any, words: str) -> None:
    failure = outcome_of(job_of(tmp_path, "true", metrics_from=source)).failure
    assert failure is not None
    assert words in failure.cause


def test_a_secret_in_a_path_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "hidden-value-123")
    failure = outcome_of(job_of(tmp_path, "true", metrics_from={"csv": "${env:PLACE}/m.csv"})).failure
    assert failure is not None
    assert "hidden-value" not in failure.cause
    assert "was never written" in failure.cause


@pytest.mark.parametrize(
    ("name", "epochs", "metrics"),
    [
        ("writes", [(1, {"val_loss": 0.5}), (2, {"val_loss": 0.25})], {"val_loss": 0.25}),
        ("reports_too", [(1, {"speed": 1.0}), (2, {"speed": 2.0}), (3, {"speed": 3.0})],
         {"speed": 3.0, "val_loss": 0.5}),
    ],
)  # fmt: skip
def test_the_files_of_a_function_are_read_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, epochs: Any, metrics: Any
) -> None:
    (tmp_path / "written.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    config = {"python": f"written:{name}", "params": {}, "metrics_from": {"csv": "m.csv"}}
    job = make_job(4, config, Objective("val_loss", False), device="cpu", base_path=str(tmp_path))
    found, last = events_of(job)
    assert isinstance(last, Ended)
    assert last.outcome.metrics == metrics
    assert found == epochs


def test_a_function_that_wrote_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "written.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    config = {"python": "written:writes", "params": {}, "metrics_from": {"csv": "n.csv"}}
    job = make_job(4, config, Objective("val_loss", False), device="cpu", base_path=str(tmp_path))
    failure = outcome_of(job).failure
    assert failure is not None
    assert "n.csv was never written; its folder has m.csv" in failure.cause
