"""The installation of the completion into a person's home folder."""

import os
import subprocess
import sys

import pytest

from tunecli.completion.install import chosen_shell, install
from tunecli.completion.shells import SHELLS, script_of
from tunecli.errors import UsageError


def test_bash_loads_the_script_from_its_start_up_file(tmp_path):
    (tmp_path / ".bashrc").write_text("export MINE=1")  # without an end of line
    sentences = install("bash", {"HOME": str(tmp_path)})
    path = tmp_path / ".local/share/bash-completion/completions/tunecli"
    assert sentences == [
        f"wrote {path}",
        f"added a line to {tmp_path}/.bashrc",
        "A new bash completes tunecli.",
    ]
    assert path.read_text() == script_of("bash")
    shown = subprocess.run(
        ["bash", "--rcfile", str(tmp_path / ".bashrc"), "-i", "-c", "complete -p tunecli; echo $MINE"],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        start_new_session=True,
    ).stdout
    assert shown == "complete -F _tunecli_completion tunecli\n1\n"


def test_a_repetition_changes_no_start_up_file(tmp_path):
    for shell in SHELLS:
        install(shell, {"HOME": str(tmp_path)})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for shell in SHELLS:
        assert "added" not in " ".join(install(shell, {"HOME": str(tmp_path)}))
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_the_folders_of_the_environment_are_used(tmp_path):
    environ = {
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path / "z"),
        "XDG_DATA_HOME": str(tmp_path / "my data"),
    }
    (tmp_path / "z").mkdir()
    install("zsh", environ)
    install("fish", {**environ, "XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert (tmp_path / "my data/zsh/site-functions/_tunecli").read_text().startswith("#compdef tunecli\n")
    assert f"source '{tmp_path}/my data/" in (tmp_path / "z/.zshrc").read_text()
    assert (tmp_path / "config/fish/completions/tunecli.fish").is_file()


def test_a_home_that_cannot_be_written_is_an_error_with_its_path(tmp_path):
    (tmp_path / ".config").write_text("a file, not a folder")
    with pytest.raises(UsageError, match="config"):
        install("fish", {"HOME": str(tmp_path)})


def test_the_shell_is_the_named_one_or_that_of_the_variable():
    assert chosen_shell("zsh", {}) == "zsh"
    assert chosen_shell("auto", {"SHELL": "/usr/bin/fish"}) == "fish"
    with pytest.raises(UsageError, match="no completion for the shell `tcsh`"):
        chosen_shell("auto", {"SHELL": "/bin/tcsh"})
    with pytest.raises(UsageError, match="SHELL names no shell"):
        chosen_shell("auto", {})


def test_the_options_of_the_program_install_and_show(tmp_path):
    environ = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/bash"}
    environ.pop("XDG_DATA_HOME", None)

    def run(*words):
        command = [sys.executable, "-m", "tunecli", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environ)

    assert run("--show-completion").stdout == script_of("bash")
    assert run("--show-completion", "fish").stdout == script_of("fish")
    done = run("--install-completion")
    assert (done.returncode, done.stdout) == (0, "")
    assert "A new bash completes tunecli." in done.stderr
    assert run("--show-completion", "tcsh").returncode == 2
