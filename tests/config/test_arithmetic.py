"""Formulas over parameters: the same numbers as Python, and an error with its place for everything else."""

from __future__ import annotations

import math
import operator
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.arithmetic import FormulaError, MissingNameError, evaluate, formula_of, value_in
from tunecli.config.formula_syntax import MAX_CHARACTERS, MAX_DEPTH

VALUES = {"gamma": 0.9, "n": 12, "hidden.0": 64, "hidden.1": 32, "tied": True, "name": "sgd", "none": None}


def value(text: str, values: dict[str, object] = VALUES) -> object:
    return evaluate(formula_of(text), values.__getitem__)


@pytest.mark.parametrize(
    "text",
    [
        "1 - gamma", "n / 5", "n // 5", "-n // 5", "-n % 5", "2 ** n ** 0.5", "-2 ** 2", "2 ** -1", "n * (gamma + 1) - 3",
        "min(n, 3, gamma)", "max(n, 3)", "round(2.5)", "round(n / 7, 3)", "abs(-gamma)", "floor(n / 5)", "ceil(n / 5)",
        "int(n / 5)", "float(n)", "n < 13 < 20", "n < 13 < 1", "not n > 13 and gamma < 1", "n == 12.0", "n != 12 or n == 3",
        "- + - n", "1e-3 * 5", ".5 + 1.", "(((n)))", "(-1) ** 3", "int(tied)", "(-1) ** 1000001", "name == 'sgd'",
    ],
)  # fmt: skip
def test_a_formula_has_the_value_and_the_type_that_python_computes(text):
    names = {name: v for name, v in VALUES.items() if "." not in name}
    functions = {"floor": math.floor, "ceil": math.ceil}
    expected = eval(text, functions, names)  # of the texts above only
    assert (value(text), type(value(text))) == (expected, type(expected))


@pytest.mark.parametrize(
    "text, expected",
    [("log(n)", math.log(12)), ("log(8, 2)", math.log(8, 2)), ("log2(n)", math.log2(12)), ("log10(n)", math.log10(12)),
     ("exp(gamma)", math.exp(0.9)), ("sqrt(n)", math.sqrt(12))],
)  # fmt: skip
def test_the_functions_are_those_of_the_math_module(text, expected):
    assert value(text) == expected


def test_paths_and_names_in_backticks_are_parameters():
    formula = formula_of("hidden.0 >= hidden.1 and `batch-size` > hidden.0")
    assert formula.names == ("hidden.0", "hidden.1", "batch-size")
    assert formula.offset_of("hidden.1") == 12
    assert evaluate(formula, {**VALUES, "batch-size": 65}.__getitem__) is True


def test_texts_booleans_and_null_can_be_compared_and_equal_no_number():
    assert value('name == "sgd" and name != "adam" and tied == true and none == null') is True
    assert value("tied == 1") is False
    assert value("1 == '1'") is False


def test_and_and_or_need_no_name_after_the_deciding_part():
    assert value("name != 'sgd' and momentum > 0.5") is False
    assert value("name == 'sgd' or momentum > 0.5") is True
    with pytest.raises(MissingNameError) as caught:
        value("name == 'sgd' and momentum > 0.5")
    assert (caught.value.name, caught.value.offset) == ("momentum", 18)


@pytest.mark.parametrize(
    "text, message, offset",
    [
        ("", "the formula is empty", None),
        ("n +", "expected a number, a name or `(`, but the formula ends", 3),
        ("n n", "expected an operator or the end, not `n`", 2),
        ("(n", "expected an operator or `)`, but the formula ends", 2),
        ("n = 2", "the character `=` is not part of a formula", 2),
        ("a[0]", "the character `[` is not part of a formula", 1),
        ("'abc", "the quote ' is not closed", 0),
        ("1..2", "`1..2` is not a number", 0),
        ("1 + 2x", "`2x` is not a number", 4),
        ("__import__('os')", "unknown function `__import__`", 0),
        ("n.bit_length()", "unknown function `n.bit_length`", 0),
        ("1 + sqr(n)", "unknown function `sqr`", 4),
        ("min(n)", "`min` takes 2 to 64 arguments, not 1", 0),
        ("abs(n, 1)", "`abs` takes 1 argument, not 2", 0),
        ("not", "expected a number, a name or `(`, but the formula ends", 3),
        ("1e999", "the number 1e999… is too large", 0),
        ("1" * (MAX_CHARACTERS + 1), "a formula must have at most 1,000 characters, not 1,001", None),
    ],
)  # fmt: skip
def test_a_text_that_is_no_formula_is_refused_with_its_place(text, message, offset):
    with pytest.raises(FormulaError) as caught:
        formula_of(text)
    assert (caught.value.message, caught.value.offset) == (message, offset)


@pytest.mark.parametrize(
    "text, message",
    [
        ("n / (n - 12)", "division by zero"),
        ("n % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("9 ** 9 ** 9", "the result is too large"),
        ("9 ** 9 ** 9 ** 9 ** 9", "the result is too large"),
        ("(2 ** 255) * 4", "the result is too large"),
        ("exp(1000)", "the result is too large"),
        ("1e70 ** 5", "the result is too large"),
        ("log(0)", "the result is not a real number"),
        ("(-8) ** 0.5", "the result is not a real number"),
        ("round(n, -1000000)", "the digits of `round` must be a whole number from -100 to 100"),
        ("name + 1", "expected a number, but the value is the text 'sgd'"),
        ("tied * 2", "expected a number, but the value is true"),
        ("name < 1", "expected a number, but the value is the text 'sgd'"),
        ("none + 1", "expected a number, but the value is empty"),
        ("n and tied", "expected a condition, such as `a < b`, but the value is 12"),
        ("not n", "expected a condition, such as `a < b`, but the value is 12"),
    ],
)
def test_a_formula_without_a_finite_value_says_why(text, message):
    with pytest.raises(FormulaError) as caught:
        value(text)
    assert caught.value.message == message


def test_nesting_is_bounded_and_long_sums_are_not_nesting():
    assert value("1" + " + 1" * 240) == 241
    deepest = "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH
    assert value(deepest) == 1
    for text in (f"({deepest})", "-" * 500 + "1", "not " * 200 + "tied", "2" + "**1" * 300, "abs(" * 200):
        with pytest.raises(FormulaError, match="nested more than 30 levels"):
            formula_of(text)


@given(st.text(max_size=60) | st.text("0123456789.+-*/%()<>=!'\"` andortruelog,", max_size=60))
def test_every_text_gives_a_formula_or_a_formula_error(text):
    try:
        evaluate(formula_of(text), {}.__getitem__)
    except FormulaError as error:
        assert error.offset is None or 0 <= error.offset <= len(text)


def test_random_formulas_have_the_value_of_the_operators_applied_one_by_one():
    generator = random.Random(7)
    operators = {"+": operator.add, "-": operator.sub, "*": operator.mul}
    for _ in range(200):
        numbers = [generator.randint(-9, 9) for _ in range(5)]
        words = [generator.choice("+-*") for _ in range(4)]
        text = f"{numbers[0]}" + "".join(f" {w} ({n})" for w, n in zip(words, numbers[1:], strict=True))
        sums: list[tuple[str, int]] = [("+", numbers[0])]
        for word, number in zip(words, numbers[1:], strict=True):
            if word == "*":
                sums[-1] = (sums[-1][0], sums[-1][1] * number)
            else:
                sums.append((word, number))
        expected = 0
        for word, number in sums:
            expected = operators[word](expected, number)
        assert value(text) == expected


TREE = {
    "params": {"lr": 0.1, "net": {"width": 3, "a.b": 7}, "off": None},
    "hidden": [64, 32],
    "optimizer": {"name": "sgd"},
}
POINT = {"optimizer": "sgd", "params.lr": 0.1, "hidden.length": 2}


@pytest.mark.parametrize(
    "name, expected",
    [("params.lr", 0.1), ("lr", 0.1), ("net.width", 3), ("net.a.b", 7), ("off", None), ("hidden.1", 32),
     ("hidden.length", 2), ("optimizer", "sgd"), ("optimizer.name", "sgd")],
)  # fmt: skip
def test_a_name_is_a_parameter_or_a_path_of_the_trial_with_or_without_params(name, expected):
    assert value_in(POINT, TREE, name) == expected


@pytest.mark.parametrize(
    "name", ["momentum", "hidden.2", "hidden", "hidden.x", "net", "lr.x", "", "hidden.-1"]
)
def test_a_name_without_a_plain_value_is_missing(name):
    with pytest.raises(KeyError):
        value_in(POINT, TREE, name)
