"""A changed bit in a row is detected when the row is read, and its database is not written to."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.log_records import (
    epoch,
    everything,
    record_confirmation,
    record_hosts,
    record_hosts_of_fresh_runs,
    trial,
)
from tests.support.older_logs import FACTS, record_v3
from tunecli.errors import StoreDamaged, StoreTooNew
from tunecli.messages import Ended
from tunecli.store import schema
from tunecli.store.checksums import checksummed_tables, with_checksums
from tunecli.store.database import Log
from tunecli.trial import Outcome, State

N_SAMPLED = 800
Flip = tuple[int, int]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """A small database with rows in every table, and all its contents."""
    path = tmp_path_factory.mktemp("sound") / "study.db"
    with Log.create(path, FACTS | {"config": "study: a"}) as log:
        record_v3(log)
        record_hosts(log)
        record_confirmation(log)
        record_hosts_of_fresh_runs(log)
        told = everything(log)
    return path.read_bytes(), told


def sampled(sound: bytes) -> Iterator[Flip]:
    """Random bits, nine in ten of them in bytes that are not zero."""
    chance = random.Random(0)
    filled = [place for place, byte in enumerate(sound) if byte]
    for _ in range(N_SAMPLED):
        place = chance.choice(filled) if chance.random() < 0.9 else chance.randrange(len(sound))
        yield place, chance.randrange(8)


def every_byte(sound: bytes) -> Iterator[Flip]:
    chance = random.Random(0)
    return ((place, chance.randrange(8)) for place in range(len(sound)))


def of_numbers(sound: bytes) -> Iterator[Flip]:
    """Every bit of a score and of a metric."""
    for text in (b"0.8", b'{"val_loss":0.7}'):
        place = sound.find(text)
        while place >= 0:
            yield from ((place + i, bit) for i in range(len(text)) for bit in range(8))
            place = sound.find(text, place + 1)


@pytest.mark.parametrize(
    "flips",
    [sampled, of_numbers, pytest.param(every_byte, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_a_flipped_bit_is_detected_or_changes_no_value(
    tmp_path: Path, study: tuple[bytes, str], flips: Any
) -> None:
    sound, told = study
    path = tmp_path / "study.db"
    ends: Counter[str] = Counter()
    for n, (place, bit) in enumerate(flips(sound)):
        flipped = bytearray(sound)
        flipped[place] ^= 1 << bit
        for opening in (Log.open, Log.open_to_read) if n % 5 == 0 else (Log.open_to_read,):
            path.write_bytes(flipped)
            try:
                with opening(path) as log:
                    assert everything(log) == told, (place, bit)
                ends["harmless"] += 1
            except (StoreDamaged, StoreTooNew) as error:
                assert (error.exit_code, path.read_bytes()) == (5, bytes(flipped)), (place, bit)
                ends["found"] += 1
    assert ends["found"] > ends["harmless"] or flips is every_byte
    assert ends["harmless"] == 0 or flips is not of_numbers


def test_the_flipped_database_has_a_row_in_every_table(study: tuple[bytes, str], tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(study[0])
    with closing(sqlite3.connect(path)) as connection:
        assert set(checksummed_tables()) == set(schema.tables_in(connection))
        for table in checksummed_tables():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0, table


def changed_rows(path: Path) -> Iterator[tuple[str, str]]:
    """UPDATE statements that change each column of each table to another valid value."""
    with closing(sqlite3.connect(path)) as connection:
        for table in checksummed_tables():
            for _, name, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                change = f"{name} || 'x'" if kind == "TEXT" else f"{name} + 1"
                key = next(c[1] for c in connection.execute(f"PRAGMA table_info({table})") if c[5] == 1)
                last = f"(SELECT max({key}) FROM {table} WHERE {name} IS NOT NULL)"
                yield (
                    f"{table}.{name}",
                    f"UPDATE OR IGNORE {table} SET {name} = {change} WHERE {key} = {last}",
                )


def test_a_changed_value_in_any_table_is_detected_before_the_first_write(
    tmp_path: Path, study: tuple[bytes, str]
) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(study[0])
    changes = list(changed_rows(path))
    n_changed = 0
    for name, change in changes:
        path.write_bytes(study[0])
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            n_changed += connection.execute(change).rowcount > 0
        before = path.read_bytes()
        if before == study[0]:
            continue
        with pytest.raises(StoreDamaged, match=r"study\.db is damaged") as caught:
            Log.open(path)
        assert (path.read_bytes(), caught.value.exit_code) == (before, 5), name
        with pytest.raises(StoreDamaged), Log.open_to_read(path) as log:
            everything(log)
    assert n_changed > 0.9 * len(changes)


def test_the_error_names_the_table_and_the_row(log: Log) -> None:
    log.append_suggestion(trial(0))
    log._connection.execute("UPDATE suggestion SET seed = seed + 1")
    log.close()
    with pytest.raises(StoreDamaged, match="the checksum of the record `suggestion 0` is wrong"):
        Log.open(log.path)


def test_an_open_reader_detects_later_damage_by_another_process(log: Log) -> None:
    log.append_suggestion(trial(0))
    with Log.open_to_read(log.path) as reader:
        assert len(reader.trials()) == 1
        log._connection.execute("UPDATE suggestion SET seed = seed + 1")
        with pytest.raises(StoreDamaged, match="checksum"):
            reader.trials()


@given(
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.integers(-(2**63), 2**63 - 1),
)
@settings(max_examples=30, deadline=None)
def test_any_row_is_read_back_with_a_right_checksum(
    tmp_path_factory: pytest.TempPathFactory, seconds: float, device: str, seed: int
) -> None:
    with Log.create(tmp_path_factory.mktemp("any") / "study.db", {}) as log:
        log.append_suggestion(trial(0).__class__(0, {"a": device}, seed))
        log.append_result(Ended(0, 1, Outcome(State.COMPLETE, 0.5, {device: 0.5}, 1, 1, seconds, device)))
        log.append_epochs([])
    with Log.open(log.path) as log:
        [found] = log.trials()
        assert found.outcome is not None
        assert (found.seed, found.outcome.device, found.outcome.seconds) == (seed, device, seconds)


def test_an_overwritten_fact_has_a_new_checksum(log: Log) -> None:
    log.set_fact("seed", 8)
    log.close()
    with Log.open(log.path) as again:
        assert again.facts() == {"seed": 8}


def test_a_value_of_the_wrong_type_raises_and_is_not_recorded(log: Log) -> None:
    with pytest.raises(ValueError, match="epoch"):
        log.append_epochs([epoch(0, "one")])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="suggestion"):
        with_checksums("suggestion", [(2**63, "{}", 0, "")])


def test_the_checksum_depends_on_the_table() -> None:
    [step, *_] = with_checksums("checkpoint", [(0, 1, 2, "a", "b", "c")])
    [other, *_] = with_checksums("setback", [(0, 1, "a", "b")])
    assert step[-1] != other[-1]
