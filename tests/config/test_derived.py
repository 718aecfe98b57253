"""Derived values: the names that formulas see, the trials that have them, and formulas without a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.spaces import space_of
from tunecli.config.concrete_trial import concrete, derived_values
from tunecli.config.labels import option_labels
from tunecli.config.load import parse_study
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.space import point_of_units, point_with
from tunecli.errors import ConfigError
from tunecli.search.protocols import suggest


def at_middle(text: str) -> dict[str, object]:
    space = space_of(text)
    return concrete(space, point_with(space, {}))


def test_a_formula_sees_parameters_fixed_values_other_formulas_and_references():
    tree = at_middle(
        "{a: {uniform: [0, 1]}, fixed: 4, b: {expr: '1 - a'}, c: {expr: 'b * fixed + d'}, d: {ref: fixed}, e: {ref: c}}"
    )
    assert tree == {"a": 0.5, "fixed": 4, "b": 0.5, "c": 6.0, "d": 4, "e": 6.0}


def test_a_formula_of_one_name_is_a_reference():
    space = "{a: {int: [1, 9]}, b: {%s}}"
    assert at_middle(space % "expr: a") == at_middle(space % "ref: a")


def test_derived_values_are_not_part_of_the_point():
    space = space_of(
        "{a: {uniform: [0, 1]}, b: {expr: '1 - a'}, n: {expr: 'l.length'}, l: {list: {of: 3, length: {int: [0, 4]}}}}"
    )
    point = point_of_units(space, [0.25, 0.5])
    assert point == {"a": 0.25, "l.length": 2}
    assert space.names == ("a", "l.length")
    assert space.column_names == ("a", "l.length", "b", "n")
    assert derived_values(space, point) == {"b": 0.75, "n": 2}


def test_names_under_params_need_no_prefix_and_a_full_path_wins():
    tree = at_middle(
        "{params: {lr: 0.1, net: {width: 8}, a: {expr: 'lr * 2'}, b: {expr: 'params.net.width + net.width'}}}"
    )
    assert tree["params"] == {"lr": 0.1, "net": {"width": 8}, "a": 0.2, "b": 16}


def test_a_formula_in_one_branch_has_a_column_of_its_own_name():
    space = space_of("{lr: {uniform: [0, 1]}, x: {choice: [0.5, {expr: 'lr * 10'}]}}")
    assert space.names == ("lr", "x.choice")
    assert space.parameters[1].domain.options == (0.5, "lr * 10")
    fixed, derived = {"lr": 0.3, "x.choice": 0.5}, {"lr": 0.3, "x.choice": "lr * 10"}
    assert concrete(space, fixed)["x"] == 0.5
    assert concrete(space, derived)["x"] == 3.0
    assert [derived_values(space, point) for point in (fixed, derived)] == [{}, {"x": 3.0}]


def test_formulas_in_items_of_a_list_see_the_other_items():
    tree = at_middle("{w: {list: {of: {choice: [{expr: 'first // 2'}, 5]}, length: 2}}, first: 64}")
    assert tree["w"] == [32, 32]
    assert at_middle("{w: [64, {expr: 'w.0 // 2'}, {expr: 'w.1 // 2'}]}")["w"] == [64, 32, 16]


def test_a_formula_sees_a_chosen_sub_tree_by_its_label():
    space = space_of(
        "{opt: {choice: [{name: sgd, lr: 0.1}, {name: adam, lr: 0.2}]}, x: {expr: 'opt == \"adam\" and opt.lr > 0.1'}}"
    )
    assert [concrete(space, {"opt": name})["x"] for name in ("sgd", "adam")] == [False, True]


def test_a_long_chain_of_formulas_is_computed_without_recursion():
    chain = ", ".join(f"x{n}: {{expr: 'x{n + 1} + 1'}}" for n in range(1500))
    assert at_middle(f"{{{chain}, x1500: 0}}")["x0"] == 1500


def test_formulas_that_multiply_are_computed_once_each():
    doubled = ", ".join(f"x{n}: {{expr: 'x{n + 1} + x{n + 1}'}}" for n in range(200))
    assert at_middle(f"{{{doubled}, x200: 1}}")["x0"] == 2**200


@pytest.mark.parametrize(
    "text, message",
    [
        ("{a: {expr: 'b'}, b: {expr: 'a'}}", "a formula refers to itself: `b` → `a` → `b`"),
        ("{a: {expr: 'a + 1'}}", "a formula refers to itself: `a + 1` → `a + 1`"),
        ("{a: {expr: 'b'}, b: {ref: a}}", "a formula refers to itself"),
        ("{a: {expr: 'b'}, b: {ref: b}}", "`ref: b` refers to itself"),
        ("{gamma: 1, a: {expr: '1 - gama'}}", "`gama` in `expr: 1 - gama` does not exist here"),
        ("{m: {x: 1}, a: {expr: 'm + 1'}}", "`m` in `expr: m + 1` is a map or a list, not a single value"),
        ("{m: [1, 2], a: {expr: 'm + 1'}}", "`m` in `expr: m + 1` is a map or a list, not a single value"),
        ("{m: 0, a: {expr: '1 / m'}}", "`expr: 1 / m` has no value where m is 0: division by zero"),
        ("{m: sgd, a: {expr: 'm * 2'}}", "expected a number, but the value is the text 'sgd'"),
        ("{m: 9, a: {expr: 'm ** m ** m'}}", "the result is too large"),
    ],
)  # fmt: skip
def test_a_formula_without_a_value_says_why(text, message):
    with pytest.raises(DanglingReferenceError) as caught:
        at_middle(text)
    assert message in caught.value.message


def test_a_misspelt_name_gets_the_nearest_one():
    with pytest.raises(DanglingReferenceError) as caught:
        at_middle("{params: {gamma: 1, a: {expr: '1 - params.gama'}}}")
    assert caught.value.hint == "did you mean `params.gamma`?"


def test_a_formula_that_has_no_value_at_a_point_has_no_cell_there():
    space = space_of("{m: {int: [0, 2]}, a: {expr: '1 / m'}}")
    assert [derived_values(space, {"m": m}) for m in (0, 2)] == [{}, {"a": 0.5}]


@pytest.mark.parametrize(
    "text, message",
    [
        ("{expr: '1 +'}", "expected a number, a name or `(`, but the formula ends at character 4 of `1 +`"),
        ("{expr: 'open(a)'}", "unknown function `open` at character 1 of `open(a)`"),
        ("{expr: ''}", "the formula is empty"),
    ],
)
def test_a_text_that_is_no_formula_is_refused_at_its_place(text, message):
    with pytest.raises(pytest.fail.Exception) as caught:
        space_of(f"{{a: 1, x: {text}}}")
    assert message in str(caught.value)
    assert "test.yaml:1:" in str(caught.value)


def test_options_with_formulas_have_labels():
    assert option_labels(space_of("{a: 1, x: {choice: [{expr: 'a * 2'}, {expr: 'a * 3'}]}}")) == {}


STUDY = """\
objective: {metric: loss}
trial:
  python: own:f
  params: {a: {int: [1, 9]}, half: {expr: a // 2}, n: {power: {of: 2, int: [1, 4]}}, r: {power: {of: 10, int: [-3, 0]}}}
search: {sampler: random, where: ["half >= 3", "n > half"], forbid: [{n: 8, half: 4}], start: [{a: 6, n: 16, r: 1}]}
"""


def test_constraints_and_start_points_know_derived_values_and_powers():
    space = parse_study(STUDY.encode(), "f.yaml", (), Path()).space
    assert space.start[0] == {"params.a": 6, "params.n": 16, "params.r": 1.0}
    for number in range(30):
        point = suggest("random", space, [], number, 5)
        half, n = point["params.a"] // 2, point["params.n"]
        assert half >= 3
        assert n > half
        assert (n, half) != (8, 4)


@pytest.mark.parametrize(
    "start, hint", [("n: 9", "the nearest value is 8"), ("r: 0", "the nearest value is 0.001")]
)
def test_a_start_point_outside_of_the_powers_gets_the_nearest_one(start, hint):
    with pytest.raises(ConfigError) as caught:
        parse_study(STUDY.replace("n: 16, r: 1", start).encode(), "f.yaml", (), Path())
    assert [problem.hint for problem in caught.value.problems] == [hint]
