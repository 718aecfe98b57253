"""The figures: where marks lie, what is shown and what is withheld, and the limits on what is drawn."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.results.page.documents import read
from tests.support.reports import (
    ACCURACY,
    LOSS,
    make_confirmed,
    make_curve,
    make_effect,
    make_effects,
    make_report,
    make_trial,
    number_axis,
    options_axis,
    report_of,
)
from tests.support.sweeps import sweep_report
from tunecli.effects import Effects, ProfilePoint, Reliability, Share
from tunecli.objective import Constraint, Objective
from tunecli.results.confirmed import Candidate, Confirmed, Interval, Quote
from tunecli.results.page.curves_figure import decimated
from tunecli.results.page.page import page_of
from tunecli.results.page.values import PageValues

LR = number_axis("optimizer.lr", 1e-4, 1.0, is_log=True)
DROPOUT = number_axis("model.dropout", 0.0, 0.5)
ACT = options_axis("model.activation", "relu", "tanh")
PROFILE = tuple(ProfilePoint(place / 4, 0.5, 0.1) for place in range(5))


def section(report, name):
    (found,) = (
        element for element in read(page_of(report)).all("section") if element.attributes.get("id") == name
    )
    return found


def marks(element, kind=""):
    """The marks by trial number; a shape is an inner `svg`, a dot a `circle`."""
    return {
        int(one.attributes["data-t"]): one
        for one in element.all()
        if one.tag in ("circle", "svg") and "data-t" in one.attributes and (not kind or kind in one.classes)
    }


def place_of(one):
    x = one.attributes.get("cx") or one.attributes["x"]
    return float(x.rstrip("%")), float(one.attributes.get("cy") or one.attributes["y"])


def points(n, **columns):
    return [{name: values[place % len(values)] for name, values in columns.items()} for place in range(n)]


def test_better_scores_are_higher_for_accuracy_and_lower_for_loss():
    for objective, is_up in ((ACCURACY, True), (LOSS, False)):
        placed = {
            number: place_of(one)
            for number, one in marks(
                section(make_report([0.2, 0.4, 0.6], objective=objective), "search")
            ).items()
        }
        heights = [-placed[number][1] for number in range(3)]
        assert heights == sorted(heights), "the axis points up"
        best = next(iter(marks(section(make_report([0.2, 0.4, 0.6], objective=objective), "search"), "best")))
        assert best == (2 if is_up else 0)


def test_a_trial_lies_at_its_value_and_its_score():
    lrs = [1e-4, 1e-2, 1.0]
    report = make_report([0.0, 0.5, 1.0], [{"optimizer.lr": lr} for lr in lrs], [LR])
    placed = {number: place_of(one) for number, one in marks(section(report, "parameters")).items()}
    assert [placed[number][0] for number in range(3)] == pytest.approx([0, 50, 100])
    heights = [placed[number][1] for number in range(3)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2])


def test_an_outlier_lies_on_the_edge_with_an_arrow_and_is_counted():
    report = make_report([0.5 + place / 100 for place in range(20)] + [1e6])
    found = section(report, "search")
    assert set(marks(found, "out")) == {20}
    assert place_of(marks(found)[20])[1] == pytest.approx(0)
    assert "1 score lies beyond the axis" in found.text


@pytest.mark.parametrize(
    "scores",
    [
        [0.31] * 20,
        [math.nan, math.inf, -math.inf, 0.5, 0.6],
        [1e300, -1e300, 1.7e308, -1.7e308, 0.0],
        [0.5 + 1e-12 * place for place in range(10)],
        [0.5, 0.5 + 1.1e-16],
        [1e-310 * place for place in range(10)],
        [-5.0, -6.0, -7.0],
        [math.nan] * 3,
    ],
)
@pytest.mark.parametrize("objective", [ACCURACY, LOSS])
def test_any_scores_have_figures_with_finite_coordinates(scores, objective):
    effects = make_effects(make_effect(LR.name, 0.5, profile=PROFILE))
    curves = {
        number: make_curve([score, math.nan, score], [math.inf, score, 1], [score])
        for number, score in enumerate(scores)
    }
    lrs = points(len(scores), **{"optimizer.lr": [0.1, 0.01]})
    page = page_of(make_report(scores, lrs, [LR], objective, effects=effects, curves=curves))
    numbers = re.findall(r' (?:c?[xy][12]?|width|height|d)="([^"]*)"', page)
    assert not [number for number in numbers if re.search("nan|inf|e[+-]?[0-9]", number, re.I)]
    values = PageValues(make_report(scores, objective=objective))
    assert values.best is None or math.isfinite(scores[values.best])


def test_the_line_of_the_best_so_far_has_a_step_for_each_improvement():
    report = make_report([0.5, 0.7, 0.6, 0.9, None, 0.8], objective=ACCURACY)
    (line,) = (
        one
        for one in section(report, "search").all("path")
        if "best-so-far" in one.classes and "-" in one.attributes["d"]
    )
    assert len(re.findall("v", line.attributes["d"])) == 2


def test_bars_are_sorted_only_where_the_model_is_reliable():
    axes = [DROPOUT, LR]
    parameters = (make_effect(DROPOUT.name, 0.1), make_effect(LR.name, 0.8))
    for r2, order in ((0.9, ["lr", "dropout"]), (0.6, ["dropout", "lr"])):
        report = make_report([0.1, 0.2], axes=axes, effects=make_effects(*parameters, r2=r2))
        found = section(report, "what-matters")
        names = [
            row.children[0].text for row in found.all("tr") if row.children[0].attributes["scope"] == "row"
        ]
        assert names == order
        assert ("Provisional." in found.text) == (r2 < 0.85)
        assert bool([one for one in found.all("svg") if "faded" in one.classes]) == (r2 < 0.85)
        cards = [one.text for one in section(report, "parameters").all("h3")]
        assert cards == order


def test_a_good_model_without_a_sure_ranking_is_provisional_for_that_reason():
    effects = make_effects(make_effect(LR.name, 0.8), r2=0.92, reliability=Reliability.PROVISIONAL)
    text = section(make_report([0.1, 0.2], axes=[LR], effects=effects), "what-matters").text
    assert "a random forest give another ranking" in text
    assert "Below 85 %" not in text


def test_an_unknown_model_has_no_bar_and_says_what_is_missing():
    effects = Effects(
        Reliability.UNKNOWN,
        r2=0.29,
        n_trials=31,
        n_missing=32,
        parameters=(make_effect(LR.name, 0.9, profile=PROFILE),),
        expected_improvement=0.1,
    )
    report = make_report([0.1, 0.2], [{"optimizer.lr": 0.1}] * 2, [LR], effects=effects)
    found = section(report, "what-matters")
    assert not list(found.all("rect")) and not list(found.all("svg"))
    assert "29 %" in found.text and "32 more trials, spread over the whole space, can show it" in found.text
    assert not [one for one in section(report, "parameters").all("path") if "profile" in one.classes]
    assert "90 %" not in section(report, "parameters").text
    assert "model expects" not in section(report, "parameters").text + section(report, "search").text


def test_an_unknown_parameter_has_no_bar_and_no_zero():
    effects = make_effects(
        make_effect(LR.name, 0.0, is_known=False, n_active=3), make_effect(DROPOUT.name, 0.5)
    )
    found = section(make_report([0.1, 0.2], axes=[LR, DROPOUT], effects=effects), "what-matters")
    assert len(list(found.all("rect"))) == 1
    assert "unknown, in 3 trials" in found.text


def test_a_share_and_its_interval_lie_on_the_axis_of_percent():
    effect = replace(make_effect(LR.name, 0.5), share=Share(0.5, 0.25, 0.75))
    found = section(make_report([0.1, 0.2], axes=[LR], effects=make_effects(effect)), "what-matters")
    (bar,) = found.all("rect")
    assert bar.attributes["width"] == "50%"
    (whisker,) = (one for one in found.all("line") if "whisker" in one.classes)
    assert (whisker.attributes["x1"], whisker.attributes["x2"]) == ("25%", "75%")


def test_a_profile_that_the_model_expects_has_a_line_and_a_band():
    report = make_report(
        [0.4, 0.5, 0.6],
        points(3, **{"optimizer.lr": [0.1, 0.01]}),
        [LR, ACT],
        effects=make_effects(
            make_effect(LR.name, 0.5, profile=PROFILE),
            make_effect(ACT.name, 0.5, profile=(ProfilePoint(0.0, 0.5, 0.05), ProfilePoint(1.0, 0.45, 0.05))),
        ),
    )
    found = section(report, "parameters")
    assert len([one for one in found.all("path") if "band" in one.classes]) == 1
    assert len([one for one in found.all("rect") if "band" in one.classes]) == 2


def test_a_figure_draws_the_best_trials_and_a_spread_and_says_so():
    report = sweep_report(2000)
    found = section(report, "search")
    drawn = set(marks(found))
    assert len(drawn) == 300
    assert {row.trial.number for row in report.ranked[:150]} <= drawn
    assert "The figure draws 300 of 1,999 trials" in found.text


def test_many_parameters_have_60_cards_and_a_list():
    axes = [number_axis(f"p{place}", 0.0, 1.0) for place in range(1000)]
    trials = [make_trial(number, number / 10, {axis.name: 0.5 for axis in axes}) for number in range(10)]
    found = section(report_of(trials, axes), "parameters")
    assert len(list(found.all("article"))) == 60
    assert "940 further parameters have no card" in found.text
    assert len([one for one in found.all("li") if re.fullmatch(r"p\d+: .*", one.text)]) == 940


def test_many_options_have_twelve_rows_of_the_best_and_one_for_the_others():
    options = tuple(f"option{place}" for place in range(200))
    axis = options_axis("model.name", *options)
    trials = [
        make_trial(number, float(number), {"model.name": options[(7 * number) % 200]})
        for number in range(150)
    ]
    found = section(report_of(trials, [axis]), "parameters")
    labels = [one.text for one in found.all("text") if "ink" in one.classes]
    assert len(labels) == 13 and labels[-1] == "188 others"
    assert set(labels[:-1]) == {options[(7 * number) % 200] for number in range(12)}
    assert len(marks(found)) == 150


def test_a_decimated_curve_keeps_its_ends_and_its_extremes():
    generator = np.random.default_rng(5)
    curve = [
        (epoch, float(value)) for epoch, value in enumerate(generator.normal(size=10_000).cumsum(), start=1)
    ]
    kept = decimated(curve, 100)
    assert len(kept) <= 100 and kept == sorted(kept) and set(kept) <= set(curve)
    assert kept[0] == curve[0] and kept[-1] == curve[-1]
    by_value = sorted(curve, key=lambda point: point[1])
    assert by_value[0] in kept and by_value[-1] in kept
    assert decimated(curve[:50], 100) == curve[:50]


def test_curves_are_bold_for_the_ten_best_and_mark_the_epoch_that_counts():
    report = sweep_report(40)
    found = section(report, "learning")
    bold = {
        int(one.attributes["data-t"])
        for one in found.all("path")
        if one.classes & {"bold", "best"} and "data-t" in one.attributes
    }
    assert bold == {trial.number for trial in report.leading[:10]}
    assert set(marks(found)) == bold
    assert len(list(found.all("h3"))) == 5, "losses of the best five"


def test_failures_are_counted_by_kind_and_by_place():
    lrs = [{"optimizer.lr": 10.0 ** -(place / 10)} for place in range(30)]
    scores = [None if point["optimizer.lr"] > 0.2 else 0.5 for point in lrs]
    found = section(make_report(scores, lrs, [LR]), "failures")
    assert "7 trials of 30 failed: 7 diverged." in found.text
    (row,) = (one for one in found.all("tr") if one.children[0].text == "lr")
    assert [cell.text for cell in row.children[1:]] == ["0.0464 to 1", "7 of 14 (50 %)", "0 of 16 (0 %)"]


def test_the_front_and_the_infeasible_trials_have_shapes_of_their_own():
    objective = Objective(
        "val_accuracy",
        True,
        further_objectives=(Objective("latency", False),),
        constraints=(Constraint("memory", 10.0),),
    )
    values = [(0.9, 9.0, 5.0), (0.8, 4.0, 5.0), (0.7, 6.0, 5.0), (0.95, 3.0, 50.0)]
    trials = [
        make_trial(number, score, metrics={"latency": latency, "memory": memory})
        for number, (score, latency, memory) in enumerate(values)
    ]
    report = report_of(trials, (), objective)
    found = section(report, "goals")
    assert set(marks(found, "best")) == {0, 1}
    assert set(marks(found, "infeasible")) == {3}
    assert "2 trials of 4 form the Pareto front." in found.text
    assert "3 of 4 trials satisfy memory <= 10." in found.text
    assert set(marks(section(report, "search"), "best")) == {0, 1}
    assert "of 4 ranked trials" in read(page_of(report)).text


def test_a_study_with_one_goal_has_no_section_of_goals():
    assert "goals" not in [
        one.attributes.get("id") for one in read(page_of(make_report([0.1, 0.2]))).all("section")
    ]


def test_candidates_outside_the_set_are_called_beaten():
    confirmed = make_confirmed({2: Interval(0.96, 0.95, 0.97), 0: Interval(0.90, 0.89, 0.91)}, in_set=[2])
    report = make_report([0.9, 0.8, 0.97], objective=ACCURACY, confirmed=confirmed)
    found = section(report, "confirmation")
    assert set(marks(found, "mean")) == {0, 2} == set(marks(found, "chosen"))
    assert len([one for one in found.all("line") if {"interval", "beaten"} <= one.classes]) == 1
    rows = {one.children[0].text: [cell.text for cell in one.children[1:3]] for one in found.all("tr")}
    assert rows["2"] == ["yes", "0.960 ± 0.010"] and rows["0 (first)"] == ["no", "0.900 ± 0.010"]
    assert "0.960 ± 0.010" in read(page_of(report)).text


def test_a_training_that_ignores_its_seed_has_no_interval():
    candidates = (Candidate(0, 0.5, (0.5,) * 3, None, True, True), Candidate(1, 0.4, (math.nan,) * 3))
    confirmed = Confirmed(1, 3, False, 2, candidates, Quote(0, (0.5,) * 3), None, True)
    report = make_report([0.5, 0.4], confirmed=confirmed)
    text = read(page_of(report)).text
    assert "the training ignores its seed" in text and "± 0" not in text
    assert "0 of 3 succeeded" in text


def test_missing_trainings_are_counted_and_no_candidate_is_judged():
    whole = make_confirmed({1: Interval(0.5, 0.4, 0.6), 0: Interval(0.4, 0.3, 0.5)}, [1, 0])
    begun = [replace(one, scores=one.scores[:3]) for one in whole.candidates]
    confirmed = replace(whole, candidates=tuple(begun), quote=None, n_missing=9)
    report = make_report([0.5, 0.4], confirmed=confirmed)
    found = section(report, "confirmation")
    assert "9 fresh runs" in found.text and "not judged yet" in found.text
    rows = {one.children[0].text: one.children[1].text for one in found.all("tr")}
    assert rows["1"] == rows["0 (first)"] == "—"
    assert "fresh runs are missing" in read(page_of(report)).text


def test_the_effect_of_a_seed_is_a_number_of_validation_examples():
    confirmed = make_confirmed({1: Interval(0.5, 0.4, 0.6)}, [1])
    quote = replace(confirmed.quote, n_valid=200, scores=(0.5, math.nan, 0.5))
    report = make_report([0.5, 0.4], confirmed=replace(confirmed, quote=quote), step=0.005)
    text = read(page_of(report)).text
    assert "2.0 of 200 examples" in text
    assert "2 fresh runs after the choice" in text
    assert "of 200 examples" not in read(page_of(replace(report, step=0.0031))).text
