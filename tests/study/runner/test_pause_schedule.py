"""Studies whose trials pause, for any number of workers."""

import random

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent, comparable, run_whole
from tunecli.commands.check import load_checked
from tunecli.commands.export import export
from tunecli.commands.results import results
from tunecli.commands.status import status
from tunecli.commands.verify import verify
from tunecli.errors import ConfigError, Interrupted, UsageError
from tunecli.messages import Paused
from tunecli.search.pruners.full_fidelity import full_fidelity_trials
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin, reopen
from tunecli.study.sweep import sweep
from tunecli.trial import State

HYPERBAND = {
    "epochs: 4": "epochs: 9",
    "trials: 6, lookahead: 2": "trials: 12, lookahead: 2, pruner: hyperband",
}
CURVES = """\
study: curves
seed: 7
objective: {metric: val_loss, direction: minimize}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [8]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}}
  training: {epochs: 9}
search: {sampler: bayes, trials: 15, lookahead: 3, pruner: curves}
run: {device: cpu, workers: 1, engine: inline}
"""
FUNCTION = """\
study: own
seed: 3
objective: {metric: height, direction: minimize}
trial:
  python: mine:train
  params: {x: {uniform: [-2.0, 2.0]}}
search: {sampler: quasirandom, trials: 9, lookahead: 1, pruner: {name: halving, max_epochs: 9}}
run: {device: cpu, engine: inline}
"""
MINE = """\
def train(params, trial):
    for epoch in range(9):
        trial.report(epoch, height=params["x"] ** 2 + 1 / (epoch + 1))
"""


class Gone(Exception):  # noqa: N818  # it names what happened to the process, which is no error of ours
    """The process has been killed."""


class Counting(Silent):
    """A display that records the epochs at which trials paused."""

    def __init__(self):
        super().__init__()
        self.pauses = []

    def happened(self, event):
        super().happened(event)
        if isinstance(event, Paused):
            self.pauses.append((event.number, event.outcome.epochs))


@pytest.fixture(scope="module")
def curves_table(tmp_path_factory):
    """The table of an undisturbed study of `curves`, in this process."""
    folder = tmp_path_factory.mktemp("curves")
    (folder / "small.yaml").write_text(CURVES)
    return comparable(run_whole(folder / "small.yaml", folder / "whole"))


def test_a_round_of_hyperband_has_its_stated_length_and_trains_its_best_in_full(study_file, tmp_path):
    display = Counting()
    with begin(load_checked(study_file(**HYPERBAND), ()), tmp_path / "run") as study:
        table = sweep(study, display).table
        steps, trials = study.log.steps(), study.log.trials()
    assert [step.step for step in steps] == list(range(len(steps)))
    assert [step.until_epoch for step in steps[:9]] == [1] * 9
    n_at = [sum(step.rung == rung for step in steps) for rung in range(3)]
    assert n_at == [9, 3 + 3, 1 + 1], "nine, three, one; and of the second bracket three and one"
    assert sum(trial.state is State.COMPLETE for trial in trials) == 2
    assert all(trial.outcome.epochs == 9 for trial in trials if trial.state is State.COMPLETE)
    assert sorted(display.pauses) == sorted(
        (step.number, step.until_epoch) for step in steps if step.until_epoch is not None
    )
    assert len(table.rows) == 12
    verification = verify(RunFolder.open_existing(tmp_path / "run"), is_all=True, is_exact=True)
    assert not verification.unreproduced, "continued, they are those trained in one go"
    assert not list((tmp_path / "run" / "checkpoints").glob("*.checkpoint.*")), "nothing is gone on with"


def test_the_table_of_curves_depends_neither_on_the_workers_nor_on_their_order(
    study_file, tmp_path, curves_table
):
    two = run_whole(study_file(CURVES), tmp_path / "two", "run.engine=local", "run.workers=2")
    assert comparable(two) == curves_table


@pytest.mark.slow
def test_the_table_of_hyperband_depends_neither_on_the_workers_nor_on_their_order(study_file, tmp_path):
    path = study_file(CURVES, **{"pruner: curves": "pruner: hyperband"})
    one = run_whole(path, tmp_path / "one")
    two = run_whole(path, tmp_path / "two", "run.engine=local", "run.workers=2")
    assert comparable(one) == comparable(two)


@pytest.mark.parametrize(
    ("pruner", "sampler"),
    [
        *(("halving", "bayes"), ("hyperband", "bayes"), ("asha", "bayes"), ("curves", "bayes")),
        *(("halving", "grid"), ("hyperband", "grid"), ("asha", "grid")),
    ],
)
def test_any_sampler_suggests_trials_for_a_pausing_pruner(study_file, tmp_path, sampler, pruner):
    path = study_file(
        **{
            **HYPERBAND,
            "sampler: random": f"sampler: {sampler}",
            "[1e-3, 1.0]": "[1e-3, 1.0], grid: 3",
            "[1e-4, 1e-1]": "[1e-4, 1e-1], grid: 2",
        }
    )
    with begin(load_checked(path, (f"search.pruner={pruner}",)), tmp_path / "run") as study:
        ending = sweep(study, Silent(), FakeEngine(2, random.Random(0)))
    assert ending.reason == ("exhausted" if sampler == "grid" else "complete")
    assert ending.n_scored >= 1
    assert status(RunFolder(tmp_path / "run")).word == "finished"


@pytest.mark.parametrize("n_ended", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_a_stopped_and_resumed_curves_study_gives_the_undisturbed_table(
    study_file, tmp_path, curves_table, n_ended
):
    path = study_file(CURVES)
    with pytest.raises(Interrupted), begin(load_checked(path, ()), tmp_path / "cut") as study:
        sweep(study, Silent(stop_after=n_ended))
    with reopen(RunFolder.open_existing(tmp_path / "cut"), {}) as study:
        assert comparable(sweep(study, Silent()).table) == curves_table
        full_fidelity = list(full_fidelity_trials(study.spec.space, 15))
        steps = [(step.number, step.rung) for step in study.log.steps() if step.number in full_fidelity]
        trials = study.log.trials()
    assert full_fidelity
    assert steps == [(number, 2) for number in full_fidelity], "each has one step, to its end"
    assert all(trials[number].state is State.COMPLETE for number in full_fidelity)
    assert status(RunFolder(tmp_path / "cut")).word == "finished"


def test_a_raised_total_continues_the_paused_trials(study_file, tmp_path):
    run_whole(study_file(**HYPERBAND), tmp_path / "run", "search.trials=4", "search.pruner=halving")
    folder = RunFolder.open_existing(tmp_path / "run")
    before = {row[1]: row for row in results(folder).table.rows}
    with reopen(folder, {"n_trials": 9}) as study:
        assert status(folder).word == "running"
        sweep(study, Silent())
        trials = study.log.trials()
    complete = [trial.number for trial in trials if trial.state is State.COMPLETE]
    assert len(trials) == 9
    assert set(complete) >= {number for number, row in before.items() if row[2] == "complete"}
    assert not verify(folder, is_all=True, is_exact=True).unreproduced


def test_a_study_with_only_paused_trials_is_not_finished(study_file, tmp_path):
    def after(n):
        if len(study.log.steps()) == 10:
            raise Gone

    path = study_file(**HYPERBAND)
    settings = ("search.trials=9", "search.pruner=halving")
    with pytest.raises(Gone), begin(load_checked(path, settings), tmp_path / "run") as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(0), after))
    assert len(results(RunFolder(tmp_path / "run")).table.rows) == 8, "the ninth is continued"
    assert status(RunFolder(tmp_path / "run")).word == "interrupted"


def test_a_limit_of_epochs_counts_trained_epochs(study_file, tmp_path):
    with begin(load_checked(study_file(**HYPERBAND), ("run.limit.epochs=6",)), tmp_path / "run") as study:
        ending = sweep(study, Silent())
        assert ending.reason == "epochs"
        assert sum(trial.outcome.epochs for trial in study.log.trials()) == 7, "and one more under way"
    with reopen(RunFolder(tmp_path / "run"), {}, ("run.limit.epochs=60",)) as study:
        assert sweep(study, Silent()).reason == "complete"


def test_a_restarted_user_function_gives_the_same_result(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "own.yaml").write_text(FUNCTION)
    with begin(load_checked(tmp_path / "own.yaml", ()), tmp_path / "run") as study:
        sweep(study, Silent())
        (best,) = [trial for trial in study.log.trials() if trial.state is State.COMPLETE]
        assert [each.epoch for each in study.log.epochs(best.number)] == list(range(1, 10))
        assert study.log.attempts(best.number) == 3
    assert best.outcome.score == best.parameters["params.x"] ** 2 + 1 / 9


FAILING = """\
def train(params, trial):
    for epoch in range(9):
        if epoch == 2 and params["x"] ** 2 < 1:
            raise RuntimeError("the best ones fail once they are promoted")
        trial.report(epoch, height=params["x"] ** 2 + 1 / (epoch + 1))
"""


@pytest.mark.parametrize("pruner", ["halving", "asha"])
def test_another_trial_is_trained_to_its_end_if_all_promoted_trials_fail(tmp_path, pruner):
    (tmp_path / "mine.py").write_text(FAILING)
    (tmp_path / "own.yaml").write_text(FUNCTION.replace("halving", pruner))
    whole = run_whole(tmp_path / "own.yaml", tmp_path / "whole")
    with (
        pytest.raises(Interrupted),
        begin(load_checked(tmp_path / "own.yaml", ()), tmp_path / "cut") as study,
    ):
        sweep(study, Silent(stop_after=1))
    for stop_after in (1, 1, None):
        with reopen(RunFolder.open_existing(tmp_path / "cut"), {}) as study:
            if stop_after:
                with pytest.raises(Interrupted):
                    sweep(study, Silent(stop_after=stop_after))
            else:
                ending = sweep(study, Silent())
    assert comparable(ending.table) == comparable(whole)
    assert (ending.n_scored, ending.n_failed > 1) == (1, True)


@pytest.mark.parametrize("text", [FUNCTION, "steps"])
def test_max_epochs_is_required_where_the_length_of_a_trial_is_unknown(study_file, tmp_path, text):
    (tmp_path / "mine.py").write_text(MINE)
    if text == "steps":
        path = study_file(**HYPERBAND, **{"epochs: 9": "steps: 90"})
    else:
        path = tmp_path / "own.yaml"
        path.write_text(text.replace(", max_epochs: 9", ""))
    with pytest.raises(ConfigError, match="max_epochs: n"):
        load_checked(path, ())


def test_a_raised_total_is_noted_if_all_trials_had_begun(study_file, tmp_path):
    path = study_file(**HYPERBAND)
    with begin(load_checked(path, ("search.trials=4",)), tmp_path / "run") as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(0)))
    said: list[str] = []
    folder = RunFolder(tmp_path / "run")
    with reopen(folder, {"n_trials": 9}, say=said.append):
        pass
    (note,) = (line for line in said if "pruner" in line)
    assert note.startswith("note: the result can differ from that of a study with 9 trials from the start")
    said.clear()
    with reopen(folder, {"n_trials": 12}, say=said.append):  # none of the nine was begun yet
        pass
    assert not [line for line in said if "pruner" in line]


def test_a_total_raised_before_all_trials_began_gives_the_study_with_that_total(study_file, tmp_path):
    def after(n):
        if n == 20:
            raise Gone

    path = study_file(**HYPERBAND)
    with begin(load_checked(path, ()), tmp_path / "whole") as study:
        whole = sweep(study, Silent(), FakeEngine(1, random.Random(0))).table
    with pytest.raises(Gone), begin(load_checked(path, ("search.trials=9",)), tmp_path / "cut") as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(0), after))
    assert len(results(RunFolder(tmp_path / "cut")).table.rows) < 8
    with reopen(RunFolder(tmp_path / "cut"), {"n_trials": 12}) as study:
        raised = sweep(study, Silent(), FakeEngine(1, random.Random(0))).table
    assert comparable(raised) == comparable(whole)


@pytest.mark.parametrize("how", [{"weights_path": True}, {"open_test": True}])
def test_an_export_of_a_paused_trial_names_the_command_that_trains_its_weights(study_file, tmp_path, how):
    text = {**HYPERBAND, "{source: iris}": "{source: iris, test: {fraction: 0.2}}"}
    run_whole(study_file(**text), tmp_path / "run", "search.trials=3", "search.pruner=halving")
    folder = RunFolder.open_existing(tmp_path / "run")
    paused = next(row for row in results(folder).table.rows if row[2] == "pruned")
    with pytest.raises(UsageError, match=f"trial {paused[1]} was pruned after epoch 1") as caught:
        export(
            folder,
            paused[1],
            (tmp_path / "w") if "weights_path" in how else None,
            open_test="open_test" in how,
        )
    assert f"--trial {paused[1]} -o trial.yaml, then tunecli train trial.yaml" in caught.value.hint
    assert "ranges" not in export(folder, paused[1], None).text
