"""SIGINT, SIGTERM and SIGHUP: the first signal ends the command in order, the second one ends the process at once.

While a sweep trains, the first signal is only noted, and the sweep stops by itself. Before and after that, and in every
other verb, it raises an exception, so that locks and files are released.
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
from tunecli.store.glance import holds_study

_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signalled(BaseException):
    """A signal came. Handlers of ordinary errors do not catch it. ``hint`` is the command to run next, or empty."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number, self.hint = number, ""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End the block at the first SIGINT, SIGTERM or SIGHUP; a signal that the process ignores stays ignored.

    Outside the main thread this does nothing, since signals are not received there.

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
    """Add the command that resumes the study to a signal that ends the block.

    In a program of Python, Ctrl-C is a KeyboardInterrupt outside the training. It becomes `Interrupted`.

    Args:
        path: the run folder.
        is_begun: whether the block continues a study. Otherwise it begins one, and a study that was there before is
            another one.

    Raises:
        Interrupted: Ctrl-C came as a KeyboardInterrupt.
    """
    was_there = not is_begun and holds_study(path)

    def hint() -> str:
        return f"tunecli resume {quote(str(path))}" if holds_study(path) and not was_there else ""

    try:
        yield
    except Signalled as signalled:
        signalled.hint = signalled.hint or hint()
        raise
    except KeyboardInterrupt:
        name, number = signal.SIGINT.name, signal.SIGINT
        raise Interrupted(f"Interrupted by {name}", signal_number=number, hint=hint()) from None


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Add the number of the first SIGINT, SIGTERM or SIGHUP in the block to the list that is yielded.

    After the first signal, each of them has its default action. Where Python turns SIGINT into KeyboardInterrupt, as in
    a notebook, a second one does that: it must not end the process. A signal that the process ignores stays ignored, as
    under `nohup`. Outside the main thread the list stays empty, since signals are not received there.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each, handler in before.items():
            is_python = handler is signal.default_int_handler
            signal.signal(each, handler if is_python else signal.SIG_DFL)

    heard = [number for number in _HEARD if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in heard}
    for number in heard:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
