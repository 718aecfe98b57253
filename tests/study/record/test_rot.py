"""A damaged database: exit code 5, and neither the database nor results.csv is written."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.study.sweeps import run_whole
from tests.support.read_only import ReadOnly
from tunecli import cli
from tunecli.errors import StoreDamaged, TunecliError
from tunecli.store.checksums import add_checksums
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import open_to_read, reopen

N_FLIPS = 150


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole")
    (path / "own.py").write_text(
        "def train(params, trial):\n    for i in (1, 2):\n        trial.report(i, val_loss=params['x'] / i)\n"
    )
    (path / "own.yaml").write_text(
        "study: own\nobjective: {metric: val_loss}\n"
        "trial: {python: 'own:train', params: {x: {uniform: [0, 1]}}}\n"
        "search: {sampler: random, trials: 4}\nrun: {engine: inline}\n"
    )
    run_whole(path / "own.yaml", path / "run")
    return path / "run"


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def files_of(run: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in run.iterdir() if path.is_file() and path.name != "study.lock"
    }


def verb(*words: object) -> int:
    try:
        cli.main([str(word) for word in words])
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def rot_first_score(path: Path) -> None:
    """Flip a bit of the last digit of the first trial's score in its result row."""
    content = path.read_bytes()
    score = first_score(path)
    place = -1
    while first_score(path) == score:
        place = content.index(score.encode(), place + 1)
        last = place + len(score) - 1
        path.write_bytes(content[:last] + bytes([content[last] ^ 1]) + content[last + 1 :])


def first_score(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT score FROM result").fetchone()[0])


def test_every_verb_detects_a_flipped_digit_of_a_score_and_writes_nothing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rot_first_score(run / "study.db")
    before = files_of(run)
    for words in (["status"], ["results"], ["export"], ["verify"], ["resume", "--trials", 6]):
        code = verb(words[0], run, *words[1:])
        assert code == 5, words
        assert "checksum" in capsys.readouterr().err
    assert files_of(run) == before


def test_resume_detects_any_flipped_bit_that_changes_the_content(run: Path) -> None:
    sound = (run / "study.db").read_bytes()
    before = files_of(run)
    with open_to_read(RunFolder(run)) as study:
        content = repr((study.log.trials(), study.log.epochs_of(range(4)), study.plan))
    chance, n_found = random.Random(1), 0
    filled = [place for place, byte in enumerate(sound) if byte]
    for _ in range(N_FLIPS):
        place = chance.choice(filled)
        flipped = sound[:place] + bytes([sound[place] ^ 1 << chance.randrange(8)]) + sound[place + 1 :]
        (run / "study.db").write_bytes(flipped)
        try:
            with open_to_read(RunFolder(run)) as study:
                assert repr((study.log.trials(), study.log.epochs_of(range(4)), study.plan)) == content, place
        except TunecliError as error:
            assert error.exit_code == 5, place
            with pytest.raises(TunecliError) as caught, reopen(RunFolder(run), {}):
                pass
            assert caught.value.exit_code == 5, place
            assert (run / "study.db").read_bytes() == flipped, place
            n_found += 1
    assert n_found > N_FLIPS / 2
    assert {name: data for name, data in files_of(run).items() if name != "study.db"} == {
        name: data for name, data in before.items() if name != "study.db"
    }


def test_a_score_that_differs_from_the_metrics_is_detected_without_checksums(run: Path) -> None:
    with closing(sqlite3.connect(run / "study.db", isolation_level=None)) as connection:
        connection.execute("UPDATE result SET score = '0.125' WHERE number = 2")
        add_checksums(connection)
    before = files_of(run)
    for opened in (open_to_read(RunFolder(run)), reopen(RunFolder(run), {})):
        with pytest.raises(StoreDamaged, match=r"trial 2 has the score 0\.125 and the val_loss 0\."), opened:
            pass
    assert files_of(run)["results.csv"] == before["results.csv"]


@pytest.fixture
def readable(whole: Path, open_path: Path) -> Iterator[Path]:
    """The study in a folder that every user may read."""
    run = Path(shutil.copytree(whole, open_path / "run"))
    shutil.copy(whole.parent / "own.py", open_path)
    yield run


def all_read_only(run: Path) -> None:
    for path in run.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_read_only_folder_can_be_read_by_every_verb_but_not_resumed(
    readable: Path,
    read_only: ReadOnly,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    elsewhere = readable.parent / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    all_read_only(readable)
    before = files_of(readable)
    with read_only(readable):
        assert verb("status", readable) == 0
        assert verb("results", readable, "--json") == 0
        assert verb("export", readable, "-o", elsewhere / "best.yaml") == 0
        assert verb("verify", readable) == 0
        capsys.readouterr()
        assert verb("resume", readable, "--trials", 6) == 2
        assert str(readable) in capsys.readouterr().err
    assert files_of(readable) == before
    assert (elsewhere / "best.yaml").read_text().startswith("# study own")


def test_a_read_only_database_is_an_error_before_the_first_trial(
    readable: Path,
    read_only: ReadOnly,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (readable / "study.db").chmod(0o444)
    before = (readable / "study.db").read_bytes()
    with read_only(readable.parent):
        assert verb("status", readable) == 0
        capsys.readouterr()
        assert verb("resume", readable, "--trials", 6) in (2, 5)
        err = capsys.readouterr().err
    assert str(readable / "study.db") in err
    assert "trial 4" not in err
    assert (readable / "study.db").read_bytes() == before


def test_a_search_into_a_read_only_folder_fails_before_the_first_trial(
    whole: Path,
    open_path: Path,
    read_only: ReadOnly,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("own.py", "own.yaml"):
        shutil.copy(whole.parent / name, open_path)
    with read_only(open_path):
        assert verb("search", open_path / "own.yaml", "--out", open_path / "new") == 2
    assert str(open_path / "new") in capsys.readouterr().err
