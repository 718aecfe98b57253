"""Real shells complete real command lines. Those that this machine lacks are covered by `test_answer`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.typed_shell import typed_shell
from tunecli.completion.shells import SHELLS, script_of

INSTALLED = [shell for shell in SHELLS if shutil.which(shell)]


@pytest.fixture(scope="module", params=INSTALLED)
def shell(request, folder_of_studies, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    commands = home / "bin"
    commands.mkdir()
    program = commands / "tunecli"
    program.write_text(f"#!{sys.executable}\nfrom tunecli.__main__ import main\nmain()\n")
    program.chmod(0o755)
    script = home / "script"
    script.write_text(script_of(request.param))
    root = Path(__file__).parents[2]
    environ = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(root),
    }
    with typed_shell(request.param, script, folder_of_studies, environ) as typed:
        yield typed


@pytest.mark.parametrize(("version", "is_complete"), [("3 2", 1), ("4 3", 1), ("4 4", 0), ("5 0", 0)])
def test_a_bash_that_is_too_old_loads_the_script_without_a_completion(version, is_complete, tmp_path):
    script = tmp_path / "script"
    script.write_text(script_of("bash").replace("BASH_VERSINFO", "VERSION"))
    command = f"VERSION=({version}); source {script} || exit 9; complete -p tunecli"
    done = subprocess.run(["bash", "--norc", "-c", command], capture_output=True, text=True)
    assert done.returncode == is_complete
    assert ("-F _tunecli_completion tunecli" in done.stdout) is (is_complete == 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tunecli sea", ["search"]),
        ("tunecli search mi", ["search", "mine.yaml"]),
        ("tunecli search my\\ files/a", ["search", "my files/a b.yml"]),
        ("tunecli status dig", ["status", "digits"]),
        ("tunecli status runs/my", ["status", "runs/my study"]),
        ("tunecli status 'runs/my", ["status", "runs/my study"]),
        ('tunecli status "runs/my s', ["status", "runs/my study"]),
        ("tunecli status old/a", ["status", "old/a:b"]),
        ("tunecli status old/a:", ["status", "old/a:b"]),
        (
            "tunecli search mine.yaml --set search.sampler=ba",
            ["search", "mine.yaml", "--set", "search.sampler=bayes"],
        ),
        ("tunecli search mine.yaml --set=search.look", ["search", "mine.yaml", "--set=search.lookahead="]),
        ("tunecli results digits --columns rank,r", ["results", "digits", "--columns", "rank,rate"]),
        ("tunecli export digits -o no", ["export", "digits", "-o", "notes.txt"]),
        ("tunecli status nothing-here", ["status", "nothing-here"]),
    ],
)
def test_tab_completes_the_line(shell, line, words):
    assert shell.words_after_tab(line) == ["tunecli", *words]
