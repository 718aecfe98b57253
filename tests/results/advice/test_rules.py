"""All rules together: names, order, silencing, the limit, and texts that come from users."""

import inspect
import math
from dataclasses import replace

import pytest

from tests.support.reports import (
    NOT_MODELLED,
    make_confirmed,
    make_effect,
    make_effects,
    make_report,
    number_axis,
    options_axis,
)
from tunecli.effects import EdgeVotes
from tunecli.results.advice import RULES, every_finding, findings
from tunecli.results.advice.rules import SILENCES
from tunecli.results.confirmed import Interval
from tunecli.results.report import MAX_FINDINGS, Severity

LR = number_axis("lr", 0.0, 1.0)


def names(report):
    return [finding.rule for finding in every_finding(report)]


def test_rules_and_silenced_rules_are_known_by_one_name():
    assert {name for silenced in SILENCES.values() for name in silenced} | set(SILENCES) <= set(RULES)
    for name, rule in RULES.items():
        assert f'"{name}"' in inspect.getsource(inspect.getmodule(rule))


@pytest.mark.parametrize("scores", [[], [math.nan, math.inf], [0.5, math.nan, 1e300, -1e300, 1e-12]])
def test_an_empty_and_an_odd_study_have_no_alarm(scores):
    assert set(names(make_report(scores, axes=(LR,)))) <= {"too-few-trials", "one-trial"}


def test_one_trial_gets_one_finding():
    assert names(make_report([0.3], [{"lr": 0.5}], (LR,), effects=NOT_MODELLED, step=0.1)) == ["one-trial"]


def test_a_study_that_failed_gets_one_finding():
    assert names(make_report([None] * 12, [{"lr": 0.5}] * 12, (LR,))) == ["all-failed"]


def test_a_constant_score_silences_the_rules_on_scores():
    axes = (LR, number_axis("width", 0, 1))
    assert names(make_report([0.31] * 20, axes=axes, effects=NOT_MODELLED, step=0.1, n_valid=10)) == [
        "constant-score"
    ]


def test_a_failing_option_silences_that_it_was_hardly_tried():
    axes = (options_axis("kind", "a", "b"), options_axis("loss", "c", "d"))
    at = [{"kind": "b" if number % 9 == 0 else "a", "loss": "c"} for number in range(18)]
    report = make_report([None if point["kind"] == "b" else 0.5 + n for n, point in enumerate(at)], at, axes)
    starved = [finding for finding in every_finding(report) if finding.rule == "starved-option"]
    assert {finding.parameter for finding in starved} == {"kind", "loss"}, "two failures are no region"
    at += [{"kind": "b", "loss": "c"}, *[{"kind": "a", "loss": "c"}] * 12]
    scores = [None if point["kind"] == "b" else 0.5 + n for n, point in enumerate(at)]
    found = {(finding.rule, finding.parameter) for finding in every_finding(make_report(scores, at, axes))}
    assert {("failing-region", "kind"), ("starved-option", "loss")} <= found
    assert ("starved-option", "kind") not in found


def busy():
    """A study in which many rules find something."""
    axes = (LR, *(number_axis(f"dead{index}", 0, 1) for index in range(6)))
    lr = make_effect("lr", 0.6, votes=EdgeVotes(0, 8, 8))
    dead = [
        make_effect(axis.name, 0.001 * index, n_active=40) for index, axis in enumerate(axes[1:], start=1)
    ]
    at = [{"lr": 0.99 - 0.01 * number, **{axis.name: 0.5 for axis in axes[1:]}} for number in range(40)]
    fresh = {0: Interval(0.2, 0.19, 0.21), 1: Interval(0.21, 0.2, 0.22)}
    return make_report(
        [0.1 + 0.01 * number for number in range(40)],
        at,
        axes,
        effects=make_effects(lr, *dead),
        confirmed=make_confirmed(fresh, (0, 1), {0: 0.1, 1: 0.11}),
        mixtures=("the trials ran on different devices: cpu, cuda:0",),
        n_valid=50,
    )


def test_at_most_five_findings_are_shown_the_worst_first():
    shown, n_more = findings(busy())
    every = every_finding(busy())
    assert len(shown) == MAX_FINDINGS
    assert n_more == len(every) - MAX_FINDINGS > 0
    order = [list(Severity).index(finding.severity) for finding in every]
    assert order == sorted(order)
    assert shown[0].rule == "optimistic-best"


def test_a_finding_of_a_kind_is_ordered_by_its_weight():
    dead = [finding for finding in every_finding(busy()) if finding.rule == "no-effect"]
    assert [finding.parameter for finding in dead] == [f"dead{index}" for index in range(6)]


def test_findings_are_a_function_of_the_report():
    assert findings(busy()) == findings(busy())


def test_a_claim_is_one_sentence_and_ends_with_a_full_stop():
    for finding in every_finding(busy()):
        assert finding.claim.endswith(".")
        assert finding.evidence.endswith(".")
        assert finding.claim[:1].isupper() or finding.claim.startswith(("`", "0", "1"))


@pytest.mark.parametrize(
    "name", ["a\x1b[31mb\nc", "\ud800" * 3, "x" * 10_000, "</script><img onerror=1>", "\u202egnp"]
)
def test_names_of_users_are_one_line_of_bounded_length(name):
    axis = number_axis(name, 0.0, 1.0)
    effect = make_effect(name, 0.5, votes=EdgeVotes(0, 8, 8))
    at = [{name: 0.99 - 0.01 * number} for number in range(30)]
    report = make_report(
        [0.1 + 0.01 * n for n in range(30)], at, (axis,), effects=make_effects(effect), path="runs/a b"
    )
    [finding] = [each for each in every_finding(report) if each.rule == "best-on-a-bound"]
    assert finding.claim.isprintable()
    assert len(finding.claim) < 200
    assert finding.parameter == name, "data keeps the name as it is"
    assert finding.command == "tunecli report 'runs/a b' --next next.yaml"


def test_a_failing_region_among_ten_thousand_trials_of_hundreds_of_parameters_is_found():
    axes = tuple(number_axis(f"p{index}", 0.0, 1.0) for index in range(300))
    report = make_report([None if number % 10 == 9 else 0.5 + number for number in range(10_000)])
    positions = {number: (*(0.5,) * 299, number % 10 / 10) for number in range(10_000)}
    finding = every_finding(replace(report, axes=axes, positions=positions))[0]
    assert (finding.rule, finding.parameter) == ("failing-region", "p299")
    assert "1,000 of 1,000 trials failed there, and 0 of 9,000 elsewhere" in finding.evidence
