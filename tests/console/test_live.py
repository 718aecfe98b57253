"""The board behind the live table: how far a sweep is."""

from tunecli.console.live import Board
from tunecli.trial import EpochEnded, Heading, Objective, Trial


def test_a_trial_that_does_not_say_how_many_epochs_it_has_counts_when_it_ends():
    board = Board(Heading("own", Objective("loss", False), 3, 1), {})
    for number, total_epochs in enumerate((4, 0)):
        board.suggested(Trial(number, {}, 0))
        board.happened(EpochEnded(number, 1, 1, total_epochs, {"loss": 1.0}, 0.1))
    assert board.done == 0.25
