"""The coordinator's side of the bridge: its process, and the socket to it.

A bridge has a process group of its own, and ends when the coordinator closes the socket or dies.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunecli.engine.fork_client import safe_path
from tunecli.engine.ray.frames import Frame, FrameReader, pack_frame
from tunecli.errors import ClusterGone

_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from tunecli.engine.ray.bridge import main; main()"
_SEND_WAIT_S = 60.0  # for a bridge that takes no bytes; a frozen one must not freeze the sweep
_CLOSE_WAIT_S = 15.0  # for a bridge to end the agents and the cluster that it started
_GONE_WAIT_S = 1.0  # for a process that closed its socket to end
_LOOK_AGAIN_S = 0.01

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


class BridgeProcess:
    """A running bridge."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start the process. It is not connected to a cluster yet.

        Args:
            environment: further environment variables for Ray.
        """
        self._channel, bridges_channel = socket.socketpair()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the bridge
        self._folder: Path | None = None  # of a cluster that the bridge starts
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
        with bridges_channel:
            self._process = subprocess.Popen(
                [sys.executable, *flags, "-P", "-c", _PROGRAM, *safe_path()],
                stdin=bridges_channel.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._output,
                # Ray adds the working folder to the modules' path of its workers.
                cwd="/",
                env={**os.environ, **_SETTINGS, **environment},
                process_group=0,
            )
        self._channel.setblocking(False)
        self._reader = FrameReader(self._channel)
        self._frames: deque[Frame] = deque()
        self._is_open = True
        self._reason, self._where = "it is closed", ""
        _open.add(self)

    @property
    def process_id(self) -> int:
        """The bridge's process."""
        found: int = self._process.pid
        return found

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and is not closed."""
        return self._is_open and not self._has_ended()

    def connect(self, address: str, wait_s: float) -> Frame | None:
        """Connect to the cluster at an address, or to one that the bridge starts on this machine.

        Args:
            address: ``host:port``; empty: start a cluster.
            wait_s: the longest time to wait.

        Returns:
            The bridge's answer; None if it takes too long.

        Raises:
            ClusterGone: the bridge ended.
        """
        self._where = f"at {address}" if address else "of this machine"
        if not address:
            # Short, because Ray's sockets lie in it, and the path of a socket has at most 107 bytes.
            self._folder = Path(tempfile.mkdtemp(prefix="tunecli-ray-"))
        self.send({"do": "connect", "address": address, "folder": str(self._folder or "")})
        found = self.frames(wait_s)
        return found[0] if found else None

    def send(self, header: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send a frame.

        Raises:
            ClusterGone: the bridge has ended, or takes no bytes.
        """
        for piece in pack_frame(header, blobs):
            self._send_piece(piece)

    def _send_piece(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left:
            try:
                left = left[self._channel.send(left) :]
            except BlockingIOError:
                self._wait_for_room()
            except OSError as error:
                raise self._gone() from error

    def _wait_for_room(self) -> None:
        """Wait until the socket takes bytes. Read on meanwhile: the bridge may wait for room as well."""
        until = time.monotonic() + _SEND_WAIT_S
        while True:
            readable, writable, _ = select.select(
                [self._channel], [self._channel], [], max(0.0, until - time.monotonic())
            )
            if writable:
                return
            if not readable:
                raise self._gone("it takes no calls any more")
            self._read()

    def frames(self, wait_s: float) -> list[Frame]:
        """Return the frames that have come; wait up to ``wait_s`` seconds for the first.

        Raises:
            ClusterGone: the bridge has ended, and no frame is left.
        """
        until = time.monotonic() + wait_s
        while not self._frames:
            left_s = max(0.0, until - time.monotonic())
            if self._is_open and not select.select([self._channel], [], [], left_s)[0]:
                return []
            self._read()
        found = [*self._frames]
        self._frames.clear()
        return found

    def _read(self) -> None:
        if not self._is_open:
            raise self._gone()
        try:
            self._frames.extend(self._reader.wait())
        except BlockingIOError:
            return
        except EOFError:
            raise self._gone() from None

    def _gone(self, cause: str = "") -> ClusterGone:
        """Return the error of an ended bridge, with the reason from its output, and end the rest of its group."""
        if self._is_open:
            self._await_end(_GONE_WAIT_S)
            self._reason = cause or self._last_words()
            self.close(at_once=True)
        reason = f" ({self._reason})" if self._reason else ""
        return ClusterGone(f"the head of the Ray cluster {self._where} does not answer any more{reason}")

    def _last_words(self) -> str:
        """Return the line of the bridge's output that says why it ended; Ray's stacks are of no use."""
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").splitlines()
        telling = [line for line in lines if "Failed to connect to GCS" in line or "Error:" in line]
        return telling[-1].rpartition("] ")[2].strip().rstrip(".") if telling else ""

    def close(self, *, at_once: bool = False) -> None:
        """Let the bridge end its agents and the cluster that it started, and wait for its end; or kill it at once."""
        if not self._is_open:
            return
        self._is_open = False
        _open.discard(self)
        self._channel.close()
        if not at_once:
            self._await_end(_CLOSE_WAIT_S)
        # The group exists until its leader is waited for, so its number cannot be another group's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _await_end(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while not self._has_ended() and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_S)

    def _has_ended(self) -> bool:
        """Whether the process has ended; it is not waited for yet."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return (
            self._process.returncode is not None or os.waitid(os.P_PID, self._process.pid, flags) is not None
        )


_open: weakref.WeakSet[BridgeProcess] = weakref.WeakSet()


def _close_all() -> None:
    for bridge in [*_open]:
        bridge.close()


def _forget() -> None:
    """Close a forked child's copies of the sockets: the bridges belong to its parent, and must end with it."""
    for bridge in [*_open]:
        bridge._channel.close()
        bridge._is_open = False
    _open.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget)
