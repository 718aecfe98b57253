"""What a study's sampler suggests, and which trials it suggested without results under each total."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent
from tunecli.commands.check import load_checked
from tunecli.commands.report_record import study_facts
from tunecli.store.folder import RunFolder
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.record.suggestions import TOTALS, initial_trials, suggested_point, with_total
from tunecli.study.record.sweep_info import sweep_info
from tunecli.study.sweep import sweep

StudyFile = Callable[..., Path]


@pytest.mark.parametrize(
    ("raises", "expected"),
    [
        ([], [0, 1, 2, 3, 4]),
        ([(6, 6)], [0, 1, 2]),
        ([(6, 4)], [0, 1, 2, 4]),
        ([(6, 4), (8, 4)], [0, 1, 2, 4]),
        ([(6, 2), (8, 4)], [0, 1, 2, 3, 4]),
    ],
)
def test_initial_trials_are_those_of_the_total_under_which_each_was_suggested(
    study_file: StudyFile, raises: list[tuple[int, int]], expected: list[int]
) -> None:
    """Each raise is the total before it and the number of suggested trials; the last total is 20."""
    spec = load_checked(study_file(random="bayes"), ())
    facts = {TOTALS: list[dict[str, int]]()}
    afters = [*(before for before, _ in raises[1:]), 20]
    for (before, n_suggested), after in zip(raises, afters, strict=False):
        facts[TOTALS] = with_total(facts, before, after, n_suggested)
    assert initial_trials(spec, facts, 20) == expected


def test_a_report_counts_the_trials_that_were_suggested_without_results(
    study_file: StudyFile, tmp_path: Path
) -> None:
    spec = load_checked(study_file(random="bayes"), ("search.trials=6", "run.engine=local", "run.workers=1"))
    with begin(spec, tmp_path / "run") as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(1)))
    folder = RunFolder(tmp_path / "run")
    with reopen(folder, {"n_trials": 20}) as study:
        assert sweep_info(study).origins.initial == {0, 1, 2}
    with open_to_read(folder) as study:
        facts = study_facts(study, study.log.trials(), None)
    assert (facts.n_planned, facts.n_initial, facts.model_from) == (20, 3, 3)


def test_a_study_whose_total_never_changed_has_no_fact_of_it(study_file: StudyFile, tmp_path: Path) -> None:
    with begin(load_checked(study_file(), ()), tmp_path / "run"):
        pass
    with reopen(RunFolder(tmp_path / "run"), {}) as study:
        assert TOTALS not in study.log.facts()
        assert initial_trials(study.spec, facts_of(study.log), 6) == list(range(6))


def test_a_suggestion_of_a_study_has_its_sampler_seed_and_settings(study_file: StudyFile) -> None:
    spec = load_checked(study_file(random="{name: bayes, surrogate: gp, acquisition: ei}"), ())
    other = load_checked(study_file(random="quasirandom"), ("seed=9",))
    assert suggested_point(spec, [], 1, 6) == suggested_point(spec, [], 1, 6)
    assert suggested_point(other, [], 1, 6) != suggested_point(spec, [], 1, 6)
