"""The board behind the live table: how far a sweep is."""

import io

from rich.console import Console

from tunecli.console.live import Board, PlainDisplay
from tunecli.trial import Ended, EpochEnded, Heading, Objective, Outcome, Paused, State, Trial


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
