"""The workers' server, started before anything else is: to load torch takes longer than all that is done before.

What the study will want of it is guessed from the command's words and the text of the file that they name, which nobody
has understood yet. The engine puts right what was guessed wrong, so a guess changes how long a study takes and nothing
else. Loads next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tunecli.registry.engines import ENGINES

_VERBS = ("search", "resume")
_VERBS_OF_ONE = ("train", "verify")  # which fork a worker where they run own code, and only there
_NOTHING_RUNS = ("--dry-run", "--help", "-h")
_MOST_BYTES = 1_000_000  # a larger file is refused
_THREADS = re.compile(r"\bthreads[\"']?\s*[:=]\s*([1-9]\d{0,2})\b")
_DEVICE = re.compile(r"(?:\bdevice[\"']?\s*[:=]|--device[=\n])\s*[\"']?([a-z]+(?::\d+)?)\b")
_DATA = re.compile(r"\bsource[\"']?\s*[:=]")  # which a trial of our own has, and no other
_OWN = re.compile(r"\bpython[\"']?\s*[:=]")
_FUNCTION = re.compile(r"\bpython[\"']?\s*[:=]\s*[\"']?([\w.]+):")


@contextmanager
def head_start(words: Sequence[str]) -> Iterator[None]:
    """A block in which a command is carried out, while the server that its workers come from is loading.

    Args:
        words: the command's, from the verb on.
    """
    path, text = _file(words)
    has_no_worker = any(info.name in text for info in ENGINES.values() if info.runs_in_this_process)
    if not text or has_no_worker or (words[0] in _VERBS_OF_ONE and not _OWN.search(text)):
        yield
        return
    from tunecli.engine.fork_client import give_up_guess, guess_server

    threads = _THREADS.findall(text)
    guess_server(int(threads[-1]) if threads else 1, has_torch=_needs_torch(path.parent, text))
    try:
        yield
    finally:
        give_up_guess()


def _needs_torch(folder: Path, text: str) -> bool:
    """Whether the trials seem to need torch, as `tunecli.engine.needs_torch` will know."""
    modules = [name.split(".") for name in _FUNCTION.findall(text)]
    if _DATA.search(text) or not modules:
        return "command" not in text
    from tunecli.config.python_source import may_import_package
    from tunecli.train.machine import is_cpu

    device = _DEVICE.findall(text)
    if not is_cpu(device[-1] if device else "auto"):
        return True
    # a run's file does not lie beside the code, and whoever resumes it may
    return all(may_import_package(modules, place.resolve(), "torch") for place in (folder, Path()))


def _file(words: Sequence[str]) -> tuple[Path, str]:
    """The study's file, and its text with what the words change in it; that is empty where no study seems to be run."""
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
