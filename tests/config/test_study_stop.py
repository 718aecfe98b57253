"""The settings under `search.stop`."""

from pathlib import Path

import pytest

from tunecli.config.load import parse_study
from tunecli.errors import ConfigError

STUDY = """\
study: s
objective: {metric: val_loss}
trial: {data: {source: iris}, optimizer: {name: sgd, lr: {uniform: [0.1, 1], grid: 3}}}
search: {sampler: bayes, stop: STOP}
"""


def search(stop: str, *overrides: str):
    return parse_study(STUDY.replace("STOP", stop).encode(), "s.yaml", overrides, Path()).settings.search


def test_stop_takes_an_improvement_a_stagnation_or_both():
    found = search("{improvement: 1e-3}").stop
    assert (found.improvement, found.patience, found.stagnation) == (1e-3, 3, None)
    found = search("{improvement: 0.1, patience: 5, stagnation: 20}").stop
    assert (found.improvement, found.patience, found.stagnation) == (0.1, 5, 20)
    assert search("null").stop is None
    assert search("{stagnation: 9}", "search.stop=null").stop is None
    assert search("{improvement: 0.1}", "search.stop.improvement=0.2").stop.improvement == 0.2


@pytest.mark.parametrize("sampler", ["grid", "random", "quasirandom", "tpe", "cmaes"])
def test_only_bayes_supports_stop_improvement(sampler):
    with pytest.raises(ConfigError) as caught:
        search("{improvement: 0.1}", f"search.sampler={sampler}")
    (problem,) = caught.value.problems
    assert f"does not work with the sampler `{sampler}`" in str(problem)
    assert "stop: {stagnation: n}" in str(problem)
    assert search("{stagnation: 5}", f"search.sampler={sampler}").stop.stagnation == 5


def test_extra_trees_support_stop_improvement():
    sampler = "search.sampler={name: bayes, surrogate: extra_trees}"
    assert search("{improvement: 0.1}", sampler).stop.improvement == 0.1


@pytest.mark.parametrize("pruner", ["halving", "hyperband", "asha", "curves"])
def test_stop_improvement_does_not_work_with_pausing_pruners(pruner):
    with pytest.raises(ConfigError, match="most of its trials never finish"):
        search("{improvement: 0.1}", f"search.pruner={pruner}")
    assert search("{stagnation: 5}", f"search.pruner={pruner}").stop.stagnation == 5


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ("{}", "write `improvement: x`, in the metric's units, or `stagnation: n`"),
        ("{target: .nan}", "finite"),
        ("{target: best}", "number"),
        ("{target: 0.1, patience: 2}", "`patience` needs `improvement`"),
        ("{improvement: 0}", "must be above 0"),
        ("{improvement: 1%}", "number"),
        ("{stagnation: 0}", "at least 1"),
        ("{stagnation: 5, patience: 2}", "`patience` needs `improvement`"),
        ("{improvment: 0.1}", "did you mean `improvement`"),
        ("5", "search.stop"),
    ],
)
def test_invalid_stop_settings_are_refused_at_their_place(stop, words):
    with pytest.raises(ConfigError) as caught:
        search(stop)
    assert all(problem.line == 4 for problem in caught.value.problems)
    assert words in "\n".join(map(str, caught.value.problems))


@pytest.mark.parametrize(
    ("metric", "target", "side"), [("val_accuracy", 99, "above 1"), ("latency_ms", -1, "below 0")]
)
def test_a_target_beyond_the_best_possible_value_is_refused(metric, target, side):
    goal = f"objective={{metric: {metric}}}"
    with pytest.raises(ConfigError) as caught:
        search(f"{{target: {target}}}", goal)
    (problem,) = caught.value.problems
    assert f"search.stop.target: no trial reaches {target}, because {metric} is never {side}" in str(problem)
    assert search("{target: 0.99}", goal).stop.target == 0.99


def test_a_target_needs_one_objective():
    with pytest.raises(ConfigError, match="`stop` needs one objective"):
        search("{target: 0.9}", "objective={pareto: [{metric: val_accuracy}, {metric: n_parameters}]}")
