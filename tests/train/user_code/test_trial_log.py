"""A trial's log keeps the head and the tail of its output within its limit, and no secret."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from tunecli.errors import DiskFull, StoreFailed
from tunecli.train.user_code.trial_log import HEADER, LEFT_OUT, LogFile, TrialLog, last_bytes

SECRET = "hunter2-hunter2"


def written(path: Path, *pieces: bytes, limit: int = 10_000, attempt: int = 1, **secrets: str) -> bytes:
    with TrialLog(LogFile(str(path), limit, attempt, secrets)) as log:
        for piece in pieces:
            log.add(piece)
    return path.read_bytes() if path.exists() else b""


def body(content: bytes) -> bytes:
    return HEADER.sub(b"", content, count=1).lstrip(b"\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "trial-00007.log"


def test_silent_trial_makes_no_file(path: Path) -> None:
    assert written(path, b"") == b""
    assert not path.parent.exists()


@pytest.mark.parametrize("limit", [0, 10_000])
def test_log_without_a_path_or_with_limit_0_is_off(path: Path, limit: int) -> None:
    with TrialLog(LogFile("" if limit else str(path), limit)) as log:
        log.add(b"text")
    assert not path.parent.exists()


@pytest.mark.parametrize("piece", [b"one\n", b"a\0b\xff\xc3\n", b"x" * 3000, b"\r\n", "é".encode()[:1]])
def test_short_output_is_kept_byte_for_byte(path: Path, piece: bytes) -> None:
    content = written(path, piece, b"end\n")
    assert HEADER.match(content)
    assert body(content) == (piece + b"end\n").lstrip(b"\n")


def test_long_output_keeps_head_and_tail_within_the_limit(path: Path) -> None:
    lines = [f"line {n}\n".encode() for n in range(20_000)]
    content = written(path, *lines)
    assert 8_000 < len(content) <= 10_000
    assert body(content).startswith(lines[0] + lines[1])
    assert content.endswith(lines[-2] + lines[-1])
    (mark,) = LEFT_OUT.finditer(content)
    head, tail = body(content[: mark.start()]), content[mark.end() + 1 :]
    kept = len(head) + len(tail) - (not head.endswith(b"\n"))
    assert abs(int(mark[1].replace(b",", b"")) + kept - sum(map(len, lines))) <= 1
    assert tail.splitlines(keepends=True)[0] in lines


def test_line_of_10_mb_without_an_end_takes_no_more_than_the_limit(path: Path) -> None:
    content = written(path, *[b"x" * 65536] * 160)
    assert len(content) <= 10_000
    assert LEFT_OUT.search(content)


def test_next_attempt_is_added_and_the_file_stays_within_the_limit(path: Path) -> None:
    for attempt in range(1, 6):
        lines = [f"{attempt} {n}\n".encode() for n in range(3_000)]
        content = written(path, *lines, attempt=attempt)
        assert len(content) <= 10_000
        assert content.endswith(lines[-1])
        assert [int(number) for number in HEADER.findall(content)][-1] == attempt
    assert content.startswith(b"--- attempt 1, begun ")


def test_header_begins_a_line_after_output_that_was_cut_off(path: Path) -> None:
    written(path, b"no line end")
    assert written(path, b"more", attempt=2).splitlines()[2].startswith(b"--- attempt 2, begun ")


def test_head_is_in_the_file_before_the_log_is_closed(path: Path) -> None:
    log = TrialLog(LogFile(str(path), 10_000))
    log.add(b"first\n")
    assert path.read_bytes().endswith(b"first\n")
    log.close()


def test_tail_is_written_twice_a_second_and_holds_the_newest_output(path: Path) -> None:
    now = 0.0
    log = TrialLog(LogFile(str(path), 2_000), lambda: now)
    log.add(b"x\n" * 5_000 + b"first\n")
    assert log.is_waiting
    assert b"first" not in path.read_bytes()
    now = 0.6
    log.flush()
    assert path.read_bytes().endswith(b"first\n")
    assert not log.is_waiting
    log.add(b"second\n")
    log.flush()
    assert not path.read_bytes().endswith(b"second\n")
    now = 1.2
    log.add(b"third\n")
    assert path.read_bytes().endswith(b"first\nsecond\nthird\n")
    log.close()


@pytest.mark.parametrize("size", [1, 3, 7, 100, 5000])
def test_secret_is_removed_wherever_the_output_is_cut(path: Path, size: int) -> None:
    text = b"".join(b"%d token %s in a text\n" % (n, SECRET.encode()) for n in range(300))
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    content = written(path, *pieces, limit=100_000, TOKEN=SECRET)
    assert body(content) == text.replace(SECRET.encode(), b"${env:TOKEN}")


@pytest.mark.parametrize("shift", range(0, 60, 7))
def test_secret_at_the_border_of_head_and_tail_is_removed(path: Path, shift: int) -> None:
    content = written(path, b"." * shift, *[f"<{SECRET}>".encode()] * 2_000, limit=4_000, TOKEN=SECRET)
    assert b"hunt" not in content
    assert b"nter2" not in content


def test_value_that_repeats_itself_without_end_takes_no_memory(path: Path) -> None:
    log = TrialLog(LogFile(str(path), 10_000, secrets={"TOKEN": "aaaa"}))
    for _ in range(5):
        log.add(b"a" * 65536)
    assert log._stream is not None
    assert len(log._stream._held) < 200_000
    log.close()
    assert b"aaaa" not in path.read_bytes()


def test_whole_lines_are_shown_soon_although_secrets_are_searched(path: Path) -> None:
    now = 0.0
    log = TrialLog(LogFile(str(path), 10_000, secrets={"TOKEN": SECRET}), lambda: now)
    log.add(f"line {SECRET}\nhunter2-".encode())
    now = 0.6
    log.flush()
    assert path.read_bytes().endswith(b"line ${env:TOKEN}\n")
    assert not log.is_waiting
    log.add(b"hunter2\n")
    log.close()
    assert path.read_bytes().endswith(b"line ${env:TOKEN}\n${env:TOKEN}\n")


def test_link_pipe_or_directory_in_place_of_the_file_is_refused(path: Path) -> None:
    path.parent.mkdir()
    other = path.parent.parent / "other"
    other.write_text("mine")
    for make in (lambda: path.symlink_to(other), lambda: os.mkfifo(path), path.mkdir):
        make()
        with pytest.raises(StoreFailed, match=path.name):
            written(path, b"text")
        path.rmdir() if path.is_dir() else path.unlink()
    assert other.read_text() == "mine"


def test_folder_that_is_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreFailed, match="symbolic link"):
        written(path, b"text")
    assert [*(tmp_path / "elsewhere").iterdir()] == []


def test_full_disk_is_reported_with_the_path(path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(DiskFull, match=path.name):
            written(path, b"x" * 8_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_last_bytes_are_read_of_a_regular_log_only(path: Path) -> None:
    assert last_bytes(path, 10) == b""
    written(path, b"0123456789\n")
    assert last_bytes(path, 4) == b"789\n"
    link = path.with_name("link.log")
    link.symlink_to(path)
    assert last_bytes(link, 4) == b""
