"""The state behind the live table: the progress of a sweep."""

import io
import json
import sys

import pytest
from rich.console import Console

from tunecli.console import Console as TunecliConsole
from tunecli.console.board import Board
from tunecli.console.drawing import drawing
from tunecli.console.live import PlainDisplay, SparseDisplay, display_for
from tunecli.messages import Ended, EpochEnded, Origins, Paused, Started, SweepInfo
from tunecli.objective import Constraint, Objective
from tunecli.text import sanitize
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial


def test_a_trial_without_a_number_of_epochs_counts_when_it_ends():
    board = Board(SweepInfo("own", Objective("loss", False), 3, 1), {})
    for number, total_epochs in enumerate((4, 0)):
        board.suggested(Trial(number, {}, 0))
        board.happened(EpochEnded(number, 1, 1, total_epochs, {"loss": 1.0}, 0.1))
    assert board.done == 0.25


def test_a_paused_trial_is_shown_as_paused_and_counts_as_running_when_continued():
    shown: list[str] = []
    display = PlainDisplay(shown.append)
    display.began(SweepInfo("own", Objective("loss", False), 3, 1), [])
    trial = Trial(0, {}, 0)
    display.suggested(trial)
    display.happened(Paused(0, 1, Outcome(State.PAUSED, 0.5, {"loss": 0.5}, 2, 2)))
    display.suggested(trial)
    display.happened(Ended(0, 2, Outcome(State.COMPLETE, 0.25, {"loss": 0.25}, 6, 6)))
    _, paused, ended = shown
    assert paused.startswith("[1/3] trial 0  loss 0.5000  paused after epoch 2")
    assert ended.startswith("[1/3] trial 0  loss 0.2500  best 0.2500 (trial 0)")


def test_objectives_and_violated_constraints_are_shown_in_lines_and_in_the_live_table():
    goals = Objective(
        "accuracy",
        True,
        further_objectives=(Objective("n_parameters", False),),
        constraints=(Constraint("n_parameters", 100.0),),
    )
    shown: list[str] = []
    display = PlainDisplay(shown.append)
    display.began(SweepInfo("own", goals, 4, 1), [])
    for number, (accuracy, size) in enumerate([(0.9, 200), (0.5, 50), (0.75, 80), (0.4, 90)]):
        display.suggested(Trial(number, {"a": number}, 0))
        metrics = {"accuracy": accuracy, "n_parameters": float(size)}
        display.happened(Ended(number, 1, Outcome(State.COMPLETE, accuracy, metrics, 1, 1)))
    _, first, second, third, _ = shown
    assert "accuracy 0.9000  n_parameters 200  breaks n_parameters <= 100" in first
    assert "best 0.9000 (trial 0, not feasible)" in first
    assert "best 0.5000 (trial 1)" in second
    assert "2 on the front" in third
    paper = Console(file=io.StringIO(), width=120)
    paper.print(drawing(display.board, 120))
    lines = [line.split()[:6] for line in paper.file.getvalue().splitlines()]
    assert ["rank", "trial", "front", "feasible", "accuracy", "n_parameters"] in lines
    assert ["3", "3", "2", "yes", "0.4000", "90"] in lines
    assert ["4", "0", "—", "no", "0.9000", "200"] in lines


def a_board(n_parameters: int, n_running: int) -> Board:
    names = tuple(f"model.layer_{place}.a_rate" for place in range(n_parameters))
    board = Board(SweepInfo("a_study_of_a_long_name", Objective("val_loss", False), 40, n_running, names), {})
    for number in range(12 + n_running):
        board.suggested(Trial(number, {name: 0.1 * number + place for place, name in enumerate(names)}, 0))
        board.happened(EpochEnded(number, 1, 1, 4, {"val_loss": 1e9 if number == 13 else 0.5}, 0.1))
        if number < 12:
            outcome = Outcome(State.COMPLETE, 1.0 / (number + 1), {}, 4, 4)
            board.happened(Ended(number, 1, outcome))
    return board


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("n_parameters", [0, 1, 40])
@pytest.mark.parametrize("n_running", [1, 3, 64])
def test_the_live_view_fits_every_width_and_shows_the_metric_of_running_trials(
    width, n_parameters, n_running
):
    paper = Console(file=io.StringIO(), width=width)
    paper.print(drawing(a_board(n_parameters, n_running), width))
    lines = paper.file.getvalue().splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    assert len(lines) <= 24
    assert "elapsed" in " ".join(lines[:3])
    headings = [line.split() for line in lines if line.split()[:2] in (["rank", "trial"], ["now", "trial"])]
    assert [heading[:4] for heading in headings] == [
        ["rank", "trial", "val_loss", *heading[3:4]] for heading in headings[:1]
    ] + [["now", "trial", "epoch", "val_loss"]]
    running = [line.split() for line in lines if line.startswith("▸")]
    assert running[0][1:4] == ["12", "1/4", "0.5000"]
    if n_running > 1:
        assert running[1][1:4] == ["13", "1/4", "1e+09"], "that it diverges is seen before it ends"
    n_more = n_running - len(running)
    assert len(running) >= min(n_running, 7)
    assert (lines[-1].split() == [f"+{n_more}", "more"]) == (n_more > 0)


def text_of(board, width, height=24):
    paper = Console(file=io.StringIO(), width=width)
    paper.print(drawing(board, width, height))
    return paper.file.getvalue()


def a_board_of_options(n_running=2):
    names, scales = ("opt.lr", "opt.name"), {"opt.lr": (0.001, 1.0, True)}
    heading = SweepInfo("own", Objective("loss", False), 9, 2, names, {}, scales, Origins(draws="random"))
    board = Board(heading, {})
    for number in range(3 + n_running):
        point = {"opt.lr": 0.5, "opt.name": "sgd"} if number == 3 else {"opt.lr": 0.01, "opt.name": "adam"}
        board.suggested(Trial(number, point, 0))
        board.happened(Started(number, 1, "cpu", 1))
        if number < 3:
            state = State.FAILED if number == 1 else State.COMPLETE
            failure = Failure(FailureKind.OOM, "no memory") if number == 1 else None
            score = None if number == 1 else 1.0 / (number + 1)
            board.happened(Ended(number, 1, Outcome(state, score, {}, 4, 4, failure=failure)))
    for epoch in (1, 2, 3):
        board.happened(EpochEnded(3, 1, epoch, 4, {"loss": 1.0 / epoch}, 0.1))
    return board


@pytest.mark.parametrize("width", [80, 160])
def test_each_running_trial_has_its_curve_its_origin_and_what_is_special_about_it(width):
    text = text_of(a_board_of_options(), width)
    assert "1 failed (1 oom)" in text
    assert "best loss 0.3333 (trial 2)  ██▁" in text
    lines = text.splitlines()
    [row] = [place for place, line in enumerate(lines) if line.startswith("▸        3")]
    assert lines[row].split()[2:5] == ["3/4", "0.3333", "█▃▁"]
    assert "random" in lines[row]
    special = lines[row + (width == 80)]
    assert "lr 0.5 (best 0.01)" in special
    assert "name sgd (only here, none of the best)" in special
    assert "near the best trials" in lines[row + 1 + (width == 80) * 2]
    assert lines[row + 1 + (width == 80)].split()[2:4] == ["starting", "—"]


def test_a_long_list_of_running_trials_fits_the_height_of_the_terminal():
    for height in (12, 24, 40):
        lines = text_of(a_board_of_options(50), 100, height).splitlines()
        assert len(lines) <= max(height, 15)
        n = sum(line.startswith("▸") for line in lines)
        assert lines[-1].split() == [f"+{50 - n}", "more"]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_live_view_is_drawn_in_ascii(monkeypatch, width):
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    text = text_of(a_board_of_options(), width).replace("━", "-").replace("╸", "-").replace("╺", "-")
    assert text.isascii()
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    assert "best loss 0.3333" in text


def test_the_first_line_counts_the_trials_and_those_on_record():
    done = [Trial(n, {}, 0, State.COMPLETE, Outcome(State.COMPLETE, 1.0)) for n in range(2)]
    shown: list[str] = []
    PlainDisplay(shown.append).began(SweepInfo("own", Objective("loss", False), 2, 1), done)
    PlainDisplay(shown.append).began(SweepInfo("own", Objective("loss", False), 3, 2), done)
    PlainDisplay(shown.append).began(SweepInfo("own", Objective("loss", False), 1, 1), [])
    assert shown == [
        "own: nothing to do: all 2 trials are recorded",
        "own: 3 trials, 2 of them recorded, 2 at a time",
        "own: 1 trial, one at a time",
    ]


def test_the_sparse_display_shows_each_tenth_trial_each_best_one_and_each_failure():
    shown: list[str] = []
    display = SparseDisplay(shown.append)
    display.began(SweepInfo("own", Objective("loss", False), 100, 1), [])
    for number in range(100):
        loss = {0: 0.9, 33: 0.1}.get(number, 0.95 + number / 1000)
        outcome = Outcome(State.COMPLETE, loss, {"loss": loss}, 1, 1)
        if number == 66:
            outcome = Outcome(State.FAILED, failure=Failure(FailureKind.ERROR, "no"))
        display.suggested(Trial(number, {"a": number}, 0))
        display.happened(Started(number, 1, "cpu", 0))
        display.happened(Ended(number, 1, outcome))
    display.ended()
    numbers = [int(line.split("trial ")[1].split()[0]) for line in shown[1:]]
    assert shown[0] == "own: 100 trials, one at a time"
    assert numbers == [0, 10, 20, 30, 33, 40, 50, 60, 66, 70, 80, 90, 99]
    assert "failed (error: no)" in shown[9]


def test_a_notice_has_a_line_when_it_appears_and_again_only_after_it_was_absent():
    shown: list[str] = []
    display = PlainDisplay(shown.append)
    display.began(SweepInfo("own", Objective("loss", False), 3, 1), [])
    for notices in (
        ["2 nodes wanted"],
        ["2 nodes wanted", "no\x1b[2J GPU"],
        ["no\x1b[2J GPU"],
        ["2 nodes wanted"],
        [],
    ):
        display.noticed(notices)
    assert shown[1:] == [
        "waiting: 2 nodes wanted",
        f"waiting: {sanitize('no' + chr(27) + '[2J GPU')}",
        "waiting: 2 nodes wanted",
    ]


def test_the_live_table_shows_the_first_notices_while_they_last():
    board = Board(SweepInfo("own", Objective("loss", False), 3, 1), {})
    board.notices = tuple(f"reason {number} {'x' * 200}" for number in range(5))
    paper = Console(file=io.StringIO(), width=80)
    paper.print(drawing(board, 80))
    lines = paper.file.getvalue().splitlines()
    assert [line[:17] for line in lines if "reason" in line] == [
        "waiting: reason 0",
        "waiting: reason 1",
        "waiting: reason 2",
        "and for 2 more re",
    ]
    assert all(len(line) <= 80 for line in lines)


def test_with_json_each_change_of_the_notices_is_a_document_of_one_line(capsys):
    display = display_for(TunecliConsole(is_json=True))
    display.began(SweepInfo("own", Objective("loss", False), 3, 1), [])
    for notices in (["2 nodes wanted"], []):
        display.noticed(notices)
    lines = capsys.readouterr().err.splitlines()[1:]
    assert [(json.loads(line)["kind"], json.loads(line)["waits_for"]) for line in lines] == [
        ("notices", ["2 nodes wanted"]),
        ("notices", []),
    ]
