"""A pattern of names reads all matching files as one table, and its folder is never left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.file_patterns import files_of
from tunecli.train.data.files import read_table
from tunecli.train.data.sources import read_source
from tunecli.train.data.stamps import stamps_of
from tunecli.train.data.table import Table


def knobs(source: str = "parts/*.csv", **others: object) -> Data:
    return Data.model_validate({"source": source, "target": "y", **others})


def write(folder: Path, **files: str) -> None:
    (folder / "parts").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "parts" / f"{name}.csv").write_text(text)


def read(folder: Path, source: str = "parts/*.csv") -> Table:
    return read_table(folder / source, knobs(source))


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, b="a,c,y\n3,p,u\n", a="a,c,y\n1,q,v\n2,q,u\n", c="y;c;a\nv;r;4\n")
    table = read(tmp_path)
    assert table.x[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert table.text[0].values.tolist() == ["q", "q", "p", "r"]
    assert table.y.tolist() == [1, 0, 0, 1]


def test_number_format_is_decided_from_all_files(tmp_path: Path) -> None:
    write(tmp_path, a="a;y\n1,234;u\n", b="a;y\n0,5;v\n")
    assert read(tmp_path).x[:, 0].tolist() == [1.234, 0.5]


def test_places_name_the_file(tmp_path: Path) -> None:
    write(tmp_path, a="a,y\n1,u\n2,v\n", b="a,y\n3,u\ninf,v\n", c="a,y\n5,u\n")
    with pytest.raises(DataError, match=r"column `a` is infinite in line 3 of b.csv"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("a,y\n1,u\n", r"b.csv has no column `c`, which a.csv has"),
        ("a,c,d,y\n1,2,3,u\n", r"a.csv has no column `d`, which b.csv has"),
        ("a,c,y\n1,2\n", r"line 2 of b.csv has 2 fields"),
        ("a,c,y\n", r"b.csv has no rows"),
    ],
)
def test_file_with_other_columns_is_named(tmp_path: Path, other: str, message: str) -> None:
    write(tmp_path, a="a,c,y\n1,2,u\n3,4,v\n", b=other)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_pattern_beside_a_configuration_in_another_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a="a,y\n1,u\n2,v\n")
    monkeypatch.chdir(tmp_path.parent)
    [(path, *_)] = stamps_of(knobs(), Path(tmp_path.name))
    assert path == str(tmp_path / "parts" / "a.csv")


def test_pattern_needs_a_match_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "outside.csv").write_text("a,y\n1,u\n")
    write(tmp_path, a="a,y\n1,u\n2,v\n")
    with pytest.raises(DataError, match="no file matches"):
        files_of(tmp_path / "parts" / "*.tsv", "data.source")
    with pytest.raises(DataError, match=r"contains `\*\*`"):
        files_of(tmp_path / "**" / "*.csv", "data.source")
    (tmp_path / "parts" / "b.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(DataError, match=r"b\.csv is a link that leads out of"):
        files_of(tmp_path / "parts" / "*.csv", "data.source")
    (tmp_path / "parts" / "b.csv").unlink()
    (tmp_path / "parts" / "b.csv").symlink_to(tmp_path / "parts" / "b.csv")  # a loop is no file
    assert [path.name for path in files_of(tmp_path / "parts" / "*.csv", "data.source")] == ["a.csv"]


def test_name_with_brackets_is_a_file_if_it_exists(tmp_path: Path) -> None:
    (tmp_path / "t[1].csv").write_text("a,y\n1,u\n2,v\n")
    assert len(read(tmp_path, "t[1].csv").y) == 2


def test_added_changed_or_removed_file_changes_the_stamps(tmp_path: Path) -> None:
    write(tmp_path, a="a,y\n1,u\n2,v\n")
    data = knobs(validation={"file": "parts/a*.csv"})
    stamps = [stamps_of(data, tmp_path)]
    assert len(read_source(data, tmp_path).y) == 2
    write(tmp_path, b="a,y\n3,u\n")
    stamps.append(stamps_of(data, tmp_path))
    assert len(read_source(data, tmp_path).y) == 3
    write(tmp_path, b="a,y\n3,u\n4,u\n")
    stamps.append(stamps_of(data, tmp_path))
    (tmp_path / "parts" / "a.csv").rename(tmp_path / "parts" / "aa.csv")
    stamps.append(stamps_of(data, tmp_path))
    assert len(set(stamps)) == 4


def test_pattern_of_npz_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a pattern, but arrays are read from one NPZ file"):
        read(tmp_path, "*.npz")
