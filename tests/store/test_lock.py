from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tunecli.errors import StudyLocked
from tunecli.store.lock import HOLDER_NAME, hold, holder

HOLD_UNTIL_TOLD = """
import sys
from pathlib import Path
from tunecli.errors import StudyLocked
from tunecli.store.lock import hold
try:
    with hold(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.readline()
except StudyLocked:
    print("locked", flush=True)
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD_UNTIL_TOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_holder_is_on_record_while_it_holds_and_gone_after(tmp_path: Path) -> None:
    with hold(tmp_path) as me:
        assert me == holder(tmp_path)
        assert (me.process_id, me.host) == (os.getpid(), socket.gethostname())
    assert holder(tmp_path) is None
    assert not (tmp_path / HOLDER_NAME).exists()


def test_a_second_holder_is_refused_and_told_who_where_and_since_when(tmp_path: Path) -> None:
    with hold(tmp_path) as me, pytest.raises(StudyLocked) as caught, hold(tmp_path):
        pass
    message = str(caught.value)
    assert all(part in message for part in (str(me.process_id), me.host, me.started))
    assert caught.value.exit_code == 4


def test_the_refused_leave_the_record_of_the_holder_alone(tmp_path: Path) -> None:
    with hold(tmp_path) as me:
        for _ in range(2):
            with pytest.raises(StudyLocked), hold(tmp_path):
                pass
        assert holder(tmp_path) == me


def test_the_study_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(tmp_path):
        raise ZeroDivisionError
    with hold(tmp_path):
        pass


def test_a_killed_holder_holds_nothing_though_its_record_lies_there(tmp_path: Path) -> None:
    with start_holder(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        found = holder(tmp_path)
        assert found is not None
        assert found.process_id == process.pid
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / HOLDER_NAME).exists()
    assert holder(tmp_path) is None
    with hold(tmp_path) as me:
        assert holder(tmp_path) == me


def test_of_many_that_start_at_once_one_holds(tmp_path: Path) -> None:
    processes = [start_holder(tmp_path) for _ in range(6)]
    try:
        answers = [process.stdout.readline() for process in processes if process.stdout]
    finally:
        for process in processes:
            process.communicate("\n")
    assert sorted(answers) == ["held\n"] + ["locked\n"] * 5


def test_the_record_is_plain_json(tmp_path: Path) -> None:
    with hold(tmp_path) as me:
        assert json.loads((tmp_path / HOLDER_NAME).read_text())["started"] == me.started
