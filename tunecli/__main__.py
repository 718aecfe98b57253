"""The command `tunecli`, and `python -m tunecli`. Loads next to nothing before a signal can end it in one line."""

import os
import signal
from types import FrameType


def _end(number: int, frame: FrameType | None) -> None:
    """Nothing is held or half written yet."""
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
