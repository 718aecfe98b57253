"""`train`: one concrete file is trained, or refused before it begins."""

import pytest

from tunecli.commands.check import load_checked
from tunecli.commands.train import Trained, train, train_view
from tunecli.errors import UsageError
from tunecli.trial import Outcome, State


def test_train_refuses_a_missing_device_before_it_begins(study_file):
    concrete = ("optimizer={name: sgd}", "training.batch_size=16", "run.device=cuda:99")
    with pytest.raises(UsageError, match="no device `cuda:99`"):
        train(load_checked(study_file(), concrete), None)


@pytest.mark.parametrize(("kept", "said"), [(0, "3"), (3, "3"), (1, "3 (epoch 1 kept)")])
def test_a_kept_epoch_before_the_last_is_shown(kept, said):
    outcome = Outcome(State.COMPLETE, 0.5, {"val_loss": 0.5}, epochs=3, kept_epoch=kept)
    assert dict(train_view(Trained("study", "val_loss", 0, outcome)).lines)["epochs"] == said
