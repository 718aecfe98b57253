"""The hashes of a study's data: a study is resumed only with the data that it began with."""

import hashlib

import pytest

from tunecli.commands.check import load_checked
from tunecli.config.load import parse_study
from tunecli.errors import ConfigError, UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.record import facts
from tunecli.study.record.lifecycle import begin, reopen

ROWS = "".join(f"{n},{n % 5},{'ab'[n % 2]}\n" for n in range(40))
TABLE = "{source: mine.csv, target: y, validation: {file: valid.csv}}"


@pytest.fixture
def begun(study_file, tmp_path):
    """A study on a table and a validation file, begun and closed."""
    for name in ("mine.csv", "valid.csv"):
        (tmp_path / name).write_text(f"a,b,y\n{ROWS}")
    path = study_file(**{"{source: iris}": TABLE})
    with begin(load_checked(path, ()), tmp_path / "run"):
        pass
    return RunFolder.open_existing(tmp_path / "run")


def test_a_study_is_resumed_with_the_same_data_of_another_time_stamp(begun, tmp_path):
    (tmp_path / "mine.csv").write_text(f"a,b,y\n{ROWS}")
    with reopen(begun, {}):
        pass


@pytest.mark.parametrize("name", ["mine.csv", "valid.csv"])
def test_changed_data_is_refused_with_the_name_of_the_file(begun, tmp_path, name):
    (tmp_path / name).write_text(f"a,b,y\n{ROWS}9,9,a\n")
    with pytest.raises(UsageError, match=f"{name} has changed"), reopen(begun, {}):
        pass


def test_missing_data_is_an_error_of_the_configuration(begun, tmp_path):
    (tmp_path / "mine.csv").unlink()
    with pytest.raises(ConfigError, match=r"no file mine\.csv"), reopen(begun, {}):
        pass


def test_a_bundled_data_set_has_no_hash(study_file):
    assert facts.data_hashes(load_checked(study_file(), ())) == {}


def test_a_file_of_trained_weights_is_hashed(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"abc")
    text = (
        "study: s\nobjective: {metric: val_loss}\n"
        "trial: {data: {source: digits}, model: {name: backbone, weights: w.pth}}\n"
    )
    spec = parse_study(text.encode(), "s.yaml", (), tmp_path)
    assert facts.data_hashes(spec) == {"w.pth": hashlib.sha256(b"abc").hexdigest()}


def test_a_folder_is_hashed_by_the_names_and_sizes_of_its_files(tmp_path):
    for name in ("cat/1.png", "dog/1.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"x")
    photos = tmp_path / "photos"
    before = facts._sha256(photos)
    (photos / "dog" / "1.png").write_bytes(b"xy")
    between = facts._sha256(photos)
    (photos / "dog" / "2.png").write_bytes(b"x")
    assert len({before, between, facts._sha256(photos)}) == 3


def test_files_of_a_pattern_are_hashed_each_and_by_their_names(study_file, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"part-{name}.csv").write_text(f"a,b,y\n{ROWS}")
    spec = load_checked(study_file(**{"{source: iris}": "{source: 'part-*.csv', target: y}"}), ())
    recorded = facts.data_hashes(spec)
    assert list(recorded) == ["part-*.csv", "part-*.csv: part-a.csv", "part-*.csv: part-b.csv"]
    assert facts.changed_data(recorded, spec) == []
    (tmp_path / "part-b.csv").write_text(f"a,b,y\n{ROWS}9,9,a\n")
    assert facts.changed_data(recorded, spec) == ["part-*.csv: part-b.csv has changed"]
    (tmp_path / "part-b.csv").rename(tmp_path / "part-c.csv")
    assert facts.changed_data(recorded, spec) == [
        "part-*.csv has changed",
        "part-*.csv: part-b.csv is gone",
    ]
