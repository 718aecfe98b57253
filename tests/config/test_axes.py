"""Axes of parameters: distinct names, conditions, ends and positions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spaces import space_of
from tunecli.config.axes import (
    axis_ends,
    axis_position,
    condition_text,
    distinct_names,
    is_log_axis,
    varying_parameters,
)
from tunecli.config.domains import Categorical, Integer, Normal, Powers, Real, value_of_unit

BRANCHES = """
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0, 0.9]}}
    - {name: adamw, lr: {loguniform: [1e-5, 0.1]}}
model: {hidden: {list: {of: {logint: [16, 256]}, length: {int: [1, 3]}}}, width: {int: [4, 4]}, act: {choice: [relu]}}
"""


def test_parameters_of_one_name_in_several_branches_get_the_branch_in_their_name():
    names = list(distinct_names(space_of(BRANCHES)).values())
    assert names[:4] == ["optimizer", "optimizer.lr (sgd)", "optimizer.momentum", "optimizer.lr (adamw)"]
    assert len(set(names)) == len(names)


def test_parameters_whose_branches_have_one_label_are_named_by_their_keys():
    inner = "{choice: [{name: a, x: {int: [1, 2]}}, {name: a, x: {int: [1, 3]}}]}"
    space = space_of(f"p: {inner}")
    names = distinct_names(space)
    assert len(set(names.values())) == len(space.parameters)


def test_a_condition_names_the_option_and_the_least_length():
    space = space_of(BRANCHES)
    by_key = {parameter.key: condition_text(space, parameter) for parameter in space.parameters}
    assert by_key["optimizer"] == ""
    assert by_key["optimizer{adamw}.lr"] == "optimizer = adamw"
    assert by_key["model.hidden.0"] == ""
    assert by_key["model.hidden.2"] == "model.hidden.length ≥ 3"


def test_a_parameter_of_one_value_does_not_vary():
    names = {parameter.name for parameter in varying_parameters(space_of(BRANCHES))}
    assert "optimizer.lr" in names
    assert not {"model.width", "model.act"} & names


DOMAINS = [
    Real(0.5, 2.0),
    Real(1e-5, 1e-1, is_log=True),
    Real(0.0, 1.0, step=0.25),
    Integer(3, 17),
    Integer(16, 256, is_log=True),
    Normal(2.0, 0.5),
    Normal(-3.0, 1.0, is_log=True),
    Powers(2, Integer(3, 8)),
    Powers(10.0, Integer(-5, -1)),
    Powers(0.5, Real(1.0, 4.0)),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_positions_run_from_the_lower_end_to_the_upper_and_never_leave_the_axis(domain):
    low, high = axis_ends(domain)
    assert low < high
    assert axis_position(domain, low) == 0.0
    assert axis_position(domain, high) == 1.0
    assert axis_position(domain, low - abs(low) - 1) == 0.0
    assert axis_position(domain, math.inf) == 1.0
    drawn = sorted(value_of_unit(domain, n / 20) for n in range(20))
    positions = [axis_position(domain, value) for value in drawn]
    assert positions == sorted(positions)
    assert all(0.0 <= position <= 1.0 for position in positions)


def test_the_position_of_a_logarithmic_range_is_the_share_of_the_logarithm():
    assert axis_position(Real(1e-4, 1.0, is_log=True), 1e-2) == pytest.approx(0.5)
    assert axis_position(Integer(1, 100, is_log=True), 10) == pytest.approx(0.5)
    assert axis_position(Powers(2, Integer(0, 4)), 4) == pytest.approx(0.5)
    assert is_log_axis(Powers(2, Integer(0, 4)))
    assert not is_log_axis(Real(0, 1))


def test_the_ends_of_a_normal_distribution_are_its_outer_quantiles():
    assert axis_ends(Normal(0.0, 1.0)) == pytest.approx((-3.0902, 3.0902), abs=1e-3)


def test_the_position_of_an_option_is_its_index():
    domain = Categorical((1, True, "relu", None))
    assert [axis_position(domain, option) for option in domain.options] == [0.0, 1.0, 2.0, 3.0]
    assert axis_position(domain, "gelu") is None


@given(st.none() | st.booleans() | st.floats() | st.integers() | st.text())
def test_any_value_has_a_position_on_the_axis_or_none(value):
    for domain in (Real(-1.0, 3.0), Real(1e-9, 1e9, is_log=True), Integer(0, 9)):
        position = axis_position(domain, value)
        assert position is None or 0.0 <= position <= 1.0
