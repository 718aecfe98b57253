"""The section of all trials: a complete table without a script, and controls that wait for one."""

from dataclasses import replace
from html.parser import HTMLParser

from tests.support.sweeps import AXES, sweep_report
from tunecli.results.page.trials import MAX_ROWS, trials_section


class Elements(HTMLParser):
    """The start tags of a text, and the text itself."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, text):
        self.text += text

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_each_trial_has_a_row_that_names_it():
    report = sweep_report(40)
    rows = [row for row in Elements(trials_section(report)).named("tr") if "data-t" in row]
    assert [int(row["data-t"]) for row in rows] == [row.trial.number for row in report.ranked]
    assert all(row["class"] == "t" for row in rows)


def test_a_row_has_as_many_cells_as_there_are_headings():
    elements = Elements(trials_section(sweep_report(40)))
    assert len(elements.named("td")) == 40 * len(elements.named("th"))


def test_a_parameter_of_two_branches_has_one_column():
    paths = [
        th["data-path"] for th in Elements(trials_section(sweep_report(5))).named("th") if "data-path" in th
    ]
    assert paths.count("optimizer.lr") == 1
    assert len(paths) == len(AXES) - 1


def test_the_controls_are_hidden_until_a_script_shows_them():
    elements = Elements(trials_section(sweep_report(5)))
    for attributes in (a for _, a in elements.tags if "script" in a.get("class", "").split()):
        assert "hidden" in attributes
    ids = [a["id"] for _, a in elements.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {"filter", "best", "clear", "count", "lines", "ranking"} <= set(ids)


def test_the_table_of_many_trials_is_cut_and_says_so():
    report = sweep_report(1_000)
    elements = Elements(trials_section(report))
    rows = [int(row["data-t"]) for row in elements.named("tr") if "data-t" in row]
    assert len(rows) == MAX_ROWS
    assert rows[:150] == [row.trial.number for row in report.ranked[:150]]
    assert "300 of 1,000 trials" in elements.text


def test_a_study_of_very_many_parameters_shows_some_and_says_so():
    report = sweep_report(5)
    axes = tuple(replace(AXES[5], name=f"p{n}") for n in range(100))
    section = trials_section(replace(report, axes=axes, positions=dict.fromkeys(range(5), (0.5,) * 100)))
    assert "24 of 100 parameters" in section
    assert "Of 100 parameters the plot has 24, and the filter knows 60." in section


def test_a_study_without_trials_says_so():
    report = replace(sweep_report(1), ranked=(), positions={}, curves={})
    assert "no trial yet" in trials_section(report)


def test_names_and_values_from_users_are_escaped():
    bad = "</table><img src=x onerror=alert(1)>\u202e"
    report = sweep_report(5)
    axis = replace(AXES[4], name=bad, options=(bad, "b", "c"))
    trial = replace(report.ranked[0].trial, parameters={bad: bad})
    report = replace(report, axes=(axis,), ranked=(replace(report.ranked[0], trial=trial),))
    elements = Elements(trials_section(report))
    assert not elements.named("img")
    assert "\u202e" not in elements.text
    assert bad.rstrip("\u202e") in elements.text
