"""The rule on the ends of ranges: the best trials lie there, and the model expects better scores there."""

from dataclasses import replace

import pytest

from tests.support.reports import make_effect, make_effects, make_report, number_axis, options_axis
from tunecli.effects import EdgeVotes
from tunecli.results.advice.bounds import best_on_a_bound

LR = number_axis("optimizer.lr", 1e-4, 1e-1, is_log=True)
HIGH = make_effect("optimizer.lr", 0.5, votes=EdgeVotes(0, 8, 8))
LOW = make_effect("optimizer.lr", 0.5, votes=EdgeVotes(8, 0, 8))


def study(positions, effect=HIGH, axis=LR):
    """A study whose best trials lie at these positions; ten worse ones lie in the middle."""
    positions = [*positions, *[0.5] * 10]
    at = [{axis.name: axis.low * (axis.high / axis.low) ** position} for position in positions]
    scores = [0.1 + 0.01 * number for number in range(len(at))]
    return make_report(scores, at, (axis,), effects=make_effects(effect))


def test_best_trials_at_the_upper_end_are_named():
    [finding] = best_on_a_bound(study([0.95, 0.92, 0.97, 0.5, 0.4]))
    assert finding.claim == "The best trials lie at the upper end of `optimizer.lr`, 0.1."
    assert finding.evidence.startswith("3 of the 5 best trials lie in the outer tenth")
    assert finding.trials == (0, 1, 2)
    assert finding.command == "tunecli report runs/demo --next next.yaml"


def test_best_trials_at_the_lower_end_are_named():
    [finding] = best_on_a_bound(study([0.01, 0.5, 0.02, 0.03, 0.4], LOW))
    assert finding.claim == "The best trials lie at the lower end of `optimizer.lr`, 0.0001."


def test_two_of_five_are_no_finding():
    assert not best_on_a_bound(study([0.95, 0.92, 0.5, 0.5, 0.4]))


@pytest.mark.parametrize(
    "change",
    [
        {"votes": EdgeVotes(0, 6, 8)},
        {"votes": EdgeVotes(8, 0, 8)},
        {"votes": None},
        {"is_known": False},
        {"share": replace(HIGH.share, mean=0.01)},
    ],
)
def test_the_model_must_agree(change):
    assert not best_on_a_bound(study([0.95, 0.92, 0.97, 0.5, 0.4], replace(HIGH, **change)))


def test_an_end_of_the_key_itself_is_left_out():
    at_end = [0.95, 0.92, 0.97, 0.5, 0.4]
    assert not best_on_a_bound(study(at_end, axis=replace(LR, greatest=0.1)))
    assert best_on_a_bound(study(at_end, axis=replace(LR, greatest=1.0)))
    assert best_on_a_bound(study(at_end, axis=replace(LR, least=1e-4)))


def test_an_option_has_no_end():
    axis = options_axis("optimizer.lr", "a", "b")
    report = make_report([0.1] * 8, [{"optimizer.lr": "b"}] * 8, (axis,), effects=make_effects(HIGH))
    assert not best_on_a_bound(report)


def test_a_study_without_a_model_has_no_bound():
    assert not best_on_a_bound(replace(study([0.95] * 5), effects=replace(make_effects(HIGH), r2=None)))
