"""The board behind the live table: how far a sweep is."""

import io

from rich.console import Console

from tunecli.console.live import Board, PlainDisplay, drawing
from tunecli.trial import Constraint, Ended, EpochEnded, Heading, Objective, Outcome, Paused, State, Trial


def test_a_trial_that_does_not_say_how_many_epochs_it_has_counts_when_it_ends():
    board = Board(Heading("own", Objective("loss", False), 3, 1), {})
    for number, total_epochs in enumerate((4, 0)):
        board.suggested(Trial(number, {}, 0))
        board.happened(EpochEnded(number, 1, 1, total_epochs, {"loss": 1.0}, 0.1))
    assert board.done == 0.25


def test_a_trial_that_paused_is_told_so_and_counts_again_once_it_is_continued():
    shown = io.StringIO()
    display = PlainDisplay(Console(file=shown, width=200))
    display.began(Heading("own", Objective("loss", False), 3, 1), [])
    trial = Trial(0, {}, 0)
    display.suggested(trial)
    display.happened(Paused(0, 1, Outcome(State.PRUNED, 0.5, {"loss": 0.5}, 2, 2)))
    display.suggested(trial)
    display.happened(Ended(0, 2, Outcome(State.COMPLETE, 0.25, {"loss": 0.25}, 6, 6)))
    _, paused, ended = shown.getvalue().splitlines()
    assert paused.startswith("[1/3] trial 0  loss 0.5000  paused after epoch 2")
    assert ended.startswith("[1/3] trial 0  loss 0.2500  best 0.2500 (trial 0)")


def test_several_goals_and_what_is_broken_are_told_line_by_line_and_in_the_live_table():
    goals = Objective(
        "accuracy",
        True,
        others=(Objective("n_parameters", False),),
        constraints=(Constraint("n_parameters", 100.0),),
    )
    shown = io.StringIO()
    display = PlainDisplay(Console(file=shown, width=200))
    display.began(Heading("own", goals, 4, 1), [])
    for number, (accuracy, size) in enumerate([(0.9, 200), (0.5, 50), (0.75, 80), (0.4, 90)]):
        display.suggested(Trial(number, {"a": number}, 0))
        metrics = {"accuracy": accuracy, "n_parameters": float(size)}
        display.happened(Ended(number, 1, Outcome(State.COMPLETE, accuracy, metrics, 1, 1)))
    _, first, second, third, _ = shown.getvalue().splitlines()
    assert "accuracy 0.9000  n_parameters 200  breaks n_parameters <= 100" in first
    assert "best 0.9000 (trial 0, not feasible)" in first
    assert "best 0.5000 (trial 1)" in second
    assert "2 on the front" in third
    paper = Console(file=io.StringIO(), width=120)
    paper.print(drawing(display._board, 120))
    lines = [line.split()[:6] for line in paper.file.getvalue().splitlines()]
    assert ["rank", "trial", "front", "feasible", "accuracy", "n_parameters"] in lines
    assert ["3", "3", "2", "yes", "0.4000", "90"] in lines
    assert ["4", "0", "—", "no", "0.9000", "200"] in lines
