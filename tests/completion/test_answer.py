"""The answers that the program gives to shells, in a process of its own."""

import os
import subprocess
import sys

import pytest

from tunecli.completion import VARIABLE


def answer(shell, folder, *words, python=("-m", "tunecli"), **environ):
    return subprocess.run(
        [sys.executable, *python, *words],
        cwd=folder,
        env={**os.environ, VARIABLE: f"complete_{shell}", **environ},
        capture_output=True,
        text=True,
    )


def test_bash_gets_the_quoted_rest_of_the_word(folder_of_studies):
    line = "tunecli status runs/my"
    done = answer("bash", folder_of_studies, _TUNECLI_LINE=line, _TUNECLI_WORD="runs/my")
    assert (done.returncode, done.stdout, done.stderr) == (0, "words\nruns/my\\ study\n", "")
    done = answer("bash", folder_of_studies, _TUNECLI_LINE="tunecli status old/a:", _TUNECLI_WORD="")
    assert done.stdout == "words\nb\n"  # bash breaks words at a colon


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_get_values_with_descriptions(shell, folder_of_studies):
    done = answer(shell, folder_of_studies, "export", "digits", "--trial", "")
    assert done.stdout == "words\n0\tcomplete 0.5\n1\tcomplete 0.25\n2\tfailed\n3\tnot finished\n"
    done = answer(shell, folder_of_studies, "search", "mine.yaml", "--set", "optimizer.lr")
    assert done.stdout == "open\noptimizer.lr=\t\n"
    assert answer(shell, folder_of_studies, "predict", "digits", "x").stdout == "files\n"


def test_fish_hands_over_the_last_word_with_its_quotes(folder_of_studies):
    assert answer("fish", folder_of_studies, "status", '"runs/my ').stdout == "words\nruns/my study\t\n"


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("powershell", ["sea"]),
        ("zsh", []),
        ("zsh", ["status", "\udcff"]),
        ("zsh", ["results", "broken", "--trial", ""]),
        ("zsh", ["results", "broken", "--columns", ""]),
        ("zsh", ["curve", "broken", "--metric", ""]),
        ("zsh", ["search", "broken.yaml", "--set", "zz"]),
        ("zsh", ["search", "x\ny", "--set", "zz"]),
        ("zsh", ["status", "x" * 5000 + "/"]),
    ],
)
def test_a_line_that_has_no_completion_gets_no_error(shell, words, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "study.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 200)
    (broken / "results.csv").write_bytes(b"\xff\xfe\n")
    (tmp_path / "broken.yaml").write_text("trial: [")
    done = answer(shell, tmp_path, *words)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Traceback" not in done.stdout
    assert len(done.stdout.splitlines()) <= 1 or words == []


@pytest.mark.parametrize(
    "words",
    [
        ["sea"],
        ["status", ""],
        ["search", "mine.yaml", "--set", "opt"],
        ["results", "digits", "--trial", ""],
        ["results", "digits", "--columns", ""],
    ],
)
def test_an_answer_loads_no_heavy_package(words, folder_of_studies):
    program = (
        "import sys; sys.argv = ['tunecli', *sys.argv[1:]]\n"
        "from tunecli.__main__ import main; main()\n"
        "heavy = {'torch', 'sklearn', 'skopt', 'numpy', 'pydantic', 'typer', 'rich'} & {*sys.modules}\n"
        "heavy |= {name for name in sys.modules if name.startswith(('tunecli.cli', 'tunecli.study', 'tunecli.engine'))}\n"
        "print(sorted(heavy), len(sys.modules) < 250)"
    )
    done = answer("zsh", folder_of_studies, *words, python=("-c", program))
    assert done.stdout.splitlines()[-1] == "[] True"
    assert len(done.stdout.splitlines()) > 2
