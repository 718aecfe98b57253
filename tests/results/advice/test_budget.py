"""Rules on the number of trials and on mixed devices."""

from dataclasses import replace

import pytest

from tests.support.reports import make_effect, make_effects, make_report, number_axis
from tunecli.effects import Effects, Reliability
from tunecli.results.advice.budget import (
    mixed_devices_or_versions,
    more_would_pay,
    one_trial,
    too_few_trials,
)

AXES = tuple(number_axis(f"p{index}", 0.0, 1.0) for index in range(3))


def spread(n):
    return [0.5 + 0.1 * number for number in range(n)]


def test_one_trial_is_named():
    [finding] = one_trial(make_report([0.3], axes=AXES))
    assert finding.command == "tunecli resume runs/demo --trials 10"
    assert one_trial(make_report([0.3]))[0].command == "tunecli confirm runs/demo"
    assert not one_trial(make_report([0.3, 0.4], axes=AXES))


def test_too_few_trials_for_the_parameters_are_named():
    [finding] = too_few_trials(make_report(spread(9), axes=AXES))
    assert finding.claim == "9 complete trials are too few for 3 parameters."
    assert finding.command == "tunecli resume runs/demo --trials 10"
    assert not too_few_trials(make_report(spread(10), axes=AXES))


def test_the_advice_names_the_trials_that_the_effects_need_too():
    unknown = Effects(Reliability.UNKNOWN, n_trials=9, n_missing=11, reason="only 9 trials have a score")
    [finding] = too_few_trials(make_report(spread(9), axes=AXES, effects=unknown))
    assert "about 20 complete trials" in finding.evidence
    assert finding.command == "tunecli resume runs/demo --trials 20"
    [finding] = one_trial(make_report([0.3], axes=AXES, effects=replace(unknown, n_trials=1, n_missing=19)))
    assert "about 20 complete trials" in finding.evidence
    assert finding.command == "tunecli resume runs/demo --trials 20"
    unsure = make_effects(make_effect("p0", 0.5), r2=0.2, n_missing=20)
    [finding] = too_few_trials(make_report(spread(9), axes=AXES, effects=unsure))
    assert "about 10 complete trials" in finding.evidence, "the model has enough trials, and they say little"


def test_a_running_study_may_still_get_its_trials():
    assert not too_few_trials(make_report(spread(3), axes=AXES, phase="running", n_planned=20))
    assert too_few_trials(make_report(spread(3), axes=AXES, phase="running", n_planned=5))


def test_a_grid_and_a_fixed_config_need_no_more():
    assert not too_few_trials(make_report(spread(4), axes=AXES, sampler="grid"))
    assert not too_few_trials(make_report(spread(1)))


def improving(amount, r2=0.9, **changes):
    effects = make_effects(r2=r2, noise=0.01, expected_improvement=amount)
    return make_report(spread(20), axes=AXES, effects=effects, **changes)


def test_an_expected_improvement_above_the_noise_is_named():
    [finding] = more_would_pay(improving(0.02))
    assert (
        "The model expects the next trial to improve the best score by 0.02. The noise of one score is 0.01"
        in finding.evidence
    )
    assert finding.command == "tunecli resume runs/demo --trials 30"


@pytest.mark.parametrize(
    "report",
    [
        improving(0.009),
        improving(None),
        improving(0.02, r2=0.4),
        improving(0.02, phase="running"),
        improving(0.02, sampler="grid"),
    ],
)
def test_an_improvement_that_is_small_or_unsure_is_not(report):
    assert not more_would_pay(report)


def test_mixed_devices_are_named_as_the_record_says_them():
    notes = ("the trials ran on different devices: cpu, cuda:0",)
    [finding] = mixed_devices_or_versions(make_report([0.3, 0.4], mixtures=notes))
    assert finding.evidence == "The trials ran on different devices: cpu, cuda:0."
    assert not mixed_devices_or_versions(make_report([0.3, 0.4]))
