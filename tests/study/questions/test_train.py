"""One concrete file is trained, or refused before it begins."""

import pytest

from tunecli.errors import UsageError
from tunecli.study.questions.check import load_checked
from tunecli.study.questions.train import train


def test_train_refuses_a_device_that_is_not_here_before_it_begins(study_file):
    concrete = ("optimizer={name: sgd}", "training.batch_size=16", "run.device=cuda:99")
    with pytest.raises(UsageError, match="no device `cuda:99`"):
        train(load_checked(study_file(), concrete), None)
