"""Rules on failed trials: all of them failed, or those in one region of the space."""

import random
from math import erfc, sqrt

import pytest
from scipy.stats import mannwhitneyu

from tests.support.reports import make_report, make_trial, number_axis, options_axis, report_of
from tunecli.config.reader import plain_of, read
from tunecli.results.advice.basis import option_in_yaml
from tunecli.results.advice.failures import Placed, all_failed, failing_region, rank_test
from tunecli.results.report import AxisKind, Severity
from tunecli.trial import Failure, FailureKind

LR = number_axis("optimizer.lr", 1e-4, 1.0, is_log=True)
KIND = options_axis("optimizer", "sgd", "adam", "rmsprop")
MACHINE = {"failure": Failure(FailureKind.LOST, "the worker was lost")}


def points(n, seed=0):
    draw = random.Random(seed)
    return [
        {"optimizer.lr": 10 ** draw.uniform(-4, 0), "optimizer": draw.choice(KIND.options)} for _ in range(n)
    ]


def study(fails, n=40):
    at = points(n)
    scores = [None if fails(point) else 0.5 + number / n for number, point in enumerate(at)]
    return make_report(scores, at, (LR, KIND))


def test_a_study_in_which_all_trials_failed_is_named_with_its_cause():
    [finding] = all_failed(make_report([None, None, None]))
    assert (finding.claim, finding.severity) == ("All 3 trials failed.", Severity.MISLEADING)
    assert "the loss is not a finite number" in finding.evidence
    assert finding.command == "tunecli results runs/demo --trial 0"
    assert all_failed(make_report([None], is_own_code=True))[0].command == "tunecli logs runs/demo --trial 0"


def test_one_trial_with_a_score_is_enough():
    assert not all_failed(make_report([None, None, 0.3]))
    assert not all_failed(make_report([]))


def test_trials_that_fail_at_a_high_value_are_a_region():
    [finding] = failing_region(study(lambda point: point["optimizer.lr"] > 0.1))
    assert finding.claim.startswith("Trials fail where `optimizer.lr` is above 0.1")
    assert finding.parameter == "optimizer.lr"
    assert finding.command.startswith("search: {where: ['optimizer.lr <= 0.1")


def test_trials_that_fail_at_a_low_value_are_a_region():
    [finding] = failing_region(study(lambda point: point["optimizer.lr"] < 1e-3))
    assert "is below 0.00" in finding.claim
    assert ">=" in finding.command


def test_an_option_that_fails_is_a_region():
    [finding] = failing_region(study(lambda point: point["optimizer"] == "sgd"))
    assert finding.claim == "Trials fail where `optimizer` is sgd."
    assert finding.command == "search: {forbid: [{optimizer: sgd}]}"


def test_whole_numbers_have_a_whole_limit():
    axis = number_axis("depth", 1, 9, kind=AxisKind.WHOLE)
    at = [{"depth": 1 + number % 9} for number in range(45)]
    scores = [None if point["depth"] > 6 else 0.5 for point in at]
    [finding] = failing_region(make_report(scores, at, (axis,)))
    assert finding.command == "search: {where: ['depth <= 6']}"


def test_failures_anywhere_are_no_region():
    draw = random.Random(1)
    assert not failing_region(study(lambda point: draw.random() < 0.2))


def test_two_failures_are_no_region():
    second = sorted(point["optimizer.lr"] for point in points(40))[-2]
    assert not failing_region(study(lambda point: point["optimizer.lr"] >= second))


def test_failures_of_the_machine_do_not_count():
    at = points(40)
    is_high = [point["optimizer.lr"] > 0.1 for point in at]
    trials = [
        make_trial(number, None, point, **MACHINE) if high else make_trial(number, 0.5, point)
        for number, (point, high) in enumerate(zip(at, is_high, strict=True))
    ]
    assert not failing_region(report_of(trials, (LR, KIND)))


def test_early_failures_of_a_sampler_that_moves_are_no_region():
    # The first 20 trials lie anywhere, and some of them fail; the later ones lie at one end.
    draw = random.Random(6)
    at = [{"optimizer.lr": 10 ** draw.uniform(-4, 0)} for _ in range(20)]
    at += [{"optimizer.lr": 1e-4 * (1 + 0.01 * number)} for number in range(40)]
    failed = draw.sample(range(20), 7)
    scores = [None if number in failed else 0.5 for number in range(60)]
    placed = [
        Placed(0, point["optimizer.lr"], score is None) for point, score in zip(at, scores, strict=True)
    ]
    assert rank_test(placed) > 3, "without blocks of time it looks like a region"
    assert not failing_region(make_report(scores, at, (LR,)))


def test_a_name_that_no_formula_can_hold_gets_no_condition():
    axis = number_axis("odd name", 0.0, 1.0)
    at = [{"odd name": number * 7 % 40 / 40} for number in range(40)]
    [finding] = failing_region(make_report([None if p["odd name"] > 0.7 else 0.5 for p in at], at, (axis,)))
    assert finding.command == ""


def test_a_parameter_of_one_branch_gets_a_condition_on_its_branch():
    axis = number_axis("optimizer.lr (sgd)", 0.0, 1.0, condition="optimizer = sgd")
    at = [{axis.name: number * 7 % 40 / 40} for number in range(40)]
    [finding] = failing_region(make_report([None if p[axis.name] > 0.7 else 0.5 for p in at], at, (axis,)))
    assert finding.command == """search: {where: ['optimizer != "sgd" or optimizer.lr <= 0.712']}"""


@pytest.mark.parametrize("text", ["64", "0.5", "a b", "x: y", "null", "-1", "layer_norm", "{a: 1}", "é"])
def test_an_option_is_the_same_value_in_yaml(text):
    axis = options_axis("kind", text)
    value = plain_of(read(option_in_yaml(axis, 0).encode(), "test"))
    assert value == plain_of(read(text.encode(), "test")) or value == text


@pytest.mark.parametrize("with_ties", [False, True])
def test_the_rank_test_of_one_block_is_that_of_mann_and_whitney(with_ties):
    draw = random.Random(3)
    placed = [
        Placed(0, float(draw.randint(0, 4)) if with_ties else draw.random(), draw.random() < 0.3)
        for _ in range(60)
    ]
    failed = [each.position for each in placed if each.is_failed]
    others = [each.position for each in placed if not each.is_failed]
    expected = mannwhitneyu(failed, others, use_continuity=False, method="asymptotic")
    assert erfc(abs(rank_test(placed)) / sqrt(2)) == pytest.approx(expected.pvalue)


def test_the_rank_test_of_blocks_ignores_a_difference_between_blocks():
    draw = random.Random(4)
    n_extreme = 0
    for _ in range(600):
        placed = [
            Placed(block, draw.random() + block, draw.random() < 0.5 - 0.2 * block)
            for block in range(3)
            for _ in range(20)
        ]
        n_extreme += abs(rank_test(placed)) > 1.96
    assert 15 <= n_extreme <= 48  # 5 % of 600, within 3 deviations
