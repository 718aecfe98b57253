"""The sampler that `search.sampler: auto` stands for, and that a study keeps it."""

import pytest

from tests.study.sweeps import Silent
from tunecli.commands.check import check, check_view, load_checked
from tunecli.commands.search import opening_lines
from tunecli.errors import UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.plan.automatic import decided
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.sweep import sweep

CHOICES = "{a: {choice: [1, 2, 3]}, b: {choice: [4, 5]}}"
STUDY = """\
study: s
objective: {metric: loss, direction: minimize}
trial: {python: own:train, params: PARAMS}
search: {SEARCH}
run: {device: cpu, engine: inline}
"""
TRAINED = """\
study: s
objective: {metric: val_loss, direction: minimize}
trial:
  data: {source: iris, validation: {fraction: 0.2}}
  model: {name: mlp, hidden: [8]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}}
  training: {epochs: EPOCHS, batch_size: full}
search: {trials: TRIALS}
run: {device: cpu}
"""


@pytest.fixture
def write(tmp_path):
    """Writes the file of a study of an own function with these parameters and search settings."""
    (tmp_path / "own.py").write_text("def train(params, trial):\n    return {'loss': float(params['a'])}\n")

    def written(search="", params=CHOICES):
        path = tmp_path / "s.yaml"
        path.write_text(STUDY.replace("PARAMS", params).replace("SEARCH", search))
        return path

    return written


def chosen(path, *overrides):
    spec = load_checked(path, overrides)
    return spec.settings.search.sampler_name, spec.choice


@pytest.mark.parametrize(
    ("search", "overrides", "sampler"),
    [
        ("", (), "grid"),
        ("trials: 6", (), "grid"),
        ("trials: 5", (), "bayes"),
        ("stop: {stagnation: 3}", (), "bayes"),
        ("pruner: median", (), "bayes"),
        ("", ("run.limit.time=1h",), "bayes"),
        ("", ("run.limit.trials=5",), "bayes"),
        ("where: [a > 1], trials: 4", (), "grid"),
        ("where: [a > 1], trials: 3", (), "bayes"),
    ],
)
def test_a_space_is_a_grid_if_the_trials_reach_each_of_its_points(write, search, overrides, sampler):
    name, choice = chosen(write(search), *overrides)
    assert (name, choice.sampler) == (sampler, sampler)


@pytest.mark.parametrize(
    "a", ["{uniform: [0, 1]}", "{int: [1, 1000], grid: 3}", "{uniform: [0, 1], grid: 2}"]
)
def test_a_space_with_more_points_than_its_grid_is_searched_by_a_model(write, a):
    assert chosen(write("trials: 20", f"{{a: {a}}}"))[0] == "bayes"


@pytest.mark.parametrize(
    ("epochs", "trials", "sampler"), [(4, 2000, "quasirandom"), (4, 200, "bayes"), (100, 2000, "bayes")]
)
def test_thousands_of_trivial_trials_do_not_wait_for_a_model(tmp_path, epochs, trials, sampler):
    path = tmp_path / "s.yaml"
    path.write_text(TRAINED.replace("EPOCHS", str(epochs)).replace("TRIALS", str(trials)))
    assert chosen(path)[0] == sampler


@pytest.mark.parametrize(
    ("overrides", "pruner"),
    [
        (("run.limit.epochs=100",), "curves"),
        (("run.limit.epochs=290", "search.trials=60"), "curves"),
        (("run.limit.epochs=300", "search.trials=60"), "none"),
        (("run.limit.epochs=29",), "none"),
        (("run.limit.epochs=100", "search.trials=19"), "none"),
        (("run.limit.epochs=100", "search.pruner=none"), "none"),
        (("run.limit.epochs=100", "run.limit.time=1h"), "none"),
        (("run.limit.epochs=100", "search.stop={stagnation: 5}"), "none"),
        (("run.limit.epochs=100", "search.repeats=2"), "none"),
        (("run.limit.epochs=100", 'objective.subject_to={val_accuracy: ">= 0.5"}'), "none"),
        (("run.limit.epochs=100", "data.validation={folds: 3}"), "none"),
        (("run.limit.epochs=100", "training.early_stop={patience: 3}"), "none"),
        (("run.limit.epochs=100", "training.epochs={int: [9, 12]}"), "none"),
        (("run.limit.epochs=40", "training.epochs=4"), "none"),
        (("run.limit.epochs=100", "optimizer.lr={choice: [0.01, 0.1, 1.0]}"), "none"),
        ((), "none"),
    ],
)
def test_few_epochs_are_spent_by_learning_curves_where_that_is_measured(tmp_path, overrides, pruner):
    path = tmp_path / "s.yaml"
    path.write_text(TRAINED.replace("EPOCHS", "10").replace("TRIALS", "50"))
    spec = load_checked(path, overrides)
    given = spec.settings.search.pruner
    assert (spec.choice.sampler, spec.choice.pruner) == ("bayes", pruner)
    assert ("none" if given == "none" else given.name) == pruner


def test_a_chosen_pruner_is_recorded_and_kept(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(TRAINED.replace("EPOCHS", "9").replace("TRIALS", "8"))
    overrides = ("run.limit.epochs=27", "run.engine=inline", "run.workers=1")
    with begin(load_checked(path, overrides), tmp_path / "run") as study:
        assert study.spec.settings.search.pruner.name == "curves"
    folder = RunFolder.open_existing(tmp_path / "run")
    with reopen(folder, {"n_trials": 60}) as study:
        assert study.spec.settings.search.pruner.name == "curves"
        assert str(study.spec.choice).startswith(
            "bayes with the pruner curves, because `run.limit.epochs` allows only 3 full"
        )


def test_a_sampler_of_the_file_is_no_choice(write):
    assert chosen(write("sampler: bayes")) == ("bayes", None)
    assert chosen(write("sampler: auto"))[0] == "grid"


def test_check_and_the_start_of_a_search_say_what_is_chosen_and_why(write):
    checked = check(load_checked(write(), ()))
    reason = "the trials reach each of the 6 points of the space"
    view = check_view(checked)
    assert ("sampler: auto", f"grid, because {reason}") in view.lines
    assert view.data["sampler_choice"] == {"sampler": "grid", "why": reason, "pruner": "none"}
    assert f"sampler: grid, because {reason}" in opening_lines(checked)
    named = check(load_checked(write("sampler: random"), ()))
    assert check_view(named).data["sampler_choice"] is None
    assert not any(line.startswith("sampler:") for line in opening_lines(named))


def begun(path, folder, *overrides):
    with begin(load_checked(path, overrides), folder) as study:
        sweep(study, Silent())
    return RunFolder.open_existing(folder)


def test_a_study_keeps_its_sampler_with_a_higher_total(write, tmp_path):
    folder = begun(write("trials: 4"), tmp_path / "run")
    assert decided(load_checked(write("trials: 6"), ())).choice.sampler == "grid", (
        "a new study would change it"
    )
    with reopen(folder, {"n_trials": 6}) as study:
        assert study.spec.settings.search.sampler_name == "bayes"
        assert len(sweep(study, Silent()).table.rows) == 6
    with open_to_read(folder) as study:
        assert study.spec.choice.sampler == "bayes"
        assert study.log.facts()["sampler_choice"]["sampler"] == "bayes"


def test_a_study_of_an_earlier_version_keeps_bayes(write, tmp_path):
    folder = begun(write(), tmp_path / "run")
    with open_to_read(folder) as study:
        assert study.spec.settings.search.sampler_name == "grid"
    with reopen(folder, {}) as study:
        study.log.set_fact("sampler_choice", {})
    with reopen(folder, {}) as study:
        assert study.spec.settings.search.sampler_name == "bayes"
        assert study.spec.choice is None


def test_a_file_that_names_the_sampler_of_the_study_changes_nothing(write, tmp_path):
    folder, lines = begun(write(), tmp_path / "run"), []
    with reopen(folder, {}, ("search.sampler=grid",), say=lines.append):
        assert lines == []
    with (
        pytest.raises(UsageError, match=r"search.sampler: grid → random"),
        reopen(folder, {}, ("search.sampler=random",)),
    ):
        pass


def test_auto_in_a_study_that_named_a_sampler_is_that_sampler(write, tmp_path):
    folder, lines = begun(write("sampler: random, trials: 6"), tmp_path / "run"), []
    folder.config_path.write_text(folder.config_path.read_text().replace("sampler: random, ", ""))
    with reopen(folder, {}, say=lines.append) as study:
        assert study.spec.settings.search.sampler_name == "random"
        assert lines == []


def test_a_fork_chooses_anew(write, tmp_path):
    folder = begun(write(), tmp_path / "run")
    with fork(folder, "wider", {}, ("trial.params.a={uniform: [0, 4]}",)) as study:
        assert study.spec.choice.sampler == "bayes"


KNOWN = "{a: {choice: [1, 2, 3]}, lr: {choice: [0.1, 0.2]}, momentum: {choice: [0.0, 0.9]}}"


@pytest.mark.parametrize(("search", "is_known"), [("trials: 12", False), ("trials: 11", True)])
def test_a_chosen_sampler_that_reads_no_priors_shows_none(write, search, is_known):
    view = check_view(check(load_checked(write(search, KNOWN), ())))
    assert ("usually" in view.sections[0].columns) is is_known
    assert any("known by their names" in note for note in view.notes) is is_known
    priors = [parameter["prior"] for parameter in view.data["parameters"]]
    assert any(prior is not None for prior in priors) is is_known


def test_a_grid_of_one_point_is_named_as_such(write):
    _, choice = chosen(write("", "{a: {int: [3, 3]}}"))
    assert choice.why == "the trials reach the only point of the space"
