"""The README is short, and a test or a page supports each statement of its comparison about tunecli."""

import re
from xml.etree import ElementTree

import pytest

from tests.support.page_blocks import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SUPPORT = {
    "you write": "tests/test_configs.py::test_an_example_is_sound_and_can_be_checked",
    "the training loop is included": "tests/test_configs.py::test_digits_reaches_97_percent",
    "programs in any language": "docs/guide/command.md#a-command",
    "chains of schedules, weight clipping and pruning can be searched": "tests/test_configs.py::test_both_chains_are_searched_around_a_convolutional_net",
    "a killed sweep resumes to the same table": "tests/study/test_sweep.py::test_a_sweep_that_is_killed_anywhere_resumes_to_the_identical_table",
    "the table is the same for any number of workers": "tests/study/test_sweep.py::test_the_table_does_not_depend_on_the_number_of_workers",
    "a command trains the best trials again with fresh seeds": "tests/study/test_confirming.py::test_each_candidate_and_the_first_trial_are_trained_with_fresh_seeds",
    "the best trial is one runnable file": "tests/commands/test_export.py::test_the_exported_best_trains_to_the_same_score_to_the_last_bit",
    "an account or a server": "docs/guide/guarantees.md#the-record",
    "several machines": "docs/guide/guarantees.md#the-record",
}


def rows() -> list[str]:
    table = README.split("## Compared with other tools")[1].split("## ")[0]
    return re.findall(r"^\| ([^|\n]+?) \|", table, re.MULTILINE)


def test_the_readme_has_at_most_150_lines_and_1200_words():
    assert len(README.splitlines()) <= 150
    assert len(README.split()) <= 1200


def test_each_row_of_the_comparison_has_support():
    assert rows() == list(SUPPORT)


@pytest.mark.parametrize("support", SUPPORT.values())
def test_the_support_of_a_statement_exists(support):
    file, name = re.split("::|#", support)
    text = (ROOT / file).read_text(encoding="utf-8")
    if "#" in support:
        assert name in {
            re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)
        }
    else:
        assert re.search(rf"^def {name}\(", text, re.MULTILINE)


def test_the_picture_is_valid_and_loads_nothing():
    text = (ROOT / "docs/pictures/live.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert not re.search(r"url\(['\"]?https?:|@import|<script|href", text)
