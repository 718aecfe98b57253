"""Studies of user code, from the file to the table: search, export, train, resume, and the errors of each."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.support.forked import started_verb
from tests.verbs import called

FUNCTION = """\
study: own
seed: 3
objective: {metric: height, direction: minimize}
trial:
  python: mine:train
  params: {x: {uniform: [-2.0, 2.0]}, epochs: 2}
search: {sampler: quasirandom, trials: 4, lookahead: 2}
run: {device: cpu, engine: inline}
"""
MINE = """\
import ctypes, os
from curve import height

def train(params, trial):
    for epoch in range(params["epochs"]):
        trial.report(epoch, height=height(params["x"]))
    (trial.checkpoint_dir / "x.txt").write_text(repr(params["x"]))
    print("not on stdout")
    os.system("echo not on stdout, and not by Python")
    ctypes.CDLL(None).puts(b"not on stdout, and by C")

def seeded(params, trial):
    return {"height": trial.seed}

def score(outputs, targets, offset=0.0):
    return (outputs.argmax(1) == targets).double().mean() + offset
"""
ONE_LINER = """\
study: own
seed: 3
objective: {metric: height, direction: minimize}
trial:
  command: [bash, -c, 'echo "{{\\"height\\": {x}}}"']
  params: {x: {uniform: [0.0, 2.0]}}
search: {sampler: quasirandom, trials: 4, lookahead: 2}
run: {device: cpu, engine: inline}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "curve.py").write_text("def height(x):\n    return (x - 1.0) ** 2\n")
    (tmp_path / "own.yaml").write_text(FUNCTION)
    return tmp_path


@pytest.fixture
def tunecli(folder, capfd, monkeypatch):
    """Run a verb in this process and return its exit code, its stdout and its stderr."""
    return partial(called, capture=capfd, monkeypatch=monkeypatch)


def answer(done: tuple[int, str, str]) -> dict:
    code, out, err = done
    assert code == 0, err
    return json.loads(out)


def test_a_function_is_searched_exported_trained_and_resumed(folder, tunecli):
    trials = answer(tunecli("search", "own.yaml", "--json"))["trials"]
    assert len(trials) == 4
    assert all(trial["height"] == (trial["params.x"] - 1.0) ** 2 for trial in trials)
    kept = folder / "runs" / "own" / "checkpoints" / f"trial-{trials[0]['trial']:05d}" / "x.txt"
    assert kept.read_text() == repr(trials[0]["params.x"])
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    answer(tunecli("export", "own", "-o", "elsewhere/best.yaml", "--json"))
    assert answer(tunecli("train", "elsewhere/best.yaml", "--json"))["score"] == trials[0]["height"]
    assert answer(tunecli("train", "runs/own/best.yaml", "--json"))["score"] == trials[0]["height"]
    assert len(answer(tunecli("resume", "own", "--trials", "5", "--json"))["trials"]) == 5


def test_a_function_gets_the_seed_of_the_file(folder, tunecli):
    (folder / "own.yaml").write_text(FUNCTION.replace("python: mine:train", "python: mine:seeded\n  seed: 9"))
    trials = answer(tunecli("search", "own.yaml", "--json"))["trials"]
    assert [trial["height"] for trial in trials] == [9.0] * 4


def test_both_engines_give_the_same_table(folder, tunecli):
    def heights(*arguments):
        found = answer(tunecli("search", "own.yaml", "--json", *arguments))["trials"]
        return [(trial["trial"], trial["height"], trial["seed"]) for trial in found]

    assert heights() == heights("--set", "run={engine: local, device: cpu, workers: 2}", "--out", "local")


def test_resume_refuses_changed_code_but_status_and_results_work(folder, tunecli):
    assert tunecli("search", "own.yaml")[0] == 0
    before = (folder / "curve.py").read_text()
    (folder / "curve.py").write_text("def height(x):\n    return x\n")
    code, _, err = tunecli("resume", "own", "--trials", "6")
    assert code == 2
    assert "curve.py has changed" in err
    assert "begin a new study" in err
    (folder / "mine.py").unlink()
    for verb in ("status", "results", "export"):
        assert tunecli(verb, "own")[0] == 0
    (folder / "mine.py").write_text(MINE)
    (folder / "curve.py").write_text(before)
    assert tunecli("resume", "own", "--trials", "6")[0] == 0


EDITED = """\
import json, sys
print(json.dumps({"height": float(sys.argv[1])}))
with open("mine.py", "a") as own, open("history.txt", "a") as history:
    own.write("# edited\\n" * int(sys.argv[3]))
    history.write(sys.argv[1])
"""


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_code_edited_during_a_search_fails_the_later_trials(folder, tunecli, engine):
    trial = "trial: {command: [python, mine.py, '{x}', history.txt, '1'], params: {x: {uniform: [0, 1]}}}\n"
    search = f"search: {{trials: 3, lookahead: 1}}\nrun: {{engine: {engine}, workers: 1}}\n"
    objective = "study: own\nobjective: {metric: height, direction: minimize}\n"
    (folder / "mine.py").write_text(EDITED)
    (folder / "own.yaml").write_text(objective + trial + search)
    trials = answer(tunecli("search", "own.yaml", "--json"))["trials"]
    assert [trial["status"] for trial in trials] == ["complete", "failed", "failed"]
    log = (folder / "runs" / "own" / "log.jsonl").read_text()
    assert "your own code has changed since the study began: mine.py" in log


def test_a_study_whose_program_writes_a_file_of_its_command_is_resumed(folder, tunecli):
    trial = "trial: {command: [python, mine.py, '{x}', history.txt, '0'], params: {x: {uniform: [0, 1]}}}\n"
    (folder / "mine.py").write_text(EDITED)
    (folder / "own.yaml").write_text(
        "study: own\nobjective: {metric: height, direction: minimize}\n" + trial + "search: {trials: 1}\n"
        "run: {engine: inline}\n"
    )
    (folder / "history.txt").write_text("")
    assert tunecli("search", "own.yaml")[0] == 0
    assert len(answer(tunecli("resume", "own", "--trials", "2", "--json"))["trials"]) == 2


def test_a_one_liner_is_searched_exported_and_trained(folder, tunecli):
    (folder / "own.yaml").write_text(ONE_LINER)
    trials = answer(tunecli("search", "own.yaml", "--json"))["trials"]
    assert [trial["height"] for trial in trials] == [trial["params.x"] for trial in trials]
    assert answer(tunecli("train", "runs/own/best.yaml", "--json"))["score"] == trials[0]["height"]


LOADED = """
import sys

def train(params, trial):
    heavy = {"torch", "skopt", "sklearn", "scipy"} & set(sys.modules)
    return {"height": params["x"], "loaded": len(heavy), "ahead": "tunecli.train.loop" in sys.modules}
"""
RUN = """
import sys
from tunecli.cli import main
if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SystemExit:
        pass
    print(sorted({"torch", "skopt", "sklearn", "scipy"} & set(sys.modules)), file=sys.stderr)
"""


def study_of_loaded(folder: Path, engine: str, sampler: str = "random", top: str = "") -> list[dict]:
    """Metrics of the trials of a function that reports the loaded packages; the coordinator itself loads no large package."""
    (folder / "mine.py").write_text(top + LOADED)
    grid = "x: {uniform: [0, 1], grid: 4}"
    (folder / "own.yaml").write_text(
        "study: own\nobjective: {metric: height, direction: minimize}\n"
        f"trial: {{python: 'mine:train', params: {{{grid}}}}}\nsearch: {{sampler: {sampler}, trials: 4}}\n"
        f"run: {{device: cpu, engine: {engine}, workers: {1 if engine == 'inline' else 2}}}\n"
    )
    (folder / "run.py").write_text(RUN)
    command = [sys.executable, "run.py", "search", "own.yaml", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
    trials = json.loads(done.stdout)["trials"]
    assert [trial["status"] for trial in trials] == ["complete"] * 4, done.stderr
    with closing(sqlite3.connect(folder / "runs" / "own" / "study.db")) as database:
        return [json.loads(metrics) for (metrics,) in database.execute("SELECT metrics FROM result")]


@pytest.mark.parametrize(
    ("engine", "sampler"),
    [
        ("local", "grid"),
        pytest.param("inline", "random", marks=pytest.mark.slow),
        pytest.param("local", "random", marks=pytest.mark.slow),
    ],
)
def test_a_study_of_a_function_without_torch_loads_torch_in_no_process(folder, engine, sampler):
    for metrics in study_of_loaded(folder, engine, sampler):
        assert (metrics["loaded"], metrics["ahead"]) == (0, 0)


def test_workers_load_torch_before_a_function_that_may_import_it(folder):
    top = "def late():\n    import torch\n"
    for metrics in study_of_loaded(folder, "local", top=top):
        assert (metrics["loaded"], metrics["ahead"]) == (1, 1)


def test_a_study_of_commands_loads_no_torch(folder):
    (folder / "own.yaml").write_text(ONE_LINER.replace("quasirandom", "random"))
    (folder / "run.py").write_text(RUN)
    command = [sys.executable, "run.py", "search", "own.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


def test_check_reports_an_unknown_cost_for_user_code(folder, tunecli):
    found = answer(tunecli("check", "own.yaml", "--json"))
    assert found["smallest_trial"] is None and found["estimated_seconds"] is None
    assert found["space_size"] is None
    assert "its cost is unknown" in tunecli("check", "own.yaml")[1]


def test_check_reports_uncallable_code_at_its_position(folder, tunecli):
    (folder / "own.yaml").write_text(FUNCTION.replace("mine:train", "mine:trian"))
    code, _, err = tunecli("check", "own.yaml")
    assert code == 2
    assert "own.yaml:5:11: trial.python: mine.py does not define `trian` (did you mean `train`?)" in err


def test_check_shows_the_name_and_direction_of_a_user_metric(folder, tunecli):
    (folder / "own.yaml").write_text(
        "study: own\n"
        "objective: {metric: {python: mine:score, args: {offset: 0.5}}, direction: maximize}\n"
        "trial: {data: {source: iris}, training: {epochs: 1}, optimizer: {name: adam, lr: {uniform: [0.1, 0.2]}}}\n"
    )
    found = answer(tunecli("check", "own.yaml", "--json"))
    assert found["objective"] == {"metric": "val_score", "direction": "maximize"}
    assert found["smallest_trial"]["n_parameters"] > 0


def test_export_has_no_weights_of_a_user_function(folder, tunecli):
    assert tunecli("search", "own.yaml")[0] == 0
    for verb, target in (("train", "runs/own/best.yaml"), ("export", "own")):
        code, _, err = tunecli(verb, target, "--weights", "w.safetensors")
        assert code == 2
        assert "your own training" in err


LIMITED = """\
study: own
objective: {metric: height, direction: minimize}
trial: {python: "mine:hang"}
run: {device: cpu, trial_limit: {idle: 1s}}
"""


@pytest.mark.parametrize(
    "trial", ['{python: "mine:hang"}', '{command: [sleep, "600"]}'], ids=["function", "command"]
)
def test_train_ends_a_hanging_trial_at_the_limit_of_the_file(folder, tunecli, trial):
    (folder / "mine.py").write_text(MINE + "\ndef hang(params, trial):\n    import time; time.sleep(600)\n")
    (folder / "own.yaml").write_text(LIMITED.replace('{python: "mine:hang"}', trial))
    code, _, err = tunecli("train", "own.yaml")
    assert code == 3, err
    assert "no epoch ended within run.trial_limit.idle, 1 s" in " ".join(err.split())


def test_train_gives_the_same_result_with_and_without_a_limit(folder, tunecli):
    assert tunecli("search", "own.yaml")[0] == 0
    free = answer(tunecli("train", "runs/own/best.yaml", "--json"))
    limited = answer(tunecli("train", "runs/own/best.yaml", "--json", "--set", "run.trial_limit.time=10m"))
    assert {**limited, "seconds": 0} == {**free, "seconds": 0}


def test_a_trial_whose_code_exits_has_failed_and_train_reports_it(folder, tunecli):
    (folder / "mine.py").write_text("def leave(outputs, targets):\n    raise SystemExit(0)\n")
    (folder / "own.yaml").write_text(
        "objective: {metric: val_loss}\ntrial: {data: {source: iris}, loss: {python: 'mine:leave'}}\n"
    )
    code, _, err = tunecli("train", "own.yaml")
    assert code == 3
    assert "the trial failed: error: SystemExit: 0" in " ".join(err.split())


SLEEPER = """\
study: own
objective: {metric: height, direction: minimize}
trial: {command: [sh, -c, 'sleep 600 & echo $PPID $$ $! > ready; wait']}
run: {workers: 1, on_failure: {crash: skip}}
"""


@pytest.fixture
def running_search(folder):
    """A running search of a command: the search, its worker, the program, and the program's child."""
    (folder / "own.yaml").write_text(SLEEPER)
    os.mkfifo(folder / "ready")
    with started_verb("search", "own.yaml", cwd=folder) as search:
        yield search, *(psutil.Process(int(word)) for word in (folder / "ready").read_text().split())


def test_a_program_dies_with_its_worker(running_search):
    search, worker, *programs = running_search
    worker.kill()
    assert psutil.wait_procs(programs, timeout=10)[1] == []
    _, err = search.communicate()
    assert search.returncode == 3
    assert "the worker was killed by SIGKILL" in err


def test_a_search_that_is_stopped_leaves_no_program(running_search):
    search, _, *programs = running_search
    search.send_signal(signal.SIGTERM)
    _, err = search.communicate()
    assert psutil.wait_procs(programs, timeout=10)[1] == []
    assert search.returncode == 143
    assert "Traceback" not in err


def test_a_search_that_is_killed_leaves_no_program(running_search):
    search, worker, *programs = running_search
    search.kill()
    assert psutil.wait_procs([worker, *programs], timeout=10)[1] == []


EVERY_TENTH = """
def train(params, trial):
    step = 10 if trial.number < 4 else 1
    for epoch in range(step, 41, step):
        trial.report(epoch, height=10.0 / epoch)
    return 10.0 / 40
"""


def test_trials_of_one_curve_are_not_pruned_however_often_they_report(folder, tunecli):
    (folder / "mine.py").write_text(EVERY_TENTH)
    pruner = "trials: 6, pruner: {name: median, startup_trials: 3, warmup_epochs: 1}}"
    (folder / "own.yaml").write_text(FUNCTION.replace("trials: 4, lookahead: 2}", pruner))
    trials = answer(tunecli("search", "own.yaml", "--json"))["trials"]
    assert [(trial["status"], trial["epochs"]) for trial in trials] == [("complete", 40)] * 6


KEEPER = """
import json

def train(params, trial):
    kept = trial.checkpoint_dir / "next.json"
    for epoch in range(json.loads(kept.read_text()) if kept.is_file() else FIRST, FIRST + 9):
        trial.report(epoch, height=params["x"] + 1.0 / (epoch + 1 - FIRST))
        kept.write_text(json.dumps(epoch + 1))
"""


@pytest.mark.parametrize("first", [0, 1])
def test_a_function_that_pauses_and_continues_gives_the_uninterrupted_epochs(folder, tunecli, first):
    (folder / "mine.py").write_text(KEEPER.replace("FIRST", str(first)))
    pruner = "trials: 9, pruner: {name: halving, factor: 3, min_epochs: 1, max_epochs: 9}}"
    (folder / "own.yaml").write_text(FUNCTION.replace("trials: 4, lookahead: 2}", pruner))
    trials = answer(tunecli("search", "own.yaml", "--json"))["trials"]
    assert sorted(trial["epochs"] for trial in trials) == [1] * 6 + [3] * 2 + [9]
    for trial in trials:
        assert trial["height"] == trial["params.x"] + 1.0 / trial["epochs"]
    assert answer(tunecli("verify", "own", "--json"))["trials"][0]["verdict"] == "bit-identical"
    assert not list((folder / "runs" / "own" / "checkpoints").glob("*.reports.jsonl"))


def test_a_sweep_whose_first_trials_all_fail_alike_ends_and_can_be_resumed(folder, tunecli):
    (folder / "mine.py").write_text("def train(params, trial):\n    raise ValueError(f'no {params}')\n")
    (folder / "own.yaml").write_text(
        FUNCTION.replace("trials: 4, lookahead: 2}", "trials: 12, lookahead: 1}")
    )
    code, _, err = tunecli("search", "own.yaml")
    said = " ".join(err.split())
    assert code == 3
    assert "the first trials all failed in the same way: ValueError: no {" in said and "(mine.py:2)" in said
    assert "tunecli resume runs/own --set run.limit.failures=0" in said
    assert tunecli("resume", "own")[0] == 3
    assert len(answer(tunecli("results", "own", "--json"))["trials"]) == 5
    assert tunecli("resume", "own", "--set", "run.limit.failures=0")[0] == 3
    assert len(answer(tunecli("results", "own", "--json"))["trials"]) == 12


SHARED = """\
import os

SEEN = []

def train(params, trial):
    SEEN.append(trial.number)
    at_home = float(os.getcwd() == os.path.dirname(__file__) and "LEFT" not in os.environ)
    os.chdir("/")
    os.environ["LEFT"] = "1"
    return {"height": params["x"], "seen": len(SEEN), "at_home": at_home}
"""


@pytest.mark.parametrize(("isolate", "seen"), [("on", [1, 1, 1, 1]), ("off", [1, 2, 3, 4])])
def test_trials_share_a_process_only_where_the_file_says_so(folder, tunecli, isolate, seen):
    (folder / "mine.py").write_text(SHARED)
    words = ("run.engine=local", "run.workers=1", f"run.isolate={isolate}", "search.lookahead=1")
    found = answer(
        tunecli("search", "own.yaml", "--json", *(word for one in words for word in ("--set", one)))
    )
    with closing(sqlite3.connect(folder / "runs" / "own" / "study.db")) as database:
        rows = database.execute("SELECT metrics FROM result ORDER BY number").fetchall()
    metrics = [json.loads(text) for (text,) in rows]
    assert [one["seen"] for one in metrics] == seen
    assert [one["at_home"] for one in metrics] == [1.0] * 4
    assert len(found["trials"]) == 4
