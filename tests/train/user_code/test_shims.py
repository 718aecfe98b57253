"""Scripts and functions that import `wandb` run as trials, with `trial.shim: wandb`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.jobs import make_job
from tunecli.config.schema import CommandTrial
from tunecli.messages import Ended, EpochEnded, Job
from tunecli.objective import Objective
from tunecli.train.trials import run
from tunecli.train.user_code.shims import shim_of_command
from tunecli.train.user_code.trial_files import remove_stale
from tunecli.trial import FailureKind, Outcome, State

PARAMS = {"lr": 0.25, "opt": {"name": "adam"}}


def job_of_script(text: str, folder, **config) -> Job:
    (folder / "script.py").write_text(dedent(text))
    whole = {"command": [sys.executable, "script.py"], "params": PARAMS, "shim": "wandb", **config}
    return make_job(4, whole, Objective("loss", False), 1, 100, device="cpu", base_path=str(folder))


def ran(job: Job) -> tuple[Outcome, list[tuple[int, dict]]]:
    *events, ended = run(job)
    assert isinstance(ended, Ended)
    return ended.outcome, [(one.epoch, dict(one.metrics)) for one in events if isinstance(one, EpochEnded)]


def test_script_reads_its_config_and_its_logs_are_epochs(tmp_path):
    script = """
        import sys, wandb
        run = wandb.init(project="mine", config={"lr": 1, "epochs": 2})
        sys.stdout.close()  # reports do not need it
        for epoch in range(wandb.config.epochs):
            wandb.log({"epoch": epoch, "loss": wandb.config.lr / (epoch + 1), "name": wandb.config["opt"]["name"]})
        wandb.summary["best"] = 0.125
    """
    outcome, epochs = ran(job_of_script(script, tmp_path))
    assert epochs == [(1, {"loss": 0.25}), (2, {"loss": 0.125})]
    assert (outcome.state, outcome.score, outcome.metrics) == (
        State.COMPLETE,
        0.125,
        {"loss": 0.125, "best": 0.125},
    )


def test_what_the_script_prints_is_no_report(tmp_path):
    script = """
        import wandb
        print('{"epoch": 9, "loss": 77}')
        with wandb.init() as run:
            run.log({"loss": 1})
            print('{"loss": 78}')
    """
    outcome, epochs = ran(job_of_script(script, tmp_path))
    assert epochs == [(1, {"loss": 1.0})]
    assert outcome.metrics == {"loss": 1.0}


def test_patterns_are_read_besides_the_shim(tmp_path):
    script = """
        import wandb
        print("acc=0.5")
        wandb.init().log({"loss": 1})
    """
    outcome, _ = ran(job_of_script(script, tmp_path, metrics={"acc": "acc=([0-9.]+)"}))
    assert outcome.metrics == {"loss": 1.0, "acc": 0.5}


def test_unfinished_run_reports_when_python_ends(tmp_path):
    script = """
        import wandb
        wandb.init()
        wandb.log({"loss": 1})
        wandb.log({"loss": 2}, commit=False)
    """
    assert ran(job_of_script(script, tmp_path))[0].score == 2.0


def test_children_and_other_ranks_do_not_report(tmp_path):
    script = """
        import os, subprocess, sys, wandb
        if sys.argv[1:]:
            wandb.init()
            wandb.log({"loss": 99})
            sys.exit()
        run = wandb.init()
        run.log({"loss": 1})
        if os.fork() == 0:
            run.log({"loss": 98})
            os._exit(0)
        os.wait()
        subprocess.run([sys.executable, "script.py", "rank"], env={**os.environ, "RANK": "1"}, check=True)
        run.log({"loss": 2})
    """
    outcome, epochs = ran(job_of_script(script, tmp_path))
    assert [metrics["loss"] for _, metrics in epochs] == [1.0, 2.0]
    assert outcome.score == 2.0


def test_trials_report_even_if_tunecli_itself_has_a_rank(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert ran(job_of_script("import wandb\nwandb.init().log({'loss': 1})", tmp_path))[0].score == 1.0


def test_script_that_never_logs_the_objective_fails_with_what_it_logged(tmp_path):
    script = "import wandb\nwandb.init().log({'accuracy': 1})\nprint('done')"
    failure = ran(job_of_script(script, tmp_path))[0].failure
    assert failure is not None
    assert failure.cause.startswith(
        "loss was never reported, only accuracy; `wandb.log` was never called with `loss`"
    )


def test_objective_that_is_not_finite_ends_the_trial_at_once(tmp_path):
    script = """
        import time, wandb
        wandb.init().log({"loss": float("nan")})
        time.sleep(600)
    """
    failure = ran(job_of_script(script, tmp_path))[0].failure
    assert failure is not None
    assert failure.kind is FailureKind.DIVERGED


def test_missing_part_of_the_shim_fails_the_trial_with_its_name(tmp_path):
    failure = ran(job_of_script("import wandb\nwandb.Api()", tmp_path))[0].failure
    assert failure is not None
    assert "tunecli's shim of wandb has no `wandb.Api`" in failure.cause


def test_thousands_of_logs_arrive_in_their_order(tmp_path):
    script = """
        import wandb
        run = wandb.init()
        for step in range(1000):
            run.log({"loss": step, **{f"metric-{i}": i for i in range(5)}})
    """
    outcome, epochs = ran(job_of_script(script, tmp_path))
    assert [metrics["loss"] for _, metrics in epochs] == list(range(1000))
    assert outcome.score == 999.0


FUNCTIONS = """
import wandb

def with_config(config=None):
    with wandb.init(config=config):
        for epoch in range(2):
            wandb.log({"loss": wandb.config.lr / (epoch + 1)})
        wandb.summary["best"] = 3

def with_params(params):
    wandb.init(config={"lr": 9})
    assert wandb.config.as_dict() == params
    wandb.log({"loss": params["lr"]}, commit=False)

def with_trial(params, trial):
    run = wandb.init()
    run.log({"loss": params["lr"]})
    return {"number": trial.number, "dir": run.dir}

def ends_early():
    wandb.init()
    for _ in range(100):
        wandb.log({"loss": float("nan")})
    raise AssertionError
"""


def ran_function(name: str, folder) -> Outcome:
    (folder / "mine.py").write_text(FUNCTIONS)
    config = {"python": f"mine:{name}", "params": PARAMS, "shim": "wandb"}
    job = make_job(4, config, Objective("loss", False), 1, 100, device="cpu", base_path=str(folder))
    outcome, _ = ran(job)
    assert "wandb" not in sys.modules
    return outcome


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("with_config", {"loss": 0.125, "best": 3.0}),
        ("with_params", {"loss": 0.25}),
        ("with_trial", {"loss": 0.25, "number": 4.0}),
    ],
)
def test_function_takes_as_many_arguments_as_it_requires(name, metrics, tmp_path):
    outcome = ran_function(name, tmp_path)
    assert outcome.failure is None
    assert outcome.metrics == metrics


def test_function_ends_inside_its_call_of_log(tmp_path):
    failure = ran_function("ends_early", tmp_path).failure
    assert failure is not None
    assert failure.kind is FailureKind.DIVERGED


def test_folder_of_the_pipe_is_locked_so_that_it_is_removed_after_a_kill(tmp_path):
    trial = CommandTrial.model_validate(dict(job_of_script("", tmp_path).task.config))
    with shim_of_command(trial, "loss") as served:
        pipe = Path(json.loads(served.variables["TUNECLI_SHIM"])["reports"])
        remove_stale()
        assert pipe.is_fifo()
        assert (pipe.parent / "lock").is_file()
    assert not pipe.parent.exists()
