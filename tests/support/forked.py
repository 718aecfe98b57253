"""Run verbs as processes of their own that start in 30 ms: forks of a process that has loaded the program.

The start of Python and the imports take 1 to 3 s of a processor, and the ordinary tests run some hundred verbs. A test
about the start itself, its imports or its signals starts a new process instead.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TextIO


def run_verb(
    *arguments: object,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    terminal: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run `tunecli ARGUMENTS` in a folder, and return its exit code, its stdout and its stderr.

    Args:
        arguments: of the verb, the verb first.
        cwd: the working folder.
        environment: of the process. Default: that of this process. Folders of its PYTHONPATH come first in the path.
        encoding: of its output; the process takes that of its PYTHONIOENCODING.
        terminal: path of a terminal that has the place of stdin, stdout and stderr, which are then empty here.
    """
    words = [str(argument) for argument in arguments]
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        task = {
            "arguments": words,
            "cwd": str(cwd),
            "environment": dict(os.environ if environment is None else environment),
            "streams": [terminal] * 3 if terminal else [os.devnull, out.name, err.name],
        }
        code = _answer(task)
        said = [Path(file.name).read_text(encoding=encoding) for file in (out, err)]
    return subprocess.CompletedProcess(["tunecli", *words], code, *said)


class StartedVerb:
    """A verb that runs in a process of its own.

    Attributes:
        pid: its process id.
        stdout, stderr: what it writes.
        returncode: its exit code, or the negative number of a signal; None before `communicate`.
    """

    def __init__(self, pid: int, stdout: TextIO, stderr: TextIO) -> None:
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        """Wait for its end; the rest of its stdout and of its stderr, empty for one that is closed here."""
        with ThreadPoolExecutor(1) as threads:  # it could wait for a reader of the other stream
            errors = threads.submit(_rest, self.stderr)
            said = _rest(self.stdout), errors.result()
        if self.returncode is None:
            self.returncode = _answer({"wait": self.pid})
        return said


def _rest(stream: TextIO) -> str:
    return "" if stream.closed else stream.read()


@contextmanager
def started_verb(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None
) -> Iterator[StartedVerb]:
    """Start a verb, as `run_verb` runs one; the block ends after the verb."""
    with tempfile.TemporaryDirectory() as folder:
        pipes = [Path(folder, name) for name in ("out", "err")]
        for pipe in pipes:
            os.mkfifo(pipe)
        task = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd),
            "environment": dict(os.environ if environment is None else environment),
            "streams": [os.devnull, *map(str, pipes)],
            "starts": True,
        }
        pid = _answer(task)  # it begins when this process opens both pipes
        with pipes[0].open(encoding="utf-8") as out, pipes[1].open(encoding="utf-8") as err:
            verb = StartedVerb(pid, out, err)
            try:
                yield verb
            finally:
                verb.communicate()


def run_tasks(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Run several tasks, two at a time, each a list of steps one after the other.

    Args:
        tasks: each has its `folder` and its `steps`. A step has the `arguments` of a verb. It may have a `failpoint`, the
            mode and the number of the durable step that fails, and the files `where` and `unless` in the folder: it runs
            only with the first one and only without the second one.

    Returns:
        For each task and each of its steps that ran, how its process `ended` (the exit code, or the negative number of
        a signal) and the end of its `stderr`.
    """
    ends: dict[str, list[dict[str, Any]]] = _answer({"tasks": dict(tasks), "environment": dict(os.environ)})
    return ends


class Verb:
    """A verb that runs on beside the test, in a session of its own."""

    def __init__(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], output: Path
    ) -> None:
        """Start `tunecli ARGUMENTS` in a folder; its output is added to a file."""
        output.touch()
        task = {"arguments": list(arguments), "cwd": str(cwd), "environment": dict(environment)}
        streams = [os.devnull, str(output), str(output)]
        self.pid: int = _answer({**task, "streams": streams, "beside": True})
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or the negative number of a signal; None: it runs."""
        if self._code is None:
            self._code = _answer({"poll": self.pid})
        return self._code

    def wait(self, wait_s: float) -> int:
        """Wait for its end, and return what `poll` does.

        Raises:
            TimeoutError: it runs on after so many seconds.
        """
        until_s = time.monotonic() + wait_s
        while (code := self.poll()) is None:
            if time.monotonic() > until_s:
                raise TimeoutError
            time.sleep(0.02)
        return code

    def kill(self) -> None:
        """Kill it as SIGKILL does, and wait for its end."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(60.0)


def _answer(task: Mapping[str, Any]) -> Any:
    """The server's answer to a task."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps(task) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    command = [sys.executable, "-P", str(Path(__file__).with_name("verb_server.py"))]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    with server:  # closes its pipes, and it ends with them
        pass
