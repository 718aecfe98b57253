"""Metrics are read from files while a program writes them, and only new rows count."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support import tensorboard_writer as writer
from tests.support.jobs import change_job, make_job
from tunecli.config.schema import CommandTrial
from tunecli.messages import EpochEnded, Job
from tunecli.objective import Objective
from tunecli.train.user_code import tail
from tunecli.train.user_code.metric_sources import Sources, reader_for
from tunecli.train.user_code.reports import Reports
from tunecli.trial import FailureKind, Outcome, State

JOB = make_job(0, {}, Objective("acc", True))


class Watched:
    """A trial whose file of metrics is read step by step."""

    def __init__(self, folder: Path, metrics_from: Any, job: Job = JOB) -> None:
        trial = CommandTrial.model_validate({"command": ["x"], "metrics_from": metrics_from})
        self.reports = Reports(job, "cpu")
        facts = {"number": 7, "checkpoint_dir": str(folder / "kept [1]")}
        self.reader: Sources = reader_for(trial, self.reports, facts, folder, is_anew=True)
        self.events: list[EpochEnded] = []

    def poll(self) -> list[tuple[int, dict[str, float]]]:
        """The epochs that are new since the last call."""
        return self._added(self.reader.poll())

    def close(self) -> list[tuple[int, dict[str, float]]]:
        return self._added(self.reader.close())

    def _added(self, events: Iterable[EpochEnded]) -> list[tuple[int, dict[str, float]]]:
        added = [*events]
        self.events += added
        return [(event.epoch, dict(event.metrics)) for event in added]

    def ended(self) -> Outcome:
        self.close()
        return self.reports.ended().outcome

    @property
    def cause(self) -> str:
        assert self.reports.failure is not None
        return self.reports.failure.cause


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def test_each_row_of_a_csv_file_is_an_epoch_as_soon_as_it_is_complete(tmp_path: Path, csv: Path) -> None:
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    assert watched.poll() == []
    add(csv, "epoch,acc,note\n1,0.5,warm")
    assert watched.poll() == []
    add(csv, "up\n2,0.")
    assert watched.poll() == []  # the column `note` is still empty: it may be filled by a further row
    add(csv, "75,x\n3,0.8,\n")
    assert watched.poll() == [(1, {"acc": 0.5}), (2, {"acc": 0.75}), (3, {"acc": 0.8})]
    add(csv, "4,0.9")
    assert watched.close() == [(4, {"acc": 0.9})]
    outcome = watched.reports.ended().outcome
    assert (outcome.state, outcome.score, outcome.epochs) == (State.COMPLETE, 0.9, 4)


def test_rows_with_empty_cells_are_united_by_their_epoch(tmp_path: Path, csv: Path) -> None:
    """As Lightning writes them, with epochs from 0."""
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    add(csv, "epoch,step,train_loss,acc\n0,49,,0.5\n")
    assert watched.poll() == []
    add(csv, "0,49,0.9,\n")
    assert watched.poll() == [(1, {"train_loss": 0.9, "acc": 0.5})]
    add(csv, "1,60,0.8,\n1,99,,0.6\n")
    assert watched.poll() == [(2, {"train_loss": 0.8, "acc": 0.6})]
    add(csv, "2,149,,0.7\n3,199,,0.8\n")
    assert watched.poll() == [(3, {"acc": 0.7}), (4, {"acc": 0.8})]
    add(csv, "3,199,0.1,\n")
    outcome = watched.ended()
    assert outcome.metrics == {"acc": 0.8, "train_loss": 0.1}


@pytest.mark.parametrize(
    "text", ["epoch;acc\n1;0.5\n", "epoch\tacc\r\n1\t0.5\r\n", '\ufeff"epoch","acc"\n1,"0.5"\n']
)
def test_csv_dialects_are_read(tmp_path: Path, csv: Path, text: str) -> None:
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    csv.write_bytes(text.encode())
    assert watched.poll() == [(1, {"acc": 0.5})]


def test_rows_without_a_number_are_counted(tmp_path: Path, csv: Path) -> None:
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    add(csv, "loss,acc\n3,\n2,0.5\n1,0.6\n")
    assert watched.poll() == [(1, {"loss": 2.0, "acc": 0.5}), (2, {"loss": 1.0, "acc": 0.6})]


def test_json_lines_are_rows_and_null_is_not_measured(tmp_path: Path) -> None:
    watched, path = Watched(tmp_path, {"jsonl": "log/{number}.jsonl"}), tmp_path / "log" / "7.jsonl"
    path.parent.mkdir()
    add(
        path,
        'starting\n{"epoch": 0.5, "loss": 3}\n{"epoch": 1, "acc": null}\n{"epoch": 1, "eval": {"f1": 0.1}, "acc": 0.5}\n',
    )
    assert watched.poll() == [(1, {"loss": 3.0, "eval.f1": 0.1, "acc": 0.5})]
    add(path, '{"epoch": 2, "acc": 0.6}\n{"epoch": 2, "eval": {"f1": 0.2}')
    assert watched.poll() == []  # the epoch before had more metrics
    add(path, ', "loss": 1}\n')
    assert watched.poll() == [(2, {"acc": 0.6, "eval.f1": 0.2, "loss": 1.0})]


@pytest.mark.parametrize(
    ("value", "epochs", "final"),
    [
        ({"epoch": 2, "acc": 0.5, "eval": {"f1": 0.1}}, [(2, {"acc": 0.5, "eval.f1": 0.1})], {"acc": 0.5, "eval.f1": 0.1}),
        ({"acc": 0.5, "name": "x", "ok": True}, [], {"acc": 0.5}),
        ([{"epoch": 1, "acc": 0.1}, {"epoch": 2, "acc": 0.2}], [(1, {"acc": 0.1}), (2, {"acc": 0.2})], {"acc": 0.2}),
        ({"log": [{"step": 1, "acc": 0.1}], "acc": 0.9}, [(1, {"acc": 0.1})], {"acc": 0.9}),
        ({"acc": [0.1, 0.2], "loss": [2, 1]}, [(1, {"acc": 0.1, "loss": 2.0}), (2, {"acc": 0.2, "loss": 1.0})], {"acc": 0.2, "loss": 1.0}),
    ],
)  # fmt: skip
def test_the_shapes_of_json_files(tmp_path: Path, value: Any, epochs: Any, final: Any) -> None:
    watched = Watched(tmp_path, {"json": "results.json"})
    (tmp_path / "results.json").write_text(json.dumps(value))
    watched.close()
    assert [(event.epoch, dict(event.metrics)) for event in watched.events] == epochs
    assert watched.reports.ended().outcome.metrics == final


def test_a_json_file_is_read_each_time_that_it_is_rewritten(tmp_path: Path) -> None:
    watched, path = Watched(tmp_path, {"json": "results.json"}), tmp_path / "results.json"
    history: list[dict[str, float]] = []
    for epoch in (1, 2, 3):
        history.append({"epoch": epoch, "acc": epoch / 10})
        path.write_text(json.dumps(history)[:-2])
        assert watched.poll() == []  # it is torn
        path.write_text(json.dumps(history))
        assert watched.poll() == [(epoch, {"acc": epoch / 10})]


def test_an_object_that_is_overwritten_counts_once_at_the_end(tmp_path: Path) -> None:
    watched, path = Watched(tmp_path, {"json": "results.json"}), tmp_path / "results.json"
    for epoch in (1, 2, 3):
        path.write_text(json.dumps({"epoch": epoch, "acc": epoch / 10}))
        assert watched.poll() == []
    watched.close()
    assert [(event.epoch, dict(event.metrics)) for event in watched.events] == [(3, {"acc": 0.3})]


def test_only_what_is_appended_to_an_older_file_counts(tmp_path: Path, csv: Path) -> None:
    csv.write_text("epoch,acc\n1,0.9\n2,0.95\n3,0.9")
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    assert watched.poll() == []
    add(csv, "7\nepoch,acc\n1,0.1\n2,0.2\n")
    assert watched.poll() == [(1, {"acc": 0.1}), (2, {"acc": 0.2})]


@pytest.mark.parametrize("how", ["truncated", "replaced", "deleted", "rewritten"])
def test_an_older_file_that_is_written_anew_counts_from_its_start(
    tmp_path: Path, csv: Path, how: str
) -> None:
    csv.write_text("epoch,acc\n1,0.9\n2,0.95\n")
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    assert watched.poll() == []
    if how == "replaced":
        csv.with_suffix(".new").write_text("epoch,acc\n1,0.1\n2,0.2\n")
        csv.with_suffix(".new").replace(csv)
    elif how == "truncated":
        csv.write_text("epoch,acc\n1,0.1\n")
        assert watched.poll() == [(1, {"acc": 0.1})]
        add(csv, "2,0.2\n")
    elif how == "deleted":
        csv.unlink()
        assert watched.poll() == []
        csv.write_text("epoch,acc\n1,0.1\n2,0.2\n")
    else:
        csv.write_text("epoch,acc\n1,0.1\n2,0.2\n3,0.3\n")
    watched.close()
    assert [event.metrics["acc"] for event in watched.events][:2] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("kind", "text"), [("csv", "acc\n0.9\n"), ("json", '{"acc": 0.9}'), ("jsonl", '{"acc": 0.9}\n')]
)
def test_an_older_file_alone_is_no_result(tmp_path: Path, kind: str, text: str) -> None:
    (tmp_path / "m").write_text(text)
    watched = Watched(tmp_path, {kind: "m"})
    assert watched.ended().state is State.FAILED
    assert "m was not written after the trial began" in watched.reader.explanation(str)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_file_that_is_rewritten_with_the_same_content_counts(tmp_path: Path, kind: str) -> None:
    text = {"csv": "acc\n0.9\n", "json": '{"acc": 0.9}'}[kind]
    (tmp_path / "m").write_text(text)
    os.utime(tmp_path / "m", ns=(1, 1))
    watched = Watched(tmp_path, {kind: "m"})
    (tmp_path / "m").write_text(text)
    assert watched.ended().score == 0.9


def test_a_file_that_is_rotated_or_rewritten_while_the_trial_runs_is_read_on(
    tmp_path: Path, csv: Path
) -> None:
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    add(csv, "acc\n0.1\n0.2\n")
    assert len(watched.poll()) == 2
    add(csv, "0.3\n")
    csv.rename(csv.with_suffix(".1"))
    csv.write_text("acc\n0.4\n")
    assert [metrics["acc"] for _, metrics in watched.poll()] == [0.3, 0.4]
    csv.write_text("acc,loss\n0.4,\n0.5,9\n")  # a new column: the whole file is written again
    assert watched.poll() == [(5, {"acc": 0.5, "loss": 9.0})]


def test_the_newest_of_numbered_folders_is_read(tmp_path: Path) -> None:
    def folder(number: int) -> Path:
        path = tmp_path / "logs" / f"version_{number}"
        path.mkdir(parents=True)
        return path / "metrics.csv"

    folder(0).write_text("epoch,acc\n0,0.9\n")
    watched = Watched(tmp_path, {"csv": "logs/version_*/metrics.csv"})
    folder(1).write_text("epoch,acc\n0,0.1\n1,0.2\n")
    assert watched.poll() == [(1, {"acc": 0.1}), (2, {"acc": 0.2})]
    folder(2).write_text("epoch,acc\n2,0.3\n")
    assert watched.poll() == [(3, {"acc": 0.3})]


def test_special_characters_of_a_folder_are_no_wildcards(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [{"csv": "{checkpoint_dir}/m*.csv"}, {"jsonl": "{checkpoint_dir}/a.jsonl"}])
    (tmp_path / "kept [1]").mkdir()
    (tmp_path / "kept [1]" / "m1.csv").write_text("epoch,acc\n1,0.1\n")
    (tmp_path / "kept [1]" / "a.jsonl").write_text('{"epoch": 2, "acc": 0.2}\n')
    assert watched.poll() == [(1, {"acc": 0.1}), (2, {"acc": 0.2})]


def test_a_trial_is_pruned_by_what_its_file_has(tmp_path: Path, csv: Path) -> None:
    watched = Watched(tmp_path, {"csv": "metrics.csv"}, change_job(JOB, stop_above=(None, -0.9)))
    add(csv, "epoch,acc\n1,0.5\n2,0.6\n3,0.99\n")
    assert len(watched.poll()) == 2
    outcome = watched.reports.ended().outcome
    assert (outcome.state, outcome.score) == (State.PRUNED, 0.6)


def test_a_resumed_trial_goes_on_with_the_rows_that_are_appended(tmp_path: Path, csv: Path) -> None:
    csv.write_text("epoch,acc,loss\n0,0.1,3\n1,0.2,2\n")
    recorded = ((1, {"acc": 0.1, "loss": 3.0}), (2, {"acc": 0.2, "loss": 2.0}))
    job = change_job(JOB, attempt=2, recorded=recorded, epoch_offset=1)
    watched = Watched(tmp_path, {"csv": "metrics.csv"}, job)
    add(csv, "1,0.2,2\n2,0.3,\n2,,1\n")
    assert watched.poll() == [(2, {"acc": 0.2, "loss": 2.0}), (3, {"acc": 0.3, "loss": 1.0})]


@pytest.mark.parametrize(
    ("kind", "make", "words"),
    [
        ("csv", "folder", "the file of metrics m is a folder, not a file"),
        ("jsonl", "fifo", "is a named pipe, not a file"),
        ("json", "device", "is a device, not a file"),
        ("json", "loop", "cannot be read: Too many levels of symbolic links"),
        ("tensorboard", "file", "the file of metrics m is not a folder of event files"),
    ],
)
def test_something_else_in_the_place_of_the_file_fails_the_trial_at_once(
    tmp_path: Path, kind: str, make: str, words: str
) -> None:
    watched, path = Watched(tmp_path, {kind: "m"}), tmp_path / "m"
    match make:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case "file":
            path.write_text("x")
    assert watched.poll() == []
    assert words in watched.cause
    assert watched.reports.failure is not None and watched.reports.failure.kind is FailureKind.ERROR


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("csv", "epoch,acc\n1,high\n", "has 'high' in the column acc, which is no number"),
        ("csv", "1,0.5\n2,0.6\n", "has no names of columns on its first line"),
        ("csv", "epoch,acc\n1,nan\n", "acc is not a finite number"),
        ("csv", f"epoch,acc\n{2**63},0.5\n", "an epoch is a whole number from 0 to"),
        ("csv", "epoch,acc\n-1,0.5\n", "an epoch is a whole number from 0 to"),
        ("jsonl", '{"epoch": 1, "acc": "high"}\n', "has 'high' for acc, which is no number"),
        ("json", '{"acc": 0.5', "the file of metrics m is not valid JSON"),
        ("json", "[" * 100_000, "is not valid JSON"),
    ],
)  # fmt: skip
def test_an_invalid_value_fails_the_trial_with_its_place(
    tmp_path: Path, kind: str, text: str, words: str
) -> None:
    watched = Watched(tmp_path, {kind: "m"})
    (tmp_path / "m").write_text(text)
    watched.close()
    assert words in watched.cause


def test_a_missing_file_is_named_with_the_files_beside_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    (tmp_path / "history.csv").write_text("acc\n1\n")
    assert watched.ended().state is State.FAILED
    assert watched.reader.explanation(str) == "metrics.csv was never written; its folder has history.csv"
    assert "no such folder" in Watched(tmp_path, {"csv": "a/b.csv"}).reader.explanation(str)


def test_a_huge_file_is_read_up_to_a_bound(
    tmp_path: Path, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MOST_BYTES", 2**21)
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    csv.write_text("epoch,acc\n")
    os.truncate(csv, 10 * 2**30)  # sparse
    watched.close()
    assert "has more than 2,097,152 bytes" in watched.cause
    other = Watched(tmp_path, {"json": "metrics.csv"})
    os.truncate(csv, 11 * 2**30)
    other.close()
    assert "bytes; the most that is read is" in other.cause


def test_a_line_without_an_end_is_left_out_and_counted(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"jsonl": "m"})
    (tmp_path / "m").write_text("x" * 2**20 + "\n" + '{"epoch": 1, "loss": 0.5}\n')
    assert watched.ended().state is State.FAILED
    assert "1 line of 1,048,576 bytes or more not read" in watched.reader.explanation(str)


def test_scalars_of_event_files_are_read_while_they_are_written(tmp_path: Path) -> None:
    old = writer.write_events(tmp_path / "runs" / "old", writer.scalars(1, acc=0.9))
    watched, run = Watched(tmp_path, {"tensorboard": "runs"}), tmp_path / "runs" / "ppo__1"
    path = writer.write_events(run, writer.scalars(10, loss=3.0, acc=0.5))
    assert watched.poll() == [(10, {"loss": 3.0, "acc": 0.5})]
    late = writer.scalars(20, loss=2.0, acc=0.75)
    with path.open("ab") as file:
        file.write(late[:-5])
        file.flush()
        assert watched.poll() == []  # both tags of the step before are not here yet
        file.write(late[-5:])
    assert watched.poll() == [(20, {"loss": 2.0, "acc": 0.75})]
    assert old.exists() and watched.ended().score == 0.75


def test_folders_of_parts_and_of_add_scalars_are_a_part_of_the_name(tmp_path: Path) -> None:
    job = make_job(0, {}, Objective("validation/acc", True))
    watched, logs = Watched(tmp_path, {"tensorboard": "logs"}, job), tmp_path / "logs" / "run1"
    writer.write_events(logs, writer.scalars(1, lr=0.125))
    writer.write_events(logs / "train", writer.scalars(1, acc=0.9), writer.scalars(2, acc=0.875))
    writer.write_events(logs / "validation", writer.scalars(1, acc=0.5), writer.scalars(2, acc=0.75))
    writer.write_events(logs / "loss_a", writer.scalars(2, loss=7.0))
    outcome = watched.ended()
    assert [(event.epoch, event.metrics["validation/acc"]) for event in watched.events] == [
        (1, 0.5),
        (2, 0.75),
    ]
    assert outcome.metrics == {"validation/acc": 0.75, "train/acc": 0.875, "lr": 0.125, "loss_a/loss": 7.0}


def test_a_damaged_event_file_fails_the_trial_with_its_place(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"tensorboard": "runs/*"})
    content = bytearray(writer.version() + writer.scalars(1, acc=0.5))
    content[-6] ^= 1
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "events.out.tfevents.1").write_bytes(content)
    watched.close()
    assert "is damaged: in events.out.tfevents.1, at byte" in watched.cause


def test_older_event_files_alone_are_no_result(tmp_path: Path) -> None:
    writer.write_events(tmp_path / "runs" / "old", writer.scalars(1, acc=0.9))
    watched = Watched(tmp_path, {"tensorboard": "runs"})
    assert watched.ended().state is State.FAILED
    said = watched.reader.explanation(str)
    assert said == "no event file was written below runs; 1 older event file there do not count"


def test_patterns_are_searched_in_the_streams_beside_a_file(tmp_path: Path, csv: Path) -> None:
    trial = CommandTrial.model_validate(
        {"command": ["x"], "metrics": {"ms": r"took (\d+)"}, "metrics_from": {"csv": "metrics.csv"}}
    )
    reports = Reports(JOB, "cpu")
    reader = reader_for(trial, reports, {}, tmp_path, is_anew=True)
    csv.write_text("epoch,acc\n1,0.5\n")
    assert [event.epoch for event in (*reader.read("took 12 ms"), *reader.poll(), *reader.close())] == [1]
    assert reports.ended().outcome.metrics == {"acc": 0.5, "ms": 12.0}


def test_a_metric_with_a_similar_name_is_suggested(tmp_path: Path, csv: Path) -> None:
    watched = Watched(tmp_path, {"csv": "metrics.csv"})
    csv.write_text("epoch,train/acc,eval/acc\n1,0.5,0.4\n")
    outcome = watched.ended()
    assert outcome.failure is not None
    assert outcome.failure.cause == (
        "acc was never reported, only train/acc, eval/acc; did you mean `eval/acc`?"
    )
