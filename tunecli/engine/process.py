"""A worker's process as the coordinator sees it: whether it lives, how it ended, and its end at once.

The server that forked it is its parent, and tells of it through a channel. Only the server signals it, since it alone
knows that the number is still that process's.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time

from tunecli.engine.forking import KILL, NUMBER


class WorkerProcess:
    """A process that was asked for.

    Attributes:
        exit_code: negative where a signal ended it; None while it lives, and where its server ended before it.
    """

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._is_over = False
        self._number = 0
        self.exit_code: int | None = None

    def fileno(self) -> int:
        """What becomes readable when something is known of it, its end above all."""
        return self._channel.fileno()

    def is_alive(self) -> bool:
        """Whether it lives, as far as its server has told."""
        while not self._is_over:
            try:
                message = self._channel.recv(NUMBER.size)
            except BlockingIOError:
                break
            except OSError:
                message = b""
            if not message:
                self._is_over = True
                if self._number:  # its server ended; on Linux it did with it, elsewhere it may live
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self._number, signal.SIGKILL)
            elif not self._number:
                (self._number,) = NUMBER.unpack(message)
            else:
                (self.exit_code,) = NUMBER.unpack(message)
                self._is_over = True
        return not self._is_over

    def kill(self) -> None:
        """Let it be killed, with all that its trial started."""
        with contextlib.suppress(OSError):
            self._channel.send(KILL)

    def join(self, timeout_s: float) -> None:
        """Wait for its end, so long at most."""
        until = time.monotonic() + timeout_s
        while self.is_alive() and (left := until - time.monotonic()) > 0.0:
            poll = select.poll()
            poll.register(self._channel, select.POLLIN)
            poll.poll(left * 1000.0)

    def close(self) -> None:
        """Know no more of it; it is killed where it lives."""
        self._channel.close()
        self._is_over = True
