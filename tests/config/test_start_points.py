"""`search.start`: partial points, their order and their mistakes."""

from __future__ import annotations

import pytest

from tests.config.test_constraint_checks import problem_of, study


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("{}", {"batch": 32, "tiny": 33, "opt": "sgd", "opt.momentum": 0.5}),
        ("{tiny: 4}", {"batch": 32, "tiny": 4, "opt": "sgd", "opt.momentum": 0.5}),
        ("{params.tiny: 4.0, batch: full}", {"batch": "full", "tiny": 4, "opt": "sgd", "opt.momentum": 0.5}),
        ("{params: {tiny: 4, opt: adam}}", {"batch": 32, "tiny": 4, "opt": "adam"}),
        ("{opt: {name: sgd, momentum: 1}}", {"batch": 32, "tiny": 33, "opt": "sgd", "opt.momentum": 1.0}),
        ("{tied: true}", {"batch": 32, "tiny": 33, "opt": "sgd", "opt.momentum": 0.5}),
    ],
)
def test_a_partial_point_is_completed_by_defaults_and_middles(point, expected, tmp_path):
    (start,) = study(f"  start: [{point}]", tmp_path).space.start
    assert start == {f"params.{name}": value for name, value in expected.items()}


LISTS = """\
objective: {metric: value, direction: minimize}
trial:
  command: [echo, "{hidden}", "{kind}", "{lr}"]
  params:
    hidden: {list: {of: {int: [1, 99]}, length: {int: [0, 3]}}}
    kind: {choice: [a, {name: b, x: {choice: [{deep: {y: {int: [1, 9]}}}, none]}}]}
    lr: {loguniform: [0.001, 1], default: 0.1}
search:
"""


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("{hidden: [3, 4]}", {"hidden.length": 2, "hidden.0": 3, "hidden.1": 4, "kind": "a"}),
        ("{hidden: []}", {"hidden.length": 0, "kind": "a"}),
        ("{hidden.1: 7}", {"hidden.length": 2, "hidden.0": 50, "hidden.1": 7, "kind": "a"}),
        (
            "{hidden: [], kind.x.deep.y: 3}",
            {"hidden.length": 0, "kind": "b", "kind.x": "deep", "kind.x.deep.y": 3},
        ),
    ],
)
def test_lists_have_their_length_and_branches_follow_from_their_parameters(point, expected, tmp_path):
    (start,) = study(f"  start: [{point}]", tmp_path, file=LISTS).space.start
    assert start == {f"params.{name}": value for name, value in {**expected, "lr": 0.1}.items()}


@pytest.mark.parametrize(
    ("points", "column", "parameter", "message", "hint"),
    [
        ("{tiny: 70}", 18, "search.start.0.tiny", "never 70", "nearest value is 64"),
        ("{tiny: 3}, {tiny: 2.5}", 29, "search.start.1.tiny", "never 2.5", "nearest value is"),
        ("{batch: ful}", 19, "search.start.0.batch", "never ful", "`full`"),
        ("{tinny: 70}", 19, "search.start.0.tinny", "no parameter `tinny`", "`tiny`"),
        (
            "{opt: adam, opt.momentum: 0.5}",
            37,
            "search.start.0.opt.momentum",
            "because params.opt is adam",
            "",
        ),
        ("{tied: false}", 18, "search.start.0.tied", "always true", ""),
        ("{tiny: [1, 2]}", 18, "search.start.0.tiny", "one value, not a list", ""),
        ("{tiny: 3}, {params.tiny: 3}", 22, "search.start.1", "same point as search.start.0", ""),
    ],
)
def test_a_wrong_start_point_is_refused_at_its_place(points, column, parameter, message, hint, tmp_path):
    problem = problem_of(f"  start: [{points}]", tmp_path)
    assert (problem.line, problem.column, problem.parameter) == (10, column, parameter)
    assert message in problem.message
    assert hint in problem.hint


def test_a_start_point_that_breaks_a_constraint_is_refused_with_the_whole_point(tmp_path):
    problem = problem_of("  where: [tiny > 50]\n  start: [{tiny: 33}]", tmp_path)
    assert "`tiny > 50` of `search.where` does not hold" in problem.message
    assert "params.tiny 33" in problem.hint


def test_the_rest_of_a_start_point_is_moved_from_the_middle_until_the_constraints_hold(tmp_path):
    search = "  where: [tiny > 50, opt.momentum < 0.2]\n  start: [{batch: 64}, {opt.momentum: 0.1}]"
    one, other = study(search, tmp_path).space.start
    assert (one["params.batch"], other["params.opt.momentum"]) == (64, 0.1)
    assert 50 < one["params.tiny"] < 64
    assert other["params.opt"] == "sgd"
    assert study(search, tmp_path).space.start == (one, other)
