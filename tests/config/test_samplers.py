"""A sampler is a name, or a name with settings."""

from pathlib import Path

import pytest

from tunecli.config.load import parse_study
from tunecli.errors import ConfigError

STUDY = """\
study: s
objective: {metric: val_loss}
trial: {data: {source: iris}, optimizer: {name: sgd, lr: {uniform: [0.1, 1], grid: 3}}}
search: {sampler: SAMPLER}
"""


def search(sampler: str):
    return parse_study(STUDY.replace("SAMPLER", sampler).encode(), "s.yaml", (), Path()).settings.search


@pytest.mark.parametrize("name", ["grid", "random", "quasirandom", "bayes", "tpe", "cmaes"])
@pytest.mark.parametrize("form", ["{}", "{{name: {}}}"])
def test_every_sampler_is_known_by_its_name(name, form):
    found = search(form.format(name))
    assert found.sampler_name == name
    assert found.sampler_settings == {}


def test_bayes_takes_a_surrogate_and_an_acquisition():
    found = search("{name: bayes, surrogate: extra_trees}")
    assert found.sampler_name == "bayes"
    assert found.sampler_settings == {"surrogate": "extra_trees", "acquisition": "mixed"}


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        ("bays", "did you mean `bayes`"),
        ("{name: bayes, surogate: gp}", "did you mean `surrogate`"),
        ("{name: bayes, surrogate: gbrt}", "surrogate"),
        ("{name: random, surrogate: gp}", "search.sampler"),
        ("3", "search.sampler"),
    ],
)
def test_an_invalid_sampler_is_refused_at_its_place(sampler, words):
    with pytest.raises(ConfigError) as caught:
        search(sampler)
    (problem,) = caught.value.problems
    assert words in str(problem)
    assert problem.line == 4
