"""Entry point of the command `tunecli` and of `python -m tunecli`.

It handles signals before it imports more than a few modules, so a signal during the start prints one line.
"""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` searches the working folder first, and a file there can have the name of a module. So only modules
    # that Python itself has already loaded are imported before this point.
    _home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120  # pathlib is not loaded yet
    if os.path.realpath(sys.path[0]) != _home:
        del sys.path[0]

import signal
from types import FrameType


def _end(number: int, frame: FrameType | None) -> None:
    """End the process at once: it has opened no file and no study yet."""
    os.write(2, f"Interrupted by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


def main() -> None:
    """Run the command line, and exit with its exit code; or answer a shell that completes one."""
    if "_TUNECLI_COMPLETE" in os.environ:
        from tunecli.completion import answer

        answer(os.environ, sys.argv[1:])
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from tunecli.cli import main as run_command

    run_command()


if __name__ == "__main__":
    main()
