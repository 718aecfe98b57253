"""The data sets read without scikit-learn are those that scikit-learn reads, to the last bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tunecli.train.data import bundled
from tunecli.train.data.bundled import bundled_table

NAMES = sorted(bundled._FILES)


@pytest.mark.parametrize("name", NAMES)
def test_a_sets_files_give_the_table_of_scikit_learn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bundled._texts(name) is not None
    read = bundled_table(name)
    monkeypatch.setattr(bundled, "find_spec", lambda name: None)
    assert bundled._texts(name) is None
    loaded = bundled_table(name)
    assert np.array_equal(read.x, loaded.x)
    assert (read.x.dtype, read.x.shape) == (loaded.x.dtype, loaded.x.shape)
    assert read.x.flags.c_contiguous
    assert np.array_equal(read.y, loaded.y)
    assert (read.y.dtype, read.y.shape) == (loaded.y.dtype, loaded.y.shape)
    assert (read.task, read.class_names, read.feature_names) == (
        loaded.task,
        loaded.class_names,
        loaded.feature_names,
    )


def test_reading_a_set_does_not_import_scikit_learn() -> None:
    code = (
        "import sys; from tunecli.train.data.bundled import bundled_table\n"
        f"tables = [bundled_table(name) for name in {NAMES!r}]\n"
        "assert not {'sklearn', 'scipy', 'pandas'} & set(sys.modules), 'imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
