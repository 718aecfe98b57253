"""The generated pages of docs/reference/ are fresh. `make reference` writes them."""

import re

import pytest

from dev.json_documents import documents, json_page
from dev.reference import written
from tests.support.page_blocks import ROOT

FOLDER = ROOT / "docs" / "reference"


@pytest.mark.parametrize(
    ("name", "text"), written().items(), ids=lambda value: value if len(value) < 30 else ""
)
def test_a_generated_page_is_fresh(name, text):
    assert (FOLDER / name).read_text(encoding="utf-8") == text, "run `make reference`"


def lasting(page: str) -> list[str]:
    """The lines of the page that do not depend on the machine: a busy one ends the baseline before it has a score."""
    return [line for line in page.splitlines() if "`baseline" not in line]


@pytest.mark.slow
def test_the_page_of_json_documents_is_fresh():
    page = (FOLDER / "json.md").read_text(encoding="utf-8")
    assert lasting(page) == lasting(json_page(documents())), "run `make reference`"


def test_the_page_of_json_documents_has_a_schema_version_in_each_document():
    parts = re.split(r"^## ", (FOLDER / "json.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert parts and all("schema_version" in part or "`version`" in part for part in parts)
