"""`search.where` and `search.forbid` in a file: wrong constraints are refused at their place, with a hint."""

from __future__ import annotations

import pytest

from tunecli.config.comparison import differences
from tunecli.config.constraint_checks import incomputable_conditions
from tunecli.config.load import parse_study
from tunecli.errors import ConfigError

FILE = """\
objective: {metric: value, direction: minimize}
trial:
  command: [echo, "{batch}", "{tiny}", "{opt}", "{opt.momentum}"]
  params:
    batch: {choice: [32, 64, full]}
    tiny: {int: [1, 64]}
    opt: {choice: [{name: sgd, momentum: {uniform: [0, 1]}}, adam]}
    tied: true
search:
"""


def study(search, tmp_path, *, is_counted=False, file=FILE):
    inspect = (lambda *_: ()) if is_counted else None
    return parse_study(f"{file}{search}\n".encode(), "s.yaml", (), tmp_path, inspect)


def problem_of(search, tmp_path, *, is_counted=False):
    with pytest.raises(ConfigError) as raised:
        study(search, tmp_path, is_counted=is_counted)
    (problem,) = raised.value.problems
    return problem


@pytest.mark.parametrize(
    ("search", "column", "parameter", "message", "hint"),
    [
        ("  where: [tinny < 3]", 11, "search.where.0", "no parameter `tinny`, at character 1", "`tiny`"),
        ("  where: [tiny < 3, momentum > 0]", 21, "search.where.1", "`momentum`", "`params.opt.momentum`"),
        ("  where: ['tiny + 1']", 11, "search.where.0", "not a condition", "compare two values"),
        ("  where: ['tiny <']", 11, "search.where.0", "character 7", ""),
        ("  where: ['open(tiny) > 1']", 11, "search.where.0", "unknown function `open`", "functions are"),
        ("  forbid: [{batch: 33}]", 20, "search.forbid.0.batch", "never 33", "nearest value is 32"),
        ("  forbid: [{opt: sdg}]", 18, "search.forbid.0.opt", "never sdg", "`sgd`"),
        ("  forbid: [{opt: [adam, sdg]}]", 18, "search.forbid.0.opt", "never sdg", "`sgd`"),
        ("  forbid: [{tiny: 99}]", 19, "search.forbid.0.tiny", "int 1 … 64", "nearest value is 64"),
        ("  forbid: [{tiny: few}]", 19, "search.forbid.0.tiny", "is a number", ""),
        ("  forbid: [{tinny: 9}]", 20, "search.forbid.0.tinny", "no parameter `tinny`", "`tiny`"),
        ("  forbid: [{}]", 12, "search.forbid.0", "empty combination", ""),
    ],
)
def test_a_wrong_constraint_is_refused_at_its_place(search, column, parameter, message, hint, tmp_path):
    problem = problem_of(search, tmp_path)
    assert (problem.line, problem.column, problem.parameter) == (10, column, parameter)
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("search", "parameter", "message"),
    [
        ("  where: [tiny > 3, tiny > 64]", "search.where.1", "no"),
        ("  where: [tiny > 40, 'tiny < 20']", "search.where", "`search.where`"),
        ("  forbid: [{opt: [sgd, adam]}]", "search.forbid.0", "`opt sgd or adam`"),
    ],
)
def test_constraints_that_no_point_meets_are_refused(search, parameter, message, tmp_path):
    problem = problem_of(search.replace("opt:", "params.opt:"), tmp_path, is_counted=True)
    assert problem.parameter == parameter
    assert message in problem.message.replace("params.", "")
    assert "random points" in problem.message


def test_a_small_space_without_a_feasible_point_is_refused_without_a_sample(tmp_path):
    file = FILE.replace("{name: sgd, momentum: {uniform: [0, 1]}}", "sgd").replace('"{opt.momentum}"', '"1"')
    with pytest.raises(ConfigError) as raised:
        study("  where: [tiny > 64]", tmp_path, is_counted=True, file=file)
    assert "no point of the space meets `tiny > 64`" in str(raised.value)


def test_a_start_point_shows_that_rare_points_exist(tmp_path):
    search = "  where: [opt.momentum == 0.5]\n  forbid: [{opt: adam}]\n  start: [{opt.momentum: 0.5}]"
    assert study(search, tmp_path, is_counted=True).space.start[0]["params.opt.momentum"] == 0.5


def test_names_in_nested_maps_and_without_params_are_understood(tmp_path):
    spec = study(
        "  forbid: [{params: {opt: {name: sgd}, tiny: [1, 2]}}, {tied: true, batch: full}]", tmp_path
    )
    one, other = spec.space.constraints.forbid
    assert one.values == (("params.opt", ("sgd",)), ("params.tiny", (1, 2)))
    assert str(other) == "params.tied true and params.batch full"


def test_a_condition_that_compares_a_text_with_a_number_is_found(tmp_path):
    found = incomputable_conditions(study("  where: [batch <= 64, tiny < 60]", tmp_path).space)
    ((text, (reason, fraction)),) = found.items()
    assert text == "batch <= 64"
    assert "'full'" in reason
    assert fraction == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize("search", ["  where: [tiny < 4]", "  forbid: [{opt: adam}]", "  start: [{tiny: 3}]"])
def test_a_study_that_has_begun_refuses_other_constraints(search, tmp_path):
    (change,) = differences(study("  trials: 50", tmp_path), study(f"  trials: 50\n{search}", tmp_path))
    assert not change.may_change
