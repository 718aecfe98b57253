"""Run the tests in several processes at a time, `--side-by-side N`: forks of the process that has collected them.

With pytest-xdist each process imports and collects all tests, and each test costs messages in two processes. Here the
collection happens once. The numbers of the files wait in a pipe, in their order, and a process takes the next one when
it is done with a file. Reports come back through a pipe for each process.
"""

from __future__ import annotations

import atexit
import marshal
import os
import selectors
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

_Files = list[list[pytest.Item]]
_NUMBER = struct.Struct("<H")  # of a file; processes that read at a time never share the bytes of a number
_LENGTH = struct.Struct("<I")
_MOST_BYTES = 1 << 16
_DEATH_S = 1.0  # how often to look for a process that died without a word


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--side-by-side", type=int, default=1, metavar="N", help="run the tests in N processes")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the collected tests in several processes; None: in this one, as without this module."""
    n_processes = session.config.getoption("--side-by-side")
    if n_processes < 2 or session.config.option.collectonly or session.testsfailed:
        return None
    by_file = groupby(session.items, key=lambda item: item.nodeid.partition("::")[0])
    _run(session, [list(items) for _, items in by_file], n_processes)
    return True


@dataclass
class _Process:
    """A process that runs tests, as the first process sees it.

    Attributes:
        pid: its process id.
        pipe: the file descriptor of its reports.
        running: the test that it runs; None: none.
        n_done: the number of tests that it has run.
        unread: the beginning of a message.
        is_over: whether it has ended.
    """

    pid: int
    pipe: int
    running: pytest.Item | None = None
    n_done: int = 0
    unread: bytes = b""
    is_over: bool = False

    def messages(self) -> Iterator[Any]:
        """Yield the messages that have arrived: the node id of a test that begins, a report, or None at the end."""
        data = os.read(self.pipe, _MOST_BYTES)
        self.is_over = not data
        self.unread += data
        while len(self.unread) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self.unread)[0]
            if len(self.unread) < end:
                return
            message, self.unread = self.unread[_LENGTH.size : end], self.unread[end:]
            yield marshal.loads(message)


def _run(session: pytest.Session, files: _Files, n_processes: int) -> None:
    queue, filling = os.pipe()
    os.write(filling, b"".join(map(_NUMBER.pack, range(len(files)))))
    os.close(filling)
    base: Path = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    processes = [
        _started(session, files, queue, base / f"process-{place}")
        for place in range(min(n_processes, len(files)))
    ]
    try:
        _listen(session, processes, queue)
    except BaseException:
        for process in processes:
            if not process.is_over:
                os.kill(process.pid, signal.SIGINT)
        raise
    finally:
        os.close(queue)
        for process in processes:
            os.close(process.pipe)
            os.waitpid(process.pid, 0)
    n_missing = len(session.items) - sum(process.n_done for process in processes)
    if n_missing and not session.shouldfail:
        session.shouldfail = f"tests that did not run: {n_missing}"
    if session.shouldfail:
        raise session.Failed(session.shouldfail)


def _listen(session: pytest.Session, processes: list[_Process], queue: int) -> None:
    """Pass the reports on until every process has ended; after the last failure that `-x` allows, empty the queue."""
    items = {item.nodeid: item for item in session.items}
    with selectors.DefaultSelector() as selector:
        for process in processes:
            selector.register(process.pipe, selectors.EVENT_READ, process)
        while selector.get_map():
            ready = selector.select(_DEATH_S)
            for key, _ in ready:
                process = key.data
                for message in process.messages():
                    _take(session, process, message, items)
            for process in [] if ready else processes:
                process.is_over = process.is_over or _is_dead(process.pid)
            for process in processes:
                if process.is_over and process.pipe in selector.get_map():
                    selector.unregister(process.pipe)
                    if process.running is not None:
                        _report_death(process.running)
                        process.n_done += 1
            if session.shouldfail or session.shouldstop:
                os.read(queue, _MOST_BYTES)


def _take(session: pytest.Session, process: _Process, message: Any, items: dict[str, pytest.Item]) -> None:
    hook = session.config.hook
    if message is None:
        process.is_over = True
    elif isinstance(message, str):
        process.running = items[message]
    else:
        report = hook.pytest_report_from_serializable(config=session.config, data=message)
        hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            process.running = None
            process.n_done += 1
            hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)


def _is_dead(pid: int) -> bool:
    """Whether a child process has ended; it can be waited for later."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _report_death(item: pytest.Item) -> None:
    why = "this test ended its process"
    report = pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")
    item.ihook.pytest_runtest_logreport(report=report)


def _started(session: pytest.Session, files: _Files, queue: int, folder: Path) -> _Process:
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads beside a fork. Those of numerical libraries wait, and are made anew.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        os.close(writing)
        return _Process(pid, reading)
    code = 1
    try:
        _work(session, files, queue, writing, folder)
        code = 0
    except KeyboardInterrupt:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            session._setupstate.teardown_exact(None)  # fixtures of modules and of the session
            atexit._run_exitfuncs()  # ends the servers that tests have started
        finally:
            sys.stderr.flush()
            os._exit(code)


def _work(session: pytest.Session, files: _Files, queue: int, writing: int, folder: Path) -> None:
    """Run one file after the other; a child process does nothing else."""
    config = session.config
    config._tmp_path_factory._basetemp = folder  # type: ignore[attr-defined]
    folder.mkdir()
    config.get_terminal_writer()._file = Path(os.devnull).open("w")  # noqa: SIM115
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    capture.stop_global_capturing()  # its temporary files are those of all processes
    capture.start_global_capturing()
    capture.suspend_global_capture()

    def send(message: Any) -> None:
        data = marshal.dumps(message)
        with open(writing, "wb", closefd=False) as pipe:
            pipe.write(_LENGTH.pack(len(data)) + data)

    config.pluginmanager.register(_Sender(config, send))
    items = _taken(files, queue)
    item = next(items, None)
    while item is not None:
        following = next(items, None)  # a file is taken before the last test of the one before it
        config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = None if session.shouldfail or session.shouldstop else following
    send(None)


def _taken(files: _Files, queue: int) -> Iterator[pytest.Item]:
    while number := os.read(queue, _NUMBER.size):
        yield from files[_NUMBER.unpack(number)[0]]


@dataclass(frozen=True)
class _Sender:
    """Sends the begin and the reports of each test."""

    config: pytest.Config
    send: Callable[[Any], None]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Send the test that begins."""
        self.send(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send a report."""
        self.send(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))
