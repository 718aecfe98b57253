"""The digits read without scikit-learn are those that scikit-learn reads."""

from pathlib import Path

import numpy as np
from sklearn import datasets

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import Bundled
from tunecli.train.data import datasets as tunecli_datasets


def test_digits_file_gives_the_same_table_as_scikit_learn():
    found = tunecli_datasets._digits()
    assert found is not None
    bunch = datasets.load_digits()
    assert np.array_equal(found.x, bunch.images[:, None].astype(np.float32))
    assert np.array_equal(found.y, bunch.target)
    assert found.class_names == tuple(map(str, bunch.target_names))


def test_digits_fall_back_to_scikit_learn(monkeypatch):
    known = tunecli_datasets.bundled(Bundled(name="digits"), Data(source=Bundled(name="digits")), Path())
    monkeypatch.setattr(tunecli_datasets, "find_spec", lambda name: None)
    assert tunecli_datasets._digits() is None
    asked = tunecli_datasets.bundled(Bundled(name="digits"), Data(source=Bundled(name="digits")), Path())
    assert np.array_equal(asked.x, known.x)
    assert asked.x.dtype == known.x.dtype
    assert np.array_equal(asked.y, known.y)
