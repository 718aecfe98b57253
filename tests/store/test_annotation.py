"""A study's note and tags: a small file that is checked, bounded, and safe to change from several processes."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tunecli.errors import UsageError
from tunecli.store.annotation import (
    ABOUT_NAME,
    MAX_NOTE_CHARACTERS,
    MAX_TAGS,
    Annotation,
    annotate,
    annotation_of,
)


def test_a_folder_without_the_file_has_no_note_and_no_tags(tmp_path):
    assert annotation_of(tmp_path) == Annotation()


def test_what_is_written_is_read_again(tmp_path):
    kept = Annotation("first line\n\n  é 漢 <b>", ("a", "b-1.2_c"))
    assert annotate(tmp_path, lambda _: kept) == kept
    assert annotation_of(tmp_path) == kept
    assert kept.title == "first line"


def test_an_empty_annotation_removes_the_file(tmp_path):
    annotate(tmp_path, lambda _: Annotation("x"))
    annotate(tmp_path, lambda _: Annotation())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tag", ["", " ", "-a", "a b", "../x", "é", "a\n", "x" * 65, "a/b"])
def test_a_tag_that_is_no_plain_word_is_refused(tmp_path, tag):
    with pytest.raises(UsageError, match="is not a valid tag"):
        annotate(tmp_path, lambda _: Annotation(tags=(tag,)))
    assert list(tmp_path.iterdir()) == []


def test_the_length_of_a_note_and_the_number_of_tags_are_bounded(tmp_path):
    annotate(
        tmp_path, lambda _: Annotation("x" * MAX_NOTE_CHARACTERS, tuple(f"t{i}" for i in range(MAX_TAGS)))
    )
    with pytest.raises(UsageError, match="10,001 characters"):
        annotate(tmp_path, lambda before: replace(before, note=before.note + "x"))
    with pytest.raises(UsageError, match="at most 50 tags"):
        annotate(tmp_path, lambda before: replace(before, tags=(*before.tags, "one-more")))
    assert len(annotation_of(tmp_path).note) == MAX_NOTE_CHARACTERS


@pytest.mark.parametrize("note", ["a\0b", "\udce9"])
def test_a_note_that_is_not_text_is_refused(tmp_path, note):
    with pytest.raises(UsageError, match="not valid UTF-8"):
        annotate(tmp_path, lambda _: Annotation(note))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b'{"note": 3, "tags": "a"}',
        b"[" * 100_000,
        b'"' + b"x" * (1 << 20) + b'"',
    ],
)
def test_an_unreadable_file_counts_as_empty(tmp_path, content):
    (tmp_path / ABOUT_NAME).write_bytes(content)
    assert annotation_of(tmp_path) == Annotation()
    assert annotate(tmp_path, lambda _: Annotation("new")).note == "new"


def test_what_another_program_wrote_is_made_valid(tmp_path):
    (tmp_path / ABOUT_NAME).write_text(
        '{"note": "a\\u0000\\ud800b", "tags": ["ok", "../x", 3, "ok"], "more": 1}'
    )
    assert annotation_of(tmp_path) == Annotation("a?b", ("ok",))


def test_a_link_or_a_pipe_is_neither_read_nor_replaced(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text('{"note": "secret"}')
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ABOUT_NAME).symlink_to(outside)
    assert annotation_of(folder) == Annotation()
    with pytest.raises(UsageError, match="is a symbolic link"):
        annotate(folder, lambda _: Annotation("x"))
    assert outside.read_text() == '{"note": "secret"}'
    (folder / ABOUT_NAME).unlink()
    os.mkfifo(folder / ABOUT_NAME)
    assert annotation_of(folder) == Annotation()


def test_no_tag_is_lost_if_many_are_added_at_once(tmp_path):
    def add(number: int) -> None:
        annotate(tmp_path, lambda before: replace(before, tags=(*before.tags, f"t{number}")))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert sorted(annotation_of(tmp_path).tags) == sorted(f"t{i}" for i in range(24))


def test_the_note_of_a_folder_that_was_deleted_is_an_error_in_one_line(tmp_path):
    with pytest.raises(UsageError):
        annotate(tmp_path / "deleted", lambda _: Annotation("x"))
