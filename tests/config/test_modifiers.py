"""`as:` beside a range: the known settings, and the errors of all others."""

from __future__ import annotations

import pytest

from tunecli.config.expressions import Broken, Choice, Numeric
from tunecli.config.grammar import parse
from tunecli.config.reader import read


def parsed(text):
    problems = []
    return parse(read(text.encode(), "f"), problems.append, "x"), problems


@pytest.mark.parametrize(
    "text",
    [
        "{loguniform: [1e-5, 1e-1], as: optimizer.lr, default: 1e-3}",
        "{power: {of: 2, int: [3, 8]}, as: training.batch_size}",
        "{choice: [32, 64, full], as: training.batch_size}",
        "{choice: [relu, tanh], as: model.activation}",
        "{uniform: [0, 1], as: rmsprop.lr}",
    ],
)
def test_a_range_may_say_which_setting_it_is(text):
    expression, problems = parsed(text)
    assert problems == []
    assert isinstance(expression, Numeric | Choice)
    assert f"as: {expression.known_as}" in text


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{uniform: [0, 1], as: optimizer.rl}", "not `optimizer.rl`", "did you mean `optimizer.lr`?"),
        ("{uniform: [0, 1], as: dropout}", "not `dropout`", "did you mean `model.dropout`?"),
        ("{uniform: [0, 1], as: learning_rate}", "not `learning_rate`", "did you mean `optimizer.lr`?"),
        ("{int: [1, 4], as: num_layers}", "not `num_layers`", "did you mean `model.depth`?"),
        ("{uniform: [0, 1], as: [optimizer.lr]}", "not a map or a list", "for example"),
        ("{uniform: [0, 1], as: 3}", "not 3", "for example"),
        ("{uniform: [0, 1], as: off}", "not `off`", "`as: none`"),
        ("{uniform: [0, 1], as: model.activation}", "is a name, and this range has numbers", "`choice`"),
        ("{choice: [a, b], as: optimizer.lr}", "is a number, and this choice has none", ""),
        ("{normal: [0, 1], as: optimizer.lr}", "unknown key `as` beside the range `normal`", ""),
    ],
)
def test_a_wrong_setting_is_an_error_at_its_place(text, message, hint):
    expression, (problem,) = parsed(text)
    assert isinstance(expression, Broken)
    assert message in problem.message
    assert hint in problem.hint
    assert problem.line == 1
    assert problem.column > 10
