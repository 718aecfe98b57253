"""Run an action on copies of a folder, each time in a new process that fails at another step.

    python tests/support/store_faults.py MODE ACTION FOLDER

For n = 1, 2, … the folder ``FOLDER/start`` is copied to ``FOLDER/n``, and a forked process runs ACTION on it. The modes
``kill`` and ``raise`` kill the process or raise at its n-th failpoint; with ``refuse`` the n-th operation of SQLite on
the operating system fails. The program ends at the first n without an n-th step. It prints a JSON list with the step's
name for each n, and how the process ended: -9, ``done``, or the error's name.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.support.store_actions import ACTIONS
from tests.support.store_recorder import Recorder
from tunecli import failpoints


def main(mode: Any, action: str, path: Path) -> list[tuple[str, int | str]]:
    ends: list[tuple[str, int | str]] = []
    while True:
        at = len(ends) + 1
        folder, steps = path / str(at), path / f"{at}.steps"
        shutil.copytree(path / "start", folder)
        child = os.fork()
        if not child:
            if mode == "refuse":
                Recorder(folder, steps, refuse_at=at).watch_sqlite()
            else:
                failpoints.arm(mode, at, steps)
            _do(action, folder)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        name = _name(steps, at)
        if name is None:
            return ends
        ends.append((name, status or Path(f"{folder}.said").read_text()))


def _do(action: str, folder: Path) -> None:
    said = "done"
    with Path(f"{folder}.returned").open("a", buffering=1) as returned:
        try:
            ACTIONS[action](folder, lambda what: returned.write(f"{what}\n"))
        except BaseException as error:
            said = type(error).__name__
    Path(f"{folder}.said").write_text(said)
    os._exit(0)


def _name(steps: Path, at: int) -> str | None:
    """The name of the error; None if the action succeeded."""
    lines = steps.read_text().splitlines()
    if not lines or not lines[0].startswith("["):
        return lines[at - 1] if len(lines) >= at else None
    refused = [step for step in map(json.loads, lines) if step[0].startswith("refuse")]
    return " ".join(refused[0]) if refused else None


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
