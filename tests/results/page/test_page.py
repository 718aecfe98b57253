"""The whole page: its structure, its policy, its determinism, and strings from users in it."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.results.page.documents import read
from tests.support.reports import (
    ACCURACY,
    make_confirmed,
    make_curve,
    make_effect,
    make_effects,
    make_report,
    make_trial,
    number_axis,
    options_axis,
    report_of,
)
from tests.support.sweeps import sweep_report
from tunecli.effects import ProfilePoint
from tunecli.results.confirmed import Interval
from tunecli.results.page.page import hash_of, page_of, page_style
from tunecli.results.report import Curve, Finding, Severity
from tunecli.trial import Failure, FailureKind, State

AXES = (number_axis("optimizer.lr", 1e-4, 1.0, is_log=True), options_axis("model.activation", "relu", "tanh"))


def whole_report(**changes):
    scores = [0.9, 0.95, 0.97, None, 0.93, 0.96]
    points = [
        {"optimizer.lr": 10.0 ** (-place / 2), "model.activation": "relu" if place % 2 else "tanh"}
        for place in range(len(scores))
    ]
    made = {
        "effects": make_effects(*(make_effect(axis.name, 0.4) for axis in AXES)),
        "confirmed": make_confirmed(
            {2: Interval(0.96, 0.95, 0.97), 0: Interval(0.90, 0.89, 0.91)}, in_set=[2]
        ),
        "findings": (
            Finding(
                "noise",
                Severity.MISLEADING,
                "Luck decides.",
                "Two scores are equal.",
                "tunecli confirm",
                trials=(2, 5),
            ),
        ),
        "curves": {
            number: make_curve([0.5, 0.8, 0.9], [1, 0.5, 0.3], [1, 0.6, 0.5]) for number in (0, 1, 2, 4, 5)
        },
        **changes,
    }
    return make_report(scores, points, AXES, ACCURACY, **made)


@pytest.fixture(scope="module")
def page():
    return page_of(whole_report())


@pytest.fixture(scope="module")
def tree(page):
    return read(page)


def test_a_command_of_the_page_names_the_run_folder_as_one_word():
    report = make_report([0.5, 0.4])
    page = read(page_of(replace(report, facts=replace(report.facts, path="my runs/a;b")))).text
    assert page.count("tunecli confirm 'my runs/a;b'") == 2 and "confirm my runs" not in page


def test_headings_follow_each_other_without_a_gap(tree):
    levels = [int(element.tag[1]) for element in tree.all() if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_sections_have_the_order_of_the_questions(tree):
    titles = [element.text for element in tree.all("h2")]
    assert titles == [
        "In short",
        "What to do next",
        "Is the best trial really the best?",
        "How the search went",
        "Which parameters matter",
        "Each parameter",
        "Learning curves",
        "Failures",
        "All trials",
        "How this was computed",
    ]


def test_every_link_and_every_label_names_an_element_that_exists_once(tree):
    ids = [element.attributes["id"] for element in tree.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in tree.all():
        named = " ".join(
            element.attributes.get(f"aria-{word}", "") for word in ("labelledby", "describedby")
        ).split()
        if element.attributes.get("href", "").startswith("#"):
            named.append(element.attributes["href"][1:])
        assert set(named) <= set(ids), element


def test_every_figure_has_a_role_a_title_and_a_description(tree):
    figures = [element for element in tree.all("svg") if "chart" in element.classes]
    assert len(figures) >= 7
    for figure in figures:
        assert figure.attributes["role"] == "img"
        kinds = {child.tag: child for child in figure.children}
        assert kinds["title"].text.strip() and kinds["desc"].text.strip()


def test_the_page_has_landmarks_and_a_skip_link(tree):
    assert [len(list(tree.all(name))) for name in ("main", "header", "footer")] == [1, 1, 1]
    body = next(tree.all("body"))
    assert body.children[0].tag == "a" and body.children[0].attributes["href"] == "#content"
    assert next(tree.all("html")).attributes["lang"] == "en"


def test_the_policy_allows_the_style_of_the_page_and_nothing_from_elsewhere(page, tree):
    policy = next(
        element.attributes["content"]
        for element in tree.all("meta")
        if element.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (
        rules["default-src"] == "'none'"
        and rules["base-uri"] == "'none'"
        and rules["form-action"] == "'none'"
    )
    (style,) = tree.all("style")
    assert rules["style-src"] == f"'{hash_of(style.text)}'" and style.text == page_style()
    scripts = [
        element.text for element in tree.all("script") if element.attributes.get("type") != "application/json"
    ]
    assert rules["script-src"] == (f"'{hash_of(scripts[0])}'" if scripts else "'none'")


def test_no_element_has_a_style_a_handler_or_an_address_elsewhere(tree):
    for element in tree.all():
        assert not [name for name in element.attributes if name == "style" or name.startswith("on")]
        for name in ("href", "src", "action", "data", "srcset"):
            assert element.attributes.get(name, "#").startswith(("#", "data:,")), element
    assert "url(" not in page_style() and "@import" not in page_style()


def test_the_same_report_gives_the_same_bytes_in_another_process(page):
    program = "import hashlib; from tests.results.page.test_page import *; print(hashlib.sha256(page_of(whole_report()).encode()).hexdigest())"
    import hashlib

    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(page.encode()).hexdigest()


def test_every_trial_has_a_mark_and_a_row(tree):
    marked = {
        element.attributes["data-t"]
        for element in tree.all()
        if element.tag in ("circle", "svg", "path") and "data-t" in element.attributes
    }
    rows = {element.attributes["data-t"] for element in tree.all("tr") if "data-t" in element.attributes}
    assert marked == rows == {str(number) for number in range(6)}
    assert all("t" in element.classes for element in tree.all() if "data-t" in element.attributes)


def test_a_live_page_asks_to_be_read_again_and_says_how_far_the_study_is():
    page = page_of(whole_report(phase="running", n_planned=60), refresh_s=30)
    assert '<meta http-equiv="refresh" content="30"/>' in page
    assert "running, 6 of 60 trials ended" in page
    assert "refresh" not in page_of(whole_report()).replace(page_style(), "").split("<body>")[0]


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style><b>bold</b>",
    "\u202eevil\u202c",
    "nul\x00byte\x1b[31m",
    "lone \udc80 surrogate \ud800",
    "\"'><svg onload=alert(1)>",
    "&lt;b&gt; &#60;",
    "x" * 10_240,
    "line\nbreak\ttab\r\n",
    "]]> --> <!-- {{ }} ${env:HOME}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_strings_of_the_study_never_become_markup(text):
    axes = (
        replace(number_axis("lr", 0.1, 1.0), name=text, label=text, condition=text),
        options_axis("choice", text, text + "2", default=text),
    )
    failure = Failure(FailureKind.ERROR, text, text)
    trials = [
        make_trial(0, 0.5, {text: 0.2, "choice": text}),
        make_trial(1, 0.6, {text: 0.4, "choice": text + "2"}, device=text),
        make_trial(2, None, {text: 0.9, "choice": text}, failure=failure),
        make_trial(3, None, {text: 0.9, "choice": text}, failure=failure),
    ]
    objective = replace(ACCURACY, metric=text)
    report = report_of(
        trials,
        axes,
        objective,
        name=text,
        path=text,
        config=f"study: {text}\nseed: 1\n",
        sampler=text,
        pruner=text,
        versions={text: text},
        hashes={text: text},
        mixtures=(text,),
        effects=make_effects(make_effect(text, 0.5), make_effect("choice", 0.5)),
        findings=(Finding(text, Severity.NOTE, text, text, text, text, (0,)),),
        confirmed=replace(make_confirmed({1: Interval(0.6, 0.5, 0.7)}, [1])),
        curves={0: make_curve([0.1, 0.5])},
        failures=(text,),
    )
    plain = report_of(
        [make_trial(0, 0.5), make_trial(1, 0.6)],
        (),
        ACCURACY,
        findings=(Finding("a", Severity.NOTE, "a", "a"),),
    )
    page = page_of(report)
    tree = read(page)
    page.encode("utf-8")
    assert not {"img", "b", "iframe", "object"} & {element.tag for element in tree.all()}
    assert len(list(tree.all("style"))) == 1
    assert len(list(tree.all("script"))) == len(list(read(page_of(plain)).all("script")))
    assert not [name for element in tree.all() for name in element.attributes if name.startswith("on")]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\x7f\ud800-\udfff]", page)
    assert len(page) < 300_000
    (island,) = (
        element for element in tree.all("script") if element.attributes.get("type") == "application/json"
    )
    assert json.loads(island.text)["metric"] is not None and "<" not in island.text


def test_secrets_stay_as_the_file_names_them(monkeypatch):
    monkeypatch.setenv("TOKEN_FOR_TEST", "s3cr3t")
    page = page_of(whole_report(config="run:\n  env: {TOKEN: '${env:TOKEN_FOR_TEST}'}\n"))
    assert "${env:TOKEN_FOR_TEST}" in page and "s3cr3t" not in page


def test_a_study_of_32_trials_and_15_parameters_has_a_small_page():
    assert len(page_of(sweep_report(32)).encode()) < 200_000


@pytest.mark.slow
def test_a_study_of_10_000_trials_60_parameters_and_1_000_epochs_has_a_page_of_at_most_1_500_kilobytes():
    report, draws = sweep_report(10_000), np.random.default_rng(0)
    axes = tuple(number_axis(f"model.part.parameter_{place}", 0.0, 1.0) for place in range(60))
    units = {trial.number: draws.random(60).tolist() for trial in report.trials}
    ranked = tuple(
        replace(
            row,
            trial=replace(
                row.trial,
                parameters={
                    axis.name: unit for axis, unit in zip(axes, units[row.trial.number], strict=True)
                },
            ),
        )
        for row in report.ranked
    )
    curves = {
        number: Curve(tuple(range(1, 1001)), *(tuple(draws.random(1000).tolist()) for _ in range(3)), 1000)
        for number in report.curves
    }
    profile = tuple(ProfilePoint(place / 23, float(draws.random()), 0.0123456) for place in range(24))
    effects = make_effects(
        *(
            make_effect(axis.name, 0.02, profile=profile if place < 24 else ())
            for place, axis in enumerate(axes)
        )
    )
    positions = {number: tuple(row) for number, row in units.items()}
    wide = replace(report, axes=axes, positions=positions, ranked=ranked, curves=curves, effects=effects)
    assert len(page_of(wide).encode()) < 1_500_000


@pytest.mark.parametrize("phase", ["empty", "running"])
def test_a_study_without_a_trial_has_a_page(phase):
    tree = read(page_of(make_report([], phase=phase, n_planned=10)))
    assert "No trial has ended." in tree.text
    assert "no trial has begun" in tree.text


def test_a_study_whose_trials_all_failed_says_why():
    tree = read(
        page_of(make_report([None] * 5, [{"optimizer.lr": 0.1, "model.activation": "relu"}] * 5, AXES))
    )
    assert "No trial has succeeded." in tree.text
    assert "5 trials of 5 failed: 5 diverged." in tree.text


def test_one_trial_has_a_page_with_its_curve():
    report = make_report(
        [0.5], [{"optimizer.lr": 0.1, "model.activation": "relu"}], AXES, curves={0: make_curve([0.4, 0.5])}
    )
    tree = read(page_of(report))
    assert [element for element in tree.all("path") if {"curve", "best"} <= element.classes]


def test_waiting_and_running_trials_are_no_marks():
    trials = [make_trial(0, 0.5), replace(make_trial(1, 0.6), state=State.RUNNING, outcome=None)]
    tree = read(page_of(report_of(trials, phase="running", n_planned=4)))
    marked = {
        element.attributes["data-t"]
        for element in tree.all()
        if element.tag in ("circle", "svg") and "data-t" in element.attributes
    }
    assert marked == {"0"}
