"""A template: a process that has loaded the user's modules, and from which workers are forked.

A trial that is forked from it imports nothing, however long the import takes. Every trial still sees the modules as
they are after their import, because a template runs no trial. A module whose import has effects beyond its own memory
would share them between trials: an open file, a temporary folder, a thread, a lock between processes. A template that
finds such an effect ends, and every trial imports the modules by itself. Linux only: other systems do not show the
effects.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import struct
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunecli.train.user_code.isolation import signal_handlers

IS_READY = b"+"
"""A template writes it into the socket of its requests once its modules are loaded."""
IS_POSSIBLE = sys.platform == "linux"

_LENGTH = struct.Struct("q")
_MOST_OUTPUT_BYTES = 65536
_SELF = Path("/proc/self")
_HARMLESS_FILES = ("/dev/null", "/dev/urandom", "/dev/random", "/dev/zero", "/dev/tty")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_READ_ONLY_MAPS = (1, 3)  # mmap.ACCESS_READ and ACCESS_COPY
_EFFECTS = (
    "ftplib.", "http.", "imaplib.", "nntplib.", "os.chmod", "os.chown", "os.exec", "os.fork", "os.forkpty", "os.link",
    "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir", "os.spawn", "os.symlink", "os.system",
    "os.truncate", "os.utime", "poplib.", "pty.spawn", "shutil.", "smtplib.", "socket.bind", "socket.connect",
    "socket.send", "sqlite3.connect", "subprocess.Popen", "syslog.", "tempfile.", "urllib.Request",
)  # fmt: skip
"""Beginnings of the names of Python's audit events whose effects another process can see."""

_output: list[bytes] = []
"""The output of the modules' import, in a template and in the workers that are forked from it."""


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """The modules that a template loads, and the place where it loads them.

    Attributes:
        modules: names of the modules, in the order of their import.
        base_path: the folder that is searched first.
        arguments: the value of `sys.argv`.
        folder: the working folder; empty: unchanged.
        environment: all environment variables; None: unchanged.
        visible: the variables that choose the accelerators that a trial sees, with their values.
        code: the SHA-256 of the user's files, as the trials expect it: other content needs another template.
    """

    modules: Sequence[str]
    base_path: str
    arguments: Sequence[str] = ()
    folder: str = ""
    environment: dict[str, str] | None = None
    visible: dict[str, str] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)

    def packed(self) -> bytes:
        """The order as JSON."""
        return json.dumps(asdict(self)).encode()


def send_order(requests: socket.socket, packed: bytes) -> None:
    """Send a packed order into the socket of a template's requests."""
    requests.sendall(_LENGTH.pack(len(packed)) + packed)


def take_order(requests: socket.socket) -> LoadOrder:
    """The order that :func:`send_order` sent, read to its last byte and no further.

    Raises:
        EOFError: the socket was closed.
    """
    (n_bytes,) = _LENGTH.unpack(_exactly(requests, _LENGTH.size))
    return LoadOrder(**json.loads(_exactly(requests, n_bytes)))


def _exactly(requests: socket.socket, n_bytes: int) -> bytes:
    content = b""
    while len(content) < n_bytes:
        chunk = requests.recv(n_bytes - len(content))
        if not chunk:
            raise EOFError("the coordinator has closed the socket")
        content += chunk
    return content


def load(order: LoadOrder) -> str:
    """Load the user's modules in this process.

    Returns:
        The effect beyond this process's memory that forbids forking trials from it; empty if there is none.

    Raises:
        BaseException: an error of the import. A trial meets it too, and reports it.
    """
    from tunecli.train.user_code import code

    if order.environment is not None:
        os.environ.clear()
        os.environ.update(order.environment)
    os.environ.update(order.visible)
    if order.folder:
        os.chdir(order.folder)
    sys.argv = list(order.arguments)
    sys.modules["__main__"] = types.ModuleType("__main__")
    before, effects = _State.present(), _Effects()
    with _captured_output(), effects.watched():
        code.preload(order.modules, Path(order.base_path))
    effect = effects.first or before.difference()
    if not effect:
        gc.collect()
        gc.freeze()
    return effect


def replay_output() -> None:
    """Write the output of the modules' import to stdout, as if the trial of this process had imported them."""
    for content in _output:
        with contextlib.suppress(OSError):
            os.write(1, content)


@contextlib.contextmanager
def _captured_output() -> Iterator[None]:
    """A block whose output, by Python or by C, is kept for `replay_output`."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    kept = os.memfd_create("output")
    saved = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in saved:
            os.dup2(kept, number)
        yield
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)
        content = os.pread(kept, _MOST_OUTPUT_BYTES, 0)
        os.close(kept)
        _output[:] = [content] if content else []


class _Effects:
    """Notes the first event of Python's audit log whose effect another process can see."""

    def __init__(self) -> None:
        self.first = ""
        self._is_on = False

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        sys.addaudithook(self._hear)  # a hook cannot be removed, so it is switched off
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on or self.first:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = bool(set("wax+") & set(mode)) if isinstance(mode, str) else bool(flags & _WRITING)
            is_effect = writes and not _is_harmless(path)
        elif event == "mmap.__new__":
            is_effect = arguments[2] not in _READ_ONLY_MAPS
        else:
            is_effect = event.startswith(_EFFECTS) and not _is_harmless(arguments[0] if arguments else "")
        if is_effect:
            self.first = event


def _is_harmless(path: Any) -> bool:
    """Whether a file holds compiled modules of Python, or is a device without content."""
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    return "__pycache__" in text or text in _HARMLESS_FILES


@dataclass(frozen=True, slots=True)
class _State:
    """The parts of a process that its forks share. Private memory is not one of them: each fork has its own.

    Attributes:
        files: its open descriptors.
        maps: its writable shared memory.
        n_threads: number of its threads, which a fork would lose.
        handlers: its signal handlers, which a worker replaces by its own.
    """

    files: frozenset[tuple[str, str]]
    maps: frozenset[str]
    n_threads: int
    handlers: Mapping[int, Any]

    @classmethod
    def present(cls) -> _State:
        handlers = signal_handlers()
        return cls(frozenset(_files()), frozenset(_maps()), len([*(_SELF / "task").iterdir()]), handlers)

    def difference(self) -> str:
        """The first shared part that the process has gained since this state; empty without any."""
        now = self.present()
        if files := sorted(target for _, target in now.files - self.files):
            return f"open file {files[0]}"
        if now.maps - self.maps:
            return "shared memory"
        if now.n_threads > 1:
            return "a thread"
        if now.handlers != self.handlers:
            return "a signal handler"
        if _has_child():
            return "a child process"
        if _has_initialised_device():
            return "an initialised device"
        return "a lock between processes" if _has_lock_between_processes() else ""


def _files() -> Iterator[tuple[str, str]]:
    for entry in (_SELF / "fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of this listing
            target = str(entry.readlink())
            if target not in _HARMLESS_FILES:
                yield entry.name, target


def _maps() -> Iterator[str]:
    for line in (_SELF / "maps").read_text(errors="replace").splitlines():
        place, permissions, *_ = line.split()
        if permissions.endswith("s") and "w" in permissions:
            yield place


def _has_child() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _has_initialised_device() -> bool:
    """Whether torch has begun to use a device, which no fork could go on using."""
    torch: Any = sys.modules.get("torch")
    kinds = [getattr(torch, name, None) for name in ("cuda", "xpu")]
    return any(kind is not None and kind.is_initialized() for kind in kinds)


def _has_lock_between_processes() -> bool:
    kind = getattr(sys.modules.get("multiprocessing.synchronize"), "SemLock", None)
    return kind is not None and any(isinstance(one, kind) for one in gc.get_objects())
