"""What a display knows of a study: the scale of each parameter, and how its sampler makes suggestions."""

import pytest

from tunecli.config.load import parse_study
from tunecli.study.record.lifecycle import begin
from tunecli.study.record.sweep_info import scales_of, sweep_info

FILE = """
study: s
objective: {{metric: val_loss}}
trial:
  python: own:train
  params: {{a: {{loguniform: [1e-4, 1]}}, b: {{int: [1, 9], default: 3}}, c: {{normal: [10, 2]}}, d: {{choice: [x, z]}},
    e: {{lognormal: [0, 1]}}, f: {{power: {{of: 2, int: [3, 5]}}}},
    g: {{choice: [{{name: p, lr: {{uniform: [0, 1]}}}}, {{name: q, lr: {{uniform: [5, 6]}}}}]}}}}
search: {{sampler: {sampler}, trials: 9}}
"""


CODE = "def train(params, trial):\n    trial.report(1, val_loss=params['a'])\n"


def spec_of(path, sampler="random"):
    (path / "own.py").write_text(CODE)
    return parse_study(FILE.format(sampler=sampler).encode(), "s.yaml", (), path)


def test_a_numeric_parameter_has_a_scale_and_a_choice_has_none(tmp_path):
    scales = scales_of(spec_of(tmp_path).space)
    assert scales["params.a"] == (1e-4, 1.0, True)
    assert scales["params.b"] == (1.0, 9.0, False)
    assert scales["params.c"] == (6.0, 14.0, False)
    assert scales["params.e"] == pytest.approx((0.1353, 7.389, True), rel=1e-3)
    assert scales["params.f"] == (8.0, 32.0, True)
    assert scales["params.g.lr"] == (0.0, 6.0, False), "the range of both branches"
    assert "params.d" not in scales


@pytest.mark.parametrize(
    ("sampler", "draws", "initial"),
    [
        ("random", "random", None),
        ("quasirandom", "quasi-random", None),
        ("bayes", "quasi-random", frozenset(range(4))),
    ],
)
def test_a_display_knows_how_the_sampler_makes_suggestions(tmp_path, sampler, draws, initial):
    with begin(spec_of(tmp_path, sampler), tmp_path / "run") as study:
        origins = sweep_info(study).origins
    assert (origins.draws, origins.initial, origins.start) == (draws, initial, ())


def test_first_trials_at_and_near_usual_values_are_not_called_quasi_random(tmp_path):
    (tmp_path / "own.py").write_text(CODE)
    text = FILE.format(sampler="bayes").replace("a: {", "lr: {").replace("b: {", "batch_size: {")
    text = text.replace("{name: q, lr:", "{name: q, rate:").replace("{name: p, lr:", "{name: p, rate:")
    with begin(parse_study(text.encode(), "s.yaml", (), tmp_path), tmp_path / "run") as study:
        assert study.spec.space.priors
        assert sweep_info(study).origins.draws == "initial"
