"""The intervals and sets cover what they promise, in simulated studies whose truth is known."""

import math

import pytest

from tests.benchmarks.confidence import WORLDS, coverage, split_coverage

N_STUDIES = 4000
CHANCE = 300 * math.sqrt(0.05 * 0.95 / N_STUDIES)  # three standard errors of a share of 95 %, in percent


@pytest.mark.parametrize("n_repeats", [3, 5])
@pytest.mark.parametrize("n_candidates", [2, 5, 10])
@pytest.mark.parametrize("noise", ["ties", "unequal", "stepped"])
def test_of_equal_candidates_the_set_holds_each_and_the_bars_hold_their_means(noise, n_candidates, n_repeats):
    cell = coverage(WORLDS[noise], n_candidates, n_repeats, N_STUDIES, seed=11)
    assert 93 <= cell.best <= 98
    assert cell.worst >= 93 - CHANCE
    assert 93 <= cell.bars <= 97.5
    assert 93 <= cell.quote <= 97


@pytest.mark.parametrize("noise", ["coarse", "near", "apart", "skewed", "t4"])
def test_the_set_holds_the_best_candidate_in_every_noise(noise):
    for n_candidates in (2, 10):
        cell = coverage(WORLDS[noise], n_candidates, 3, N_STUDIES, seed=12)
        assert cell.best >= 93
        assert 93 <= cell.bars <= 97.5


def test_the_quote_of_a_chosen_trial_is_as_good_as_that_of_one_that_no_score_chose():
    for noise in ("ties", "near", "t4"):
        cell = coverage(WORLDS[noise], 5, 5, 4 * N_STUDIES, seed=13)
        assert cell.quote == pytest.approx(cell.unselected, abs=1)
        assert 93 <= cell.quote <= 97


def test_the_quote_covers_ninety_percent_where_rare_seeds_end_far_below():
    for n_repeats in (3, 5):
        assert coverage(WORLDS["skewed"], 5, n_repeats, N_STUDIES, seed=14).quote >= 90


def test_a_further_training_ends_inside_its_interval():
    for noise in ("ties", "unequal"):
        assert coverage(WORLDS[noise], 5, 5, N_STUDIES, seed=15).more == pytest.approx(95, abs=CHANCE)


def test_candidates_two_deviations_apart_leave_the_set_at_five_repeats():
    assert coverage(WORLDS["apart"], 5, 5, N_STUDIES, seed=16).kept < 1.5


def test_the_set_holds_the_best_candidate_where_splits_overlap():
    assert split_coverage(5, 5, 400, seed=17) >= 93
