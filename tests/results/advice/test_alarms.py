"""The rules name planted problems and stay silent without one, on a few studies of the benchmark of the advice."""

import pytest

from tests.benchmarks.advice import (
    CLEAN,
    JUDGED,
    PLANTED,
    called_dead,
    clean_reports,
    found_in_curves,
    is_named,
    planted_reports,
)
from tunecli.results.advice import every_finding


@pytest.mark.parametrize("kind", CLEAN)
def test_converged_curves_raise_almost_no_alarm(kind):
    assert found_in_curves(kind, 20, 0.01, 40, seed=5).total() <= 2


@pytest.mark.parametrize("kind", ["undertrained", "overfit", "unstable"])
def test_each_shape_of_curves_is_named_in_nine_of_ten_studies(kind):
    found = found_in_curves(kind, 20, 0.01, 40, seed=5)
    assert found[kind] >= 36
    assert found.total() - found[kind] <= 2


@pytest.mark.slow
def test_clean_studies_raise_no_alarm():
    for world, report in clean_reports(4, first_seed=2000):
        assert not [each.rule for each in every_finding(report) if each.rule in JUDGED]
        assert called_dead(world, report)[1] == 0


@pytest.mark.slow
@pytest.mark.parametrize("rule", PLANTED)
def test_planted_problems_are_named(rule):
    named = [is_named(rule, world, report) for world, report in planted_reports(rule, 2, first_seed=2000)]
    assert any(named)
