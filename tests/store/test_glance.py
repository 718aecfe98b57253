"""The quick look at a study, for suggestions."""

import os
import sqlite3

from tests.support.recorded import recorded_study
from tunecli.store.glance import holds_study, metrics_at_a_glance, trials_at_a_glance


def test_trials_and_metrics_of_a_study_are_seen(tmp_path):
    folder = recorded_study(tmp_path, [0.5, "error", None]).path
    assert holds_study(folder)
    assert trials_at_a_glance(folder) == [(0, "complete", "0.5"), (1, "failed", ""), (2, "", "")]
    assert metrics_at_a_glance(folder) == ["loss"]


def test_a_study_that_a_writer_locks_is_not_waited_for(tmp_path):
    folder = recorded_study(tmp_path, [0.5]).path
    with sqlite3.connect(folder / "study.db", isolation_level=None) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert trials_at_a_glance(folder) == []
    writer.close()
    assert len(trials_at_a_glance(folder)) == 1


def test_a_look_changes_nothing(tmp_path):
    folder = recorded_study(tmp_path, [0.5]).path
    before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    trials_at_a_glance(folder)
    assert before == sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())


def test_what_is_no_database_has_no_trials(tmp_path):
    assert not holds_study(tmp_path)
    assert trials_at_a_glance(tmp_path) == []
    os.mkfifo(tmp_path / "study.db")
    assert metrics_at_a_glance(tmp_path) == []
    (tmp_path / "study.db").unlink()
    (tmp_path / "study.db").write_bytes(b"nothing of the kind")
    assert trials_at_a_glance(tmp_path) == []
