"""Starts the workers' server before everything else, since loading torch takes longer than the rest of the start-up.

The server's settings are guessed from the command's words and the unparsed text of the file. The engine corrects wrong
guesses, so a guess affects only the time. This module loads almost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tunecli.registry.engines import ENGINES

_VERBS = ("search", "resume", "confirm")
_VERBS_OF_ONE = ("train", "verify")  # these fork a worker only for the user's own code
_NOTHING_RUNS = ("--dry-run", "--help", "-h")
_MOST_BYTES = 1_000_000  # a larger file is refused
_THREADS = re.compile(r"\bthreads[\"']?\s*[:=]\s*([1-9]\d{0,2})\b")
_DEVICE = re.compile(r"(?:\bdevice[\"']?\s*[:=]|--device[=\n])\s*[\"']?([a-z]+(?::\d+)?)\b")
_DATA = re.compile(r"\bsource[\"']?\s*[:=]")  # only in trials that our own loop trains
_OWN = re.compile(r"\bpython[\"']?\s*[:=]")
_ENGINE = re.compile(r"(?:\bengine[\"']?\s*[:=]|--engine[=\n])\s*(?:\{\s*name:\s*)?[\"']?(\w+)")
_FUNCTION = re.compile(r"\bpython[\"']?\s*[:=]\s*[\"']?([\w.]+):")


@contextmanager
def head_start(words: Sequence[str]) -> Iterator[None]:
    """Load the workers' server while the block runs the command.

    Args:
        words: the command's words, from the verb on.
    """
    path, text = _file(words)
    if (
        not text
        or _has_no_worker_here(words[0], text)
        or (words[0] in _VERBS_OF_ONE and not _OWN.search(text))
    ):
        yield
        return
    from tunecli.engine.fork_client import give_up_guess, guess_server

    threads = _THREADS.findall(text)
    guess_server(int(threads[-1]) if threads else 1, has_torch=_needs_torch(path.parent, text))
    try:
        yield
    finally:
        give_up_guess()


def _has_no_worker_here(verb: str, text: str) -> bool:
    """Whether the last engine that the text names starts no workers on this machine, as far as it is built in."""
    named = _ENGINE.findall(text)
    info = ENGINES.get(named[-1]) if named else None
    # a single trial runs here with any engine of its study
    return info is not None and (info.runs_in_this_process or (info.runs_elsewhere and verb in _VERBS))


def _needs_torch(folder: Path, text: str) -> bool:
    """Guess whether the trials need torch, as `tunecli.engine.needs_torch` will know."""
    modules = [name.split(".") for name in _FUNCTION.findall(text)]
    if _DATA.search(text) or not modules:
        return "command" not in text
    from tunecli.config.python_source import may_import_package
    from tunecli.train.machine import is_cpu

    device = _DEVICE.findall(text)
    if not is_cpu(device[-1] if device else "auto"):
        return True
    # a run folder's file is not beside the code, but the working directory may be
    return all(may_import_package(modules, place.resolve(), "torch") for place in (folder, Path()))


def _file(words: Sequence[str]) -> tuple[Path, str]:
    """Path of the study's file, and its text with the command's words; empty if the command runs no study."""
    if not words or words[0] not in (*_VERBS, *_VERBS_OF_ONE) or any(word in _NOTHING_RUNS for word in words):
        return Path(), ""
    named = [Path(word) for word in words[1:] if not word.startswith("-")]
    places = [
        place for path in named for place in (path, path / "config.yaml", "runs" / path / "config.yaml")
    ]
    for place in places:
        with suppress(OSError, ValueError):
            if place.is_file():
                with place.open("rb") as file:
                    return place, "\n".join([file.read(_MOST_BYTES).decode("utf-8", "replace"), *words])
    return Path(), ""
