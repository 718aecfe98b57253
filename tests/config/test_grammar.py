"""The grammar of ranges: how each is parsed, and the errors of invalid ones."""

import pytest

from tunecli.config.domains import Categorical, Integer, Normal, Real
from tunecli.config.expressions import Choice, Expression, Fixed, Group, Numeric, Reference, VariableList
from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.errors import Problem


def parsed(text: str) -> tuple[Expression, list[Problem]]:
    problems: list[Problem] = []
    return parse(read(text.encode(), "f"), problems.append, "x"), problems


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("{uniform: [0, 1]}", Real(0.0, 1.0)),
        ("{uniform: [0.0, 1.0], step: 0.1, grid: 3}", Real(0.0, 1.0, step=0.1, grid=3)),
        ("{loguniform: [1e-5, 1e-1]}", Real(1e-5, 1e-1, is_log=True)),
        ("{int: [1, 9], step: 2}", Integer(1, 9, step=2)),
        ("{logint: [16, 256], grid: 5}", Integer(16, 256, is_log=True, grid=5)),
        ("{normal: [0, 2]}", Normal(0.0, 2.0)),
    ],
)
def test_a_range_of_numbers_reads_as_its_domain(text, domain):
    expression, problems = parsed(text)
    assert problems == []
    assert isinstance(expression, Numeric)
    assert expression.domain == domain


def test_a_default_is_read_in_the_kind_of_its_range():
    expression, problems = parsed("{uniform: [0, 2], default: 1}")
    assert problems == []
    assert isinstance(expression, Numeric)
    assert type(expression.default) is float


def test_a_choice_names_its_options_by_value_by_name_by_link_and_by_text():
    expression, problems = parsed(
        "{choice: [relu, 3, {name: focal, g: 1}, {cosine: {to: 0}}, [64, 64], {a: 1, b: 2}]}"
    )
    assert problems == []
    assert isinstance(expression, Choice)
    assert expression.labels == ("relu", 3, "focal", "cosine", "[64, 64]", '{"a": 1, "b": 2}')


def test_options_with_the_same_name_are_numbered():
    expression, _ = parsed("{choice: [{name: sgd, m: 0}, {name: sgd, m: 1}]}")
    assert isinstance(expression, Choice)
    assert expression.labels == ("sgd", "sgd#2")


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ("{source: iris}, {source: wine}", ("source=iris", "source=wine")),
        ("{fraction: 0.1}, {fraction: 0.2}, {folds: 5}", ("fraction=0.1", "fraction=0.2", "folds")),
        ("{epochs: null}, {epochs: 3}, epochs", ("epochs=null", "epochs=3", "epochs")),
        (
            "{source: iris, task: classification, inputs: auto}, {source: wine, task: classification, inputs: auto}",
            ("source=iris", "source=wine"),
        ),
        ("{cut: {factor: 1}}, {cut: {factor: 2}}", ("cut", "cut#2")),
        ("{source: {choice: [a, b]}}, {source: c}", ("source", "source#2")),
        ("{list: {of: 1, length: 2}}, {list: {of: 2, length: 2}}", ("list", "list#2")),
    ],
)
def test_options_without_a_name_are_labelled_by_their_differences(options, labels):
    expression, problems = parsed(f"{{choice: [{options}]}}")
    assert problems == []
    assert isinstance(expression, Choice)
    assert expression.labels == labels


def test_a_list_holds_an_expression_for_each_place_up_to_its_greatest_length():
    expression, problems = parsed("{list: {of: {int: [1, 3]}, length: {int: [0, 4]}}, default: [2, 2]}")
    assert problems == []
    assert isinstance(expression, VariableList)
    assert len(expression.items) == 4
    assert expression.lengths == Integer(0, 4)
    assert expression.default_items == (2, 2)


def test_a_list_of_a_fixed_length_has_one_length():
    expression, _ = parsed("{list: {of: 3, length: 2}}")
    assert isinstance(expression, VariableList)
    assert expression.lengths == Categorical((2,))


def test_a_reference_may_begin_at_trial():
    expression, _ = parsed("{ref: trial.optimizer.lr}")
    assert isinstance(expression, Reference)
    assert expression.path == "optimizer.lr"


def test_maps_without_a_range_key_stay_maps():
    expression, _ = parsed("{a: {b: 1}, c: [x]}")
    assert isinstance(expression, Group)
    assert isinstance(expression.items["c"].items[0], Fixed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{normal: [10, 1.0e-16], grid: 3}", "`grid` is 3, but the range contains fewer numbers"),
        ("{normal: [-1.0e+17, 1], grid: 2}", "`grid` is 2, but the range contains fewer numbers"),
        ("{uniform: [1, 1.0000000000000004], grid: 9}", "`grid` is 9, but the range contains fewer"),
        ("{uniform: [1, 0]}", "the range is reversed: 1 is above 0 (write [0, 1])"),
        ("{loguniform: [0, 1]}", "a logarithmic range must be above 0, not start at 0"),
        ("{int: [1.5, 3]}", "`int` must be two finite whole numbers, [low, high]"),
        ("{int: [true, 3]}", "`int` must be two finite whole numbers"),
        ("{uniform: [0, .inf]}", "two finite numbers"),
        ("{uniform: 3}", "two finite numbers"),
        ("{uniform: [1]}", "two finite numbers"),
        ("{normal: [0, 0]}", "the deviation of `normal` must be above 0"),
        ("{choice: []}", "at least one option"),
        ("{choice: relu}", "at least one option"),
        ("{choice: [1, 1]}", "the option 1 appears twice"),
        ("{choice: [{choice: [1, 2]}, 3]}", "an option must not be a `choice` itself"),
        ("{choice: [1, 2], default: 3}", "the default 3 is not one of the options (options: 1, 2)"),
        ("{uniform: [0, 1], default: 2}", "the default 2 is not in the range"),
        ("{uniform: [0, 1], step: 0}", "`step` must be a number above 0"),
        ("{int: [0, 1000000000], grid: 100000000}", "`grid` must be at most 10,000 points"),
        ("{uniform: [0, 1], grid: 0}", "`grid` must be a whole number above 0"),
        (
            "{uniform: [0, 1], defualt: 1}",
            "unknown key `defualt` beside the range `uniform` (did you mean `default`?)",
        ),
        ("{choice: [1, 2], grid: 2}", "unknown key `grid` beside the range `choice`"),
        ("{ref: a, default: 1}", "unknown key `default` beside the range `ref`"),
        ("{ref: 3}", "`ref` must be the path of another key"),
        ("{list: [1]}", "`list` must be"),
        ("{list: {of: 1}}", "missing `length`"),
        ("{list: {of: 1, length: x}}", "the `length` of a list must be a whole number"),
        ("{list: {of: 1, length: {int: [-1, 2]}}}", "length of a list must be between 0 and 64"),
        ("{list: {of: 1, length: {int: [1, 1000000000]}}}", "length of a list must be between 0 and 64"),
        (
            "{list: {of: {int: [1, 3]}, length: 2}, default: [2, 9]}",
            "the default 9 is not in the range",
        ),
        ("{uniform: [0, 1], int: [0, 1]}", "unknown key `int` beside the range `uniform`"),
    ],
)
def test_an_invalid_range_is_refused_with_a_reason(text, words):
    _, problems = parsed(text)
    assert len(problems) == 1
    assert words in str(problems[0])
    assert problems[0].line == 1
    assert problems[0].parameter.startswith("trial.x")


def test_all_problems_of_a_range_are_reported_at_once():
    _, problems = parsed("{loguniform: [1e-1, 1e-4], defualt: 1e-2}")
    assert len(problems) == 2
    told = " ".join(map(str, problems))
    assert "unknown key `defualt` beside" in told
    assert "the range is reversed" in told


def test_a_bad_list_item_is_reported_once():
    _, problems = parsed("{list: {of: {int: [3, 1]}, length: {int: [1, 9]}}}")
    assert len(problems) == 1


def test_a_key_with_a_dot_is_accepted_if_its_value_contains_no_range():
    _, problems = parsed('{"layer.0.weight": 3, "a.b": {ref: c}}')
    assert problems == []
