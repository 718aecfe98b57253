"""NaN in the outputs of one model changes no metric of another, in any row."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.fused.trials import job_of
from tunecli.train.checkpoint import LoadedCheckpoint
from tunecli.train.fused.member import Member
from tunecli.train.fused.stack import padded_block
from tunecli.train.fused.trainer import FusedTrainer, FusedValidator


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_nan_outputs_of_one_model_leave_the_metrics_of_all_others(data: st.DataObject) -> None:
    members = [Member(job_of(number), torch.device("cpu"), LoadedCheckpoint()) for number in range(3)]
    together = FusedTrainer(members)
    sound = FusedValidator(members[0]).validate(members, together)
    place = data.draw(st.integers(0, 2))
    n_examples = len(members[0].fold.y_valid)
    rows = data.draw(st.lists(st.integers(0, n_examples - 1), min_size=1, max_size=n_examples, unique=True))
    columns = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True))

    class Broken(FusedValidator):
        def _outputs(self, members, together, shape, like):  # type: ignore[no-untyped-def]
            found = super()._outputs(members, together, shape, like)
            copied = padded_block(shape, like)
            copied.view.copy_(found.view)
            for column in columns:
                copied.view[place, column, rows] = math.nan
            return copied

    broken = Broken(members[0]).validate(members, together)
    for number in range(3):
        if number != place:
            assert broken[number] == sound[number]
    assert broken[place].keys() == {"val_loss"} and math.isnan(broken[place]["val_loss"])
