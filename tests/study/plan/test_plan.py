"""What a study settles when it begins."""

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
def test_the_lookahead_is_so_that_no_worker_waits_for_a_suggestion(study_file, overrides, lookahead):
    spec = load_checked(study_file(), ("search.lookahead=auto", "run.engine=local", *overrides))
    assert plan_for(spec).lookahead == lookahead
