"""A user's trial that is interrupted anywhere has the same curve as one uninterrupted run."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.jobs import change_job, make_job
from tunecli.errors import StoreFailed
from tunecli.messages import Ended, EpochEnded, Job, Paused, Started, Stopped
from tunecli.objective import Constraint, Objective
from tunecli.store.database import Log
from tunecli.study.runner.jobs import record_reports
from tunecli.train.user_code import trial_files
from tunecli.train.user_code.reports import MAX_METRICS, MAX_NAME_CHARACTERS, Reports
from tunecli.train.user_code.trial_files import MAX_EPOCH
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial

JOB = make_job(0, {}, Objective("val_loss", False), 1, 1)
Report = tuple[int, Mapping[str, float]]


def run_reports(reports: Sequence[Report], job: Job = JOB) -> tuple[list[EpochEnded], Outcome]:
    """The events and the outcome of one attempt with these reports."""
    of_job = Reports(job, "cpu")
    events = []
    for epoch, metrics in reports:
        if of_job.is_over:
            break
        if event := of_job.epoch_ended(epoch, metrics):
            events.append(event)
    return events, of_job.ended().outcome


class Recorded:
    """A log of one trial, for attempts that are killed."""

    def __init__(self, path: Path) -> None:
        self.log = Log.create(path, {})
        self.log.append_suggestion(Trial(0, {}, 1))

    def job(self, job: Job = JOB) -> Job:
        epochs = self.log.epochs(0)
        offset = epochs[-1].epoch_offset if epochs else None
        recorded = tuple((each.epoch, each.metrics) for each in epochs)
        return change_job(job, attempt=self.log.attempts(0) + 1, recorded=recorded, epoch_offset=offset)

    def attempt(self, reports: Sequence[Report], job: Job = JOB) -> Outcome:
        of_job = self.job(job)
        self.log.append_start(Reports(of_job, "cpu").started())
        events, outcome = run_reports(reports, of_job)
        self.log.append_epochs(events)
        return outcome

    def curve(self) -> list[tuple[int, Mapping[str, float]]]:
        return [(each.epoch, each.metrics) for each in self.log.epochs(0)]


def of_epoch(epoch: int) -> dict[str, float]:
    """The metrics of an epoch, the same in every attempt; some epochs leave some metrics out."""
    found = {"val_loss": math.sin(epoch), "size": 3.0, "late": math.nan if epoch % 5 == 2 else float(epoch)}
    return {name: found[name] for name in found if (name, epoch % 3) not in (("size", 0), ("late", 1))}


def without_clock(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0)


@st.composite
def epochs_and_cuts(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    first, every = draw(st.integers(0, 3)), draw(st.integers(1, 4))
    epochs = [first + every * i for i in range(draw(st.integers(1, 9)))]
    cuts = sorted(draw(st.lists(st.integers(0, len(epochs)), max_size=4)))
    backs = [draw(st.integers(0, 3)) for _ in cuts]
    return epochs, cuts, backs


@given(epochs_and_cuts(), st.lists(st.none() | st.floats(-1, 1), max_size=12), st.none() | st.integers(1, 30))
def test_interrupted_attempts_give_the_same_curve_as_one_run(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: tuple[list[int], list[int], list[int]],
    bounds: list[float | None],
    until_epoch: int | None,
) -> None:
    """Epochs are counted from 0, 1 or later, each or every k-th; an attempt continues, or repeats some reports."""
    epochs, cuts, backs = drawn
    job = change_job(JOB, stop_above=tuple(bounds), until_epoch=until_epoch)
    whole, expected = run_reports([(epoch, of_epoch(epoch)) for epoch in epochs], job)
    recorded, place = Recorded(tmp_path_factory.mktemp("log") / "study.db"), 0
    for cut, back in zip(cuts, backs, strict=True):
        recorded.attempt([(epoch, of_epoch(epoch)) for epoch in epochs[place:cut]], job)
        place = max(0, max(cut, place) - back)
    outcome = recorded.attempt([(epoch, of_epoch(epoch)) for epoch in epochs[place:]], job)
    assert repr(recorded.curve()) == repr([(each.epoch, each.metrics) for each in whole])  # a NaN is itself
    assert {each.epoch_offset for each in recorded.log.epochs(0)} <= {0 if epochs[0] else 1}
    assert without_clock(outcome) == without_clock(expected)
    recorded.log.close()


def test_attempt_that_starts_over_replaces_earlier_epochs(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path / "study.db")
    recorded.attempt([(epoch, {"val_loss": 9.0, "old": 1.0}) for epoch in range(5)])
    outcome = recorded.attempt([(epoch, {"val_loss": 1.0}) for epoch in range(3)])
    assert recorded.curve() == [(1, {"val_loss": 1.0}), (2, {"val_loss": 1.0}), (3, {"val_loss": 1.0})]
    assert (outcome.epochs, outcome.metrics) == (3, {"val_loss": 1.0})
    recorded.attempt([(3, {"val_loss": 0.5})])
    assert [epoch for epoch, _ in recorded.curve()] == [1, 2, 3, 4]


def test_attempt_that_counts_from_0_after_one_from_1_starts_over(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path / "study.db")
    recorded.attempt([(1, {"val_loss": 9.0}), (2, {"val_loss": 9.0})])
    recorded.attempt([(0, {"val_loss": 1.0}), (1, {"val_loss": 1.0})])
    assert recorded.curve() == [(1, {"val_loss": 1.0}), (2, {"val_loss": 1.0})]


def test_attempt_without_reports_keeps_the_recorded_epochs(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path / "study.db")
    recorded.attempt([(epoch, of_epoch(epoch)) for epoch in range(8)])
    outcome = recorded.attempt([])
    assert (outcome.state, outcome.epochs, outcome.score) == (State.COMPLETE, 8, math.sin(7))


def test_prune_or_pause_due_at_the_last_recorded_epoch_happens_at_once() -> None:
    recorded = ((1, {"val_loss": 2.0}), (4, {"val_loss": 1.0}))
    paused = Reports(change_job(JOB, recorded=recorded, until_epoch=3), "cpu")
    assert paused.is_paused and isinstance(paused.ended(), Paused)
    pruned = Reports(change_job(JOB, recorded=recorded, stop_above=(0.5,), stop_epochs=(4,)), "cpu")
    assert pruned.is_pruned and pruned.ended().outcome.score == 1.0
    assert not Reports(change_job(JOB, recorded=recorded, stop_above=(1.5,), stop_epochs=(1,)), "cpu").is_over


@pytest.mark.parametrize("n_committed", range(4))
def test_reports_lost_by_a_kill_are_recovered_from_the_journal(tmp_path: Path, n_committed: int) -> None:
    """The coordinator has committed the first few of the events of an attempt, or none of them."""

    class Direct:
        """A record writer that commits each event at once."""

        def __init__(self, log: Log) -> None:
            self.start, self.epoch = log.append_start, lambda event: log.append_epochs([event])

        def settle(self) -> None:
            pass

    path = tmp_path / "trial-00000.reports.jsonl"
    recorded = Recorded(tmp_path / "study.db")
    reports = Reports(change_job(recorded.job(), reports_path=str(path)), "cpu")
    events: list[Started | EpochEnded] = [reports.started()]
    events += [event for n in range(3) if (event := reports.epoch_ended(n, of_epoch(n)))]
    for event in events[:n_committed]:
        if isinstance(event, Started):
            recorded.log.append_start(event)
        else:
            recorded.log.append_epochs([event])
    for _ in range(2):  # it may be killed in the middle of it, too
        found = record_reports(recorded.log, Direct(recorded.log), path, 0)  # type: ignore[arg-type]  # writes as a RecordWriter does
        assert repr(found) == repr(events[1:])  # a NaN is itself
    assert recorded.log.attempts(0) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[",
        b"null",
        b"7",
        b'["epoch", 0, 1, 2',
        b'["other", 0, 1]',
        b'["epoch", 0, 1, 9223372036854775808, {}, 0.1, 0]',
        b'["epoch", 0, 1, -1, {}, 0.1, 0]',
        b'["epoch", 0, 1, 1, {"a": 0.5}, true, 0]',
        b'["epoch", 0, 1, 1, {"a": "x"}, 0.1, 0]',
        b'["epoch", 0, 1, 1, [], 0.1, 0]',
        b'["started", 0, 1, 5, 5, 5]',
        b"\xff\xfe",
    ],
)
def test_journal_line_that_is_no_event_is_skipped(tmp_path: Path, line: bytes) -> None:
    event = EpochEnded(0, 1, 1, 0, {"val_loss": 0.5}, 0.25)
    path = tmp_path / "reports"
    trial_files.add_events(str(path), event)
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes())
    assert trial_files.journal_events(path) == [event, event]


def test_attempt_starts_a_new_journal_line(tmp_path: Path) -> None:
    started, epoch = Started(0, 2, "cpu", 7, 1), EpochEnded(0, 2, 2, 0, {"val_loss": 0.5}, 0.25)
    path = tmp_path / "reports"
    path.write_bytes(b'["epoch", 0, 1, 2, {"val_')  # as a power failure may leave it
    trial_files.add_events(str(path), started)
    trial_files.add_events(str(path), epoch)
    assert trial_files.journal_events(path) == [started, epoch]


@pytest.mark.parametrize(
    ("is_kept", "seconds_between", "n_synced"),
    [(False, 1 / 1024, 1), (True, 1 / 1024, 50), (False, 1 / 4, 50), (False, 1 / 64, 13)],
)
def test_reports_are_durable_before_the_users_files_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool, seconds_between: float, n_synced: int
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    kept, path, now_s = tmp_path / "trial", tmp_path / "reports", [0.0]
    kept.mkdir()
    if is_kept:
        (kept / "state.json").touch()
    written = trial_files.Journal(str(path), str(kept), lambda: now_s[0])
    written.add(Started(0, 1, "cpu", 7, 0))
    for epoch in range(1, 51):
        now_s[0] += seconds_between
        written.add(EpochEnded(0, 1, epoch, 0, {}, 0.25))
    assert synced.count(str(path)) == n_synced
    assert synced.count(str(tmp_path)) == 1  # its own name and the folder's beside it


def test_the_name_of_a_folder_made_after_the_first_report_is_durable_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    kept = tmp_path / "trial"
    written = trial_files.Journal(str(tmp_path / "reports"), str(kept), lambda: 0.0)
    written.add(Started(0, 1, "cpu", 7, 0))
    written.add(EpochEnded(0, 1, 1, 0, {}, 0.25))
    assert synced.count(str(tmp_path)) == 1
    kept.mkdir()
    (kept / "state.json").touch()
    for epoch in (2, 3):
        written.add(EpochEnded(0, 1, epoch, 0, {}, 0.25))
    assert synced.count(str(tmp_path)) == 2


def test_an_attempt_without_a_report_leaves_no_journal(tmp_path: Path) -> None:
    written = trial_files.Journal(str(tmp_path / "reports"), "")
    written.add(Started(0, 1, "cpu", 7, 0))
    assert not list(tmp_path.iterdir())
    epoch = EpochEnded(0, 1, 1, 0, {}, 0.25)
    written.add(epoch)
    assert trial_files.journal_events(tmp_path / "reports") == [Started(0, 1, "cpu", 7, 0), epoch]


def test_journal_refuses_paths_that_are_no_files(tmp_path: Path) -> None:
    event = EpochEnded(0, 1, 1, 0, {}, 0.25)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "link", "folder"):
        assert trial_files.journal_events(tmp_path / name) == []
        with pytest.raises(StoreFailed):
            trial_files.add_events(str(tmp_path / name), event)
    assert trial_files.journal_events(tmp_path / "none") == []


@pytest.mark.parametrize("epoch", [0, 1, 2**31, MAX_EPOCH - 1, MAX_EPOCH])
def test_epoch_within_the_limit_is_kept(tmp_path: Path, epoch: int) -> None:
    recorded = Recorded(tmp_path / "study.db")
    recorded.attempt([(epoch, {"val_loss": 1.0})])
    assert recorded.curve() == [(max(epoch, 1), {"val_loss": 1.0})]


@pytest.mark.parametrize(
    "epoch",
    [-1, -(2**70), MAX_EPOCH + 1, 2**63 - 1, 2**63, int(1e300), 10**5000],
    ids=lambda each: str(each.bit_length()),
)
def test_epoch_beyond_the_limit_fails_the_trial(epoch: int) -> None:
    events, outcome = run_reports(
        [(1, {"val_loss": 1.0}), (epoch, {"val_loss": 1.0}), (2, {"val_loss": 0.0})]
    )
    assert [event.epoch for event in events] == [1]
    assert outcome.failure is not None and outcome.failure.kind is FailureKind.ERROR
    assert "an epoch is a whole number from 0 to 9,007,199,254,740,991" in outcome.failure.cause
    assert len(outcome.failure.cause) < 200


@pytest.mark.parametrize("beyond", [0, 1, 10**6])
def test_length_of_metric_names_is_limited(beyond: int) -> None:
    name = "n" * (MAX_NAME_CHARACTERS + beyond)
    _, outcome = run_reports([(1, {"val_loss": 1.0, name: 1.0})])
    assert (outcome.failure is None) is (beyond == 0)
    if outcome.failure:
        assert outcome.failure.kind is FailureKind.ERROR and len(outcome.failure.cause) < 200
        assert "the longest allowed name has 200" in outcome.failure.cause


@pytest.mark.parametrize("beyond", [0, 1, 10**5])
def test_number_of_metrics_is_limited_over_all_reports(beyond: int) -> None:
    first = {"val_loss": 1.0, **{f"a{i}": 1.0 for i in range(MAX_METRICS // 2)}}
    second = {"val_loss": 1.0, **{f"b{i}": 1.0 for i in range(MAX_METRICS // 2 - 1 + beyond)}}
    events, outcome = run_reports([(1, first), (2, second)])
    assert len(events) == (1 if beyond else 2)
    assert (outcome.failure is None) is (beyond == 0)


def test_the_end_event_contains_its_note() -> None:
    ended = Reports(JOB, "cpu").ended(note="one thing")
    assert isinstance(ended, Ended) and ended.note == "one thing"


GOALS = Objective(
    "val_loss", False, further_objectives=(Objective("f1", True),), constraints=(Constraint("lat", 2.5),)
)
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("name", ["lat", "f1"])
@pytest.mark.parametrize("cut", [None, 1, 2, 3])
@pytest.mark.parametrize(
    ("last", "is_complete"),
    [([], False), ([{}], False), ([{"good": True}], True), ([{"good": True}, {"bad": True}], False)],
    ids=["nothing later", "left out later", "a number later", "none again later"],
)
def test_objectives_and_constraints_use_last_values_that_must_be_finite(
    tmp_path: Path,
    bad: float,
    name: str,
    cut: int | None,
    last: list[dict[str, bool]],
    is_complete: bool,
) -> None:
    """The trial runs in one attempt, or is killed after any report."""
    later = [{name: 1.0} if "good" in each else {name: bad} if "bad" in each else {} for each in last]
    values: list[dict[str, float]] = [{"lat": 2.0, "f1": 0.5}, {"lat": 2.0, "f1": 0.5, name: bad}, *later]
    reports = [(epoch, {"val_loss": 1.0, **each}) for epoch, each in enumerate(values, 1)]
    recorded, job = Recorded(tmp_path / "study.db"), change_job(JOB, objective=GOALS)
    if cut is not None:
        recorded.attempt(reports[:cut], job)
    outcome = recorded.attempt(reports[cut or 0 :], job)
    recorded.log.close()
    if is_complete:
        assert outcome.state is State.COMPLETE
        assert outcome.metrics[name] == 1.0
        return
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.ERROR
    assert outcome.failure.cause.startswith(f"{name} is not a finite number at the end")


def test_metric_missing_in_a_later_epoch_keeps_its_last_value() -> None:
    _, outcome = run_reports(
        [(1, {"val_loss": 1.0, "lat": 2.0, "f1": 0.5}), (2, {"val_loss": 0.2})],
        change_job(JOB, objective=GOALS),
    )
    assert outcome.state is State.COMPLETE
    assert outcome.metrics == {"val_loss": 0.2, "lat": 2.0, "f1": 0.5}


def test_pruned_or_paused_trial_drops_values_that_became_not_finite() -> None:
    paused, pruned = change_job(JOB, until_epoch=2), change_job(JOB, stop_above=(None, 0.5))
    for job, state in ((paused, State.PAUSED), (pruned, State.PRUNED)):
        _, outcome = run_reports(
            [(1, {"val_loss": 1.0, "lat": 2.0}), (2, {"val_loss": 1.0, "lat": NAN})], job
        )
        assert (outcome.state, outcome.metrics) == (state, {"val_loss": 1.0})


def test_secret_in_a_metric_name_is_never_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds even if the user's code removes the variable from the environment before it reports."""
    monkeypatch.setenv("TUNECLI_KEY", "hunter2-hunter2")
    job = change_job(JOB, config={"params": {"key": "${env:TUNECLI_KEY}"}}, reports_path=str(tmp_path / "r"))
    reports = Reports(job, "cpu")
    reports.started()
    monkeypatch.delenv("TUNECLI_KEY")
    event = reports.epoch_ended(1, {"val_loss": 1.0, "of hunter2-hunter2": 2.0})
    reports.update({"hunter2-hunter2": 1.0})
    outcome = reports.ended().outcome
    assert event is not None
    assert [*event.metrics] == ["val_loss", "of ${env:TUNECLI_KEY}"]
    assert [*outcome.metrics] == ["val_loss", "of ${env:TUNECLI_KEY}", "${env:TUNECLI_KEY}"]
    assert "hunter2" not in (tmp_path / "r").read_text()
    assert [each for each in trial_files.journal_events(tmp_path / "r") if isinstance(each, EpochEnded)] == [
        event
    ]


LIMITED = change_job(JOB, end_epoch=2)


@pytest.mark.parametrize(
    ("reports", "epochs", "score"),
    [
        ([(1, {"val_loss": 3.0}), (2, {"val_loss": 2.0}), (3, {"val_loss": 1.0})], 2, 2.0),
        ([(0, {"val_loss": 3.0}), (1, {"val_loss": 2.0}), (2, {"val_loss": 1.0})], 2, 2.0),
        ([(10, {"val_loss": 3.0}), (20, {"val_loss": 2.0})], 10, 3.0),
        ([(2, {"train_loss": 9.0}), (2, {"val_loss": 2.0}), (3, {"val_loss": 1.0})], 2, 2.0),
        ([(1, {"val_loss": 3.0}), (2, {"train_loss": 9.0}), (3, {"val_loss": 1.0})], 2, 3.0),
    ],
    ids=["from 1", "from 0", "with gaps", "in two lines", "without the objective"],
)
def test_a_limit_of_epochs_completes_a_trial_with_what_it_reported(reports, epochs, score) -> None:
    of_job = Reports(LIMITED, "cpu")
    for epoch, metrics in reports:
        of_job.epoch_ended(epoch, metrics)
    end = of_job.ended(Failure(FailureKind.ERROR, "raised after TrialStopped"))
    assert isinstance(end, Ended)
    assert (end.outcome.state, end.outcome.epochs, end.outcome.score) == (State.COMPLETE, epochs, score)
    assert end.ended_by == Failure(FailureKind.INTERRUPTED, "run.trial_limit.epochs, 2, is reached")


def test_a_trial_that_never_reports_its_objective_fails_at_its_limit_of_epochs() -> None:
    of_job = Reports(LIMITED, "cpu")
    for epoch in (1, 2, 3):
        of_job.epoch_ended(epoch, {"loss": 1.0})
    assert of_job.is_over
    end = of_job.ended()
    assert isinstance(end, Ended)
    assert end.outcome.failure is not None
    assert "val_loss was never reported, only loss" in end.outcome.failure.cause


def test_the_last_rung_ends_a_trial_only_at_a_later_epoch() -> None:
    of_job = Reports(change_job(JOB, max_epoch=2), "cpu")
    of_job.epoch_ended(1, {"val_loss": 3.0})
    of_job.epoch_ended(2, {"val_loss": 2.0})
    of_job.update({"val_loss": 1.5})
    assert not of_job.is_over
    assert of_job.epoch_ended(3, {"val_loss": 1.0}) is None
    end = of_job.ended()
    assert isinstance(end, Ended)
    assert (end.outcome.state, end.outcome.epochs, end.outcome.score) == (State.COMPLETE, 2, 1.5)
    assert end.ended_by is not None and "the pruner's max_epochs, 2" in end.ended_by.cause


def test_a_trial_whose_last_recorded_epoch_is_its_limit_does_not_start_again(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path / "study.db")
    recorded.attempt([(1, {"val_loss": 3.0}), (2, {"val_loss": 2.0})])
    assert Reports(recorded.job(LIMITED), "cpu").is_complete
    assert not Reports(recorded.job(change_job(JOB, end_epoch=3)), "cpu").is_over


def test_a_finished_trial_needs_every_metric_of_the_objective() -> None:
    of_job = Reports(JOB, "cpu")
    assert isinstance(of_job.finished(), Stopped)
    of_job.update({"val_loss": 2.0})
    end = of_job.finished()
    assert isinstance(end, Ended)
    assert (end.outcome.state, end.outcome.score) == (State.COMPLETE, 2.0)
    assert end.ended_by is not None and end.ended_by.kind is FailureKind.TIMEOUT
