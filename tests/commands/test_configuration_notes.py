"""The notes of `check` and of the start of `search` on a valid file whose settings are probably a mistake."""

import re

import pytest

from tunecli.commands.check import check, check_view, load_checked
from tunecli.config.metric_words import maximized_by_name
from tunecli.search.samplers.random import random
from tunecli.search.samplers.third_party import cmaes
from tunecli.trial import Observation, State


@pytest.fixture
def spec_of(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def train(params, trial):\n    return {'val_loss': 1.0}\nclass Net: pass\n"
    )

    def load(trial: str, metric: str = "val_loss", sampler: str = "random", run: str = "{}"):
        path = tmp_path / "study.yaml"
        path.write_text(
            f"objective: {{metric: {metric}}}\ntrial: {trial}\nsearch: {{sampler: {sampler}, trials: 9}}\nrun: {run}\n"
        )
        return load_checked(path, ())

    return load


@pytest.fixture
def notes_of(spec_of):
    return lambda *arguments, **named: check(spec_of(*arguments, **named)).notes


TWO = "a: {uniform: [0, 1]}, b: {uniform: [0, 1]}"


@pytest.mark.parametrize(
    ("params", "note"),
    [
        (TWO, None),
        (
            "a: {uniform: [0, 1]}, c: {choice: [x, y]}",
            "this space has fewer: all parameters are drawn at random",
        ),
        ("c: {choice: [x, y]}", "this space has fewer: all parameters are drawn at random"),
        (f"{TWO}, c: {{choice: [x, y]}}", "cmaes adapts params.a, params.b; it draws params.c at random"),
        (f"{TWO}, c: {{choice: [x, {{d: {{uniform: [0, 1]}}}}]}}", "it draws params.c, params.c.d at random"),
    ],
)
def test_parameters_that_cmaes_draws_at_random_are_noted(notes_of, spec_of, params, note):
    trial = f"{{python: 'mine:train', params: {{{params}}}}}"
    told = [each for each in notes_of(trial, sampler="cmaes") if "cmaes" in each]
    assert (told == []) if note is None else (note in told[0])
    assert not any("cmaes" in each for each in notes_of(trial))
    space = spec_of(trial, sampler="cmaes").space
    history = [Observation(n, random(space, [], n, 1), State.COMPLETE, float(n)) for n in range(2)]
    is_random = cmaes(space, history, 2, 1) == random(space, history, 2, 1)
    assert is_random == (note is not None and "fewer" in note)


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((name, "minimize") for name in (
            "test_loss", "loss", "trainLoss", "ppl", "val/ppl", "rmse", "eval_RMSE_mean", "error_rate", "wer", "fid", "mae",
        )),
        *((name, "maximize") for name in (
            "acc", "accuracy", "test_accuracy", "valAcc", "auc", "roc_auc", "AUROC", "f1", "f1-score", "eval/f1_macro", "reward",
            "episode_reward_mean", "bleu", "mIoU", "r2", "precision", "recall_at_k", "acc1",
        )),
    ],
)  # fmt: skip
def test_a_direction_taken_from_the_name_is_noted(notes_of, spec_of, name, direction):
    trial = f"{{python: 'mine:train', params: {{{TWO}}}}}"
    assert spec_of(trial, metric=name).objective.maximize == (direction == "maximize")
    (note,) = (each for each in notes_of(trial, metric=name) if "is taken from its name" in each)
    assert note.startswith(f"the direction of {name} is taken from its name: {direction};")
    said = f"{name}, direction: {'minimize' if direction == 'maximize' else 'maximize'}"
    assert spec_of(trial, metric=said).objective.maximize == (direction == "minimize")
    assert not any("is taken from its name" in each for each in notes_of(trial, metric=said))


@pytest.mark.parametrize(
    "name",
    [
        "height",
        "speed",
        "score_error",
        "neg_loss",
        "loss_reduction",
        "accuracy_loss",
        "x",
        "lossless_size",
        "cost",
    ],
)
def test_a_metric_name_without_a_known_direction_is_refused(name):
    assert maximized_by_name(name) is None


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (
            "n: {int: [10, 100], step: 64}",
            ["params.n: int 10, 74 by 64 ends at 74, because its steps do not reach 100"],
        ),
        ("n: {int: [10, 74], step: 64}", []),
        (
            "n: {uniform: [0, 1], step: 0.3}",
            ["params.n: uniform 0 … 0.9 by 0.3 ends at 0.9, because its steps do not reach 1.0"],
        ),
        ("n: {uniform: [0, 1], step: 0.1}", []),
        ("n: {int: [1, 9]}", []),
    ],
)
def test_steps_that_do_not_reach_the_upper_bound_are_noted(notes_of, params, told):
    trial = f"{{python: 'mine:train', params: {{{params}}}}}"
    assert [note for note in notes_of(trial) if "do not reach" in note] == told


@pytest.mark.parametrize(
    ("trial", "run", "note"),
    [
        ("{python: 'mine:train'}", "{isolate: off}", "the trials of a worker share one process"),
        ("{python: 'mine:train'}", "{isolate: off, engine: inline}", None),
        ("{python: 'mine:train'}", "{}", None),
        ("{command: [python, -c, pass]}", "{isolate: off}", "run.isolate off has no effect"),
        ("{data: {source: iris}}", "{isolate: off}", "run.isolate off has no effect"),
        ("{data: {source: iris}, model: {python: 'mine:Net'}}", "{isolate: off}", "share one process"),
    ],
)
def test_check_notes_the_risk_of_a_shared_process(notes_of, trial, run, note):
    said = [one for one in notes_of(trial, run=run) if "isolate" in one]
    assert (said == []) if note is None else (note in said[0])


def test_a_memory_limit_that_cannot_be_watched_is_noted(notes_of):
    run = "{trial_limit: {memory: 1GiB}, engine: inline}"
    notes = notes_of("{python: 'mine:train'}", run=run)
    assert (
        "run.trial_limit.memory has no effect: `engine: inline` cannot watch the memory of a trial" in notes
    )


OUTSIDE = "rate: `as: adamw.lr` has no effect: good values are usually near 0.004, and loguniform 1 … 10 is far from there"


@pytest.mark.parametrize(
    ("beside", "sampler", "note"),
    [
        ("loguniform: [1, 10]", "bayes", OUTSIDE),
        (
            "loguniform: [1e-5, 1], default: 0.1",
            "bayes",
            "because the range itself says where good values lie",
        ),
        ("loguniform: [1e-5, 1]", "random", "`as` has no effect with the sampler `random`: params.rate"),
        ("loguniform: [1e-5, 1]", "bayes", None),
        ("loguniform: [1, 10]", "bayes, priors: off", None),
    ],
)
def test_a_setting_named_in_vain_is_noted_with_the_reason(notes_of, beside, sampler, note):
    notes = notes_of(
        f"{{python: 'mine:train', params: {{rate: {{{beside}, as: adamw.lr}}}}}}", sampler=sampler
    )
    about = [each for each in notes if "`as" in each]
    assert len(about) == (note is not None)
    assert note is None or note in about[0]


@pytest.mark.parametrize(("rates", "note"), [("[0.1, 1]", None), ("[1e-6, 1e-3]", "usually near 0.03, and")])
def test_a_setting_named_in_vain_is_noted_by_the_prior_for_the_rows_of_the_file(
    spec_of, tmp_path, rates, note
):
    (tmp_path / "small.csv").write_text("x,y\n" + "1.5,2.5\n2.5,1.5\n" * 20)
    spec = spec_of(
        "{data: {source: small.csv, target: y}, training: {epochs: 5}, "
        f"optimizer: {{name: adamw, lr: {{loguniform: {rates}, as: adamw.lr}}}}}}",
        sampler="bayes",
    )
    about = [one for one in check(spec).notes if "`as" in one]
    assert bool(spec.space.priors) == (about == [])
    assert (about == []) if note is None else (note in about[0])


@pytest.mark.parametrize(
    ("sampler", "is_noted"), [("bayes", True), ("random", False), ("bayes, priors: off", False)]
)
def test_parameters_that_are_known_by_name_are_noted(notes_of, sampler, is_noted):
    params = (
        "lr: {loguniform: [1e-5, 1]}, dropout: {uniform: [0, 0.5]}, momentum: {uniform: [0, 1], as: none}"
    )
    notes = notes_of(f"{{python: 'mine:train', params: {{{params}}}}}", sampler=sampler)
    about = [each for each in notes if "known by their names" in each]
    assert len(about) == is_noted
    if is_noted:
        assert "params.lr is `optimizer.lr`, params.dropout is `model.dropout`. " in about[0]


def test_a_very_small_part_of_a_space_is_a_percentage(spec_of):
    found = check(
        spec_of(
            "{python: 'mine:train', params: {a: {uniform: [0, 1]}, b: {uniform: [0, 1]}}}",
            sampler="bayes, where: ['a > 0.98', 'b > 0.99']",
        )
    )
    assert found.feasible is not None and 0 < found.feasible.fraction < 0.001
    shown = dict(check_view(found).lines)["constraints"]
    assert re.fullmatch(r"about 0\.0\d+% of the space meets them", shown), shown
