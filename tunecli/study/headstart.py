"""The workers' server, started before anything else is: to load torch takes longer than all that is done before.

What the study will want of it is guessed from the text of its file, which nobody has understood yet. The engine puts
right what was guessed wrong, so a guess changes how long a study takes and nothing else. Loads next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunecli.engine.server import give_up_guess, guess_server

_MOST_BYTES = 1_000_000  # a larger file is refused
_THREADS = re.compile(r"\bthreads[\"']?\s*[:=]\s*(\d+)")


@contextmanager
def head_start(path: Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """A block in which a study is opened or found wrong, while the server that its workers come from is loading.

    Args:
        path: the study's file.
        overrides: ``path=value``.
    """
    is_ours = _started(path, overrides)
    try:
        yield
    except BaseException:
        if is_ours:
            give_up_guess()
        raise


def _started(path: Path, overrides: Sequence[str]) -> bool:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    text = "\n".join([text, *overrides])
    if "inline" in text:
        return False
    threads = _THREADS.findall(text)
    return guess_server(int(threads[-1]) if threads else 1, has_torch="command" not in text)
