"""The commands and the Python of every page run in the order of the page, in a folder with its example files.

`tunecli search` runs 3 trials there, and `tunecli confirm` 3 runs of 2 trials, unless the page says how many. The
tutorials run in full.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.page_blocks import BLOCKS, PAGES, ROOT, SHELL, Block, commands_in
from tests.support.page_files import write_files

RUN_ELSEWHERE = {ROOT / "docs/extending.md": "tests/registry/test_extending.py"}
MOST_NOT_RUN = 38  # ten of them start a cluster, or need one
PROGRAMS = {"tunecli", "python", "cp", "echo", "grep", "printf", "rm", "tee"}
"""The programs that a block may run. Any other one, such as pip, may change the machine."""
PROGRAM = """#!{python}
import os, sys
words = sys.argv[1:]
if "FULL" not in os.environ and words[:1] == ["search"] and not {{"--trials", "--dry-run"}} & set(words):
    words += ["--trials", "3"]
if "FULL" not in os.environ and words[:1] == ["confirm"] and not {{"--top", "--repeats", "--dry-run"}} & set(words):
    words += ["--top", "2", "--repeats", "3"]
os.execv("{python}", ["{python}", "-m", "tunecli", *words])
"""


def runs(block: Block) -> bool:
    return (
        block.is_run
        and block.page not in RUN_ELSEWHERE
        and (block.language in SHELL or block.language == "python")
    )


RUNNING = [page for page in PAGES if any(runs(block) for block in BLOCKS if block.page == page)]


def prepared(folder: Path) -> dict[str, str]:
    """Put the example files and a quick ``tunecli`` into a folder, and return the environment of its commands."""
    write_files(folder)
    shutil.copytree(ROOT / "configs", folder / "configs", ignore=shutil.ignore_patterns("signs", "signs_new"))
    programs = folder.parent / "programs"
    programs.mkdir()
    (programs / "tunecli").write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
    (programs / "tunecli").chmod(0o755)
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    (programs / "python").chmod(0o755)
    home = folder.parent / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ZDOTDIR"))}
    return kept | {
        "HOME": str(home),
        "PIP_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "120",
    }


def steps(page: Path, folder: Path) -> Iterator[tuple[str, str, str]]:
    """What a page does, in its order: where it says so, the language, and the text."""
    for block in (block for block in BLOCKS if block.page == page):
        for command in block.remarks.get("before", []):
            yield f"{block}: before", "sh", command
        if block.file is not None:
            yield str(block), "file", f"{folder / block.file}\n{block.text}"
        elif runs(block):
            yield str(block), "python" if block.language == "python" else "sh", block.commands


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_runs_from_its_first_block_to_its_last(page, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    environment = prepared(folder) | ({"FULL": "1"} if page.name.startswith("tutorial") else {})
    (tmp_path / "steps.json").write_text(json.dumps([*steps(page, folder)]), encoding="utf-8")
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(ROOT / "tests/support/page_session.py"),
        str(tmp_path / "steps.json"),
    ]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_a_block_of_python_has_no_syntax_error(block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_runs_no_program_that_may_change_the_machine(page):
    texts = [text for _, kind, text in steps(page, Path("folder")) if kind == "sh"]
    commands = [words for text in texts for words in commands_in(text)]
    assert {words[0] for words in commands} <= PROGRAMS
    assert not [words for words in commands if words[:3] == ["python", "-m", "pip"]]


def test_few_blocks_are_not_run_and_each_of_them_says_why():
    reasons = [reason for block in BLOCKS for reason in block.remarks.get("not run", [])]
    assert len(reasons) <= MOST_NOT_RUN
    assert all(len(reason.split()) >= 4 for reason in reasons), reasons


def test_the_pages_that_run_elsewhere_have_a_test():
    assert all((ROOT / test).exists() for test in RUN_ELSEWHERE.values())
