"""The digits demo, confirmed: its best search score is optimistic, and the quoted range holds further trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.sweeps import run_whole
from tunecli.commands.confirm import confirm
from tunecli.commands.confirm_view import confirm_view
from tunecli.results.confirmed import Interval
from tunecli.seeding import seed_for
from tunecli.store.folder import RunFolder
from tunecli.study.confirming import open_to_confirm
from tunecli.study.record.candidates import Request
from tunecli.study.runner.fresh_queue import FreshQueue, train
from tunecli.study.runner.job_queue import engine_of
from tunecli.trial import FreshRun, Stage

DIGITS = Path(__file__).parents[2] / "configs" / "digits.yaml"
N_FURTHER = 20


def further_scores(folder: RunFolder, number: int, n: int = N_FURTHER) -> list[float]:
    """The scores of ``n`` trainings of a trial with seeds that no confirmation has used."""
    with open_to_confirm(folder) as study:
        trial = study.log.trial(number)
        runs = [
            FreshRun(1, number, 1000 + j, Stage.RACE, seed_for(trial.seed, "further", j)) for j in range(n)
        ]
        study.log.append_fresh_runs(runs)
        engine = engine_of(study)
        ended: list[FreshRun] = []
        train(FreshQueue(study, engine, runs, {number: trial}), engine, [], ended.append)
        engine.close()
    return [run.outcome.score for run in ended if run.outcome and run.outcome.score is not None]


@pytest.mark.slow
def test_the_best_search_score_of_digits_is_optimistic_and_the_quoted_range_holds(tmp_path):
    run_whole(DIGITS, tmp_path / "digits")
    folder = RunFolder(tmp_path / "digits")
    confirmation = confirm(folder, Request(n_top=3, n_repeats=5))
    value, lines = confirmation.value, dict(confirm_view(confirmation).lines)
    assert "optimistic" in lines["best score"]
    assert len(value.in_set) > 1 and "cannot be distinguished" in lines["set"]
    assert value.quote is not None and isinstance(value.quote.one_more, Interval)
    best = max(candidate.search_score or 0.0 for candidate in value.candidates)
    assert value.quote.score is not None and value.quote.score.mean < best
    scores = further_scores(folder, value.quote.number)
    n_inside = sum(value.quote.one_more.low <= score <= value.quote.one_more.high for score in scores)
    assert len(scores) == N_FURTHER and n_inside >= 17
