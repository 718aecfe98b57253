"""The output of a program is read as metrics, or reported as unread."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.jobs import change_job, make_job
from tunecli.config.schema import CommandTrial
from tunecli.messages import Job
from tunecli.objective import Objective
from tunecli.train.user_code.metric_sources import reader_for
from tunecli.train.user_code.output import JsonLines, Patterns, last_lines, short_line
from tunecli.train.user_code.program import Stream
from tunecli.train.user_code.reports import Reports
from tunecli.trial import FailureKind

JOB = make_job(0, {}, Objective("val_loss", False), 1, 1)


def read_json(*lines: str) -> tuple[list[int], Reports, JsonLines]:
    reports = Reports(JOB, "cpu")
    reader = JsonLines(reports)
    return [event.epoch for line in lines for event in reader.read(line)], reports, reader


@pytest.mark.parametrize(
    "epoch", ['"1"', "true", "[1]", "{}", "NaN", "Infinity", "1" + "0" * 400, "-1" + "0" * 5000]
)
def test_epoch_that_is_no_whole_number_fails_the_trial(epoch: str) -> None:
    epochs, reports, _ = read_json(f'{{"epoch": {epoch}, "val_loss": 1}}')
    assert epochs == [] and reports.failure is not None
    assert reports.failure.kind is FailureKind.ERROR
    assert "epoch" in reports.failure.cause and "whole number" in reports.failure.cause
    assert len(reports.failure.cause) < 200


@pytest.mark.parametrize(
    ("epoch", "epochs"),
    [("9007199254740991", [9007199254740991]), ("1e3", [1000]), ("null", []), ("0.5", [])],
)
def test_epoch_within_the_limit_is_read(epoch: str, epochs: list[int]) -> None:
    found, reports, _ = read_json(f'{{"epoch": {epoch}, "val_loss": 1}}')
    assert (found, reports.failure, reports.metrics) == (epochs, None, {"val_loss": 1.0})


@pytest.mark.parametrize("epoch", ["9007199254740992", "9223372036854775808", "1e300", "-1", "-1e300"])
def test_epoch_beyond_the_limit_fails_the_trial(epoch: str) -> None:
    lines = f'{{"epoch": {epoch}, "val_loss": 1}}'
    epochs, by_json, _ = read_json(lines)
    by_pattern = Reports(JOB, "cpu")
    patterns = {"epoch": re.compile(r'epoch": (\S+),'), "val_loss": re.compile(r'loss": (\d)')}
    assert epochs == [] and [*Patterns(patterns, by_pattern).read(lines)] == []
    for reports in (by_json, by_pattern):
        assert reports.failure is not None and reports.failure.kind is FailureKind.ERROR
        assert "an epoch is a whole number from 0 to 9,007,199,254,740,991" in reports.failure.cause


@pytest.mark.parametrize(
    "line",
    [
        '\ufeff{"val_loss": 1} {"val_loss": 2} done',
        '{"val_loss": 1} 2',
        '\x1b[32m{"val_loss": 1},\x1b[0m',
        "{'val_loss': 1}",
        '{"val_loss": 1} done',
        '{"val_loss": 1',
        '  \x1b]0;title\x07{"val_loss": 1]',
        '{"val_loss": ' + "1" * 5000 + ", }",
        "[" * 3 + "{" * 100_000,
    ],
    ids=range(9),
)
def test_unread_line_that_looks_like_json_is_reported(line: str) -> None:
    _, reports, reader = read_json("plain words", line)
    said = reader.explanation(lambda text: text)
    looks_so = not line.startswith("[")
    assert (
        reports.metrics == {} and said.startswith("lines that looked like JSON were not read: `{") is looks_so
    )
    assert "\x1b" not in said and len(said) < 400


@pytest.mark.parametrize("between", ["", " ", "\t", "\x1b[0m"], ids=ascii)
def test_several_json_objects_on_one_line_are_read_in_order(between: str) -> None:
    objects = ('{"epoch": 1, "val_loss": 3}', '{"epoch": 2, "val_loss": 2}', '{"train_loss": 1}')
    epochs, reports, reader = read_json(between.join(objects))
    assert (epochs, reports.metrics) == ([1, 2], {"val_loss": 2.0, "train_loss": 1.0})
    assert reader.explanation(str) == ""


def test_objects_after_a_failing_one_are_ignored() -> None:
    epochs, reports, _ = read_json('{"epoch": 1, "val_loss": NaN} {"epoch": 2, "val_loss": 2}')
    assert epochs == []
    assert reports.failure is not None and reports.failure.kind is FailureKind.DIVERGED


def test_few_unread_lines_are_shown_without_secrets() -> None:
    line = "{'key': '" + "x" * 100 + "secret-secret" + "x" * 500
    _, _, reader = read_json(*[line] * 1000)
    said = reader.explanation(lambda text: text.replace("secret-secret", "***"))
    assert "and 997 more" in said and "secret" not in said and len(said) < 700


def test_pattern_that_matches_only_the_other_stream_is_reported() -> None:
    patterns = {"val_loss": re.compile(r"loss=(\S+)")}
    reader = Patterns(patterns, Reports(JOB, "cpu"), streams=(Stream.STDOUT,))
    assert [*reader.read("starting", Stream.STDERR)] == []
    assert reader.explanation(str) == ""
    assert [*reader.read("INFO loss=0.5", Stream.STDERR)] == []
    said = reader.explanation(str)
    assert "matches a line on the other stream, and only stdout is read: `INFO loss=0.5`" in said
    assert "metrics_from: both" in said


@pytest.mark.parametrize("metrics", [{}, {"val_loss": r"val_loss\W+([0-9.]+)"}])
@pytest.mark.parametrize("source", ["both", "stdout", "stderr"])
def test_metrics_are_read_from_the_chosen_streams(source: str, metrics: dict[str, str]) -> None:
    trial = CommandTrial.model_validate({"command": ["x"], "metrics": metrics, "metrics_from": source})
    reader = reader_for(trial, Reports(JOB, "cpu"), {}, Path(), is_anew=True)
    found = []
    for epoch, (value, stream) in enumerate([(0.5, Stream.STDERR), (0.25, Stream.STDOUT)], start=1):
        found += reader.read(f'{{"epoch": {epoch}, "val_loss": {value}}}', stream)
    values = {"both": [0.5, 0.25], "stdout": [0.25], "stderr": [0.5]}
    assert [event.metrics["val_loss"] for event in found] == values[source]


@pytest.mark.parametrize(("is_anew", "epochs"), [(True, [1, 2]), (False, [4, 5])])
def test_unnumbered_epochs_continue_if_the_program_kept_state(is_anew: bool, epochs: list[int]) -> None:
    job = change_job(JOB, attempt=2, recorded=((3, {"val_loss": 1.0}),), epoch_offset=0)
    reader = Patterns({"val_loss": re.compile(r"loss=(\S+)")}, Reports(job, "cpu"), is_anew)
    assert [event.epoch for n in range(2) for event in reader.read(f"loss={n}")] == epochs


def test_last_lines_of_both_streams_are_shortened() -> None:
    assert last_lines("", " \n") == ""
    said = last_lines("a\nb\n\nc\n\x1b[1md\x1b[0m\n", "e" * 10**6)
    assert said.startswith("its last lines on stdout: `b`, `c`, `d`; its last lines on stderr: `e")
    assert len(said) < 300
    assert len(short_line("x" * 10**6)) == 120


UNSEEN = [
    "\ufeff",
    "\0",
    "\x1b[1;32m",
    "\x1b]0;title\x07",
    "\x0c",
    "\u200b",
    "\x07",
    "\u00a0 ",
    "\x1b[2K\x1b[1G",
    "\u2028",
]


@pytest.mark.parametrize("mark", UNSEEN, ids=ascii)
@pytest.mark.parametrize("place", ["before", "after", "both", "within"])
def test_invisible_characters_are_not_part_of_a_line(mark: str, place: str) -> None:
    before, after = mark * (place in ("before", "both")), mark * (place in ("after", "both"))
    within = mark.strip("\u00a0") * (place == "within")
    epochs, reports, _ = read_json(f'{before}{{"epoch": 2, {within}"val_loss": 0.5}}{after}')
    assert (epochs, reports.failure, reports.metrics) == ([2], None, {"val_loss": 0.5})
    by_pattern = Reports(JOB, "cpu")
    patterns = {"epoch": re.compile(r"epoch (\S+)"), "val_loss": re.compile(r"loss: (\S+)")}
    line = f"{before}epoch 2 val_{within}loss: {mark.strip()}0.5{after}"
    events = [*Patterns(patterns, by_pattern).read(line)]
    assert [(event.epoch, event.metrics) for event in events] == [(2, {"val_loss": 0.5})]


def test_metric_name_keeps_invisible_characters() -> None:
    _, reports, _ = read_json('{"val_loss": 0.5, "a\u200bb": 1.0}')
    assert reports.metrics == {"val_loss": 0.5, "a\u200bb": 1.0}


@pytest.mark.parametrize("digits", [400, 401, 4300, 4301, 60_000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_whole_number_of_any_length_is_a_number(digits: int, sign: str) -> None:
    _, reports, _ = read_json(f'{{"epoch": 1, "val_loss": {sign}{"9" * digits}}}')
    assert reports.failure is not None and reports.failure.kind is FailureKind.DIVERGED


@pytest.mark.parametrize("text", ["1_000", "\u0661", "\uff11", "0,5", "0.5,", "1e", "--1", "", "0x10"])
def test_pattern_refuses_unusual_forms_of_numbers(text: str) -> None:
    reports = Reports(JOB, "cpu")
    assert [*Patterns({"val_loss": re.compile(r"loss: (.*)")}, reports).read(f"loss: {text}")] == []
    assert reports.failure is not None and reports.failure.cause.endswith("which is no number")


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "1e-3", "1E+3", " 2. ", "\x1b[31m0.1\x1b[0m"])
def test_pattern_reads_every_usual_form_of_a_number(text: str) -> None:
    reports = Reports(JOB, "cpu")
    assert [*Patterns({"val_loss": re.compile(r"loss: (.*)")}, reports).read(f"loss: {text}")] != []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5e-05", 5e-05),
        ("2.5E+3,", 2500.0),
        ("1.e2)", 100.0),
        ("5 e-05", 5.0),
        ("5e", 5.0),
        ("5e-05.", 5e-05),
        ("2e3ms", 2000.0),
    ],
)
def test_pattern_that_ends_before_an_exponent_reads_the_whole_number(text: str, number: float) -> None:
    (event,) = Patterns({"val_loss": re.compile(r"loss: ([0-9.]+)")}, Reports(JOB, "cpu")).read(
        f"loss: {text}"
    )
    assert event.metrics == {"val_loss": number}


def test_pattern_with_an_optional_number_that_is_absent_fails_the_trial() -> None:
    reports = Reports(JOB, "cpu")
    assert [*Patterns({"val_loss": re.compile(r"loss:(?: ([0-9.]+))?")}, reports).read("loss: none")] == []
    assert reports.failure is not None and reports.failure.cause.endswith("which is no number")


def steps_job(metrics: dict[str, str]) -> Job:
    return replace(
        JOB, task=replace(JOB.task, config={"command": ["x"], "metrics": metrics, "every": "step"})
    )


def test_several_patterns_match_in_one_line_each_at_its_first_place() -> None:
    patterns = {"epoch": r"epoch (\d+)", "val_loss": r"loss ([0-9.]+)", "acc": r"acc ([0-9.]+)"}
    reader = Patterns({name: re.compile(text) for name, text in patterns.items()}, Reports(JOB, "cpu"))
    (event,) = reader.read("epoch 3 loss 0.1 acc 0.9 (best loss 0.05 acc 0.95)")
    assert (event.epoch, event.metrics) == (3, {"val_loss": 0.1, "acc": 0.9})


def test_a_trial_by_steps_takes_its_number_from_the_pattern_named_step() -> None:
    metrics = {"step": r"step=(\d+)", "val_loss": r"loss=(\S+)"}
    reader = Patterns(
        {name: re.compile(text) for name, text in metrics.items()}, Reports(steps_job(metrics), "cpu")
    )
    events = [event for line in ("step=20 loss=3", "step=41 loss=2") for event in reader.read(line)]
    assert [(event.epoch, event.metrics) for event in events] == [
        (20, {"val_loss": 3.0}),
        (41, {"val_loss": 2.0}),
    ]


def test_steps_of_an_epoch_are_one_report_when_the_epoch_changes() -> None:
    metrics = {"epoch": r"\[(\d+)/", "val_loss": r"loss=(\S+)"}
    reports = Reports(steps_job(metrics), "cpu")
    reader = Patterns({name: re.compile(text) for name, text in metrics.items()}, reports)
    lines = ["[0/25][0/9] loss=3", "[0/25][5/9] loss=2.5", "[1/25][0/9] loss=2", "[1/25][5/9] loss=1"]
    events = [event for line in lines for event in reader.read(line)]
    assert [(event.epoch, event.metrics) for event in events] == [(1, {"val_loss": 2.5})]
    assert [(event.epoch, event.metrics) for event in reader.close()] == [(2, {"val_loss": 1.0})]
    assert reports.ended().outcome.epochs == 2


def test_an_epoch_on_a_line_above_its_steps_is_theirs() -> None:
    metrics = {"epoch": r"Epoch (\d+)", "val_loss": r"loss=(\S+)"}
    reader = Patterns(
        {name: re.compile(text) for name, text in metrics.items()}, Reports(steps_job(metrics), "cpu")
    )
    lines = ["Epoch 1", "loss=3", "loss=2", "Epoch 2", "loss=1"]
    events = [event for line in lines for event in reader.read(line)]
    assert [(event.epoch, event.metrics) for event in (*events, *reader.close())] == [
        (1, {"val_loss": 2.0}), (2, {"val_loss": 1.0}),
    ]  # fmt: skip


def test_json_lines_of_a_trial_by_steps_are_numbered_by_step() -> None:
    reader = JsonLines(Reports(steps_job({}), "cpu"))
    (event,) = reader.read('{"epoch": 1, "step": 300, "val_loss": 0.5}')
    assert (event.epoch, event.metrics) == (300, {"epoch": 1.0, "val_loss": 0.5})
