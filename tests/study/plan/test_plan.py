"""The plan of a new study."""

import pytest

from tunecli.commands.check import load_checked
from tunecli.study.plan.plan import plan_for


@pytest.mark.parametrize(
    ("overrides", "lookahead"),
    [
        (("search.sampler=bayes", "run.workers=1"), 1),
        (("search.sampler=bayes", "run.workers=2"), 3),
        (("search.sampler=random", "run.workers=2", "search.pruner=median"), 3),
        (("search.sampler=random", "run.workers=2", "run.fuse=off"), 16),
        (("search.sampler=random", "run.workers=2", "run.fuse=4"), 8),
    ],
)
def test_the_automatic_lookahead_keeps_every_worker_busy(study_file, overrides, lookahead):
    spec = load_checked(study_file(), ("search.lookahead=auto", "run.engine=local", *overrides))
    assert plan_for(spec).lookahead == lookahead
