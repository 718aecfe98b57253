"""The generated pages of docs/reference/ are fresh. `make reference` writes them."""

import pytest

from dev.reference import written
from tests.support.page_blocks import ROOT

FOLDER = ROOT / "docs" / "reference"


@pytest.mark.parametrize(
    ("name", "text"), written().items(), ids=lambda value: value if len(value) < 30 else ""
)
def test_a_generated_page_is_fresh(name, text):
    assert (FOLDER / name).read_text(encoding="utf-8") == text, "run `make reference`"
