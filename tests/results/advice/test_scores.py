"""Rules on the scores, each with a study that triggers it and its nearest neighbour."""

import math
import statistics
from dataclasses import replace

import pytest
from scipy import stats

from tests.support.reports import (
    ACCURACY,
    LOSS,
    make_confirmed,
    make_curve,
    make_effects,
    make_report,
    make_trial,
    report_of,
)
from tunecli.objective import Objective
from tunecli.results.advice.basis import noise_of
from tunecli.results.advice.scores import (
    coarse_scores,
    constant_score,
    few_validation_examples,
    inside_the_noise,
    not_better_than_baseline,
    not_better_than_first,
    optimistic_best,
    seed_ignored,
)
from tunecli.results.baseline import Baseline, BaselineScore
from tunecli.results.confirmed import Interval
from tunecli.results.report import Severity

NEAR = [0.100, 0.101, 0.102, 0.103, 0.104, 0.3, 0.4, 0.5]
SURE = make_effects(noise=0.0015)


def test_best_trials_within_the_noise_of_the_model_are_named():
    report = make_report(NEAR, effects=make_effects(noise=0.0021))
    [finding] = inside_the_noise(report)
    assert finding.severity is Severity.MISLEADING
    assert (
        "Their scores differ by 0.004. The noise of one score is 0.0021 (from the model of the scores)"
        in finding.evidence
    )
    assert finding.command == "tunecli confirm runs/demo"
    assert not inside_the_noise(replace(report, effects=make_effects(noise=0.0019)))


def test_a_model_that_explains_little_knows_no_noise():
    assert not inside_the_noise(make_report(NEAR, effects=make_effects(noise=0.1, r2=0.4)))


def test_a_coarse_step_and_a_jumping_curve_are_noise_too():
    assert "the least step" in inside_the_noise(make_report(NEAR, step=0.0021))[0].evidence
    jumping = make_curve([0.1 + 0.01 * (-1) ** epoch for epoch in range(20)])
    report = make_report(NEAR, curves=dict.fromkeys(range(5), jumping))
    assert "from the last epochs of the best trials" in inside_the_noise(report)[0].evidence
    assert not inside_the_noise(make_report(NEAR))


def of_repeats(deviation, n_repeats=4):
    trials = [
        make_trial(number, score, metrics={"val_loss_std": deviation}) for number, score in enumerate(NEAR)
    ]
    return report_of(trials, n_repeats=n_repeats, effects=make_effects(noise=1.0))


def test_repeats_tell_the_noise_of_their_mean():
    assert "from the repeats of each trial" in inside_the_noise(of_repeats(0.0036))[0].evidence
    assert not inside_the_noise(of_repeats(0.0034))


@pytest.mark.parametrize("values", [[0.1, 0.3], [0.1, 0.3, 0.35, 0.2]])
def test_the_noise_of_a_mean_of_repeats_is_its_unbiased_standard_error(values):
    noise = noise_of(of_repeats(statistics.pstdev(values), len(values)))
    assert noise.deviation == pytest.approx(stats.sem(values))


def test_several_goals_have_no_single_order():
    goals = Objective("val_loss", False, further_objectives=(Objective("size", False),))
    trials = [make_trial(n, score, metrics={"size": 1.0}) for n, score in enumerate(NEAR)]
    assert not inside_the_noise(report_of(trials, (), goals, step=1.0))


def test_a_confirmation_with_several_in_its_set_names_the_cheapest():
    fresh = {number: Interval(0.10, 0.09, 0.11) for number in (4, 2, 0)}
    confirmed = make_confirmed(fresh, in_set=(4, 2))
    confirmed = replace(
        confirmed,
        candidates=tuple(replace(each, seconds=1.0 + each.number) for each in confirmed.candidates),
    )
    [finding] = inside_the_noise(make_report(NEAR, confirmed=confirmed, step=1.0))
    assert finding.claim == "Trials 4 and 2 cannot be distinguished."
    assert "Trial 2 trains fastest" in finding.evidence
    assert finding.command == "tunecli export runs/demo --trial 2 -o best.yaml"
    alone = make_confirmed(fresh, in_set=(4,))
    assert not inside_the_noise(make_report(NEAR, confirmed=alone, step=1.0))


@pytest.mark.parametrize(("objective", "sign"), [(LOSS, 1), (ACCURACY, -1)])
def test_a_best_score_beyond_its_fresh_interval_is_optimistic(objective, sign):
    def report(searched):
        scores = [sign * (0.5 + number / 100) for number in range(6)]
        low, high = sorted((sign * 0.52, sign * 0.56))
        confirmed = make_confirmed({0: Interval(sign * 0.54, low, high)}, (0,), {0: sign * searched})
        return make_report(scores, objective=objective, confirmed=confirmed)

    [finding] = optimistic_best(report(0.5))
    assert finding.claim == f"The best score of the search, {sign * 0.5}, is optimistic."
    assert f"The mean of 5 fresh runs of trial 0 is {sign * 0.54}" in finding.evidence
    assert finding.command == "tunecli export runs/demo --confirmed -o confirmed.yaml"
    assert not optimistic_best(report(0.53))
    assert not optimistic_best(report(0.58)), "worse than its fresh scores"


def test_a_first_trial_that_no_later_one_beats_is_named():
    [finding] = not_better_than_first(make_report([0.1] + [0.2 + 0.01 * n for n in range(10)]))
    assert finding.evidence == "Trial 0 scored 0.1, and 10 later trials did not reach it."
    assert finding.command == "tunecli resume runs/demo --trials 21"
    assert not not_better_than_first(make_report([0.1] + [0.2] * 8 + [0.09] * 2))
    assert not not_better_than_first(make_report([0.1] + [0.2] * 9))


def test_a_confirmation_says_whether_the_first_trial_is_beaten():
    fresh = {3: Interval(0.10, 0.09, 0.11), 0: Interval(0.105, 0.09, 0.12)}
    in_set = make_report(NEAR, confirmed=make_confirmed(fresh, (3, 0)))
    [finding] = not_better_than_first(in_set)
    assert finding.command == "tunecli confirm runs/demo --repeats 10"
    assert not not_better_than_first(make_report(NEAR, confirmed=make_confirmed(fresh, (3,))))


def test_a_confirmation_of_which_runs_are_missing_judges_no_trial():
    fresh = {number: Interval(0.10, 0.09, 0.11) for number in (3, 2, 0)}
    whole = make_confirmed(fresh, in_set=(3, 2, 0))
    last = whole.candidates[-1]
    open_ = replace(whole, candidates=(*whole.candidates[:-1], replace(last, scores=last.scores[:3])))
    for rule in (inside_the_noise, not_better_than_first):
        assert rule(make_report(NEAR, confirmed=whole))
        assert not rule(make_report(NEAR, confirmed=open_))


def test_few_steps_between_the_best_and_the_median_are_coarse():
    scores = [0.90, 0.90, 0.88, 0.86, 0.86, 0.84]
    [finding] = coarse_scores(make_report(scores, objective=ACCURACY, step=0.02))
    assert (
        "the best and the median score are 2 steps apart. 2 trials share the best score." in finding.evidence
    )
    assert not coarse_scores(make_report(scores, objective=ACCURACY, step=0.008))
    assert not coarse_scores(make_report(scores[:4], objective=ACCURACY, step=0.02))


def test_coarse_scores_name_a_loss_where_there_is_one():
    trials = [
        make_trial(number, score, metrics={"val_loss": 0.1})
        for number, score in enumerate([0.9, 0.9, 0.88, 0.88, 0.86])
    ]
    [finding] = coarse_scores(report_of(trials, (), ACCURACY, step=0.02))
    assert finding.command == "objective: {metric: val_loss, direction: minimize}"


def test_few_validation_examples_have_the_interval_of_a_fraction():
    report = make_report([0.9, 0.8], objective=ACCURACY, n_valid=100, step=0.01)
    [finding] = few_validation_examples(report)
    assert "A score of 0.9 on them means 0.826 to 0.945 on new examples" in finding.evidence  # Wilson 1927
    assert finding.command == "data: {validation: {folds: 5}}"
    grouped = make_report([0.9, 0.8], objective=ACCURACY, n_valid=100, split_by="group")
    assert few_validation_examples(grouped)[0].command == "data: {validation: {folds: 5, by: group}}"
    other_metric = few_validation_examples(make_report([0.9, 0.8], n_valid=100, step=0.1))
    assert "new examples" not in other_metric[0].evidence


@pytest.mark.parametrize("facts", [{"n_valid": None}, {"n_valid": 500}, {"n_valid": 100, "is_folded": True}])
def test_enough_unknown_or_folded_examples_are_no_finding(facts):
    assert not few_validation_examples(make_report([0.9, 0.8], objective=ACCURACY, **facts))


def test_a_constant_score_is_named():
    [finding] = constant_score(make_report([0.31] * 12))
    assert finding.claim == "Every trial scored 0.31."
    assert not constant_score(make_report([0.31] * 11 + [0.32]))
    assert not constant_score(make_report([0.31]))


def test_a_training_that_ignores_its_seed_is_named():
    confirmed = replace(make_confirmed({3: Interval(0.1, 0.1, 0.1)}), is_seed_ignored=True)
    report = make_report(NEAR, confirmed=confirmed, is_own_code=True)
    assert seed_ignored(report)[0].severity is Severity.MISLEADING
    assert not inside_the_noise(report)
    assert not seed_ignored(make_report(NEAR, confirmed=make_confirmed({3: Interval(0.1, 0.0, 0.2)})))


def test_scores_of_any_size_give_finite_texts():
    for scores in (
        [1e300, -1e300, 5e299, 0.0, 1.0, 2.0],
        [1e-12 * n for n in range(8)],
        [math.inf, 0.5, 0.6],
    ):
        report = make_report(scores, step=1e-13, n_valid=10)
        for rule in (inside_the_noise, coarse_scores, few_validation_examples, constant_score):
            for finding in rule(report):
                assert "nan" not in finding.evidence


@pytest.mark.parametrize("objective", [LOSS, ACCURACY])
def test_a_simple_model_that_is_as_good_as_the_best_trial_is_named(objective):
    sign = objective.sign
    trees, linear = (
        BaselineScore("gradient boosting", sign * 0.3),
        BaselineScore("ridge regression", sign * 0.2),
    )
    baseline = Baseline(objective.metric, (trees, linear, BaselineScore("none", None)))
    report = make_report([sign * 0.5, sign * 0.2], objective=objective, baseline=baseline)
    [finding] = not_better_than_baseline(report)
    assert "ridge regression with its default settings" in finding.claim
    assert not not_better_than_baseline(make_report([sign * 0.19], objective=objective, baseline=baseline))
    assert not not_better_than_baseline(replace(report, baseline=None))
