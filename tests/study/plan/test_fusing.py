"""Fused trials: which trials share a model, and that a study's results do not depend on the groups."""

import os
import signal

import pytest

from tests.study.folder_content import folder_of
from tunecli.commands.check import check, check_view, load_checked
from tunecli.messages import EpochEnded
from tunecli.store.folder import RunFolder
from tunecli.study.plan.fusing import fused_width, fusing
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.sweep import sweep

STUDY = """\
study: together
seed: 3
objective: {metric: val_loss}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [{choice: [4, 8]}], dropout: {uniform: [0.1, 0.5]}}
  optimizer: {name: adamw, lr: {loguniform: [1e-3, 1e-1]}}
  learning_rate: [{cosine: {to: {uniform: [0, 0.5]}}}]
  weights: [{cut: {fraction: {uniform: [0.1, 0.4]}, from_epoch: 1}}]
  training: {epochs: 4, batch_size: 32, early_stop: {patience: 2}}
search: {sampler: random, trials: 12}
run: {device: cpu, workers: 1, engine: inline, checkpoint: {epochs: 1}}
"""


class Watching:
    """A display that may stop the sweep after ``stop_after`` epochs."""

    def __init__(self, stop_after=None):
        self.stop_after, self.n_epochs = stop_after, 0

    def began(self, heading, trials): ...

    def suggested(self, trial): ...

    def happened(self, event):
        self.n_epochs += isinstance(event, EpochEnded)
        if self.n_epochs == self.stop_after:
            self.stop_after = None
            signal.raise_signal(signal.SIGTERM)

    def ended(self): ...


@pytest.fixture
def spec_of(tmp_path):
    def make(*overrides):
        path = tmp_path / "together.yaml"
        path.write_text(STUDY)
        return load_checked(path, overrides)

    return make


def whole(spec, path):
    with begin(spec, path) as study:
        sweep(study, Watching())
    return folder_of(path)


@pytest.mark.parametrize("fuse", [2, 5, 16])
def test_the_size_of_a_group_changes_no_bit(spec_of, tmp_path, fuse):
    alone = whole(spec_of("run.fuse=1", "search.lookahead=12"), tmp_path / "alone")
    together = whole(spec_of(f"run.fuse={fuse}", "search.lookahead=12"), tmp_path / "together")
    assert together.trials == alone.trials


def test_the_number_of_workers_changes_no_bit_of_fused_trials(spec_of, tmp_path):
    one = whole(spec_of("run.fuse=4", "search.lookahead=8"), tmp_path / "one")
    overrides = ("run.fuse=4", "search.lookahead=8", "run.workers=2", "run.engine=local")
    assert whole(spec_of(*overrides), tmp_path / "two").trials == one.trials


@pytest.mark.parametrize("stop_after", [1, 7, 20])
def test_a_resumed_group_gives_the_undisturbed_table(spec_of, tmp_path, stop_after):
    undisturbed = whole(spec_of(), tmp_path / "whole")
    from tunecli.errors import Interrupted

    with pytest.raises(Interrupted), begin(spec_of(), tmp_path / "cut") as study:
        sweep(study, Watching(stop_after))
    with reopen(RunFolder(tmp_path / "cut"), {}) as study:
        sweep(study, Watching())
    resumed = folder_of(tmp_path / "cut")
    assert resumed.trials == undisturbed.trials
    assert resumed.table == undisturbed.table


def test_fused_and_unfused_scores_agree_within_rounding(spec_of, tmp_path):
    fused, plain = (whole(spec_of(f"run.fuse={fuse}"), tmp_path / fuse) for fuse in ("auto", "off"))
    for a, b in zip(fused.trials, plain.trials, strict=True):
        assert (a.parameters, a.seed, a.state) == (b.parameters, b.seed, b.state)
        assert float(a.score) == pytest.approx(float(b.score), rel=2e-3)


def test_an_exported_fused_trial_reproduces_its_score(spec_of, tmp_path, tunecli):
    spec = spec_of()
    with begin(spec, tmp_path / "run") as study:
        sweep(study, Watching())
    with open_to_read(RunFolder(tmp_path / "run")) as study:
        score = min(trial.outcome.score for trial in study.log.trials())
    done = tunecli("train", tmp_path / "run" / "best.yaml", "--json")
    assert f'"score": {score!r}' in done.stdout
    assert tunecli("verify", tmp_path / "run", "--all", "--exact").returncode == 0


def test_auto_fuses_only_studies_that_gain_from_it(spec_of):
    assert fused_width(spec_of(), 1) == 16
    for override in (
        "run.fuse=off",
        "search.sampler=bayes",
        "search.pruner=median",
        "search.lookahead=3",
        "run.trial_limit.time=1h",
        "model.hidden=[512, 512]",
    ):
        assert fused_width(spec_of(override), 1) == 0, override
    assert fused_width(spec_of("search.sampler=bayes", "search.lookahead=8"), 2) == 4


@pytest.mark.parametrize(
    ("overrides", "share", "keys"),
    [
        ((), "all", []),
        (("model={choice: [mlp, {name: lstm, width: 4}]}", "data.source=digits"), "some", ["model.name"]),
        (("model={name: gru, width: 4}", "data.source=digits"), "none", ["model.name"]),
        (("optimizer={choice: [adamw, {name: lbfgs}]}", "learning_rate=[]"), "some", ["optimizer.name"]),
        (("data.validation={folds: 3}", "weights=[]"), "none", ["data.validation.folds"]),
        (("training.precision=bf16",), "none", ["training.precision"]),
        (("run.fuse=off",), "none", ["run.fuse"]),
        (("run.fuse=1",), "none", ["run.fuse"]),
        (("search.sampler=bayes",), "none", ["search.sampler"]),
        (("search.sampler=bayes", "run.fuse=4"), "all", []),
        (("search.pruner=median",), "none", ["search.pruner"]),
        (("search.pruner=hyperband", "run.fuse=4"), "none", ["search.pruner"]),
        (("search.repeats=2",), "none", ["search.repeats"]),
        (("search.lookahead=3",), "none", ["search.lookahead"]),
        (("search.lookahead=1", "run.fuse=4"), "none", ["search.lookahead"]),
        (("search.trials=1",), "none", ["search.trials"]),
        (("run.trial_limit.time=1h",), "none", ["run.trial_limit"]),
        (("run.trial_limit.time=1h", "run.fuse=4"), "none", ["run.trial_limit"]),
        (("model.hidden=[512, 512]",), "none", ["model"]),
        (("model={python: 'torch.nn:Linear'}",), "none", ["model.python"]),
    ],
    ids=str,
)
def test_the_reasons_against_fusing_name_their_keys(spec_of, overrides, share, keys):
    fused = fusing(spec_of(*overrides), 1, 1 if "search.trials=1" in overrides else 12)
    assert fused.share == share
    assert [blocker.key for blocker in fused.blockers] == keys
    assert all(blocker.why for blocker in fused.blockers)


def test_the_lookahead_ignores_groups_if_nothing_can_be_fused(spec_of):
    """A lookahead for groups would hide results from the sampler for nothing."""
    overrides = ("run.fuse=8", "search.sampler=bayes", "training.precision=bf16")
    assert check(spec_of(*overrides)).plan.lookahead == 1
    assert check(spec_of(*overrides[:2])).plan.lookahead == 8


def test_check_reports_the_reasons_as_text_and_as_json(spec_of):
    answer = check_view(check(spec_of("training.precision=bf16", "run.fuse=8")), is_verbose=True)
    why = "`training.precision: bf16`: it computes in bf16"
    assert dict(answer.lines)["batched training"] == f"off: {why}"
    assert answer.data["fusing"] == {
        "width": 0,
        "share": "none",
        "why_not": [{"key": "training.precision", "value": "bf16", "why": "it computes in bf16"}],
    }
    assert f"run.fuse 8 has no effect: no trials can be trained together ({why})" in answer.notes
    lines = dict(check_view(check(spec_of()), is_verbose=True).lines)
    assert lines["batched training"] == "on: up to 12 trials as one model"


def test_an_exported_trial_with_fuse_gets_no_note(spec_of):
    one = ("model.hidden=[8]", "model.dropout=0.1", "optimizer.lr=0.01", "learning_rate=[]", "weights=[]")
    checked = check(spec_of(*one, "run.fuse=8", "search.trials=1"))
    assert not [note for note in checked.notes if "fuse" in note]


def test_the_trials_of_a_killed_group_all_complete(spec_of, tmp_path):
    """The trials of a killed group run alone, which shows the one that kills its worker; here none does."""
    overrides = ("run.engine=local", "run.fuse=6", "search.lookahead=12", "training.epochs=12")
    from tunecli.engine import engine_named
    from tunecli.engine.protocol import EngineOptions
    from tunecli.messages import Ended, Started
    from tunecli.trial import FailedAttempt

    class Killing(Watching):
        pids = None
        n_failed_attempts = 0

        def happened(self, event):
            self.n_failed_attempts += isinstance(event, FailedAttempt)
            if isinstance(event, Started) and self.pids is None:
                self.pids = event.process_id
                os.kill(event.process_id, signal.SIGKILL)
            assert not isinstance(event, Ended) or event.outcome.failure is None

    display = Killing()
    spec = spec_of(*overrides)
    with begin(spec, tmp_path / "run") as study:
        sweep(study, display, engine_named("local", EngineOptions(1, 1)))
    assert display.n_failed_attempts > 1
    states = {trial.state for trial in folder_of(tmp_path / "run").trials}
    assert states == {"complete"}
