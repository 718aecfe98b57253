"""What a study computes never changes by accident: each golden study gives the table and the bits on record.

The bits depend on the processor, on torch and on numpy, so `known.json` holds them by machine (``python -m tests.golden
--record`` adds this one). A machine that it does not hold runs each study twice, which must agree.
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
