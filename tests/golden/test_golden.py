"""The results of a study never change by accident: each golden study gives the recorded table and bits.

The bits depend on the processor, on torch and on numpy, so `known.json` holds them by machine (``python -m tests.golden
--record`` adds this machine). Without a record for this machine, each study runs twice, and both runs must agree.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.hashes import hash_of, known_hashes
from tests.golden.studies import STUDIES


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_golden_study_gives_the_table_and_the_bits_on_record(name: str, tmp_path: Path) -> None:
    known = known_hashes()
    expected = known[name] if name in known else hash_of(name, STUDIES[name], tmp_path / "first")
    assert hash_of(name, STUDIES[name], tmp_path / "again") == expected
