"""Rules on single parameters, each with a study that triggers it and its nearest neighbour."""

from dataclasses import replace

import pytest

from tests.support.reports import (
    NOT_MODELLED,
    make_effect,
    make_effects,
    make_report,
    make_trial,
    number_axis,
    options_axis,
    report_of,
)
from tunecli.effects import Share
from tunecli.results.advice.parameters import importance_unknown, no_effect, starved_option
from tunecli.trial import State

LR = number_axis("optimizer.lr", 1e-4, 1.0, is_log=True)
WIDTH = number_axis("model.width", 16, 256)
KIND = options_axis("optimizer", "sgd", "adam")
DEAD = make_effect("model.width", 0.002, n_active=40)
LIVE = make_effect("optimizer.lr", 0.8, n_active=40)


def modelled(effects, axes=(LR, WIDTH)):
    return make_report([0.5 + number / 100 for number in range(40)], axes=axes, effects=effects)


def test_a_parameter_without_effect_is_named():
    [finding] = no_effect(modelled(make_effects(LIVE, DEAD)))
    assert finding.claim == "`model.width` has no effect on the score."
    assert "0.2 %, at most 0.22 %, in 40 trials" in finding.evidence
    assert finding.command == "tunecli report runs/demo --next next.yaml"


@pytest.mark.parametrize(
    "change",
    [
        {"share": Share(0.008, 0.0, 0.031)},
        {"forest_share": 0.09},
        {"forest_share": None},
        {"n_active": 13},
        {"is_known": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_parameter_that_may_matter_is_not_called_dead(change):
    assert not no_effect(modelled(make_effects(LIVE, replace(DEAD, **change))))


@pytest.mark.parametrize("change", [{"forest_share": 0.07}, {"share": Share(0.006, 0.0, 0.029)}])
def test_a_good_model_may_give_a_dead_parameter_a_larger_share(change):
    doubted = replace(DEAD, **change)
    assert no_effect(modelled(make_effects(LIVE, doubted, r2=0.7)))
    assert not no_effect(modelled(make_effects(LIVE, doubted, r2=0.69)))


@pytest.mark.parametrize("change", [{"r2": 0.49}, {"n_trials": 19}])
def test_a_model_that_is_not_to_be_trusted_calls_no_parameter_dead(change):
    assert not no_effect(modelled(make_effects(LIVE, DEAD, **change)))


def with_sgd(*outcomes, n=38, sampler="bayes"):
    """A study with ``n`` trials of adam, and one of sgd for each of these scores."""
    trials = [make_trial(number, 0.5, {"optimizer": "adam"}) for number in range(n)]
    trials += [
        make_trial(n + number, score, {"optimizer": "sgd"}, **changes)
        for number, (score, changes) in enumerate(outcomes)
    ]
    return report_of(trials, (KIND,), sampler=sampler)


FAILED, PRUNED, COMPLETE = (None, {}), (0.9, {"state": State.PRUNED}), (0.6, {})


@pytest.mark.parametrize("outcomes", [(), (FAILED,), (FAILED, PRUNED)], ids=len)
def test_an_option_that_no_trial_completed_is_starved(outcomes):
    [finding] = starved_option(with_sgd(*outcomes))
    assert finding.claim == "The study hardly tried `optimizer` = sgd."
    assert finding.command == "search: {start: [{optimizer: sgd}]}"


def test_one_complete_trial_or_three_others_are_enough_of_a_look():
    assert not starved_option(with_sgd(COMPLETE))
    assert not starved_option(with_sgd(FAILED, FAILED, PRUNED))


def test_an_option_with_a_running_trial_is_not_starved():
    waiting = with_sgd()
    running = replace(make_trial(99, 0.5, {"optimizer": "sgd"}), state=State.RUNNING, outcome=None)
    assert not starved_option(report_of([*waiting.trials, running], (KIND,)))


def test_a_short_study_and_a_grid_starve_no_option():
    assert not starved_option(with_sgd(n=6))
    assert starved_option(with_sgd(n=8))
    assert not starved_option(with_sgd(sampler="grid"))


def test_unknown_importance_asks_for_trials_that_cover_the_space():
    [finding] = importance_unknown(modelled(replace(NOT_MODELLED, n_missing=6)))
    assert "There is no model of the scores: there are too few complete trials." in finding.evidence
    assert finding.command == (
        "tunecli resume runs/demo --fork demo-2 --set search.sampler=quasirandom --trials 46"
    )


def test_unknown_importance_of_a_quasi_random_study_asks_for_more_of_it():
    report = make_report([0.5, 0.6, 0.7], axes=(LR, WIDTH), sampler="quasirandom", effects=NOT_MODELLED)
    assert importance_unknown(report)[0].command == "tunecli resume runs/demo --trials 13"


def test_a_model_that_explains_little_is_named():
    [finding] = importance_unknown(modelled(make_effects(LIVE, DEAD, r2=-0.2)))
    assert "The model explains 0 % of the variance of scores that it has not seen." in finding.evidence


def test_known_importance_and_a_single_parameter_need_no_word():
    assert not importance_unknown(modelled(make_effects(LIVE, DEAD, r2=0.6)))
    assert not importance_unknown(modelled(NOT_MODELLED, axes=(LR,)))
