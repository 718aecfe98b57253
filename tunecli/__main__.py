"""The command `tunecli`, and `python -m tunecli`. Loads next to nothing before a signal can end it in one line."""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` looks in the working folder first, where a file may have the name of a module that is loaded here:
    # so nothing is imported before this but what Python itself has loaded already.
    _home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120  # pathlib would be loaded
    if os.path.realpath(sys.path[0]) != _home:
        del sys.path[0]

import signal
from types import FrameType


def _end(number: int, frame: FrameType | None) -> None:
    """End the process at once: it holds no file and no study yet."""
    os.write(2, f"Interrupted by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


def main() -> None:
    """Run a verb and exit with the contract's code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from tunecli.cli import main as carry_out

    carry_out()


if __name__ == "__main__":
    main()
