"""A trial of any kind runs with the code that its study began with, or ends as failed."""

from __future__ import annotations

import hashlib

from tests.support.jobs import change_job, make_job
from tunecli.messages import Ended
from tunecli.objective import Objective
from tunecli.train.trials import run
from tunecli.trial import FailureKind

MINE = "def train(params, trial): return 1.0\n"


def test_a_process_that_would_read_changed_code_fails_the_trial(tmp_path):
    path = tmp_path / "mine_then.py"
    path.write_text(MINE)
    code = {"mine_then.py": hashlib.sha256(MINE.encode()).hexdigest()}
    config = {"python": "mine_then:train"}
    job = make_job(
        0, config, Objective("loss", False), 1, 2, device="cpu", base_path=str(tmp_path), code=code
    )
    path.write_text(MINE.replace("1.0", "2.0"))
    (ended,) = run(job)
    assert isinstance(ended, Ended) and ended.outcome.failure is not None
    assert ended.outcome.failure.kind is FailureKind.ERROR
    assert ended.outcome.failure.cause == "your own code has changed since the study began: mine_then.py"
    path.write_text(MINE)
    *_, ended = run(job)
    assert isinstance(ended, Ended) and ended.outcome.score == 1.0
    (found,) = run(change_job(job, code={**code, "late.py": "0" * 64}))
    assert isinstance(found, Ended) and found.outcome.failure is not None
    assert found.outcome.failure.cause.endswith(": late.py")
    path.unlink()
    (gone,) = run(job)
    assert isinstance(gone, Ended) and gone.outcome.failure is not None, "each trial reads its code anew"
    assert gone.outcome.failure.cause.endswith(": mine_then.py")
