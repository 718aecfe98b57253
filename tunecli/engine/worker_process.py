"""The coordinator's side of one worker's process: watch it, wait for it and kill it through its channel.

The fork server (`tunecli.engine.fork_server`) holds the other end. Imports very little, as `fork_client` does.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time


class WorkerProcess:
    """A worker's process: whether it lives, its exit code, and its kill.

    The server is the worker's parent and reports its start and end through a channel. Only the server sends signals to
    the worker, because only the parent knows that the process id still belongs to it.

    Attributes:
        process_id: 0 until the server has reported the start.
        exit_code: negative if a signal ended the process; None while it lives, and if its server ended first.
        log_errno: the errno of a failed write to the trial's log; 0: there was none.
    """

    def __init__(self, channel: socket.socket) -> None:
        """Watch the worker at the other end of ``channel``."""
        channel.setblocking(False)
        self._channel = channel
        self._is_over = False
        self.process_id = 0
        self.exit_code: int | None = None
        self.log_errno = 0

    def fileno(self) -> int:
        """The descriptor that becomes readable when the process starts or ends."""
        return self._channel.fileno()

    def is_alive(self) -> bool:
        """Whether the process lives, by the last report of its server."""
        from tunecli.engine.fork_server import ENDED, STARTED

        while not self._is_over:
            try:
                message = self._channel.recv(ENDED.size if self.process_id else STARTED.size)
            except BlockingIOError:
                break
            except OSError:
                message = b""
            if not message:
                self._is_over = True
                if (
                    self.process_id
                ):  # the server ended. On Linux its workers end with it, elsewhere they may live
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self.process_id, signal.SIGKILL)
            elif not self.process_id:
                (self.process_id,) = STARTED.unpack(message)
            else:
                self.exit_code, self.log_errno = ENDED.unpack(message)
                self._is_over = True
        return not self._is_over

    def kill(self) -> None:
        """Ask the server to kill the process and all programs that its trial started."""
        from tunecli.engine.fork_server import KILL

        with contextlib.suppress(OSError):
            self._channel.send(KILL)

    def join(self, timeout_s: float) -> None:
        """Wait up to ``timeout_s`` seconds for the end of the process."""
        until = time.monotonic() + timeout_s
        while self.is_alive() and (left := until - time.monotonic()) > 0.0:
            poll = select.poll()
            poll.register(self._channel, select.POLLIN)
            poll.poll(left * 1000.0)

    def end(self, within_s: float) -> None:
        """Kill the process and wait for its end, up to ``within_s`` seconds.

        A process that is not forked yet is not waited for: its server may be loading modules, and kills it after the
        fork.
        """
        self.kill()
        if self.is_alive() and not self.process_id:
            self.close()
        self.join(within_s)

    @property
    def has_begun(self) -> bool:
        """Whether the process was forked, by the last report of its server."""
        return self.is_alive() or bool(self.process_id)

    def close(self) -> None:
        """Close the channel, which makes the server kill the process if it lives."""
        self._channel.close()
        self._is_over = True
