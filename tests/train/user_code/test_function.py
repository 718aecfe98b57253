"""The user's function runs as a trial: its reports are epochs, and its failure ends only this trial."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tunecli
from tests.support.jobs import change_job, make_job
from tunecli.errors import StoreFailed
from tunecli.messages import Ended, EpochEnded, Event, Job, Order, Paused, Started, Stopped
from tunecli.objective import Objective
from tunecli.train.trials import run
from tunecli.train.user_code.function import TrialStopped
from tunecli.trial import FailureKind, Outcome, State

MINE = """
import os, random, sys
from pathlib import Path
import numpy, torch
from tunecli import TrialStopped

def train(params, trial):
    for epoch in range(1, params["epochs"] + 1):
        trial.report(epoch, val_loss=params["optimizer"]["lr"] / epoch, extra=torch.tensor([1.5], requires_grad=True))

def from_zero(params, trial):
    for epoch in range(3):
        trial.report(epoch, val_loss=1.0)

def again(params, trial):
    trial.report(2, val_loss=3.0)
    trial.report(2, extra=1.0)
    trial.report(1, val_loss=2.0)

def returns(params, trial):
    trial.report(1, val_loss=3.0, other=1.0)
    return params["value"]

def facts(params, trial):
    assert torch.get_num_threads() == trial.threads
    assert isinstance(trial.checkpoint_dir, Path) and trial.checkpoint_dir.is_dir()
    if params.get("keep"):
        (trial.checkpoint_dir / "kept").write_text("x")
    print("this belongs on no stdout of ours")
    return {"val_loss": trial.number, "seed": trial.seed, "is_cpu": trial.device == "cpu"}

def draws(params, trial):
    return {"val_loss": torch.rand(()), "python": random.random(), "numpy": numpy.random.rand()}

def raises(params, trial):
    raise ValueError("no such luck\\nat all")

def leaves(params, trial):
    sys.exit(3)

def exits(params, trial):
    trial.report(1, val_loss=3.0)
    trial.report(2, val_loss=2.0)
    sys.exit(params["code"])

def interrupts(params, trial):
    raise KeyboardInterrupt

def full(params, trial):
    return torch.empty(2**60)

def misreports(params, trial):
    trial.report(*params["args"], **params["metrics"])

def elsewhere(params, trial):
    trial.report(1, train_loss=1.0, other=float("nan"))

def keeps(params, trial):
    kept = trial.checkpoint_dir / "epoch"
    first = int(kept.read_text()) + 1 if kept.exists() else 1
    for epoch in range(first, 6):
        kept.write_text(str(epoch))
        try:
            trial.report(epoch, val_loss=1.0 / epoch)
        except TrialStopped:
            (trial.checkpoint_dir / "said").write_text(f"stopped after {epoch}")
            if params.get("stubborn"):
                return {"val_loss": -1.0}
            raise

def swallows(params, trial):
    try:
        trial.report(1, val_loss=1.0)
    except Exception:
        return 2.0

def worsens(params, trial):
    for epoch, loss in enumerate(params["losses"], start=1):
        trial.report(params.get("every", 1) * epoch, **({} if loss is None else {"val_loss": loss}))
    return params.get("final")

def full_of_itself(params, trial):
    import weakref
    class Big:
        def __init__(self):
            self.me = self
    big = Big()
    alive.append(weakref.ref(big))
    trial.report(1, val_loss=1.0)
    raise torch.OutOfMemoryError("CUDA out of memory")

alive = []

def diverges(params, trial):
    trial.report(1, val_loss=1.0)
    try:
        trial.report(2, val_loss=float("inf"))
    except TrialStopped:
        Path(params["mark"]).write_text("stopped")
        trial.report(3, val_loss=0.0)
"""


@pytest.fixture
def job_of(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)

    def make(name: str, params: dict | None = None, **changes) -> Job:
        config = {"python": f"mine:{name}", "params": params or {}}
        made = {"device": "cpu", "base_path": str(tmp_path), **changes}
        return make_job(4, config, Objective("val_loss", False), 1, 100, **made)

    return make


def outcome_of(job: Job) -> Outcome:
    *_, ended = run(job)
    assert isinstance(ended, Ended)
    return ended.outcome


def test_reports_become_epochs(job_of):
    events: list[Event] = list(run(job_of("train", {"epochs": 3, "optimizer": {"lr": 6.0}})))
    assert [type(event) for event in events] == [Started, EpochEnded, EpochEnded, EpochEnded, Ended]
    epochs = [event for event in events if isinstance(event, EpochEnded)]
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert epochs[1].metrics == {"val_loss": 3.0, "extra": 1.5}
    outcome = outcome_of(job_of("train", {"epochs": 3, "optimizer": {"lr": 6.0}}))
    assert (outcome.state, outcome.score, outcome.epochs, outcome.kept_epoch) == (State.COMPLETE, 2.0, 3, 3)
    assert outcome.metrics == {"val_loss": 2.0, "extra": 1.5}
    assert outcome.device == "cpu"


@pytest.mark.parametrize("name", ["from_zero", "swallows"])
def test_a_disk_that_refuses_the_journal_ends_no_trial_as_failed(job_of, tmp_path, name):
    (tmp_path / "reports").mkdir()
    events = []
    with pytest.raises(StoreFailed):
        events += run(job_of(name, reports_path=str(tmp_path / "reports")))
    assert not any(isinstance(event, Ended) for event in events)


def test_epochs_counted_from_0_are_recorded_from_1(job_of):
    assert [event.epoch for event in run(job_of("from_zero")) if isinstance(event, EpochEnded)] == [1, 2, 3]


def test_repeated_epoch_only_updates_the_metrics(job_of):
    events = list(run(job_of("again")))
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [2]
    assert outcome_of(job_of("again")).metrics == {"val_loss": 2.0, "extra": 1.0}


@pytest.mark.parametrize(
    ("value", "metrics"),
    [
        (None, {"val_loss": 3.0, "other": 1.0}),
        (0.5, {"val_loss": 0.5, "other": 1.0}),
        ({"val_loss": 2, "more": True}, {"val_loss": 2.0, "other": 1.0, "more": 1.0}),
    ],
)
def test_return_value_is_final(job_of, value, metrics):
    outcome = outcome_of(job_of("returns", {"value": value}))
    assert outcome.metrics == metrics
    assert outcome.score == metrics["val_loss"]


def test_function_gets_the_trials_facts_and_a_folder(job_of, tmp_path):
    kept = tmp_path / "checkpoints" / "trial-00004"
    changes = {"threads": 1, "checkpoint_dir": str(kept)}
    assert outcome_of(job_of("facts", **changes)).metrics == {"val_loss": 4.0, "seed": 100.0, "is_cpu": 1.0}
    assert not kept.exists(), "left empty"
    outcome_of(job_of("facts", {"keep": True}, **changes))
    assert (kept / "kept").read_text() == "x"
    assert outcome_of(job_of("facts", {"keep": True})).state is State.COMPLETE


def test_seed_is_the_jobs_seed_in_32_bits(job_of):
    job = job_of("facts")
    of_file = change_job(job, config={**job.task.config, "seed": 9})
    assert outcome_of(of_file).metrics["seed"] == 100.0, "the record has settled it"
    wide = [outcome_of(change_job(job, seed=2**52 + k)).metrics["seed"] for k in (0, 0, 1)]
    assert wide[0] == wide[1] != wide[2]
    assert max(wide) < 2**32


def test_global_generators_are_seeded_and_restored(job_of):
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first = outcome_of(job_of("draws")).metrics
    assert outcome_of(job_of("draws")).metrics == first
    assert len(set(first.values())) == 3
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


@pytest.mark.parametrize(
    ("name", "params", "kind", "cause"),
    [
        ("raises", {}, FailureKind.ERROR, "ValueError: no such luck"),
        ("leaves", {}, FailureKind.ERROR, "SystemExit: 3 (mine.py:"),
        ("exits", {"code": "no data"}, FailureKind.ERROR, "SystemExit: no data (mine.py:"),
        ("interrupts", {}, FailureKind.ERROR, "KeyboardInterrupt (mine.py:"),
        ("full", {}, FailureKind.OOM, "RuntimeError"),
        ("nothing", {}, FailureKind.ERROR, "AttributeError: module 'mine' has no attribute 'nothing'"),
        ("elsewhere", {}, FailureKind.ERROR, "val_loss was never reported, only train_loss"),
        ("returns", {"value": "text"}, FailureKind.ERROR, "the function's return value must be a number"),
        (
            "returns",
            {"value": {"val_loss": [1, 2]}},
            FailureKind.ERROR,
            "TypeError: val_loss must be a number",
        ),
        (
            "returns",
            {"value": float("nan")},
            FailureKind.DIVERGED,
            "val_loss is not a finite number after epoch 1",
        ),
        (
            "misreports",
            {"args": [1], "metrics": {"x": "y"}},
            FailureKind.ERROR,
            "TypeError: x must be a number",
        ),
        (
            "misreports",
            {"args": [1.5], "metrics": {}},
            FailureKind.ERROR,
            "the epoch must be a whole number; this is 1.5",
        ),
    ],
)
def test_failures_are_data(job_of, name, params, kind, cause):
    failure = outcome_of(job_of(name, params)).failure
    assert failure is not None
    assert failure.kind is kind
    assert cause in failure.cause
    assert "\n" not in failure.cause


@pytest.mark.parametrize("code", [0, None, False])
def test_exit_code_0_ends_the_trial_with_its_last_report(job_of, code):
    outcome = outcome_of(job_of("exits", {"code": code}))
    assert (outcome.state, outcome.score, outcome.epochs) == (State.COMPLETE, 2.0, 2)


def test_an_exception_keeps_its_traceback(job_of):
    failure = outcome_of(job_of("raises")).failure
    assert failure is not None
    assert "mine.py" in failure.traceback and "in raises" in failure.traceback


def test_function_without_reports_fails_with_a_message(job_of):
    failure = outcome_of(job_of("train", {"epochs": 0})).failure
    assert failure is not None
    assert failure.cause == "val_loss was never reported, nor was any other metric"


def test_objective_that_is_not_finite_ends_the_trial(job_of, tmp_path):
    mark = tmp_path / "mark"
    events = list(run(job_of("diverges", {"mark": str(mark)})))
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1]
    assert isinstance(events[-1], Ended)
    failure = events[-1].outcome.failure
    assert failure is not None
    assert (failure.kind, failure.cause) == (
        FailureKind.DIVERGED,
        "val_loss is not a finite number after epoch 2",
    )
    assert mark.read_text() == "stopped"


def test_stop_is_raised_at_the_next_report_and_files_are_kept(job_of, tmp_path):
    kept = tmp_path / "kept"
    job = job_of("keeps", checkpoint_dir=str(kept))
    answers = iter([False, True])
    events = list(run(job, lambda: next(answers)))
    assert [type(event) for event in events] == [Started, EpochEnded, EpochEnded, Stopped]
    assert (kept / "said").read_text() == "stopped after 2"
    again = list(run(change_job(job, attempt=2)))
    assert [event.epoch for event in again if isinstance(event, EpochEnded)] == [3, 4, 5]
    assert again[-1].outcome.score == 0.2


def test_function_that_catches_the_stop_is_still_stopped(job_of, tmp_path):
    *_, last = run(job_of("keeps", {"stubborn": True}, checkpoint_dir=str(tmp_path / "kept")), lambda: True)
    assert isinstance(last, Stopped)


@pytest.mark.parametrize(
    ("params", "stop_above", "epochs", "state"),
    [
        ({"losses": [3.0, 2.0, 4.0, 5.0]}, (None, None, 2.0), 4, State.COMPLETE),
        ({"losses": [3.0, 2.0, 4.0, 5.0]}, (None, None, 1.9), 3, State.PRUNED),
        ({"losses": [3.0, 2.0, 4.0, 5.0], "final": 0.0}, (2.5,), 1, State.PRUNED),
        ({"losses": [None, 2.0]}, (1.0,), 2, State.COMPLETE),
        ({"losses": [3.0, 2.0], "every": 10}, (None, None, None, 2.5), 10, State.PRUNED),
    ],
)
def test_trial_is_pruned_if_its_least_loss_is_above_the_bound(job_of, params, stop_above, epochs, state):
    outcome = outcome_of(job_of("worsens", params, stop_above=stop_above))
    assert (outcome.state, outcome.epochs) == (state, epochs)
    if state is State.PRUNED:
        assert outcome.kept_epoch == epochs
        assert outcome.score == outcome.metrics["val_loss"] > min(bound for bound in stop_above if bound)


@pytest.mark.parametrize(("until", "every", "epochs"), [(2, 1, 2), (2, 3, 3), (9, 1, None)])
def test_trial_pauses_at_its_first_report_from_until_epoch_on(job_of, until, every, epochs):
    params = {"losses": [3.0, 2.0, 4.0], "every": every}
    *_, last = run(job_of("worsens", params, until_epoch=until))
    assert isinstance(last, Ended if epochs is None else Paused)
    assert last.outcome.state is (State.COMPLETE if epochs is None else State.PAUSED)
    if epochs is not None:
        assert last.outcome.epochs == epochs


def test_memory_is_released_before_an_out_of_memory_end_is_reported(job_of):
    for event in run(job_of("full_of_itself")):
        if isinstance(event, Ended):
            assert event.outcome.failure.kind is FailureKind.OOM
            assert [each() for each in sys.modules["mine"].alive] == [None]


def test_closed_generator_stops_the_function_at_its_report(job_of):
    events = run(job_of("train", {"epochs": 10**9, "optimizer": {"lr": 1.0}}))
    before = torch.get_rng_state()
    assert isinstance(next(events), Started)
    assert isinstance(next(events), EpochEnded)
    events.close()
    assert torch.equal(torch.get_rng_state(), before), "the thread has ended"


@pytest.mark.parametrize(
    "changes",
    [{"device": "cuda:99"}, {"avoid_devices": ("cpu",)}, {"checkpoint_dir": "/dev/null/folder"}],
    ids=lambda each: next(iter(each)),
)
def test_trial_that_cannot_start_fails_as_data(job_of, changes):
    started, ended = run(job_of("train", **changes))
    assert isinstance(started, Started)
    assert isinstance(ended, Ended)
    assert ended.outcome.failure is not None
    assert ended.outcome.failure.kind is FailureKind.ERROR


def test_trial_stopped_is_public():
    assert tunecli.TrialStopped is TrialStopped
    assert issubclass(TrialStopped, Exception)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tunecli.nothing


def test_module_of_another_folder_is_not_confused_with_this_one(job_of, tmp_path):
    assert outcome_of(job_of("from_zero")).score == 1.0
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.py").write_text("def from_zero(params, trial): return 7.0\n")
    assert outcome_of(job_of("from_zero", base_path=str(other))).score == 7.0
    assert outcome_of(job_of("from_zero")).score == 1.0
    assert Path(torch.__file__).is_file()


def test_returned_values_that_are_no_numbers_are_left_out_with_a_note(job_of):
    value = {"val_loss": 2.0, "history": [1, 2], "best": None, "name": "x"}
    *_, ended = run(job_of("returns", {"value": value}))
    assert (ended.outcome.score, ended.outcome.metrics) == (2.0, {"val_loss": 2.0, "other": 1.0})
    assert ended.note == "returned values that are not numbers are not kept: history, best, name"


@pytest.mark.parametrize("value", [None, [1.0], "x", {}])
def test_returned_objective_that_is_no_number_fails_the_trial(job_of, value):
    failure = outcome_of(job_of("returns", {"value": {"val_loss": value}})).failure
    assert failure is not None and failure.kind is FailureKind.ERROR
    assert "TypeError: val_loss must be a number" in failure.cause


@pytest.mark.parametrize("value", ["x" * 10**6, [0] * 10**6, {"y" * 10**6: 1}, 10**5000], ids=range(4))
def test_a_failure_shortens_a_reported_value_of_any_size(job_of, value):
    outcome = outcome_of(job_of("misreports", {"args": [1], "metrics": {"val_loss": value}}))
    assert outcome.failure is not None
    assert len(outcome.failure.cause) < 200 and len(outcome.failure.traceback) < 5000


@pytest.mark.parametrize(
    "epoch", [np.int64(3), np.uint8(3), torch.tensor(3)], ids=lambda each: type(each).__name__
)
def test_a_whole_number_of_numpy_or_torch_is_an_epoch(job_of, epoch):
    events = list(run(job_of("misreports", {"args": [epoch], "metrics": {"val_loss": 1.0}})))
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [3]


def test_failure_names_the_line_in_the_users_code(job_of):
    line = 1 + next(n for n, text in enumerate(MINE.splitlines()) if "no such luck" in text)
    failure = outcome_of(job_of("raises")).failure
    assert failure is not None and failure.cause == f"ValueError: no such luck (mine.py:{line})"


@pytest.mark.parametrize("is_stubborn", [False, True])
def test_a_function_is_stopped_at_its_limit_of_epochs_and_complete(job_of, is_stubborn):
    outcome = outcome_of(job_of("keeps", {"stubborn": is_stubborn}, end_epoch=2))
    assert (outcome.state, outcome.epochs, outcome.score) == (State.COMPLETE, 2, 0.5)


def test_a_function_at_its_time_limit_is_complete_with_its_last_report(job_of):
    *_, end = run(job_of("train", {"epochs": 3, "optimizer": {"lr": 6.0}}), lambda: Order.FINISH)
    assert isinstance(end, Ended)
    assert (end.outcome.state, end.outcome.epochs) == (State.COMPLETE, 1)
    assert end.ended_by is not None and end.ended_by.kind is FailureKind.TIMEOUT
