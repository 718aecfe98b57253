"""The package `wandb` of a trial: config, logs, summary, and refused calls."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys

import numpy as np
import pytest

from tunecli.shims import SHIMS

FOLDER = SHIMS["wandb"].folder
PARAMS = {"lr": 0.25, "opt": {"name": "adam", "beta": 0.9}, "bs": 16}


class Sent(list):
    """The reports: pairs of epoch and metrics."""


@pytest.fixture
def sent():
    return Sent()


@pytest.fixture
def wandb(monkeypatch, sent, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
        monkeypatch.delitem(sys.modules, name)
    finders = [*sys.meta_path]
    module = importlib.import_module("wandb")
    module._use(PARAMS, "loss", 7, str(tmp_path), lambda epoch, metrics: sent.append((epoch, metrics)))
    yield module
    module.finish()
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
        del sys.modules[name]


def test_parameters_replace_the_defaults_of_the_script(wandb):
    wandb.init(project="x", config={"lr": 1, "epochs": 3, "opt": {"name": "sgd", "nesterov": True}})
    config = wandb.config
    assert config.lr == config["lr"] == config.get("lr") == 0.25
    assert config.epochs == 3
    assert config["opt"] == {"name": "adam", "beta": 0.9}, "a parameter replaces the whole value, as in W&B"
    assert config.get("nothing", 5) == 5
    assert "bs" in config
    assert "nothing" not in config
    assert dict(config) == config.as_dict() == {**config}
    assert vars(config)["_items"]["bs"] == 16
    with pytest.raises(AttributeError, match="the config has no key `nothing`"):
        _ = config.nothing
    with pytest.raises(KeyError):
        _ = config["nothing"]


@pytest.mark.parametrize("values", [{"depth": 2}, argparse.Namespace(depth=2)])
def test_config_may_be_a_dict_or_a_namespace(wandb, values):
    assert wandb.init(config=values).config.depth == 2


def test_updates_of_parameters_are_ignored_and_those_of_other_keys_need_permission(wandb, capsys):
    run = wandb.init(config={"depth": 2})
    run.config.update({"lr": 9, "width": 3})
    run.config.bs = 5
    assert (run.config.lr, run.config.bs, run.config.width) == (0.25, 16, 3)
    assert "`lr` is a parameter of the trial: the update to 9 is ignored" in capsys.readouterr().err
    with pytest.raises(wandb.Error, match="allow_val_change"):
        run.config.update({"depth": 4})
    run.config.update({"depth": 4}, allow_val_change=True)
    run.config.setdefaults({"depth": 9, "new": 1})
    assert (run.config.depth, run.config.new) == (4, 1)


def test_excluded_keys_are_no_defaults(wandb):
    run = wandb.init(config={"a": 1, "b": 2}, config_exclude_keys=["a"])
    assert "a" not in run.config
    assert run.config.b == 2


def test_log_with_the_objective_ends_an_epoch_with_the_metrics_since_the_last(wandb, sent):
    wandb.init()
    wandb.log({"train": 3})
    wandb.log({"train": 2, "text": "x", "image": wandb.Image([1])})
    wandb.log({"loss": 0.5, "val": {"acc": 0.9}})
    wandb.log({"loss": 0.4})
    assert sent == [(1, {"train": 2.0, "loss": 0.5, "val.acc": 0.9}), (2, {"loss": 0.4})]


def test_whole_epochs_of_the_script_number_the_epochs(wandb, sent):
    wandb.init()
    for epoch in (0, 1, 1.5, 4):
        wandb.log({"epoch": epoch, "loss": 1.0})
    assert [epoch for epoch, _ in sent] == [0, 1, None, 4]


def test_fractions_of_epochs_are_counted_instead(wandb, sent):
    wandb.init()
    for epoch in (0.1, 0.2, 1):
        wandb.log({"epoch": epoch, "loss": 1.0})
    assert [epoch for epoch, _ in sent] == [1, 2, 3]


def test_second_log_of_a_step_ends_no_epoch_and_an_earlier_step_is_dropped(wandb, sent):
    wandb.init()
    wandb.log({"loss": 3}, step=10)
    wandb.log({"loss": 2, "acc": 1}, step=10)
    wandb.log({"loss": 9}, step=4)
    wandb.log({"loss": 1}, step=20)
    assert sent == [(1, {"loss": 3.0}), (None, {"loss": 2.0, "acc": 1.0}), (2, {"loss": 1.0})]


def test_log_without_commit_waits_for_the_next_one_or_for_the_end(wandb, sent):
    run = wandb.init()
    run.log({"loss": 3}, commit=False)
    run.log({"acc": 1}, commit=False)
    assert sent == []
    run.log({"acc": 2})
    assert sent == [(1, {"loss": 3.0, "acc": 2.0})]
    run.log({"loss": 5}, commit=False)
    run.finish()
    assert sent[1:] == [(2, {"loss": 5.0})]


def test_metrics_after_the_last_epoch_are_reported_at_the_end(wandb, sent):
    with wandb.init() as run:
        run.log({"loss": 3})
        run.log({"test": 4})
        assert len(sent) == 1
    assert sent[1:] == [(None, {"test": 4.0})]
    assert wandb.run is None


def test_summary_keeps_the_last_values_and_its_own_are_metrics(wandb, sent):
    run = wandb.init()
    run.log({"loss": 3})
    run.summary["best"] = 1.5
    run.summary.update({"final": np.float32(2), "name": "x"})
    assert wandb.summary["loss"] == 3
    assert wandb.run.summary.best == 1.5
    assert sent[1:] == [(None, {"best": 1.5}), (None, {"final": 2.0})]


def test_defined_summaries_are_further_metrics(wandb, sent):
    wandb.init()
    wandb.define_metric("epoch")
    wandb.define_metric("val/*", step_metric="epoch", summary="max,mean")
    wandb.define_metric("loss", summary="best", goal="minimize")
    for loss, accuracy in ((3, 0.5), (1, 0.9), (2, 0.7)):
        wandb.log({"loss": loss, "val/acc": accuracy})
    assert sent[-1][1] == pytest.approx(
        {"loss": 2, "loss.best": 1, "val/acc": 0.7, "val/acc.max": 0.9, "val/acc.mean": 0.7}
    )
    with pytest.raises(wandb.Error, match="unknown summary `median`"):
        wandb.define_metric("x", summary="median")


def test_names_get_the_letters_of_metrics_and_values_are_numbers(wandb, sent):
    wandb.init()
    values = {
        "Valid Loss (%)": 1,
        "_x": True,
        "a": np.array(2.0),
        "b": np.array([3.0]),
        "c": np.zeros(2),
        "d": None,
        "e": [1],
    }
    wandb.log({**values, "f": float("nan"), "g": 10**400, "loss": np.float64(1)})
    (_, metrics) = sent[0]
    nan = metrics.pop("f")
    assert nan != nan
    assert metrics == {"Valid_Loss____": 1.0, "m_x": 1.0, "a": 2.0, "b": 3.0, "g": float("inf"), "loss": 1.0}


def test_media_and_artifacts_are_accepted(wandb, sent):
    run = wandb.init(settings=wandb.Settings(start_method="thread"), tags=["a"])
    (
        wandb.setup(),
        wandb.login(key="x"),
        wandb.watch(object(), log="all"),
        wandb.save("x.pt"),
        wandb.alert("a", "b"),
    )
    table = wandb.Table(columns=["a"], data=[[1]])
    table.add_data(2)
    artifact = wandb.Artifact("model", type="model", metadata={"a": 1})
    artifact.add_file("x.pt")
    run.log_artifact(artifact).wait()
    assert (
        wandb.log_model(path="x.pt", name="net")
        is None
        is run.log_model("x.pt")
        is run.link_model("x.pt", "zoo")
    )
    run.log(
        {"t": table, "h": wandb.Histogram([1]), "p": wandb.plot.confusion_matrix(), "v": wandb.Video("x")}
    )
    assert sent == []
    assert (run.name, run.id, run.project, run.tags) == ("trial-7", "tunecli-7", "tunecli", ("a",))
    assert run.url == run.project_url == run.sweep_url == ""
    assert os.path.isdir(run.dir)  # noqa: PTH112  (as a script of a user does)


@pytest.mark.parametrize(
    "use",
    [
        lambda wandb: wandb.Api(),
        lambda wandb: wandb.restore("x"),
        lambda wandb: wandb.use_artifact("x"),
        lambda wandb: wandb.use_model("x"),
        lambda wandb: wandb.plot.nothing(),
        lambda wandb: wandb.init().whatever,
    ],
)
def test_missing_part_of_the_shim_is_an_error_that_names_the_shim(wandb, use):
    with pytest.raises(AttributeError, match="tunecli's shim of wandb has no"):
        use(wandb)


@pytest.mark.parametrize("name", ["sweep", "agent"])
def test_sweeps_within_a_trial_are_refused(wandb, name):
    with pytest.raises(wandb.UsageError, match=f"wandb.{name} does not work in a tunecli trial"):
        getattr(wandb, name)({})


def test_missing_module_of_the_shim_is_named(wandb):
    with pytest.raises(ModuleNotFoundError, match=r"tunecli's shim of wandb has no `wandb\.keras`"):
        importlib.import_module("wandb.keras")


@pytest.mark.parametrize(
    "use",
    [
        lambda wandb: wandb.log({"loss": 1}),
        lambda wandb: wandb.config.lr,
        lambda wandb: wandb.config["lr"],
        lambda wandb: wandb.config.update({"a": 1}),
        lambda wandb: wandb.summary["a"],
    ],
)
def test_use_before_init_is_refused(wandb, use):
    with pytest.raises(wandb.Error, match=r"call wandb.init\(\)"):
        use(wandb)


def test_log_after_finish_is_refused_and_a_second_run_counts_on(wandb, sent):
    run = wandb.init()
    run.log({"loss": 1})
    run.finish()
    with pytest.raises(wandb.UsageError, match="the run is finished"):
        run.log({"loss": 1})
    wandb.init()
    wandb.log({"loss": 2})
    assert [epoch for epoch, _ in sent] == [1, 2]
    assert wandb.config.lr == 0.25


def test_log_needs_a_dict_and_artifacts_to_use_are_refused(wandb):
    run = wandb.init()
    with pytest.raises(TypeError, match="dictionary"):
        run.log(3)
    with pytest.raises(wandb.UsageError, match="no artifacts to use"):
        run.use_artifact("data:latest")
    with pytest.raises(wandb.UsageError, match="no artifacts to use"):
        run.use_model("net:latest")
    with pytest.raises(wandb.Error, match="a config in a file is not read"):
        wandb.init(config="config.yaml")


def test_shim_outside_of_a_trial_says_where_it_works():
    program = "import wandb\nwandb.init()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TUNECLI_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "works only in a trial of a study with `shim: wandb`" in done.stderr
