"""The ends that keys allow, compared with what the schema accepts."""

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.spaces import space_of
from tunecli.config.axes import axis_ends, varying_parameters
from tunecli.config.concrete_trial import concrete, parents_of
from tunecli.config.domains import Categorical, Integer
from tunecli.config.legal_ends import legal_ends
from tunecli.config.load import parse_study
from tunecli.config.schema import trial_of
from tunecli.config.space import point_with

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = ("digits", "digits_chains", "digits_cnn", "diabetes", "words_lstm", "wine_transformer")


def numeric(space):
    return [each for each in varying_parameters(space) if not isinstance(each.domain, Categorical)]


def is_accepted(space, parameter, value):
    point = point_with(space, {**parents_of(parameter), parameter.key: value})
    try:
        trial_of(concrete(space, point))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_refuses_what_lies_beyond_an_end_and_accepts_what_lies_within(name):
    path = CONFIGS / f"{name}.yaml"
    space = parse_study(path.read_bytes(), str(path), (), CONFIGS).space
    parameters = [each for each in numeric(space) if not each.name.endswith(".length")]
    assert parameters
    for parameter in parameters:
        least, greatest = legal_ends(space, [parameter])[parameter.key]
        number = int if isinstance(parameter.domain, Integer) else float
        for end, sign in ((least, -1), (greatest, 1)):
            if end is not None:
                assert not is_accepted(space, parameter, number(end + sign)), parameter.key
        low, high = axis_ends(parameter.domain)
        within = [
            low if least is None else (low + least) / 2,
            2 * high if greatest is None else (high + greatest) / 2,
        ]
        assert all(
            is_accepted(space, parameter, number(math.ceil(x) if number is int else x)) for x in within
        )


def test_the_ends_of_the_demo_are_those_of_its_keys():
    space = space_of(
        "{data: {source: digits}, model: {name: mlp, dropout: {uniform: [0, 0.5]},"
        " hidden: {list: {of: {logint: [16, 256]}, length: {int: [1, 3]}}}},"
        " optimizer: {choice: [{name: sgd, lr: {loguniform: [1e-3, 1]}, momentum: {uniform: [0, 0.9]}}, adamw]},"
        " training: {batch_size: {int: [16, 64]}}}"
    )
    ends = legal_ends(space, numeric(space))
    assert ends["model.dropout"] == (0.0, 1.0)
    assert ends["model.hidden.0"] == (1.0, None)
    assert ends["model.hidden.length"] == (0.0, None)
    assert ends["optimizer{sgd}.lr"] == (0.0, None)
    assert ends["optimizer{sgd}.momentum"] == (0.0, 1.0)
    assert ends["training.batch_size"] == (1.0, None)


def test_keys_of_own_code_have_no_ends():
    space = space_of("{python: 'own:train', params: {lr: {uniform: [0, 1]}, net: {width: {int: [1, 9]}}}}")
    assert set(legal_ends(space, numeric(space)).values()) == {(None, None)}
    command = space_of("{command: [x, '{args}'], params: {lr: {uniform: [0, 1]}}}")
    assert set(legal_ends(command, numeric(command)).values()) == {(None, None)}


def test_a_parameter_under_no_key_of_ours_has_no_ends():
    space = space_of(
        "{nowhere: {inside: {uniform: [0, 1]}}, layers: {list: {of: {int: [1, 2]}, length: {int: [1, 2]}}}}"
    )
    ends = legal_ends(space, numeric(space))
    assert ends["nowhere.inside"] == (None, None)
    assert ends["layers.length"] == (0.0, None)
