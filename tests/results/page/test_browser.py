"""The page in Chromium: the script filters and marks trials, every figure shows without it, and no name runs code."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files

import pytest

from tests.support.chromium import Chromium
from tests.support.sweeps import AXES, sweep_report
from tunecli.results.page.page import page_of
from tunecli.results.page.script import page_script
from tunecli.results.ranking import rank
from tunecli.results.report import Axis, AxisKind
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial

pytestmark = pytest.mark.slow

N = 120
FILTER = "document.getElementById('filter')"
ON = "[...document.querySelectorAll('.is-on')].map(e => e.dataset.t)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def report():
    return sweep_report(N)


@pytest.fixture(scope="module")
def address(report, tmp_path_factory):
    return written(report, tmp_path_factory.mktemp("page") / "report.html")


def written(report, path, **options):
    path.write_text(page_of(report, **options), "utf-8")
    return path.as_uri()


def filtered(browser, text):
    """Enters a filter, and returns the numbers of the rows that are shown."""
    browser.run(f"{FILTER}.value = {json.dumps(text)}; {FILTER}.dispatchEvent(new Event('input'))")
    browser.settle()
    return rows(browser)


def rows(browser):
    return browser.run("[...document.querySelectorAll('#ranking tbody tr')].map(row => +row.dataset.t)")


def middle(browser, selector):
    """The middle of the first element of a selector, in pixels, scrolled into view."""
    browser.run(
        f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})"
    )
    browser.settle()
    return browser.run(
        f"(box => [box.x + box.width / 2, box.y + box.height / 2])(document.querySelector({selector!r}).getBoundingClientRect())"
    )


def focus(browser):
    return browser.run(
        "(e => e.id || e.dataset.t || e.closest('tr')?.dataset.t || e.textContent)(document.activeElement)"
    )


def test_the_page_has_no_error_asks_for_nothing_and_keeps_its_policy(browser, address):
    for is_dark in (False, True):
        browser.goto(address, dark=is_dark)
        filtered(browser, "sgd lr>0.1")
        browser.click(*middle(browser, "#ranking tbody tr td:first-child"))
        browser.settle()
        assert browser.run("!document.getElementById('panel').hidden")
        assert browser.problems == []
        assert browser.requests == []


def test_a_broken_policy_would_be_noticed(browser, address):
    browser.goto(address)
    browser.run("document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))")
    browser.run("fetch('https://example.com').catch(() => 0)")
    browser.settle()
    assert len(browser.problems) >= 2


def test_without_a_script_everything_is_there_but_the_parallel_coordinates(browser, address):
    visible = "[...document.querySelectorAll('svg.chart')].filter(e => e.checkVisibility()).length"
    browser.goto(address)
    with_script = browser.run(visible)
    browser.goto(address, script=False)
    assert browser.run(visible) == with_script > 15
    assert len(rows(browser)) == N
    shown = "[...document.querySelectorAll({!r})].map(e => e.checkVisibility())"
    assert not any(browser.run(shown.format(".script")))
    assert all(browser.run(shown.format(".no-script")))
    assert browser.problems == []


FILTERS = {
    "sgd": lambda p, t: p["optimizer"] == "sgd",
    "SGD lr>0.1 dropout<0.3": lambda p, t: (
        p["optimizer"] == "sgd" and p["optimizer.lr"] > 0.1 and p["model.dropout"] < 0.3
    ),
    "activation=relu activation=gelu": lambda p, t: p["model.activation"] in ("relu", "gelu"),
    "activation!=relu": lambda p, t: p["model.activation"] != "relu",
    "lr <= 0.01": lambda p, t: p["optimizer.lr"] <= 0.01,
    "optimizer.lr>=0.01 relu": lambda p, t: p["optimizer.lr"] >= 0.01 and p["model.activation"] == "relu",
    '"lr (sgd)">0.1': lambda p, t: p["optimizer"] == "sgd" and p["optimizer.lr"] > 0.1,
    "hidden.0>=64 hidden.0<128": lambda p, t: 64 <= p["model.hidden.0"] < 128,
    "hidden.length=2": lambda p, t: p["model.hidden.length"] == 2,
    "batch_size=64": lambda p, t: p["training.batch_size"] == 64,
    "batch_size>=64": lambda p, t: p["training.batch_size"] >= 64,
    "gamma=inactive": lambda p, t: "loss.gamma" not in p,
    "gamma!=inactive adamw": lambda p, t: "loss.gamma" in p and p["optimizer"] == "adamw",
    "failed": lambda p, t: t.state is State.FAILED,
    "diverged": lambda p, t: t.state is State.FAILED,
    "status=pruned": lambda p, t: t.state is State.PRUNED,
    "val_accuracy>=0.97": lambda p, t: ((t.outcome and t.outcome.score) or 0) >= 0.97,
    "score<0.9": lambda p, t: bool(t.outcome and t.outcome.score) and t.outcome.score < 0.9,
    "trial=17": lambda p, t: t.number == 17,
    "epochs=20": lambda p, t: bool(t.outcome) and t.outcome.epochs == 20,
    "sgd adamw": lambda p, t: False,
    "lr>": lambda p, t: True,
}


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_keeps_the_trials_that_it_describes(browser, address, report, text):
    browser.goto(address)
    count = "document.getElementById('count').textContent"
    assert browser.run(count) == f"{N} trials"
    expected = [row.trial.number for row in report.ranked if FILTERS[text](row.trial.parameters, row.trial)]
    assert filtered(browser, text) == expected[:50]
    assert browser.run(count).startswith(f"{len(expected)} ")
    off = browser.run("[...new Set([...document.querySelectorAll('.is-off')].map(e => +e.dataset.t))]")
    drawn = browser.run("[...new Set([...document.querySelectorAll('svg [data-t]')].map(e => +e.dataset.t))]")
    assert set(off) & set(drawn) == set(drawn) - set(expected)


@pytest.mark.parametrize(
    "text, problem",
    {
        "foo>1": "no parameter is named foo",
        "0>1": "0 can mean",
        "lr>0.1": "",
    }.items(),
)
def test_a_name_that_is_unknown_or_ambiguous_is_told(browser, tmp_path, text, problem):
    axes = (*AXES[:1], replace(AXES[1], name="other.0", label="other.0"), *AXES[2:])
    report = replace(sweep_report(5), axes=(*axes, replace(AXES[1], name="model.0", label="model.0")))
    positions = {number: (*places, 0.5) for number, places in report.positions.items()}
    address = written(replace(report, positions=positions), tmp_path / "names.html")
    browser.goto(address)
    filtered(browser, text)
    told = browser.run("document.getElementById('filter-problem').textContent")
    assert (problem in told) if problem else told == ""


def test_the_slider_keeps_the_best_part_of_the_ranked_trials(browser, address, report):
    browser.goto(address)
    browser.run(
        "(e => { e.value = 10; e.dispatchEvent(new Event('input')); })(document.getElementById('best'))"
    )
    browser.settle()
    n_ranked = sum(row.rank is not None for row in report.ranked)
    assert rows(browser) == [row.trial.number for row in report.ranked[: -(-n_ranked // 10)]]
    browser.click(*middle(browser, "#clear"))
    browser.settle()
    assert browser.run("document.getElementById('count').textContent") == f"{N} trials"


def test_the_pointer_on_a_mark_shows_the_trial_in_every_figure(browser, address):
    browser.goto(address)
    x, y = middle(browser, ".cards circle.t")
    browser.mouse("move", x, y)
    browser.settle()
    marked = browser.run(ON)
    assert len(set(marked)) == 1
    (t,) = set(marked)
    in_figures = browser.run(f"document.querySelectorAll('main [data-t=\"{t}\"]').length")
    assert len(marked) >= 10 and len(marked) >= in_figures - 1
    assert browser.run("document.getElementById('tip').textContent").startswith(f"trial {t}")
    browser.mouse("move", 1, 1)
    browser.settle()
    assert browser.run(ON) == []


def test_the_focus_on_a_row_marks_its_trial_too(browser, address, report):
    browser.goto(address)
    best = report.ranked[0].trial.number
    browser.run("document.querySelector('#ranking tbody button').focus()")
    browser.settle()
    marked = browser.run(ON)
    assert set(marked) == {str(best)} and len(marked) >= 10


def test_the_keyboard_reaches_every_control_and_moves_between_rows(browser, address, report):
    browser.goto(address)
    browser.run(f"{FILTER}.focus()")
    reached = []
    for _ in range(12):
        browser.key("Tab")
        reached.append(focus(browser))
    assert reached[:3] == ["best", "clear", "Help for the filter"]
    assert "rank" in reached and "status" in reached
    browser.run("document.querySelector('#ranking tbody button[tabindex=\"0\"]').focus()")
    numbers = [str(row.trial.number) for row in report.ranked]
    for key, expected in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", 49), ("Home", 0)):
        browser.key(key)
        assert focus(browser) == numbers[expected]
    browser.key("Tab")
    assert focus(browser) == "next"


def test_enter_opens_the_panel_of_a_trial_and_escape_returns_to_its_row(browser, address, report):
    browser.goto(address)
    best = report.ranked[0]
    browser.run("document.querySelector('#ranking tbody button').focus()")
    browser.key("Enter")
    browser.settle()
    assert focus(browser) == "panel"
    text = browser.run("document.getElementById('panel').innerText")
    assert f"Trial {best.trial.number}" in text
    assert str(best.trial.seed) in text
    assert f"tunecli export runs/digits-mlp --trial {best.trial.number} -o trial.yaml" in text
    assert f"tunecli verify runs/digits-mlp --trial {best.trial.number}" in text
    names = browser.run("[...document.querySelectorAll('#panel dt')].map(e => e.textContent)")
    inactive = [
        axis.name for axis, x in zip(AXES, report.positions[best.trial.number], strict=True) if x is None
    ]
    assert inactive and not set(inactive) & set(names)
    assert {axis.name for axis in AXES} - set(inactive) <= set(names)
    assert browser.run("document.querySelectorAll('#panel svg path').length") == 3
    browser.key("Escape")
    assert browser.run("document.getElementById('panel').hidden")
    assert focus(browser) == str(best.trial.number)


def test_a_column_sorts_the_rows_and_those_without_a_value_are_last(browser, address, report):
    browser.goto(address)
    head = 'th[data-path="optimizer.lr"] button'
    browser.run(f"document.querySelector({head!r}).click()")
    by_value = sorted(report.ranked, key=lambda row: row.trial.parameters["optimizer.lr"])
    values = [row.trial.parameters["optimizer.lr"] for row in by_value[:50]]
    of = {row.trial.number: row.trial.parameters["optimizer.lr"] for row in report.ranked}
    assert [of[number] for number in rows(browser)] == pytest.approx(values, rel=1e-3)
    browser.run(f"document.querySelector({head!r}).click()")
    assert of[rows(browser)[0]] == pytest.approx(max(of.values()), rel=1e-3)
    assert browser.run(f"document.querySelector({head!r}).parentNode.ariaSort") == "descending"
    browser.run("document.querySelector('th[data-path=\"loss.gamma\"] button').click()")
    filtered(browser, "rank<=10")
    gammas = ["loss.gamma" in report.ranked[i].trial.parameters for i in range(10)]
    shown = ["loss.gamma" in by_number(report, number).parameters for number in rows(browser)]
    assert shown == sorted(gammas, reverse=True)


def by_number(report, number):
    return next(row.trial for row in report.ranked if row.trial.number == number)


def test_a_drag_along_an_axis_writes_a_test_and_a_click_removes_it(browser, address, report):
    browser.goto(address)
    middle(browser, "#marked")
    box = browser.run(
        "(box => [box.x, box.y, box.width])(document.getElementById('marked').getBoundingClientRect())"
    )
    at_x = box[0] + 46 + 5 * (box[2] - 92) / len(AXES)  # the sixth axis: dropout
    browser.mouse("move", at_x, box[1] + 280)
    browser.mouse("down", at_x, box[1] + 280)
    for y in (260, 220, 163):
        browser.mouse("move", at_x, box[1] + y)
    browser.mouse("up", at_x, box[1] + 163)
    browser.settle()
    assert browser.run(f"{FILTER}.value") == "dropout<=0.25"
    expected = sum(row.trial.parameters["model.dropout"] <= 0.25 for row in report.ranked)
    assert browser.run("document.getElementById('count').textContent") == f"{expected} of {N} trials"
    browser.click(at_x, box[1] + 200)
    browser.settle()
    assert browser.run(f"{FILTER}.value") == ""


def test_every_line_of_the_plot_is_drawn_and_a_filter_removes_some(browser, address):
    browser.goto(address)
    middle(browser, "#marked")
    ink = """(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((sum, v, i) =>
        sum + (i % 4 === 3 && v > 0 ? 1 : 0), 0))(document.getElementById('lines'))"""
    full = browser.run(ink)
    filtered(browser, "sgd lr>0.1")
    assert 1_000 < browser.run(ink) < 0.8 * full


def test_a_page_that_is_read_again_keeps_filter_order_panel_focus_and_place(browser, report, tmp_path):
    address = written(report, tmp_path / "live.html", refresh_s=3600)
    browser.goto(address)
    filtered(browser, "adamw")
    browser.run(
        "(e => { e.value = 50; e.dispatchEvent(new Event('input')); })(document.getElementById('best'))"
    )
    browser.run("document.querySelector('th[data-path=\"model.dropout\"] button').click()")
    browser.settle()
    before = rows(browser)
    browser.run("document.querySelector('#ranking tbody button').click()")
    browser.run(f"{FILTER}.focus({{preventScroll: true}})")
    browser.run("scrollTo({top: 400, behavior: 'instant'})")
    browser.settle()
    written(
        report, tmp_path / "live.html"
    )  # the study has ended: the page is read once more, and no longer live
    browser.load(address)
    browser.settle()
    assert rows(browser) == before
    assert browser.run(f"{FILTER}.value") == "adamw"
    assert browser.run("document.getElementById('best').value") == "50"
    assert browser.run("!document.getElementById('panel').hidden")
    assert focus(browser) == "filter"
    assert browser.run("scrollY") == 400
    browser.load(address)
    assert browser.run(f"{FILTER}.value") == ""


@pytest.mark.parametrize("is_hidden", [False, True], ids=["seen", "hidden"])
def test_a_live_page_is_read_again_while_it_is_seen(browser, tmp_path, is_hidden):
    browser.goto(written(sweep_report(20), tmp_path / "live.html", refresh_s=60))
    other = browser.hide() if is_hidden else ""
    assert browser.run("document.hidden") is is_hidden
    assert browser.pass_time(200) is not is_hidden
    if other:
        browser.show(other)


def test_a_hidden_live_page_is_read_again_when_it_is_seen(browser, tmp_path):
    browser.goto(written(sweep_report(20), tmp_path / "live.html", refresh_s=3600))
    filtered(browser, "sgd")
    begun = browser.run("performance.timeOrigin")
    browser.show(browser.hide())
    browser.wait_for("Page.frameStartedNavigating")
    browser.wait_for("Page.loadEventFired")
    assert browser.run("performance.timeOrigin") > begun
    assert browser.run(f"{FILTER}.value") == "sgd"


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_no_rule_of_accessibility_is_broken(browser, report, tmp_path, is_dark, has_script):
    page = page_of(report)
    if not has_script:
        page = re.sub("<script.*?</script>", "", page, flags=re.DOTALL)
    (tmp_path / "page.html").write_text(page, "utf-8")
    browser.goto((tmp_path / "page.html").as_uri(), dark=is_dark)
    if has_script:
        filtered(browser, "foo>1")
        browser.run("document.querySelector('#ranking tbody button').click()")
    browser.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    browser.settle()
    browser.run(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8") + "; 1")
    told = browser.run(
        "axe.run().then(told => [told.passes.length, told.violations.map(v =>"
        " [v.impact, v.id, v.nodes.slice(0, 4).map(n => n.html)])])"
    )
    n_passed, found = told
    assert n_passed > 20
    assert not found, json.dumps(found, indent=1)


HOSTILE = (
    "</script><script>window.injected=1</script>",
    "<img src=x onerror=window.injected=1>",
    '"><svg onload=window.injected=1>',
    "'-alert(1)-'",
    "\u202eevil\u2066\u2069",
    "nul\x00byte",
    "lone\ud800surrogate",
    "<!--<script>",
    "x" * 10_240,
    "javascript:window.injected=1",
    "&lt;b&gt;&#0;",
    "line\nbreak\u2028\u2029",
)


def hostile_report(text):
    """A study with one text wherever a user's text can be."""
    axes = (
        Axis(text, text, AxisKind.OPTIONS, 0, 1, text, options=(text, "b")),
        Axis(f"p.{text}", text, AxisKind.NUMBER, 0.0, 1.0),
    )
    trials = [
        Trial(
            n,
            {text: text, f"p.{text}": n / 9},
            n,
            State.COMPLETE,
            Outcome(State.COMPLETE, n / 9, {text: 1.0}, 3, 3, 1.0, text),
        )
        for n in range(9)
    ]
    failure = Failure(FailureKind.ERROR, text, text)
    trials.append(Trial(9, {text: text}, 9, State.FAILED, Outcome(State.FAILED, failure=failure)))
    report = sweep_report(
        3, name=text, path=f"runs/{text}", config=text, versions={text: text}, mixtures=(text,)
    )
    objective = replace(report.objective, metric=text)
    positions = {n: (float(n % 2), n / 9) for n in range(9)} | {9: (0.0, None)}
    ranked = tuple(rank(trials, objective))
    return replace(
        report,
        objective=objective,
        ranked=ranked,
        axes=axes,
        positions=positions,
        failures=(text,),
        curves={},
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_of_a_user_becomes_an_element_or_runs(browser, tmp_path, text):
    browser.goto(written(hostile_report(text), tmp_path / "hostile.html"))
    filtered(browser, text)
    filtered(browser, "rank<=3")
    browser.click(*middle(browser, "#ranking tbody tr td:first-child"))
    browser.mouse("move", *middle(browser, "svg .t"))
    browser.settle()
    assert browser.run("window.injected") is None
    assert browser.run("document.querySelectorAll('img, iframe, object, embed').length") == 0
    assert browser.run("document.scripts.length") == 2
    handlers = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length"
    assert browser.run(handlers) == 0
    assert (
        browser.run(
            "[...document.querySelectorAll('a')].filter(a => !a.getAttribute('href').startsWith('#')).length"
        )
        == 0
    )
    assert browser.problems == []
    assert browser.requests == []


def scored(scores):
    report = sweep_report(1)
    trials = [
        Trial(n, {}, n, State.COMPLETE, Outcome(State.COMPLETE, score, epochs=1))
        for n, score in enumerate(scores)
    ]
    return replace(report, ranked=tuple(rank(trials, report.objective)), axes=(), positions={}, curves={})


@pytest.mark.parametrize(
    "report",
    [
        scored([]),
        scored([0.5]),
        scored([0.3] * 5),
        scored([float("nan"), float("inf"), -float("inf"), 0.5, -1e300, 1e300]),
        scored([0.5 + n * 1e-12 for n in range(5)]),
        sweep_report(1),
    ],
    ids=[
        "no trial",
        "one trial",
        "equal scores",
        "no numbers",
        "nearly equal scores",
        "only a running trial",
    ],
)
def test_studies_at_the_edge_have_a_page_without_an_error(browser, tmp_path, report):
    browser.goto(written(report, tmp_path / "edge.html"))
    if report.ranked:
        browser.run("document.querySelector('#ranking tbody tr').click()")
        filtered(browser, "score>0.1")
    browser.settle()
    assert browser.problems == []


def test_ten_thousand_trials_are_filtered_and_only_some_are_rows(browser, tmp_path):
    report = sweep_report(10_000)
    browser.goto(written(report, tmp_path / "large.html"))
    assert len(rows(browser)) == 50
    n = sum(
        row.trial.parameters["optimizer"] == "sgd" and row.trial.parameters["optimizer.lr"] > 0.1
        for row in report.ranked
    )
    filtered(browser, "sgd lr>0.1")
    assert browser.run("document.getElementById('count').textContent") == f"{n:,} of 10,000 trials"
    browser.click(*middle(browser, "#next"))
    assert browser.run("document.getElementById('page-text').textContent") == f"rows 51 to 100 of {n:,}"
    assert browser.problems == []


def test_the_script_neither_evaluates_text_nor_writes_markup_nor_asks_a_server():
    for word in (
        "eval(",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "fetch(",
        "XMLHttpRequest",
        "import(",
    ):
        assert word not in page_script()
    assert 'setAttribute("style"' not in page_script()
