"""Power loss after every single write and sync of a sweep's log."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support import store_recorder
from tests.support.log_records import ASSETS, without_clocks
from tests.support.lossy_disk import Disk, Image
from tests.support.store_actions import appends
from tunecli.durable_files import is_leftover
from tunecli.errors import StoreDamaged
from tunecli.store import schema
from tunecli.store.database import Log

ROOT = Path(__file__).parents[2]
N_AT_RANDOM = 6
N_OF_THE_SLOW_SUITE = 12
"""Numbers of different folders that are drawn at random at each moment."""
OLD = (ASSETS / "study-v1.db").read_bytes()


def steps_of(action: str, folder: Path, image: Image) -> list[list[object]]:
    """The operations of ``action`` on the operating system, in a folder with these files."""
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)
    record = folder.parent / f"{action}.jsonl"
    command = [sys.executable, str(Path(store_recorder.__file__)), action, str(folder), str(record)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    return [json.loads(line) for line in record.read_text().splitlines()]


class Aftermath:
    """Checks the folders that a power loss can leave, each different folder once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contents: dict[int, str] = {}

    def contents_of(self, image: Image) -> str:
        """The contents of the log in the folder; other files stay unchanged."""
        key = hash(frozenset(image.items()))
        if key not in self._contents:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            for name, content in image.items():
                (self._folder / name).write_bytes(content)
            # A reader finds the same as a coordinator in a fraction of the time, so only some folders are opened by both.
            openings = (Log.open_to_read, Log.open) if len(self._contents) % 10 == 0 else (Log.open_to_read,)
            for opening in openings:
                with opening(self._folder / "study.db") as log:
                    contents = without_clocks(log)
                    assert self._contents.setdefault(key, contents) == contents
        return self._contents[key]

    @property
    def n_folders(self) -> int:
        return len(self._contents)


def require_survival(
    steps: Sequence[Sequence[object]],
    start: Image,
    require: Callable[[Image, list[object]], None],
    n_at_random: int = N_AT_RANDOM,
) -> None:
    """Cut the power after each operation; ``require`` gets a possible folder and the steps that had returned."""
    chance, disk, returned = random.Random(0), Disk(start), []
    for step in (["mark", "begin"], *steps):
        if step[0] == "mark":
            returned.append(step[1])
        else:
            disk.take(step)
        for image in disk.after_power_loss(chance, n_at_random):
            require(image, returned[1:])


@pytest.fixture(scope="module")
def record_step_by_step(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """The names of the steps of `store_actions.record`, and the contents of the log after each."""
    path = tmp_path_factory.mktemp("whole") / "study.db"
    with Log.create(path, {"seed": 7}) as log:
        names, contents = ["create"], [without_clocks(log)]
        for name, append in appends(log):
            append()
            names.append(name)
            contents.append(without_clocks(log))
    return names, contents


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> list[list[object]]:
    """The operations of a short sweep's log on the operating system."""
    return steps_of("record", tmp_path_factory.mktemp("sweep") / "run", {})


@pytest.mark.parametrize(
    ("n_at_random", "n_folders"),
    [(N_AT_RANDOM, 150), pytest.param(N_OF_THE_SLOW_SUITE, 250, marks=pytest.mark.slow)],
)
def test_every_reported_record_survives_a_power_loss_whole(
    tmp_path: Path,
    record_step_by_step: tuple[list[str], list[str]],
    sweep: list[list[object]],
    n_at_random: int,
    n_folders: int,
) -> None:
    names, contents = record_step_by_step
    assert [step[1] for step in sweep if step[0] == "mark"] == [*names, "results"]
    aftermath = Aftermath(tmp_path / "run")

    def require(image: Image, returned: list[object]) -> None:
        if "study.db" not in image:
            assert not returned
            return
        found = contents.index(aftermath.contents_of(image)) + 1
        n_appends = len([name for name in returned if name != "results"])
        assert found in (n_appends, n_appends + 1), (returned, found)
        assert image.get("results.csv", b"rank,trial\n") == b"rank,trial\n"
        assert "results.csv" in image or "results" not in returned
        others = {name for name in image if not is_leftover(Path(name))}
        assert others <= {"study.db", "study.db-journal", "results.csv"}

    require_survival(sweep, {}, require, n_at_random)
    assert aftermath.n_folders > n_folders


@pytest.mark.parametrize(
    "n_at_random", [N_AT_RANDOM, pytest.param(N_OF_THE_SLOW_SUITE, marks=pytest.mark.slow)]
)
def test_a_power_loss_in_a_migration_leaves_the_old_or_the_new_database_and_the_copy(
    tmp_path: Path, n_at_random: int
) -> None:
    start = {"study.db": OLD}
    steps = steps_of("migrate", tmp_path / "recorded", start)
    aftermath = Aftermath(tmp_path / "run")
    contents = aftermath.contents_of(start)

    def require(image: Image, returned: list[object]) -> None:
        assert aftermath.contents_of(image) == contents
        assert image.get("study.db.v1", OLD) == OLD
        version = int.from_bytes(image["study.db"][60:64])
        if version == schema.SCHEMA_VERSION or returned:
            assert "study.db.v1" in image
        assert version == schema.SCHEMA_VERSION or not returned

    require_survival(steps, start, require, n_at_random)


@pytest.mark.parametrize("forgotten", ["sync", "sync folder"])
def test_the_record_does_not_survive_without_syncs(
    tmp_path: Path,
    record_step_by_step: tuple[list[str], list[str]],
    sweep: list[list[object]],
    forgotten: str,
) -> None:
    names, contents = record_step_by_step
    aftermath = Aftermath(tmp_path / "run")

    def require(image: Image, returned: list[object]) -> None:
        if "study.db" in image:
            found = contents.index(aftermath.contents_of(image)) + 1
            assert found >= len([name for name in returned if name in names])
        assert "study.db" in image or not returned

    with pytest.raises((AssertionError, StoreDamaged, ValueError)):
        require_survival([step for step in sweep if step[0] != forgotten], {}, require)
