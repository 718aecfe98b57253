"""A damaged database is either rejected unchanged, or read completely and correctly."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.log_records import (
    ASSETS,
    begin,
    checkpointed,
    complete,
    epoch,
    everything,
    failed,
    filled,
    setback,
    trial,
)
from tunecli.errors import StoreDamaged, StoreTooNew, UsageError
from tunecli.store.database import Log

PAGE_BYTES = 4096
DATABASE_HEADER_BYTES = 100
TREE_HEADER_BYTES = {2: 12, 5: 12, 10: 8, 13: 8}  # by a page's first byte; sqlite.org/fileformat2.html, 1.6
OVERFLOW_HEADER_BYTES = 4
OPENINGS = (Log.open, Log.open_to_read)
Damaged = Iterator[tuple[str, bytes]]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """The bytes of a database with a row in every table, trees of two levels, long texts and free pages; and its contents."""
    path = tmp_path_factory.mktemp("sound") / "study.db"
    with Log.create(path, {"config": "study: a\n" * 700, "elapsed_s": 1.0}) as log:
        with log.atomic():
            session = log.append_session({"torch": "2.13.0"})
            for number in range(24):
                log.append_suggestion(trial(number, lr=0.1 / (1 + number), name="x" * 120))
                begin(log, number, session=session)
                log.append_epochs([epoch(number, i) for i in range(1, 7)])
            log.append_checkpoint(checkpointed(0, 2))
            log.append_failed_attempt(setback(0))
            log.append_result(failed(1, "Traceback\n" * 900))
            for number in range(2, 24):
                log.append_result(complete(number))
        log.set_fact("config", "study: b\n" * 300)
        told = everything(log)
    return path.read_bytes(), told


def whole_pages(sound: bytes) -> Damaged:
    chance = random.Random(0)
    for start in range(0, len(sound), PAGE_BYTES):
        end = start + PAGE_BYTES
        fillings = {"zeros": bytes(PAGE_BYTES), "ones": b"\xff" * PAGE_BYTES}
        fillings |= {f"noise {i}": chance.randbytes(PAGE_BYTES) for i in range(3)}
        for name, filling in fillings.items():
            yield f"{name} from {start}", sound[:start] + filling + sound[end:]
        if start:
            yield (
                f"that of {start - PAGE_BYTES} from {start}",
                sound[:start] + sound[start - PAGE_BYTES : start] + sound[end:],
            )


def truncations(sound: bytes) -> Damaged:
    for start in range(0, len(sound), PAGE_BYTES):
        for n_bytes in (start, start + 1, start + 512, start + PAGE_BYTES - 1):
            yield f"{n_bytes} bytes", sound[:n_bytes]


def flipped_bits(sound: bytes) -> Damaged:
    """Each bit of the file header and of each page header."""
    for start in range(0, len(sound), PAGE_BYTES):
        before = 0 if start else DATABASE_HEADER_BYTES
        n_bytes = before + TREE_HEADER_BYTES.get(sound[start + before], OVERFLOW_HEADER_BYTES)
        for byte in range(start, start + n_bytes):
            for bit in range(8):
                flipped = bytearray(sound)
                flipped[byte] ^= 1 << bit
                yield f"bit {bit} of {byte}", bytes(flipped)


def some_flipped_bits(sound: bytes) -> Damaged:
    chance = random.Random(0)
    return (damaged for damaged in flipped_bits(sound) if chance.random() < 0.15)


@pytest.mark.parametrize(
    "damage",
    [whole_pages, truncations, some_flipped_bits, pytest.param(flipped_bits, marks=pytest.mark.slow)],
)
def test_each_damaged_page_is_rejected_unchanged_or_loses_nothing(
    tmp_path: Path, study: tuple[bytes, str], damage: object
) -> None:
    sound, told = study
    path = tmp_path / "study.db"
    ends: Counter[str] = Counter()
    assert callable(damage)
    for name, content in damage(sound):
        for opening in OPENINGS:
            path.write_bytes(content)
            try:
                with opening(path) as log:
                    assert everything(log) == told, name
                ends["read"] += 1
            except (StoreDamaged, StoreTooNew) as error:  # the version is in the header too
                assert (error.exit_code, path.read_bytes()) == (5, content), name
                assert str(path) in str(error)
                ends["refused"] += 1
            assert list(tmp_path.iterdir()) == [path], name
    assert ends["refused"] > ends["read"] or damage is not whole_pages, ends


def test_the_damaged_database_has_pages_of_every_kind(study: tuple[bytes, str]) -> None:
    sound, _ = study
    kinds = {sound[start] for start in range(PAGE_BYTES, len(sound), PAGE_BYTES)}
    assert set(TREE_HEADER_BYTES) <= kinds
    assert 0 in kinds, "an overflow page or a free one"
    assert int.from_bytes(sound[36:40]) > 0, "free pages"


@pytest.mark.parametrize("filling", [bytes(PAGE_BYTES), b"\xff" * PAGE_BYTES], ids=["zeros", "ones"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_damage_to_a_database_of_an_earlier_version_is_rejected_too(
    tmp_path: Path, filling: bytes, version: int
) -> None:
    path = Path(shutil.copy(ASSETS / f"study-v{version}.db", tmp_path / "study.db"))
    sound = path.read_bytes()
    for start in range(0, len(sound), PAGE_BYTES):
        content = sound[:start] + filling + sound[start + PAGE_BYTES :]
        for opening in OPENINGS:
            path.write_bytes(content)
            with pytest.raises(StoreDamaged):
                opening(path)
            assert path.read_bytes() == content
            assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [b"", b"not a database, by far " * 300, b"SQLite format 3\x00"],
    ids=["empty", "text", "header"],
)
def test_a_file_that_is_not_a_database_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(content)
    for opening in OPENINGS:
        with pytest.raises(StoreDamaged):
            opening(path)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


def test_a_database_of_another_program_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE a (b)")
    before = path.read_bytes()
    for opening in OPENINGS:
        with pytest.raises(StoreDamaged, match="not a database of tunecli"):
            opening(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a dangling link", "a link to itself", "a pipe"])
def test_a_path_that_is_not_a_file_is_a_usage_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "study.db"
    match kind:
        case "a folder":
            path.mkdir()
        case "a dangling link":
            path.symlink_to(tmp_path / "elsewhere")
        case "a link to itself":
            path.symlink_to(path)
        case "a pipe":
            os.mkfifo(path)
    before = list(tmp_path.iterdir())
    for opening in OPENINGS:
        with pytest.raises(UsageError, match=str(path)):
            opening(path)
    assert list(tmp_path.iterdir()) == before


def test_a_link_to_a_database_is_read_but_not_opened_for_writing(tmp_path: Path) -> None:
    target, path = tmp_path / "target.db", tmp_path / "study.db"
    filled(target, 2)
    path.symlink_to(target)
    before = target.read_bytes()
    with Log.open_to_read(path) as log:
        assert len(log.trials()) == 2
    with pytest.raises(UsageError, match="symbolic link"):
        Log.open(path)
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    "damage", ["parameters = '{'", "parameters = CAST(x'ff' AS TEXT)", "parameters = '1,2'"]
)
def test_a_malformed_record_is_damage(log: Log, damage: str) -> None:
    for number in range(2):
        log.append_suggestion(trial(number))
    log._connection.execute(f"UPDATE suggestion SET {damage} WHERE number = 1")
    with pytest.raises(StoreDamaged):
        log.trials()
    with pytest.raises(StoreDamaged):
        log.trial(1)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE suggestion SET parameters = '{' WHERE number = 1",
        'UPDATE result SET failure = \'{"kind": "unheard of", "cause": ""}\' WHERE state = \'failed\'',
        "UPDATE epoch SET metrics = '1,2' WHERE number = 0",
        "UPDATE study SET value = '{' WHERE key = 'plan'",
    ],
)
def test_an_older_database_with_a_malformed_record_is_not_migrated(
    tmp_path: Path, version: int, damage: str
) -> None:
    path = Path(shutil.copy(ASSETS / f"study-v{version}.db", tmp_path / "study.db"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(damage).rowcount
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="is malformed"):
        Log.open(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
