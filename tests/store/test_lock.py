from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tunecli.errors import StudyLocked, UsageError
from tunecli.store import lock
from tunecli.store.lock import HOLDER_NAME, WORKERS_LOCK_NAME, hold, holder, share_workers_lock

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


def test_the_holder_is_recorded_while_it_holds_the_lock(tmp_path: Path) -> None:
    with hold(tmp_path) as me:
        assert me == holder(tmp_path)
        assert (me.process_id, me.host) == (os.getpid(), socket.gethostname())
    assert holder(tmp_path) is None
    assert not (tmp_path / HOLDER_NAME).exists()


def test_a_second_holder_is_rejected_with_the_first_ones_process_host_and_start(tmp_path: Path) -> None:
    with hold(tmp_path) as me, pytest.raises(StudyLocked) as caught, hold(tmp_path):
        pass
    message = str(caught.value)
    assert all(part in message for part in (str(me.process_id), me.host, me.started))
    assert caught.value.exit_code == 4


def test_a_rejected_holder_keeps_the_record_of_the_first(tmp_path: Path) -> None:
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


def test_a_killed_holder_frees_the_lock_although_its_record_remains(tmp_path: Path) -> None:
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


def test_exactly_one_of_many_simultaneous_starts_gets_the_lock(tmp_path: Path) -> None:
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


WORK_UNTIL_TOLD = """
import subprocess, sys
from pathlib import Path
from tunecli.store.lock import share_workers_lock
share_workers_lock(Path(sys.argv[1]))
if sys.argv[2:] == ["with a program"]:
    # It has its own output, so that it can outlive this process.
    program = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, close_fds=False)
    print(program.pid, flush=True)
else:
    print("shared", flush=True)
sys.stdin.readline()
"""


def start_worker(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORK_UNTIL_TOLD, str(folder / WORKERS_LOCK_NAME), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestWorkers:
    def test_a_study_is_locked_while_a_worker_lives_and_free_afterwards(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lock, "_WORKERS_WAIT_S", 0.1)
        with start_worker(tmp_path) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "shared\n"
            for _ in range(2):
                with pytest.raises(
                    StudyLocked, match=rf"worker \(process {worker.pid}\) of an earlier run"
                ) as caught:
                    hold(tmp_path).__enter__()
                assert caught.value.exit_code == 4
                assert holder(tmp_path) is None
            worker.send_signal(signal.SIGKILL)
        with hold(tmp_path):
            assert (tmp_path / WORKERS_LOCK_NAME).read_text() == "", "who has ended is forgotten"

    def test_hold_waits_for_a_worker_that_ends_soon(self, tmp_path: Path) -> None:
        with start_worker(tmp_path) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "shared\n"
            with start_holder(tmp_path) as process:
                assert process.stdout is not None
                while (
                    holder(tmp_path) is None
                ):  # until the process has the study's lock and waits for the worker
                    assert process.poll() is None
                worker.communicate("\n")
                assert process.stdout.readline() == "held\n"
                process.communicate("\n")

    def test_many_workers_share_the_lock_while_the_study_is_held(self, tmp_path: Path) -> None:
        with hold(tmp_path):
            path = tmp_path / WORKERS_LOCK_NAME
            descriptors = [share_workers_lock(path), share_workers_lock(path)]
            assert path.read_text() == f"{os.getpid()}\n" * 2
            assert not any(os.get_inheritable(descriptor) for descriptor in descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with hold(tmp_path):
            pass

    def test_a_program_that_a_worker_started_does_not_hold_the_study(self, tmp_path: Path) -> None:
        with start_worker(tmp_path, "with a program") as worker:
            assert worker.stdout is not None
            program = int(worker.stdout.readline())
            worker.send_signal(signal.SIGKILL)
        try:
            os.kill(program, 0)
            with hold(tmp_path):
                pass
        finally:
            os.kill(program, signal.SIGKILL)

    def test_a_read_only_lock_file_can_be_locked(
        self, open_path: Path, read_only: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        path = open_path / WORKERS_LOCK_NAME
        path.write_text("4711\n")
        path.chmod(0o444)
        with read_only(open_path):
            os.close(share_workers_lock(path))
            lock._await_end_of_workers(open_path)
        assert path.read_text() == "4711\n"

    def test_a_study_is_held_even_if_no_workers_lock_can_be_made(
        self, open_path: Path, read_only: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        with read_only(open_path):
            lock._await_end_of_workers(open_path)
            with pytest.raises(OSError, match="No such file"):
                share_workers_lock(open_path / WORKERS_LOCK_NAME)

    def test_a_link_in_place_of_the_workers_lock_is_not_followed(self, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.write_text("precious")
        (tmp_path / WORKERS_LOCK_NAME).symlink_to(target)
        with pytest.raises(UsageError, match=WORKERS_LOCK_NAME), hold(tmp_path):
            pass
        with pytest.raises(OSError, match="symbolic links"):
            share_workers_lock(tmp_path / WORKERS_LOCK_NAME)
        assert target.read_text() == "precious"

    def test_a_malformed_workers_lock_names_no_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lock, "_WORKERS_WAIT_S", 0.0)
        path = tmp_path / WORKERS_LOCK_NAME
        descriptor = share_workers_lock(path)
        path.write_bytes(b"\xff nonsense -1 0 99999999999999999999\n")
        with pytest.raises(StudyLocked, match="a worker of an earlier run"), hold(tmp_path):
            pass
        os.close(descriptor)

    def test_the_process_ids_of_dead_workers_are_not_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lock, "_WORKERS_WAIT_S", 0.0)
        path = tmp_path / WORKERS_LOCK_NAME
        with start_worker(tmp_path) as dead:
            dead.communicate("\n")
        descriptor = share_workers_lock(path)
        assert path.read_text() == f"{dead.pid}\n{os.getpid()}\n"
        with pytest.raises(StudyLocked, match=rf"\(process {os.getpid()}\)"), hold(tmp_path):
            pass
        os.close(descriptor)
