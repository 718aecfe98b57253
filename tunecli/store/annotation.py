"""The note and the tags of a study, which a person writes, in ``about.json`` of its run folder.

The file is apart from the record, so that it can change while another process runs the study. It decides nothing: a
study is the same with and without it, and an unreadable file counts as empty.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunecli.durable_files import open_regular
from tunecli.errors import UsageError
from tunecli.store.files import FILE, kind_of, remove, write_atomically

ABOUT_NAME = "about.json"
MAX_NOTE_CHARACTERS = 10_000
MAX_TAGS = 50

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Annotation:
    """A note and tags; both may be empty.

    Attributes:
        note: text of at most `MAX_NOTE_CHARACTERS`, with line ends.
        tags: each once, in the order in which they were added.
    """

    note: str = ""
    tags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The first line of the note."""
        return self.note.strip().partition("\n")[0].strip()


def annotation_of(folder: Path) -> Annotation:
    """The note and the tags of the study in ``folder``; empty if it has none, or if the file cannot be read."""
    try:
        with os.fdopen(open_regular(folder / ABOUT_NAME, os.O_RDONLY), "rb") as file:
            data = file.read(_MAX_BYTES + 1)
        return _annotation(json.loads(data)) if len(data) <= _MAX_BYTES else Annotation()
    except (OSError, ValueError, RecursionError):
        return Annotation()


def annotate(folder: Path, change: Callable[[Annotation], Annotation]) -> Annotation:
    """Change the note and the tags of a study; two processes that do so wait for each other.

    Args:
        folder: the run folder.
        change: maps the present annotation to the new one.

    Returns:
        The new annotation.

    Raises:
        UsageError: the folder is read-only, another kind of file has the name, or as :func:`require_note` and
            :func:`require_tags`.
        DiskFull, StoreFailed: the file cannot be written.
    """
    path = folder / ABOUT_NAME
    if (kind := kind_of(path)) not in ("", FILE):
        raise UsageError(
            f"{path} is {kind}, but tunecli needs a file of its own there", hint="move it, then try again"
        )
    with _alone(folder):
        before = annotation_of(folder)
        after = change(before)
        require_note(after.note)
        require_tags(after.tags)
        if after == Annotation():
            remove(path)
        elif after != before:
            text = json.dumps({"note": after.note, "tags": list(after.tags)}, indent=2)
            write_atomically(path, f"{text}\n")
    return after


def require_note(note: str) -> None:
    """Refuse a note that is too long or is not valid text.

    Raises:
        UsageError: the note cannot be kept.
    """
    if len(note) > MAX_NOTE_CHARACTERS:
        raise UsageError(
            f"the note has {len(note):,} characters, and at most {MAX_NOTE_CHARACTERS:,} are kept",
            hint="keep long texts in a file, and name it in the note",
        )
    if any("\ud800" <= character <= "\udfff" for character in note) or "\0" in note:
        raise UsageError("the note is not valid UTF-8 text", hint="write it in UTF-8")


def require_tags(tags: Iterable[str]) -> None:
    """Refuse a tag that is not a plain word, or too many of them.

    Raises:
        UsageError: a tag cannot be kept.
    """
    tags = tuple(tags)
    wrong = next((tag for tag in tags if not _TAG.fullmatch(tag)), None)
    if wrong is not None:
        raise UsageError(
            f"{wrong!a} is not a valid tag",
            hint="use letters, digits, `_`, `.` and `-`; start with a letter or digit; at most 64 characters",
        )
    if len(tags) > MAX_TAGS:
        raise UsageError(f"a study has at most {MAX_TAGS} tags, not {len(tags)}", hint="remove some of them")


def annotation_lines(annotation: Annotation) -> list[tuple[str, str]]:
    """The tags, and the first line of the note, as (label, text) pairs; an empty one is left out."""
    pairs = [("tags", " ".join(annotation.tags)), ("note", annotation.title)]
    return [(label, text) for label, text in pairs if text]


def _annotation(record: Any) -> Annotation:
    note, tags = (record.get("note"), record.get("tags")) if isinstance(record, dict) else ("", [])
    kept = (
        [tag for tag in tags if isinstance(tag, str) and _TAG.fullmatch(tag)]
        if isinstance(tags, list)
        else []
    )
    text = note[:MAX_NOTE_CHARACTERS] if isinstance(note, str) else ""
    text = text.replace("\0", "").encode("utf-8", "replace").decode()  # a person may have edited the file
    return Annotation(text, tuple(dict.fromkeys(kept))[:MAX_TAGS])


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder itself, which needs no file; nothing on file systems without locks."""
    descriptor = -1
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if descriptor >= 0:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
