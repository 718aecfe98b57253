"""The data block: every number comes back as it went in, whatever its size, and nothing can end the element."""

import base64
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.support.sweeps import AXES, sweep_report
from tunecli.results.page.data import INACTIVE, MAX_TRIALS, data_block, trials_in_data
from tunecli.results.ranking import rank
from tunecli.results.report import Axis, AxisKind, Curve
from tunecli.trial import Outcome, State, Trial

BEGIN, END = '<script type="application/json" id="data">', "</script>"


def data_of(report):
    block = data_block(report)
    assert block.startswith(BEGIN) and block.endswith(END)
    text = block.removeprefix(BEGIN).removesuffix(END)
    assert not set("<>&") & set(text)
    return json.loads(text)


def unpacked(text):
    kind, _, content = text.partition(":")
    return np.frombuffer(base64.b64decode(content), f"<{kind}")


def fields_of(report):
    return {name: unpacked(packed) for name, packed in data_of(report)["fields"]}


def with_scores(report, scores):
    trials = [
        Trial(number, {}, number, State.COMPLETE, Outcome(State.COMPLETE, score))
        for number, score in enumerate(scores)
    ]
    return replace(report, ranked=tuple(rank(trials, report.objective)), axes=(), positions={}, curves={})


def test_fields_hold_what_the_ranked_trials_hold():
    report = sweep_report(60)
    fields, states = fields_of(report), data_of(report)["states"]
    assert list(fields["trial"]) == [row.trial.number for row in report.ranked]
    assert list(fields["rank"]) == [row.rank or 0 for row in report.ranked]
    assert [states[place] for place in fields["status"]] == [str(row.trial.state) for row in report.ranked]
    assert list(fields["seed"]) == [row.trial.seed for row in report.ranked]
    for row, score in zip(report.ranked, fields["val_accuracy"], strict=True):
        expected = row.trial.outcome.score if row.trial.outcome else None
        assert math.isnan(score) if expected is None else score == pytest.approx(expected, rel=1e-6)


def test_positions_give_back_the_values_and_mark_inactive_parameters():
    report = sweep_report(40)
    axes = data_of(report)["axes"]
    assert [axis["name"] for axis in axes] == [axis.name for axis in AXES]
    for place, axis in enumerate(axes):
        for row, x in zip(report.ranked, unpacked(axis["x"]), strict=True):
            expected = report.positions[row.trial.number][place]
            if expected is None:
                assert x == INACTIVE
            elif axis["options"]:
                assert x == expected
            else:
                assert x / 65_534 == pytest.approx(expected, abs=1e-5)


def test_a_whole_number_is_exact_after_rounding():
    report = sweep_report(40)
    axis = data_of(report)["axes"][1]
    for row, x in zip(report.ranked, unpacked(axis["x"]), strict=True):
        value = axis["low"] * (axis["high"] / axis["low"]) ** (x / 65_534)
        assert round(value) == row.trial.parameters["model.hidden.0"]


def test_a_value_beyond_the_range_widens_the_axis():
    report = sweep_report(3)
    axis = Axis("x", "x", AxisKind.NUMBER, 0.0, 1.0)
    trials = [
        Trial(n, {"x": value}, n, State.COMPLETE, Outcome(State.COMPLETE, 0.5))
        for n, value in enumerate([0.5, 3.0, -1.0])
    ]
    positions = {0: (0.5,), 1: (1.0,), 2: (0.0,)}
    report = replace(report, ranked=tuple(rank(trials, report.objective)), axes=(axis,), positions=positions)
    (told,) = data_of(report)["axes"]
    values = told["low"] + unpacked(told["x"]) / 65_534 * (told["high"] - told["low"])
    assert values == pytest.approx([0.5, 3.0, -1.0], abs=1e-4)


def test_scores_that_differ_in_the_twelfth_digit_or_are_huge_stay_different():
    for scores in ([0.5 + n * 1e-12 for n in range(10)], [1e300, 2e300, -1e300], [5e-324, 1e-323, 0.0]):
        packed = fields_of(with_scores(sweep_report(1), scores))["val_accuracy"]
        assert sorted(packed) == sorted(scores)


def test_scores_without_a_finite_value_are_kept_as_they_are():
    packed = fields_of(with_scores(sweep_report(1), [math.nan, math.inf, -math.inf, 0.5]))["val_accuracy"]
    assert sorted(map(str, packed)) == ["-inf", "0.5", "inf", "nan"]


def test_ten_thousand_trials_fit_and_more_are_the_better_half_and_a_spread():
    report = sweep_report(200)
    assert len(trials_in_data(report)) == 200
    many = replace(report, ranked=report.ranked * 100)
    kept = trials_in_data(many)
    assert 9_000 < len(kept) <= MAX_TRIALS
    n_best = len(kept) // 2
    assert kept[:n_best] == list(many.ranked[:n_best])
    assert len(data_block(many)) < 900_000
    assert data_of(many)["total"] == 20_000


def test_many_parameters_leave_room_for_fewer_trials():
    report = sweep_report(50)
    axes = tuple(replace(AXES[5], name=f"p{n}") for n in range(1_000))
    wide = replace(
        report, axes=axes, positions=dict.fromkeys(range(50), (0.5,) * 1000), ranked=report.ranked * 200
    )
    assert len(data_of(wide)["axes"]) == 60
    assert len(data_block(wide)) < 900_000


def test_curves_are_told_to_a_thousandth_and_cut_to_a_hundred_points():
    report = sweep_report(3)
    epochs = tuple(range(1, 5_001))
    losses = tuple(1 / epoch for epoch in epochs)
    number = report.best.number
    curve = Curve(epochs, tuple(1 - x for x in losses), losses, (math.nan, *losses[1:]), 4_999)
    told = data_of(replace(report, curves={number: curve}))["curves"][str(number)]
    shown = unpacked(told["epochs"])
    assert len(shown) == 100 and shown[0] == 1 and shown[-1] == 5_000
    low, high, packed = told["train"]
    assert low + unpacked(packed) / 65_534 * (high - low) == pytest.approx(1 / shown, abs=1e-4)
    assert unpacked(told["valid"][2])[0] == INACTIVE
    assert told["kept"] == 4_999


def test_curves_stop_where_their_room_ends():
    report = sweep_report(500)
    assert 20 < len(data_of(report)["curves"]) <= 400
    assert len(json.dumps(data_of(report)["curves"])) < 130_000


HOSTILE = "</script><script>alert(1)</script><!--\u202e\x00\ud800\u2028&amp;"


def test_names_of_any_kind_neither_end_the_element_nor_break_the_json():
    report = sweep_report(3, name=HOSTILE, path=f"runs/{HOSTILE}")
    axis = replace(AXES[4], name=HOSTILE * 200, label=HOSTILE, options=(HOSTILE, "b", "c"))
    told = data_of(replace(report, axes=(axis,), positions=dict.fromkeys(range(3), (0.0,))))
    data_block(report).encode("ascii")
    assert "\x00" not in json.dumps(told, ensure_ascii=False)
    assert len(told["axes"][0]["name"]) == 160


def test_a_path_is_quoted_for_the_shell_and_one_with_a_line_end_is_left_to_the_reader():
    assert data_of(sweep_report(2, path="my runs/a'b"))["commands"][0][1] == (
        "tunecli results 'my runs/a'\"'\"'b' --trial "
    )
    assert (
        data_of(sweep_report(2, path="runs/a\nrm -r x"))["commands"][0][1] == "tunecli results RUN --trial "
    )
