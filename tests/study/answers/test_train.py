"""One training run, as it is told."""

import pytest

from tunecli.study.answers.train import of_training
from tunecli.study.questions.train import Trained
from tunecli.trial import Outcome, State


@pytest.mark.parametrize(("kept", "said"), [(0, "3"), (3, "3"), (1, "3, of which epoch 1 is kept")])
def test_the_epoch_that_is_kept_is_said_where_it_is_not_the_last(kept, said):
    outcome = Outcome(State.COMPLETE, 0.5, {"val_loss": 0.5}, epochs=3, kept_epoch=kept)
    assert dict(of_training(Trained("study", "val_loss", 0, outcome)).lines)["epochs"] == said
