"""SIGINT, SIGTERM and SIGHUP: the first one ends what runs in order, the second one ends the process at once.

While a sweep trains, the first signal is noted and the sweep stops by itself. Before and after that, and in every other
verb, it is raised as an exception, so that locks and files are released on the way out.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from types import FrameType

from tunecli.errors import Interrupted

_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signalled(BaseException):
    """A signal came. No handler of ordinary errors catches it; ``hint`` is what to do next, where known."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number, self.hint = number, ""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A block that the first SIGINT, SIGTERM or SIGHUP ends; a signal that the process ignores does not end it.

    Outside the main thread the block is only carried out, for signals are not received there.

    Raises:
        Interrupted: one of them came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise Signalled(number)

    before = {number: signal.getsignal(number) for number in _HEARD}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    except Signalled as signalled:
        name = signal.Signals(signalled.number).name
        raise Interrupted(
            f"Interrupted by {name}", signal_number=signalled.number, hint=signalled.hint
        ) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def resumable(path: Path, *, is_begun: bool) -> Iterator[None]:
    """A block in which a signal that ends it says how to resume the study in ``path``, once there is one.

    Args:
        path: the run folder.
        is_begun: whether the block goes on with a study; else it begins one, and a study from before is another's.
    """
    was_there = not is_begun and _holds_study(path)
    try:
        yield
    except Signalled as signalled:
        if _holds_study(path) and not was_there:
            signalled.hint = f"tunecli resume {quote(str(path))}"
        raise


def _holds_study(path: Path) -> bool:
    try:
        return (path / "study.db").is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """A block in which the first SIGINT, SIGTERM or SIGHUP only adds its number to the list that is yielded.

    After it, each of them acts as if nobody listened. What is ignored already stays ignored: `nohup` means it.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each in before:
            signal.signal(each, signal.SIG_DFL)

    heard = [number for number in _HEARD if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in heard}
    for number in heard:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
