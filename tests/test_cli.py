"""The command line: exit codes, errors as one block, stdout for data, and no large packages loaded."""

import json
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.verbs import called
from tunecli.commands.starters import starter
from tunecli.config.json_schema import json_schema
from tunecli.config.load import parse_study

SMALL = """\
study: small
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [8]}
  optimizer: {name: adam, lr: {loguniform: [1e-3, 1e-1]}}
  training: {epochs: 3}
search: {sampler: random, trials: 2}
run: {device: cpu, engine: inline, baseline: off}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


@pytest.fixture
def run(here, capsys, monkeypatch):
    return partial(called, capture=capsys, monkeypatch=monkeypatch)


@pytest.fixture
def finished(run):
    code, _, err = run("search", "small.yaml")
    assert code == 0, err
    return Path("runs/small")


def document(text: str) -> dict:
    body = json.loads(text)
    assert body["schema_version"] == 1
    return body


def test_search_shows_the_ranked_table_on_stdout_and_progress_on_stderr(run):
    code, out, err = run("search", "small.yaml")
    assert code == 0
    assert out.splitlines()[0].split()[:4] == ["rank", "trial", "status", "val_accuracy"]
    assert out.splitlines()[1].split()[0] == "1"
    assert "[2/2] trial 1" in err
    assert "tunecli export runs/small" in out
    assert Path("runs/small/results.csv").is_file()


def test_search_prints_json(run):
    code, out, _ = run("search", "small.yaml", "--json", "--trials", 3, "--out", "elsewhere")
    body = document(out)
    assert code == 0
    assert body["kind"] == "search"
    assert [trial["rank"] for trial in body["trials"]] == [1, 2, 3]
    assert body["path"] == "elsewhere"


def test_a_dry_run_trains_nothing_and_writes_nothing(run):
    code, out, _ = run("search", "small.yaml", "--dry-run")
    assert code == 0
    assert "the first trials" in out
    assert not Path("runs").exists()


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_results_are_printed_in_every_format(run, finished, form):
    code, out, _ = run("results", finished, "--format", form, "--top", 1)
    assert code == 0
    assert "optimizer.lr" in out
    if form == "csv":
        assert len(out.splitlines()) == 2
    if form == "json":
        assert len(document(out)["trials"]) == 1


def test_a_study_is_found_by_its_name(run, finished):
    code, out, _ = run("status", "small", "--json")
    assert code == 0
    body = document(out)
    assert (body["state"], body["n_ended"], body["n_trials"]) == ("finished", 2, 2)


def test_status_and_results_are_printed_as_text(run, finished):
    code, out, _ = run("status", finished)
    assert code == 0
    assert "finished" in out and "2 of 2 ended" in out


def test_an_exported_trial_trains_to_the_same_score(run, finished):
    code, _, err = run("export", finished, "-o", "best.yaml", "--weights", "best.safetensors")
    assert code == 0
    assert "wrote best.yaml" in err
    assert Path("best.safetensors").stat().st_size > 100
    code, out, _ = run("train", "best.yaml", "--json")
    assert code == 0
    code, table, _ = run("results", finished, "--json")
    assert document(out)["score"] == document(table)["trials"][0]["val_accuracy"]


def test_export_writes_to_stdout_without_a_file(run, finished):
    code, out, _ = run("export", finished, "--trial", 1)
    assert code == 0
    assert parse_study(out.encode(), "f.yaml", (), Path()).space.parameters == ()


def test_resume_continues_to_the_new_total(run, finished):
    code, out, _ = run("resume", finished, "--trials", 4, "--json")
    assert code == 0
    assert len(document(out)["trials"]) == 4


def test_init_writes_a_file_that_check_accepts(run):
    code, _, err = run("init")
    assert code == 0
    assert "tunecli check study.yaml" in err
    code, out, _ = run("check", "study.yaml", "--json")
    assert code == 0
    assert document(out)["trials"] == 28
    assert Path("study.yaml").read_text() == starter().text
    assert Path("tunecli.schema.json").read_text() == run("schema")[1]
    assert "wrote tunecli.schema.json" in err
    assert run("init")[0] == 2


def test_a_dash_means_stdout_for_text_and_is_refused_for_weights(run, here):
    assert run("search", "small.yaml")[0] == 0
    _, plain, _ = run("export", "runs/small")
    assert run("export", "runs/small", "-o", "-") == (0, plain, "")
    code, out, _ = run("export", "runs/small", "-o", "-", "--json")
    document = json.loads(out)
    assert (code, document["config"], document["out"]) == (0, plain, None)
    code, out, err = run("init", "-")
    assert (code, out, err) == (0, starter().text, "")
    for words in (("export", "runs/small"), ("train", "small.yaml")):
        code, out, err = run(*words, "--weights", "-")
        assert (code, out) == (2, "")
        assert "weights cannot go to stdout" in err
    assert not (here / "-").exists()
    assert not (here / "tunecli.schema.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("export", "runs/small", "-o", "runs/small/study.db"),
        ("export", "runs/small", "--weights", "runs/small/study.db"),
        ("train", "one.yaml", "--weights", "runs/small/study.db"),
    ],
)
def test_no_file_replaces_a_study(run, here, words):
    (here / "one.yaml").write_text(SMALL.replace("{loguniform: [1e-3, 1e-1]}", "0.01"))
    assert run("search", "small.yaml")[0] == 0
    before = (here / "runs/small/study.db").read_bytes()
    code, _, err = run(*words)
    assert code == 2
    assert "is a file of the study in" in err
    assert (here / "runs/small/study.db").read_bytes() == before


@pytest.mark.parametrize("words", [("init",), ("search", "small.yaml", "--out"), ("export", "small", "-o")])
def test_a_file_name_too_long_for_the_disk_is_one_error_block(run, words):
    assert run("search", "small.yaml")[0] == 0
    code, _, err = run(*words, "x" * 300)
    assert code == 2
    assert "File name too long" in err


def test_init_keeps_existing_files_and_names_a_missing_folder(run):
    Path("tunecli.schema.json").write_text("mine")
    code, _, err = run("init")
    assert code == 0
    assert Path("tunecli.schema.json").read_text() == "mine"
    assert "tunecli.schema.json differs and is left unchanged" in err
    code, _, err = run("init", "sub folder/x.yaml")
    assert code == 2
    assert "there is no folder sub folder" in err
    assert "mkdir -p 'sub folder'" in err
    Path("sub folder").mkdir()
    code, _, err = run("init", "sub folder/x.yaml")
    assert code == 0
    assert "tunecli check 'sub folder/x.yaml'" in err
    assert Path("sub folder/tunecli.schema.json").is_file()
    code, _, err = run("init", "sub folder/y.yaml")
    assert code == 0
    assert "is up to date" in err


def test_schema_prints_the_schema(run):
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(json_schema()))


def test_doctor_shows_devices_and_versions(run):
    code, out, _ = run("doctor", "--json")
    assert code == 0
    body = document(out)
    assert "cpu" in body["devices"]
    assert body["versions"]["torch"]


def test_version_and_help_need_no_verb(run):
    assert re.fullmatch(r"tunecli \d+\.\d+\.\d+\+[0-9a-f]{12}\n", run("--version")[1])
    code, out, _ = run("--help")
    assert code == 0
    for verb in (
        "search",
        "resume",
        "status",
        "results",
        "logs",
        "export",
        "verify",
        "confirm",
        "train",
        "check",
        "init",
        "schema",
        "doctor",
    ):
        assert verb in out


VERBS = [
    "search",
    "resume",
    "stop",
    "status",
    "results",
    "report",
    "compare",
    "curve",
    "logs",
    "export",
    "verify",
    "confirm",
    "train",
    "predict",
    "list",
    "note",
    "tag",
    "delete",
    "check",
    "init",
    "import",
    "schema",
    "doctor",
]


def test_the_list_of_verbs_cuts_no_sentence(run):
    _, out, _ = run("--help")
    listed = [line.split(maxsplit=1) for line in out.split("Commands:")[1].splitlines() if line.strip()]
    assert [name for name, _ in listed] == VERBS
    assert all(text.endswith(".") and not text.endswith("...") and len(text) <= 45 for _, text in listed)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_has_help_in_whole_sentences_by_both_flags(run, verb):
    code, long, _ = run(verb, "--help")
    assert code == 0
    assert run(verb, "-h")[1] == long
    assert all(len(line) <= 80 for line in long.splitlines())
    options = re.split(r"\n  (?=-)", long.split("Options:")[1].strip("\n"))
    for option in options:
        text = " ".join(re.split(r"\s{2,}", option.strip(), maxsplit=1)[1].split())
        assert re.search(r"\.(  ?\[.*\])?$|\]\.$", text), option


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "small.yaml", "--trials", "abc"], "--trials: 'abc' is not a whole number"),
        (["search", "small.yaml", "--workers", "1.5"], "--workers: '1.5' is not a whole number"),
        (["results", "x", "--top", "0"], "--top: must be at least 1; this is 0"),
        (["export", "x", "--trial", "-1"], "--trial: must be at least 0; this is -1"),
        (["verify", "x", "--sample", ""], "--sample: '' is not a whole number"),
    ],
)
def test_a_value_that_is_no_number_has_a_plain_error(run, words, said):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == f"error: {said}"
    assert err.splitlines()[1] == f"  try: tunecli {words[0]} --help"
    code, _, err = run(*words, "--json")
    assert (code, document(err)["message"]) == (2, said)


def test_a_command_without_a_verb_shows_the_verbs_and_exits_2(run):
    code, out, _ = run()
    assert code == 2
    assert "Commands:" in out


def test_a_missing_folder_for_init_has_the_command_that_makes_it(run):
    code, _, err = run("init", "sub/x.yaml")
    assert code == 2
    assert "mkdir -p sub" in err


BAD_CSV = "a,b,c\n1,2,x\n3,4,y\n"

BAD = [
    (["search", "none.yaml"], 2, "none.yaml: file not found"),
    (["search", "empty.yaml"], 2, "empty.yaml:1:1: the file is empty"),
    (["search", "small.yaml", "--set", "trial.modle=mlp"], 2, "did you mean `model`?"),
    (
        ["search", "small.yaml", "--set", "training.epochs=ten"],
        2,
        "must be a whole number or `auto`, not the text 'ten'",
    ),
    (["search", "small.yaml", "--set", "optimizer.lr={uniform: [2, 1]}"], 2, "the range is reversed"),
    (["search", "small.yaml", "--set", "objective.metric=val_acc"], 2, "did you mean `val_accuracy`?"),
    (
        ["search", "small.yaml", "--set", "objective.metric=val_rmse"],
        2,
        "a classification task has no val_rmse",
    ),
    (["search", "small.yaml", "--set", "loss=mse"], 2, "trial.loss"),
    (["search", "small.yaml", "--set", "data.source=none.csv", "--set", "data.target=c"], 2, "none.csv"),
    (["search", "small.yaml", "--set", "data.source=bad.csv"], 2, "target"),
    (
        ["search", "small.yaml", "--set", "data.source=bad.csv", "--set", "data.target=d"],
        2,
        "trial.data.target",
    ),
    (["search", "small.yaml", "--set", "model=cnn"], 2, "trial.model"),
    (["search", "small.yaml", "--set", "x"], 2, "expected PATH=VALUE, got `x`"),
    (["search", "small.yaml", "--trials", "0"], 2, "--trials: must be at least 1; this is 0"),
    (["search", "small.yaml", "--trials", "abc"], 2, "--trials: 'abc' is not a whole number"),
    (["search", "small.yaml", "--workers", "1.5"], 2, "--workers: '1.5' is not a whole number"),
    (["results", "small", "--top", "²"], 2, "--top: '²' is not a whole number"),
    (["confirm", "small", "--top", "x"], 2, "--top: 'x' is not a whole number"),
    (["verify", "small", "--trial", "-1"], 2, "--trial: must be at least 0; this is -1"),
    (["search", "small.yaml", "--device", "cuda:7"], 2, "there is no device `cuda:7` on this machine"),
    (["search", "small.yaml", "--device", "tpu"], 2, "--set run.device"),
    (["search"], 2, "Missing argument"),
    (["search", "small.yaml", "--bogus"], 2, "No such option"),
    (["bogus"], 2, "No such command"),
    (["results", "nowhere"], 2, "nowhere"),
    (["status", "."], 2, "."),
    (["resume", "small.yaml"], 2, "small.yaml"),
    (["export", "nowhere"], 2, "nowhere"),
    (["list", "nowhere"], 2, "nowhere is missing"),
    (["list", "small.yaml"], 2, "small.yaml is a file, not a folder"),
    (["list", ".", "--sort", "size,study"], 2, "no column `size,study`"),
    (["delete", "nowhere"], 2, "nowhere"),
    (["delete", "."], 2, "there is no study in ."),
    (["note", "nowhere", "x"], 2, "nowhere"),
    (["tag", "nowhere", "x"], 2, "nowhere"),
    (["results", "nowhere", "--format", "xml"], 2, "table, csv, json or markdown"),
    (["results", "nowhere", "--format", "csv", "--json"], 2, "exclude each other"),
    (["train", "small.yaml"], 2, "this file holds ranges (optimizer.lr)"),
    (["check", "empty.yaml"], 2, "the file is empty"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=[" ".join(row[0]) for row in BAD])
def test_bad_input_gives_one_error_block_and_the_documented_exit_code(run, here, arguments, code, words):
    (here / "empty.yaml").write_text("")
    (here / "bad.csv").write_text(BAD_CSV)
    found, out, err = run(*arguments)
    assert found == code
    assert words in err
    assert out == ""
    assert "Traceback" not in err
    assert not Path("runs").exists()


def test_errors_are_printed_as_json(run):
    code, _, err = run("check", "small.yaml", "--json", "--set", "training.epochs=0")
    assert code == 2
    body = document(err)
    assert body["problems"][0]["parameter"] == "trial.training.epochs"
    assert body["exit_code"] == 2


def test_a_study_without_a_successful_trial_exits_3(run):
    code, out, err = run("search", "small.yaml", "--set", "optimizer={name: sgd, lr: 1e30}")
    assert code == 3
    assert "diverged" in out
    assert "no trial succeeded" in err


def test_a_study_without_a_finished_trial_names_the_command_that_continues(run):
    words = (
        "trial.training.epochs=9",
        "search.pruner=halving",
        "search.sampler=random",
        "run.limit.epochs=1",
    )
    code, _, err = run("search", "small.yaml", *(part for word in words for part in ("--set", word)))
    assert code == 3
    assert "no trial finished" in err
    assert "tunecli resume runs/small --set run.limit.epochs=…" in err
    assert run("resume", "small", "--set", "run.limit.epochs=99")[0] == 0


def test_an_export_without_a_score_exits_3(run):
    run("search", "small.yaml", "--set", "optimizer={name: sgd, lr: 1e30}")
    assert run("export", "small")[0] == 3


def test_a_trial_number_that_does_not_exist_is_named(run, finished):
    code, _, err = run("export", finished, "--trial", 7)
    assert code == 2
    assert "there is no trial 7" in err


def test_hostile_text_does_not_drive_the_terminal(run, here):
    (here / "small.yaml").write_text(SMALL.replace("iris", '"[red]\\e[31m\\a"'))
    code, _, err = run("check", "small.yaml")
    assert code == 2
    assert "\x1b" not in err and "\x07" not in err
    assert "[red]" in err


LIGHT = [
    ["--help"],
    ["--version"],
    ["check", "small.yaml"],
    ["status", "small"],
    ["results", "small"],
    ["report", "small", "-o", "/dev/null"],
    ["logs", "small"],
    ["list"],
    ["note", "small", "a note"],
    ["tag", "small", "a"],
    ["export", "small"],
    ["delete", "small", "--yes"],
]


def test_verbs_that_do_not_train_load_neither_torch_nor_skopt(finished):
    program = (
        "import json, sys\nfrom tunecli.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    try:\n        main(words)\n    except SystemExit as end:\n        code = end.code\n"
        "    heavy = {'torch', 'skopt', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "    print(words[0], code, sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, json.dumps(LIGHT)], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if line.endswith("]")]
    assert said == [f"{words[0]} 0 []" for words in LIGHT], done.stderr


def test_a_pipe_that_its_reader_closes_is_no_error(finished):
    command = f"{sys.executable} -m tunecli results {finished} --format csv | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_ends_in_order_and_names_the_command_that_resumes(here, number, code):
    command = [sys.executable, "-m", "tunecli", "search", "small.yaml"]
    command += ["--set", "training.epochs=1000000", "--set", "run.engine=local"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(
            line.startswith("small") for line in process.stderr
        )  # the summary of the data is printed before
        process.send_signal(number)
        try:
            _, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()  # else it trains for hours after the tests
            raise
    assert process.returncode == code
    assert "tunecli resume runs/small" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "redirect"),
    [
        ("check small.yaml", ">&-"),
        ("status small", "| true"),
        pytest.param("check small.yaml", "| true", marks=pytest.mark.slow),
        pytest.param("status small", ">&-", marks=pytest.mark.slow),
    ],
)
def test_a_closed_stdout_causes_no_message(finished, arguments, redirect):
    command = f"{sys.executable} -m tunecli {arguments} {redirect}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_output_to_a_full_disk_exits_6(finished):
    command = f"{sys.executable} -m tunecli results small > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 6
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_search_continues_if_its_stderr_is_closed(here):
    command = f"{sys.executable} -m tunecli search small.yaml 2> >(true) > out.txt; echo $?"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.strip() == "0"
    assert "val_accuracy" in Path("out.txt").read_text()
