"""The page of several studies: scores on one axis where the metric is one, budgets, and the searches side by side."""

from dataclasses import replace

import pytest

from tests.results.page.documents import read
from tests.support.reports import ACCURACY, LOSS, make_confirmed, make_report
from tests.support.sweeps import sweep_report
from tunecli.results.confirmed import Interval
from tunecli.results.page.comparison import comparison_page


def named(name, scores, objective=ACCURACY, **changes):
    return make_report(scores, objective=objective, name=name, path=f"runs/{name}", **changes)


def test_each_study_has_its_best_and_its_confirmed_score():
    one = named("narrow", [0.8, 0.9], confirmed=make_confirmed({1: Interval(0.85, 0.84, 0.86)}, [1]))
    tree = read(comparison_page([one, named("wide", [0.7, 0.95, None])]))
    rows = {row.children[0].text: [cell.text for cell in row.children] for row in tree.all("tr")}
    assert rows["narrow"][3:5] == ["0.9", "0.850 ± 0.010"]
    assert rows["wide"][2:5] == ["3 trials: 2 complete, 1 failed", "0.95", "—"]
    assert "Compare confirmed scores." in tree.text
    cards = list(tree.all("article"))
    assert [len([one for one in card.all("svg") if "lines" in one.classes]) for card in cards] == [1, 1]


def test_scores_of_different_metrics_never_share_an_axis():
    tree = read(comparison_page([named("a", [0.8]), named("b", [0.3], LOSS), named("c", [0.9])]))
    captions = [caption.text for caption in tree.all("figcaption")]
    assert captions == ["val_accuracy, higher is better.", "val_loss, lower is better."]
    assert "different goals" in tree.text


def test_all_searches_of_one_metric_share_their_axes():
    tree = read(
        comparison_page(
            [named("short", [0.8, 0.9]), named("long", [0.5 + place / 100 for place in range(40)])]
        )
    )
    cards = list(tree.all("article"))
    labels = [[text.text for text in card.all("text")] for card in cards]
    assert labels[0] == labels[1]
    dots = [[circle.attributes["cx"] for circle in card.all("circle")] for card in cards]
    assert len(dots[0]) == 2 and len(dots[1]) == 40 and set(dots[0]) < set(dots[1])


def test_studies_of_one_name_have_their_paths():
    reports = [
        replace(report, facts=replace(report.facts, path=path))
        for path in ("a/x", "b/x")
        for report in [named("x", [0.5])]
    ]
    text = read(comparison_page(reports)).text
    assert "a/x" in text and "b/x" in text


def test_studies_without_a_score_and_hostile_names_have_a_page():
    tree = read(comparison_page([named("</script><img src=x onerror=a>", [None]), named("empty", [])]))
    assert not {"img"} & {element.tag for element in tree.all()}
    assert "No study has a score of val_accuracy." in tree.text


def test_many_large_studies_have_a_small_page():
    reports = [sweep_report(200, seed, name=f"study{seed}") for seed in range(20)]
    assert len(comparison_page(reports).encode()) < 400_000


def test_a_comparison_needs_a_study():
    with pytest.raises(ValueError, match="no report"):
        comparison_page([])


def with_hashes(**hashes):
    report = make_report([0.5, 0.4])
    return replace(report, facts=replace(report.facts, hashes=hashes))


@pytest.mark.parametrize(
    ("others", "is_said"),
    [
        ({"train": "a", "valid": "b"}, True),
        ({"train": "a", "valid": "a"}, False),
        ({"train": "a", "test": "c"}, False),
    ],
)
def test_a_file_that_differs_is_said_even_if_two_files_of_a_study_are_alike(others, is_said):
    text = read(comparison_page([with_hashes(train="a", valid="a"), with_hashes(**others)])).text
    assert ("A file of data or code differs" in text) is is_said
