"""The sizes of the parts of the data are a fact of a study, for each kind of split."""

from __future__ import annotations

import pytest

from tests.support.recorded import spec_in
from tunecli.study.record.part_sizes import PartSizes, measured_sizes, recorded_sizes, size_facts

STUDY = """\
study: sizes
objective: {{metric: val_accuracy}}
trial:
  data: {{source: iris, {data}}}
  model: linear
search: {{sampler: random, trials: 2}}
"""


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        ("validation: {fraction: 0.2}", PartSizes(120, 30, 0)),
        ("validation: {folds: 5, repeats: 3}, test: {fraction: 0.2}", PartSizes(96, 120, 30, True, 3)),
        ("validation: {fraction: 0.2, stratify: none}", PartSizes(120, 30, 0)),
        ("validation: {fraction: 0.2, by: group}", PartSizes()),
    ],
)
def test_each_example_of_repeated_folds_counts_once(tmp_path, data, sizes):
    assert measured_sizes(spec_in(tmp_path, STUDY.format(data=data))) == sizes
    assert recorded_sizes(size_facts(sizes)) == sizes
