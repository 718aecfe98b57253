"""`tunecli note` and `tunecli tag`: show or change the note and the tags of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunecli.errors import UsageError
from tunecli.results.view import Chapter, View
from tunecli.store.annotation import Annotation, annotate, annotation_of, require_tags
from tunecli.store.folder import RunFolder


def note(folder: RunFolder, text: str | None = None, *, is_appended: bool = False) -> Annotation:
    """Show, replace, extend or remove the note of a study, which another process may run.

    Args:
        folder: the run folder.
        text: the note; empty: it is removed; None: nothing changes.
        is_appended: add ``text`` as a further line.

    Raises:
        UsageError: the note is too long or not valid text, or ``--append`` has no text.
        DiskFull, StoreFailed: it cannot be written.
    """
    if text is None or (is_appended and not text.strip()):
        if is_appended:
            raise UsageError("--append needs a text", hint=f'tunecli note {folder.path} --append "…"')
        return annotation_of(folder.path)

    def changed(before: Annotation) -> Annotation:
        whole = f"{before.note}\n{text}" if is_appended and before.note else text
        return replace(before, note=whole.strip("\n") if whole.strip() else "")

    return annotate(folder.path, changed)


def tag(folder: RunFolder, tags: Sequence[str] = (), *, is_removed: bool = False) -> Annotation:
    """Show, add or remove tags of a study, which another process may run.

    Args:
        folder: the run folder.
        tags: the tags to add or to remove; empty: nothing changes.
        is_removed: remove the tags.

    Raises:
        UsageError: a tag is not valid, the study lacks a tag to remove, or ``--remove`` names none.
        DiskFull, StoreFailed: they cannot be written.
    """
    if not tags:
        if is_removed:
            raise UsageError("--remove needs a tag", hint=f"tunecli tag {folder.path} shows the tags")
        return annotation_of(folder.path)
    require_tags(tags)

    def changed(before: Annotation) -> Annotation:
        if not is_removed:
            return replace(before, tags=tuple(dict.fromkeys((*before.tags, *tags))))
        if missing := [one for one in tags if one not in before.tags]:
            has = ", ".join(before.tags) or "none"
            raise UsageError(f"{folder.path} has no tag {missing[0]}", hint=f"its tags: {has}")
        return replace(before, tags=tuple(one for one in before.tags if one not in tags))

    return annotate(folder.path, changed)


def note_view(folder: RunFolder, annotation: Annotation) -> View:
    """The note as text."""
    data = {"path": str(folder.path), "note": annotation.note or None, "tags": list(annotation.tags)}
    messages = () if annotation.note else (f"{folder.path} has no note",)
    lines = tuple(annotation.note.split("\n")) if annotation.note else ()
    return View("note", data, chapters=(Chapter("", lines),) if lines else (), messages=messages)


def tag_view(folder: RunFolder, annotation: Annotation) -> View:
    """The tags, one a line."""
    data = {"path": str(folder.path), "note": annotation.note or None, "tags": list(annotation.tags)}
    messages = () if annotation.tags else (f"{folder.path} has no tags",)
    return View("tag", data, text="\n".join(annotation.tags), messages=messages)
