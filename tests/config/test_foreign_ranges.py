"""Ranges in other tools' words, and the valid lines that are suggested for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.config.domains import Categorical, Integer, Real, last_value
from tunecli.config.expressions import Fixed
from tunecli.config.grammar import parse
from tunecli.config.load import parse_study
from tunecli.config.range_lines import flow, lines_for, lines_for_list, near_ranges
from tunecli.config.reader import ScalarNode, read
from tunecli.config.space import Space

UNIFORM, LOGUNIFORM = "{uniform: [0.001, 0.1]}", "{loguniform: [0.001, 0.1]}"
EITHER = (UNIFORM, LOGUNIFORM)
INT, INTS = "{int: [1, 9]}", ("{int: [1, 9]}", "{logint: [1, 9]}")
CHOICE, WORDS = "{choice: [1, 2]}", "{choice: [a, b]}"
STEPPED = "{uniform: [0, 1], step: 0.1}"

TABLE: list[tuple[str, str, tuple[str, ...]]] = [
    ("W&B", "{min: 0.001, max: 0.1}", EITHER),
    ("W&B", "{min: 1, max: 9}", INTS),
    ("W&B", "{values: [1, 2]}", (CHOICE,)),
    ("W&B", "{values: [a, b], probabilities: [0.5, 0.5]}", ("{choice: [a, b], weights: [0.5, 0.5]}",)),
    ("W&B", "{values: [a, b], probabilities: [1, 0]}", (WORDS,)),
    ("W&B", "{distribution: q_normal, mu: 64, sigma: 16, q: 8}", ("{normal: [64, 16], step: 8}",)),
    ("W&B", "{distribution: log_normal, mu: -7, sigma: 1}", ("{lognormal: [-7, 1]}",)),
    ("W&B", "{distribution: q_log_normal, mu: 3, sigma: 1, q: 4}", ("{lognormal: [3, 1], step: 4}",)),
    ("hyperopt", "\"hp.lognormal('lr', -7, 1)\"", ("{lognormal: [-7, 1]}",)),
    ("hyperopt", "\"hp.qnormal('n', 64, 16, 8)\"", ("{normal: [64, 16], step: 8}",)),
    ("NNI", "{_type: qlognormal, _value: [3, 1, 4]}", ("{lognormal: [3, 1], step: 4}",)),
    ("W&B", "{value: 3}", ("3",)),
    ("W&B", "{distribution: constant, value: a}", ("a",)),
    ("W&B", "{distribution: uniform, min: 0.001, max: 0.1}", (UNIFORM,)),
    ("W&B", "{distribution: log_uniform_values, min: 0.001, max: 0.1}", (LOGUNIFORM,)),
    ("W&B", "{distribution: log_uniform, min: -9.21034, max: 0}", ("{loguniform: [0.0001, 1.0]}",)),
    ("W&B", "{distribution: int_uniform, min: 1, max: 9}", (INT,)),
    ("W&B", "{distribution: q_uniform, min: 0, max: 1, q: 0.1}", (STEPPED,)),
    ("W&B", "{distribution: categorical, values: [1, 2]}", (CHOICE,)),
    ("W&B", "{distribution: normal, mu: 0, sigma: 1}", ("{normal: [0, 1]}",)),
    ("W&B", "{distribution: beta, a: 2, b: 5}", ("{uniform: [0, 1]}",)),
    ("W&B", "{distribution: q_beta, a: 2, b: 5, q: 0.1}", (STEPPED,)),
    ("W&B", "{distribution: inv_log_uniform, min: 0, max: 9.21034}", ("{loguniform: [0.0001, 1.0]}",)),
    ("W&B", "{distribution: inv_log_uniform_values, min: 0.001, max: 0.1}", (LOGUNIFORM,)),
    ("Ray", "{tune.loguniform: [0.001, 0.1]}", (LOGUNIFORM,)),
    ("Ray", "{tune.choice: [a, b]}", (WORDS,)),
    ("Optuna", "{suggest_float: [0.001, 0.1]}", (UNIFORM,)),
    ("Optuna", "{suggest_loguniform: [0.001, 0.1]}", (LOGUNIFORM,)),
    ("Optuna", "{suggest_int: [1, 9]}", (INT,)),
    ("Optuna", "{suggest_categorical: [a, b]}", (WORDS,)),
    ("Optuna", "{low: 0.001, high: 0.1, log: true}", (LOGUNIFORM,)),
    ("Optuna", "{type: int, low: 1, high: 9}", (INT,)),
    ("Optuna", "'trial.suggest_float(\"lr\", 0.001, 0.1, log=True)'", (LOGUNIFORM,)),
    ("Optuna", "'trial.suggest_int(\"n\", 1, 9)'", (INT,)),
    ("Optuna", "'trial.suggest_categorical(\"x\", [1, 2])'", (CHOICE,)),
    ("Ray", "'tune.uniform(0.001, 0.1)'", (UNIFORM,)),
    ("Ray", "'tune.loguniform(1e-3, 1e-1)'", (LOGUNIFORM,)),
    ("Ray", "'tune.quniform(0, 1, 0.1)'", (STEPPED,)),
    ("Ray", "'tune.randint(1, 10)'", (INT,)),
    ("Ray", "'tune.choice([1, 2])'", (CHOICE,)),
    ("Ray", "'tune.grid_search([1, 2])'", (CHOICE,)),
    ("Ray", "{grid_search: [1, 2]}", (CHOICE,)),
    ("Ray", "'tune.randn(0, 1)'", ("{normal: [0, 1]}",)),
    ("Hydra", "'choice(1, 2)'", (CHOICE,)),
    ("Hydra", "'choice(a,b)'", (WORDS,)),
    ("Hydra", "'range(1, 10)'", (INT,)),
    ("Hydra", "'interval(0.001, 0.1)'", (UNIFORM,)),
    ("Hydra", "'tag(log, interval(0.001, 0.1))'", (LOGUNIFORM,)),
    ("Hydra", "'int(interval(1, 9))'", (INT,)),
    ("Ludwig", "{space: uniform, lower: 0.001, upper: 0.1}", (UNIFORM,)),
    ("Ludwig", "{space: loguniform, lower: 0.001, upper: 0.1}", (LOGUNIFORM,)),
    ("Ludwig", "{space: choice, categories: [a, b]}", (WORDS,)),
    ("Ludwig", "{space: randint, lower: 1, upper: 10}", (INT,)),
    ("NNI", "{_type: choice, _value: [1, 2]}", (CHOICE,)),
    ("NNI", "{_type: uniform, _value: [0.001, 0.1]}", (UNIFORM,)),
    ("NNI", "{_type: loguniform, _value: [0.001, 0.1]}", (LOGUNIFORM,)),
    ("NNI", "{_type: quniform, _value: [0, 1, 0.1]}", (STEPPED,)),
    ("NNI", "{_type: randint, _value: [1, 10]}", (INT,)),
    ("NNI", "{_type: normal, _value: [0, 1]}", ("{normal: [0, 1]}",)),
    ("Katib", "{parameterType: double, feasibleSpace: {min: '0.001', max: '0.1'}}", (UNIFORM,)),
    ("Katib", "{parameterType: int, feasibleSpace: {min: '1', max: '9'}}", (INT,)),
    ("Determined", "{type: double, minval: 0.001, maxval: 0.1}", (UNIFORM,)),
    ("Determined", "{type: log, minval: -3, maxval: -1, base: 10}", (LOGUNIFORM,)),
    ("Determined", "{type: int, minval: 1, maxval: 9}", (INT,)),
    ("Determined", "{type: categorical, vals: [1, 2]}", (CHOICE,)),
    ("Determined", "{type: const, val: 3}", ("3",)),
    ("hyperopt", "'hp.uniform(\"x\", 0.001, 0.1)'", (UNIFORM,)),
    ("hyperopt", "'hp.choice(\"x\", [1, 2])'", (CHOICE,)),
    ("hyperopt", "'hp.loguniform(\"x\", -9.21034, 0)'", ("{loguniform: [0.0001, 1.0]}",)),
    ("ConfigSpace", "{type: uniform_float, lower: 0.001, upper: 0.1, log: true}", (LOGUNIFORM,)),
    ("scikit-optimize", "'Real(0.001, 0.1, prior=\"log-uniform\")'", (LOGUNIFORM,)),
    ("scikit-optimize", "'Integer(1, 9)'", (INT,)),
    ("scikit-optimize", "'Categorical([1, 2])'", (CHOICE,)),
    ("by hand", "0.001..0.1", EITHER),
    ("by hand", "0.001 to 0.1", EITHER),
    ("by hand", "'1, 2'", (CHOICE,)),
]


def _refused(problem):
    raise AssertionError(str(problem))


def plain(text):
    node = read(f"a: {text}".encode(), "f").items["a"]
    if isinstance(node, ScalarNode):
        return node.value
    from tunecli.config.reader import plain_of

    return plain_of(node)


@pytest.mark.parametrize(
    ("text", "lines"), [row[1:] for row in TABLE], ids=[f"{row[0]}: {row[1]}" for row in TABLE]
)
def test_a_range_of_another_tool_is_translated_to_a_line(text, lines):
    assert lines_for(plain(text)) == lines


@pytest.mark.parametrize("line", sorted({line for row in TABLE for line in row[2]}))
def test_every_line_that_is_shown_is_a_sound_range_or_value(line):
    told = []
    expression = parse(read(f"a: {line}".encode(), "f"), told.append)
    assert told == []
    (part,) = expression.items.values()
    assert not isinstance(part, Fixed) or not line.startswith("{")
    assert lines_for(plain(line)) in ((), (line,)), "a correct line is not changed"


@pytest.mark.parametrize(
    "text",
    ["{}", "{a: 1}", "{lr: [1, 2]}", "{size: 3, min: 1}", "{min: 1}", "{max: 2}", "hello", "'f(x)'", "'a, b'", "{name: x}",
     "'print(1, 2)'", "'import os'", "'(1, 2)'", "{type: adam}", "{start: a, stop: b}", "{min: 2, max: 1}", "{q: 1}"],
)  # fmt: skip
def test_other_values_are_not_foreign_ranges(text):
    assert lines_for(plain(text)) == ()


@settings(deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.sampled_from(["uniform", "loguniform"]))
def test_the_line_has_the_written_bounds(one, other, kind):
    low, high = sorted((one, other))
    (line,) = lines_for(
        {
            "distribution": {"uniform": "uniform", "loguniform": "log_uniform_values"}[kind],
            "min": low,
            "max": high,
        }
    )
    domain = parse(read(line.encode(), "f"), _refused).domain
    assert (domain.low, domain.high, domain.is_log) == (low, high, kind == "loguniform")


@settings(deadline=None)
@given(st.integers(-50, 50), st.integers(1, 100))
def test_the_excluded_upper_end_of_randint_is_excluded(low, width):
    (line,) = lines_for(f"tune.randint({low}, {low + width})")
    domain = parse(read(line.encode(), "f"), _refused).domain
    assert isinstance(domain, Integer)
    assert last_value(domain) == low + width - 1


values = (
    st.integers(-99, 99) | st.floats(-1e6, 1e6) | st.booleans() | st.text("abcxyz 01.:,{}[]'\"#", max_size=8)
)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=6))
def test_a_list_of_any_values_becomes_a_choice_of_these(given_values):
    line = lines_for_list(given_values)[-1]
    if "…" not in line and not all(isinstance(each, str) for each in given_values):
        domain = Categorical(parse(read(line.encode(), "f"), _refused).labels)
        distinct = list({(type(each), each): each for each in given_values}.values())
        assert list(domain.options) == distinct


@settings(deadline=None)
@given(st.text("abcxyz 01.:,{}[]'\"#-&*!|>%@`\n", max_size=12))
def test_every_text_reads_back_as_written(text):
    assert plain(flow(text)) == text


@given(st.text("tune.chi(o)ce[]{}12,='\" lograndint-e", max_size=40) | st.text(max_size=30))
def test_no_text_breaks_the_search_for_a_range(text):
    for line in lines_for(text):
        told = []
        parse(read(f"a: {line}".encode(), "f"), told.append)
        assert not any("takes two" in str(problem) for problem in told)


def test_params_in_the_words_of_another_tool_are_noted_with_the_line_to_write():
    params = ", ".join(
        f"p{n}: {text}" for n, (_, text, _) in enumerate(TABLE) if text.startswith("{") or "(" in text
    )
    text = f"objective: {{metric: val_loss}}\ntrial: {{python: 'm:f', params: {{{params}, betas: [0.9, 0.99], x: 3}}}}\n"
    space = parse_study(text.encode(), "f.yaml", (), Path()).space
    told = {near.name: near.hint for near in near_ranges(space.tree)}
    for number, (_, written, lines) in enumerate(TABLE):
        if written.startswith("{") or "(" in written:
            assert told.pop(f"params.p{number}") == f"write {' or '.join(lines)}"
    assert told == {}


def test_a_text_of_a_command_or_a_pattern_is_no_range():
    text = (
        "objective: {metric: val_loss}\ntrial:\n  command: [python, -c, 'print(choice(1, 2))', 'uniform(0, 1)', '{x}']\n"
        "  params: {x: {uniform: [0, 1]}}\n  metrics: {val_loss: 'range(.*)'}\n"
    )
    space = parse_study(text.encode(), "f.yaml", (), Path()).space
    assert list(near_ranges(space.tree)) == []
    assert re.match("uniform", "uniform(0, 1)")
    assert isinstance(Space(space.tree).parameters[0].domain, Real)
