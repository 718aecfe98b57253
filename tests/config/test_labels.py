"""Labels of options on a screen: the differing key instead of a number, and quotes around texts that look like numbers."""

from pathlib import Path

import pytest

from tunecli.config.labels import option_labels, options_of
from tunecli.config.load import parse_study


def space_of(choice):
    text = f"study: s\nobjective: {{metric: val_loss}}\ntrial: {{python: 'own:train', params: {{p: {choice}}}}}\n"
    return parse_study(text.encode(), "s.yaml", (), Path()).space


@pytest.mark.parametrize(
    ("choice", "labels"),
    [
        ("{choice: [ce, {name: ce, smoothing: 0.1}, focal]}", {"ce": "ce", "ce#2": "ce(smoothing=0.1)"}),
        ("{choice: [{name: a, x: 1, y: 2}, {name: a, x: 1, y: 3}]}", {"a": "a(y=2)", "a#2": "a(y=3)"}),
        ("{choice: [{name: a, x: {uniform: [0, 1]}}, {name: a}]}", {"a": "a(x=uniform 0 … 1)", "a#2": "a"}),
        ("{choice: [[{noise: {std: 0.1}}], [{noise: {std: 0.2}}]]}", {"[noise]": "[noise](std=0.1)", "[noise]#2": "[noise](std=0.2)"}),
        ("{choice: [1, '1', 2]}", {"1": '"1"'}),
        ("{choice: [null, 'null', true, 'true']}", {"null": '"null"', "true": '"true"'}),
        ("{choice: ['1', '2']}", {}),
        ("{choice: [relu, gelu]}", {}),
        ("{choice: [{name: a, x: 1}, {name: b, x: 2}]}", {}),
    ],
)  # fmt: skip
def test_options_that_look_alike_get_different_labels(choice, labels):
    assert option_labels(space_of(choice)).get("params.p", {}) == {
        repr(key): text for key, text in labels.items()
    }


def test_numbers_that_four_digits_do_not_tell_apart_are_written_in_full():
    labels = option_labels(space_of("{choice: [0.123456, 0.123457, 0.5, 1, 1.0]}"))["params.p"]
    assert labels == {"0.123456": "0.123456", "0.123457": "0.123457", "1.0": "1.0"}


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_no_two_options_of_an_example_have_one_label(path):
    space = parse_study(path.read_bytes(), str(path), (), path.parent).space
    labels = option_labels(space)
    for name, options in options_of(space).items():
        shown = [labels.get(name, {}).get(repr(option), str(option)) for option in dict.fromkeys(options)]
        assert len(set(shown)) == len(shown)
