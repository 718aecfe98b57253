"""The user's program runs as a trial: arguments in, metrics out, and its end is the trial's end."""

from __future__ import annotations

import json
import os
import sys

import psutil
import pytest

from tests.support.jobs import change_job, make_job
from tunecli.messages import Ended, EpochEnded, Job, Order, Started, Stopped
from tunecli.objective import Objective
from tunecli.train.devices import names
from tunecli.train.machine import device_name
from tunecli.train.trials import run
from tunecli.trial import FailureKind, Outcome, State


def job_of(command: list, folder, metrics: dict | None = None, params: dict | None = None, **changes) -> Job:
    config = {"command": command, "params": params or {}, "metrics": metrics or {}}
    made = {"device": "cpu", "base_path": str(folder), **changes}
    return make_job(4, config, Objective("val_loss", False), 1, 100, **made)


def shell(text: str) -> list:
    return ["sh", "-c", text.replace("{", "{{").replace("}", "}}")]


def outcome_of(job: Job) -> Outcome:
    *_, ended = run(job)
    assert isinstance(ended, Ended)
    return ended.outcome


def epochs_of(job: Job) -> list[tuple[int, dict]]:
    return [(event.epoch, dict(event.metrics)) for event in run(job) if isinstance(event, EpochEnded)]


def test_json_lines_are_epochs_and_other_lines_are_ignored(tmp_path):
    lines = """
    echo starting
    echo '{"epoch": 0, "val_loss": 0.5, "name": "x", "ok": true, "deep": {}}'
    echo '{broken'
    echo '{"epoch": 1, "val_loss": 0.25, "val_accuracy": 1}'
    echo '{"epoch": 1, "late": 2}'
    echo '{"total": 7}'
    """
    job = job_of(shell(lines), tmp_path)
    assert epochs_of(job) == [(1, {"val_loss": 0.5}), (2, {"val_loss": 0.25, "val_accuracy": 1.0})]
    outcome = outcome_of(job)
    assert (outcome.state, outcome.score, outcome.epochs, outcome.kept_epoch) == (State.COMPLETE, 0.25, 2, 2)
    assert outcome.metrics == {"val_loss": 0.25, "val_accuracy": 1.0, "late": 2.0, "total": 7.0}


@pytest.mark.parametrize("value", ['"0.5 nats"', "true", "[1]"])
def test_objective_that_is_no_number_is_an_error(tmp_path, value):
    failure = outcome_of(job_of(shell(f"""echo '{{"val_loss": {value}}}'; sleep 600"""), tmp_path)).failure
    assert failure is not None
    assert failure.cause == f"the program reported val_loss as {value}, which is no number"


def test_both_streams_are_logged_in_whole_lines(tmp_path):
    path = tmp_path / "logs" / "trial-00004.log"
    text = """printf half >&2; echo '{"val_loss": 3}'; echo ' line' >&2; printf last"""
    job = job_of(shell(text), tmp_path, log_path=str(path), log_limit_bytes=10_000)
    assert outcome_of(job).score == 3.0
    header, *lines = path.read_text().splitlines()
    assert header.startswith("--- attempt 1, begun ")
    assert sorted(lines) == ["half line", "last", '{"val_loss": 3}']
    outcome_of(change_job(job, attempt=2))
    assert path.read_text().count("half line") == 2


def test_log_of_a_stopped_program_has_its_last_output(tmp_path):
    path = tmp_path / "logs" / "trial-00004.log"
    job = job_of(
        shell("trap 'echo bye; exit' TERM; echo '{\"epoch\": 1, \"val_loss\": 3}'; sleep 600 & wait"),
        tmp_path,
    )
    job = change_job(job, log_path=str(path), log_limit_bytes=10_000)
    epochs: list[int] = []
    events = run(job, lambda: bool(epochs))
    for event in events:
        epochs += [event.epoch] if isinstance(event, EpochEnded) else []
    assert isinstance(event, Stopped)
    assert path.read_text().endswith("bye\n")


def test_secret_of_a_command_is_not_in_its_log(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    path = tmp_path / "logs" / "trial-00004.log"
    job = job_of(["sh", "-c", "printf '%s' \"$0\"; printf '%s\\n' \"$0\" >&2", "${env:TOKEN}"], tmp_path)
    outcome_of(change_job(job, log_path=str(path), log_limit_bytes=10_000))
    assert "${env:TOKEN}" in path.read_text()
    assert "hunter2" not in path.read_text()


def test_metrics_on_stderr_count_unless_the_file_says_otherwise(tmp_path):
    os.mkfifo(tmp_path / "go")
    job = job_of(shell("echo val=2 >&2; cat go; echo val=3"), tmp_path, PATTERNS)
    found = []
    for event in run(job):
        if isinstance(event, EpochEnded):
            found.append((event.epoch, event.metrics["val_loss"]))
            if len(found) == 1:  # the lines of two streams have an order only if time passes between them
                (tmp_path / "go").write_text("")
    assert found == [(1, 2.0), (2, 3.0)]
    config = {**job.task.config, "metrics_from": "stdout"}
    job = change_job(job, config={**config, "command": shell("echo val=2 >&2; echo val=3")})
    assert epochs_of(job) == [(1, {"val_loss": 3.0})]


def test_program_may_report_without_epochs(tmp_path):
    outcome = outcome_of(job_of(shell("""echo '{"val_loss": 3}'"""), tmp_path))
    assert (outcome.score, outcome.epochs, outcome.kept_epoch) == (3.0, 0, 0)


PATTERNS = {"val_loss": "val=([0-9.e+-]+|nan)", "train_loss": "^train=(.*)$"}


def test_patterns_find_metrics_and_the_objectives_line_ends_an_epoch(tmp_path):
    text = "printf 'train=2\\nval=1.5 s\\rtrain=1\\nnoise\\nval=5e-1\\ntrain=9'"
    job = job_of(shell(text), tmp_path, PATTERNS)
    assert epochs_of(job) == [
        (1, {"train_loss": 2.0, "val_loss": 1.5}),
        (2, {"train_loss": 1.0, "val_loss": 0.5}),
    ]
    assert outcome_of(job).metrics == {"train_loss": 9.0, "val_loss": 0.5}


def test_pattern_may_give_the_epochs_number(tmp_path):
    job = job_of(shell("echo '[10] val=2'; echo '[20] val=1'"), tmp_path, {**PATTERNS, "epoch": r"\[(\d+)\]"})
    assert epochs_of(job) == [(10, {"val_loss": 2.0}), (20, {"val_loss": 1.0})]


def test_program_that_prints_nan_where_the_pattern_wants_a_number_is_diverged(tmp_path):
    metrics = {"val_loss": "val=([0-9.]+)"}
    failure = outcome_of(job_of(shell("echo train=nan; echo val=nan"), tmp_path, metrics)).failure
    assert failure is not None
    assert failure.kind is FailureKind.DIVERGED
    assert failure.cause == "val_loss is nan: `val=nan` (the pattern matches finite numbers only)"
    failure = outcome_of(job_of(shell("echo train=nan"), tmp_path, metrics)).failure
    assert failure is not None and failure.kind is FailureKind.ERROR


def test_program_that_prints_nan_before_a_number_keeps_its_number(tmp_path):
    outcome = outcome_of(job_of(shell("echo val=nan; echo val=2"), tmp_path, {"val_loss": "val=([0-9.]+)"}))
    assert outcome.metrics == {"val_loss": 2.0}


def test_a_pattern_that_finds_no_number_is_an_error(tmp_path):
    failure = outcome_of(job_of(shell("echo train=abc; sleep 600"), tmp_path, PATTERNS)).failure
    assert failure is not None
    assert failure.cause == "the pattern of train_loss found 'abc', which is no number"


def test_the_program_gets_parameters_environment_and_folder(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import json, os, sys\n"
        "names = ['TRIAL', 'SEED', 'DEVICE', 'CHECKPOINT_DIR']\n"
        "facts = [os.environ['TUNECLI_' + name] for name in names]\n"
        "assert os.path.isdir(facts[3]) and sys.stdin.read() == ''\n"
        "open('seen.json', 'w').write(json.dumps([sys.argv[1:], facts, sys.executable]))\n"
        "print(json.dumps({'val_loss': float(sys.argv[1])}))\n"
    )
    kept = str(tmp_path / "kept")
    command = ["python", "mine.py", "{a.b}", "{seed}:{number}:{device}", "{checkpoint_dir}", 3]
    job = job_of(command, tmp_path, params={"a": {"b": 0.1 + 0.2}}, checkpoint_dir=kept)
    assert outcome_of(job).score == 0.1 + 0.2
    arguments, facts, interpreter = json.loads((tmp_path / "seen.json").read_text())
    assert arguments == [repr(0.1 + 0.2), "100:4:cpu", kept, "3"]
    assert facts == ["4", "100", "cpu", kept]
    assert interpreter == sys.executable


def test_programs_seed_has_32_bits(tmp_path):
    job = change_job(job_of(shell("""echo "{\\"val_loss\\": $TUNECLI_SEED}" """), tmp_path), seed=2**52 + 1)
    score = outcome_of(job).score
    assert score is not None and 0 <= score < 2**32
    assert outcome_of(change_job(job, config={**job.task.config, "seed": 9})).score == score


@pytest.mark.parametrize(
    ("text", "kind", "cause"),
    [
        (
            "echo '{\"val_loss\": 1}'; echo first >&2; echo last >&2; exit 3",
            FailureKind.ERROR,
            "exit code 3: last",
        ),
        ("exit 1", FailureKind.ERROR, "exit code 1: it printed nothing on stderr"),
        ("kill -SEGV $$", FailureKind.CRASH, "the program was killed by SIGSEGV"),
        ("kill -TERM $$", FailureKind.CRASH, "the program was killed by SIGTERM"),
        ("true", FailureKind.ERROR, "val_loss was never reported, nor was any other metric"),
        ("echo '{\"loss\": 1}'", FailureKind.ERROR, "val_loss was never reported, only loss"),
        ('echo \'{"epoch": 1, "val_loss": NaN}\'; sleep 600', FailureKind.DIVERGED, "after epoch 1"),
        ("echo '{\"val_loss\": null}'; sleep 600", FailureKind.DIVERGED, "val_loss is not a finite number"),
        (
            f"echo '{{\"val_loss\": {10**400}}}'; sleep 600",
            FailureKind.DIVERGED,
            "val_loss is not a finite number",
        ),
    ],
)
def test_exit_code_or_signal_is_the_trials_outcome(tmp_path, text, kind, cause):
    outcome = outcome_of(job_of(shell(text), tmp_path))
    assert outcome.state is State.FAILED
    assert outcome.failure is not None
    assert outcome.failure.kind is kind
    assert cause in outcome.failure.cause
    assert outcome.score is None and outcome.metrics == {}


def test_the_end_of_stderr_is_the_traceback(tmp_path):
    text = "import sys; sys.stderr.write('x' * 200_000 + '\\nlast words\\n'); sys.exit(1)"
    failure = outcome_of(job_of(["python", "-c", text], tmp_path)).failure
    assert failure is not None
    assert failure.cause == "exit code 1: last words"
    assert len(failure.traceback) == 65536
    assert failure.traceback.endswith("x\nlast words\n")


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        (["no-such-program"], "program `no-such-program` not found"),
        (["sh", "{nothing}"], "`{nothing}` is no key under `params`"),
        (["sh", "-c", "a\0b"], "null byte"),
        ([], "validation error"),
    ],
)
def test_program_that_cannot_be_started_is_an_error(tmp_path, command, cause):
    started, ended = run(job_of(command, tmp_path))
    assert isinstance(started, Started)
    assert isinstance(ended, Ended)
    failure = ended.outcome.failure
    assert failure is not None
    assert failure.kind is FailureKind.ERROR
    assert cause in failure.cause
    assert "\n" not in failure.cause


def test_closed_generator_kills_the_program_and_its_children(tmp_path):
    text = """sleep 600 & echo "{\\"epoch\\": 1, \\"val_loss\\": 1, \\"a\\": $$, \\"b\\": $!}"; wait"""
    events = run(job_of(shell(text), tmp_path))
    next(events)
    epoch = next(events)
    assert isinstance(epoch, EpochEnded)
    programs = [psutil.Process(int(epoch.metrics[name])) for name in "ab"]
    events.close()
    assert psutil.wait_procs(programs, timeout=10)[1] == []


def test_program_may_clean_up_after_sigterm(tmp_path):
    text = """
    trap 'echo kept > kept; exit 3' TERM
    echo '{"epoch": 1, "val_loss": 1}'
    sleep 600 &
    wait
    """
    heard = []
    for event in run(job_of(shell(text), tmp_path), lambda: bool(heard)):
        if isinstance(event, EpochEnded):
            heard.append(event)
        last = event
    assert isinstance(last, Stopped)
    assert (tmp_path / "kept").read_text() == "kept\n"


def test_silent_program_is_stopped(tmp_path):
    text = "trap 'echo kept > kept; exit 0' TERM; exec >&- 2>&-; echo ready > ready; while :; do sleep 0.05; done"
    events = run(job_of(shell(text), tmp_path), (tmp_path / "ready").exists)
    assert [type(event) for event in events] == [Started, Stopped]
    assert (tmp_path / "kept").read_text() == "kept\n"


def test_a_program_that_has_ended_was_not_stopped(tmp_path):
    *_, ended = run(job_of(shell("""echo '{"val_loss": 3}'"""), tmp_path), (tmp_path / "never").exists)
    assert isinstance(ended, Ended) and ended.outcome.score == 3.0


def test_program_above_the_pruners_bound_is_killed_and_pruned(tmp_path):
    text = """
    echo '{"epoch": 1, "val_loss": 2}'
    echo '{"epoch": 2, "val_loss": 4}'
    echo '{"epoch": 3, "val_loss": 0}'
    sleep 600
    """
    *epochs, ended = run(job_of(shell(text), tmp_path, stop_above=(2.0, 1.5)))
    assert [event.epoch for event in epochs if isinstance(event, EpochEnded)] == [1, 2]
    outcome = ended.outcome
    assert (outcome.state, outcome.score, outcome.epochs, outcome.kept_epoch) == (State.PRUNED, 4.0, 2, 2)
    assert outcome.failure is None


def test_avoided_device_is_an_error(tmp_path):
    started, ended = run(job_of(shell("true"), tmp_path, device="auto", avoid_devices=names()))
    assert isinstance(started, Started)
    assert ended.outcome.failure.kind is FailureKind.ERROR
    assert "must not be used" in ended.outcome.failure.cause


def test_program_gets_its_device_by_name(tmp_path):
    device = device_name("auto")
    command = ["sh", "-c", '[ "$0" = "$TUNECLI_DEVICE" ] && echo "{{\\"val_loss\\": 1}}" $0', "{device}"]
    started, *_, ended = run(job_of(command, tmp_path, device="auto"))
    assert (started.device, ended.outcome.device) == (device, device)
    assert device != "auto"


@pytest.mark.parametrize(
    "end",
    ["raise MemoryError", "import resource as r; r.setrlimit(r.RLIMIT_AS, (2**28, 2**28)); bytearray(2**30)"],
)
def test_program_out_of_memory_ends_as_oom(tmp_path, end):
    *_, ended = run(job_of(["python", "-c", end], tmp_path))
    assert ended.outcome.failure.kind is FailureKind.OOM


ENDLESS = """trap 'echo "{\\"val_loss\\": 7}"; exit 3' TERM
echo '{"epoch": 1, "val_loss": 5}'
while true; do sleep 0.01; done"""


def test_program_that_finishes_at_a_time_limit_keeps_what_it_printed(tmp_path):
    heard = []
    for end in run(job_of(shell(ENDLESS), tmp_path), lambda: Order.FINISH * bool(heard)):  # noqa: B023
        heard += [end] * isinstance(end, EpochEnded)
    assert isinstance(end, Ended)
    assert (end.outcome.state, end.outcome.score, end.outcome.epochs) == (State.COMPLETE, 7.0, 1)
    assert end.ended_by.kind is FailureKind.TIMEOUT


def test_program_without_a_score_at_its_time_limit_only_stops(tmp_path):
    *_, end = run(job_of(shell("echo started; sleep 60"), tmp_path), lambda: Order.FINISH)
    assert isinstance(end, Stopped)


def test_program_that_runs_for_ever_ends_at_its_limit_of_epochs(tmp_path):
    text = """trap 'echo ended > end.txt; exit' TERM
i=0; while true; do i=$((i+1)); echo "{\\"epoch\\": $i, \\"val_loss\\": $i}"; sleep 0.01; done"""
    outcome = outcome_of(job_of(shell(text), tmp_path, end_epoch=3))
    assert (outcome.state, outcome.score, outcome.epochs) == (State.COMPLETE, 3.0, 3)
    assert (tmp_path / "end.txt").read_text() == "ended\n", "SIGTERM comes first"
