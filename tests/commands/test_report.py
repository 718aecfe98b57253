"""`report` reads a study's record once, and shows it as text and as JSON data."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.results.page.documents import read
from tests.study.sweeps import run_whole
from tests.support.reports import make_trial, number_axis, options_axis, report_of, text_of
from tests.verbs import called
from tunecli.commands.report import report, report_view
from tunecli.commands.report_data import plain
from tunecli.commands.report_record import least_step
from tunecli.commands.report_text import bar, chapters_of, loss_bars
from tunecli.config.study import SamplerChoice
from tunecli.effects import Effects, ParameterEffect, Reliability, Share
from tunecli.objective import Objective
from tunecli.results.advice import findings
from tunecli.results.confirmed import Candidate, Confirmed, Interval, Quote
from tunecli.results.page.page import page_of
from tunecli.results.report import AxisKind
from tunecli.store.folder import RunFolder
from tunecli.trial import EarlierStudy, State

ACCURACY = Objective("val_accuracy", maximize=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The report of the small study, and its run folder."""
    from tests.study.conftest import STUDY

    folder = tmp_path_factory.mktemp("small")
    (folder / "small.yaml").write_text(STUDY)
    run_whole(folder / "small.yaml", folder / "run")
    return report(RunFolder.open_existing(folder / "run")), folder / "run"


def test_the_facts_are_those_of_the_record(small):
    found, folder = small
    facts = found.facts
    assert (facts.name, facts.path, facts.sampler, facts.seed) == ("small", str(folder), "random", 3)
    assert (facts.phase, facts.n_planned, facts.counts[State.COMPLETE]) == ("finished", 6, 6)
    assert facts.config == (folder / "config.yaml").read_text()
    assert facts.n_initial == 6
    assert "tunecli" in facts.versions
    assert not facts.is_own_code
    assert not facts.is_folded


def test_every_trial_is_ranked_and_has_its_positions_on_the_axes(small):
    found, _ = small
    assert [row.rank for row in found.ranked] == [1, 2, 3, 4, 5, 6]
    names = [axis.name for axis in found.axes]
    assert names == ["optimizer", "optimizer.lr (sgd)", "optimizer.lr (adamw)", "training.batch_size"]
    sgd, adamw = found.axes[1:3]
    assert (sgd.label, sgd.condition, sgd.is_log) == ("lr (sgd)", "optimizer = sgd", True)
    assert (sgd.least, sgd.greatest) == (0.0, None)
    assert adamw.default == 0.01
    assert found.axes[0].kind is AxisKind.OPTIONS
    assert found.axes[3].options == ("16", "32")
    for trial in found.trials:
        optimizer, of_sgd, of_adamw, _ = found.positions[trial.number]
        assert (of_sgd is None, of_adamw is None) == ((True, False) if optimizer else (False, True))
        position, axis = (of_adamw, adamw) if optimizer else (of_sgd, sgd)
        value = trial.parameters["optimizer.lr"]
        assert position == pytest.approx(math.log(value / axis.low) / math.log(axis.high / axis.low))


def test_each_trial_has_its_curve_with_the_kept_epoch(small):
    found, _ = small
    assert set(found.curves) == set(range(6))
    for number, curve in found.curves.items():
        assert curve.epochs == (1, 2, 3, 4)
        assert curve.kept_epoch == 4
        trial = found.trials[number]
        assert curve.scores[-1] == trial.outcome.score
        assert curve.valid_losses[-1] == trial.outcome.metrics["val_loss"]
        assert len(curve.train_losses) == 4


def test_the_sizes_of_the_parts_are_known_before_a_confirmation_and_an_accuracy_moves_by_one_example(small):
    found, _ = small
    assert (found.facts.n_train, found.facts.n_valid, found.facts.n_test) == (120, 30, 0)
    assert found.step == 1 / 30
    rules = {finding.rule: finding for finding in found.findings}
    assert "30 examples" in rules["few-validation-examples"].evidence


def test_the_step_of_any_other_metric_is_the_smallest_gap_between_two_scores():
    trials = [make_trial(number, score) for number, score in enumerate([0.5, 0.125, 0.375, 0.5])]
    facts = replace(report_of(trials).facts, n_valid=30)
    assert least_step(trials, Objective("val_loss", maximize=False), facts) == 0.125
    assert least_step(trials[:1], Objective("val_loss", maximize=False), facts) is None


def test_the_text_names_the_best_trial_and_the_command_that_confirms_it(small):
    found, folder = small
    text = text_of(found)
    assert text.startswith("small\nfinished, 6 of 6 trials · val_accuracy, higher is better")
    assert f"(trial {found.best.number}, the best of 6)" in text
    assert f"not yet: tunecli confirm {folder}" in text
    assert "Which parameters matter\nnot known" in text


def test_the_verb_prints_text_or_one_json_document(small, capsys, monkeypatch):
    found, folder = small
    code, out, err = called("report", folder, capture=capsys, monkeypatch=monkeypatch)
    assert (code, err) == (0, "")
    assert out.endswith(f"page  {folder / 'report.html'}\n")
    assert "best score" in out
    code, out, err = called("report", folder, "--json", capture=capsys, monkeypatch=monkeypatch)
    document = json.loads(out)
    assert (code, document["schema_version"], document["kind"]) == (0, 1, "report")
    assert document["best"] == {"trial": found.best.number, "score": found.best.outcome.score}
    assert [row["trial"] for row in document["trials"]] == [row.trial.number for row in found.ranked]
    assert len(document["axes"]) == 4
    assert document["curves"]["0"]["epochs"] == [1, 2, 3, 4]


CHOSEN = SamplerChoice("bayes", "a model of the results needs the fewest trials for a good point")
OLD = EarlierStudy("runs/old", ({"rate": 0.1}, {"rate": 0.2}), (1.0, 2.0), n_complete=3, n_fitting=2)


def test_text_json_and_page_say_how_the_search_was_set_up():
    rate = number_axis("optimizer.rate", 0, 1, usually="0.1 to 0.3", prior={"as": "optimizer.lr"})
    kind = options_axis("kind", "a", "b", usually="a, b")
    axes = (rate, number_axis("x", 0, 1), kind)
    found = report_of([make_trial(0, 0.5)], axes, sampler_choice=CHOSEN, earlier=(OLD,))
    text, data, page = text_of(found), report_view(found).data, read(page_of(found)).text
    assert "How the search went\nsampler: auto  bayes, because a model of the results needs" in text
    for part in (
        "usual values: rate 0.1 to 0.3; kind a, b",
        "2 of 3 complete trials of runs/old fit this space",
    ):
        assert part in text
        assert part in page
    assert "auto: bayes, because a model of the results needs" in page
    assert data["facts"]["sampler_choice"]["sampler"] == "bayes"
    assert [axis["prior"] for axis in data["axes"]] == [{"as": "optimizer.lr"}, None, None]
    assert [study["used_trials"] for study in data["learns_from"]] == [2]


def test_a_report_of_a_plain_search_names_no_setup_and_one_without_priors_says_so():
    plain_search = report_of([make_trial(0, 0.5)], [number_axis("x", 0, 1)])
    assert "How the search went" not in text_of(plain_search)
    page = page_of(plain_search)
    assert all(f"<dt>{name}</dt><dd>none</dd>" in page for name in ("Priors", "Earlier studies"))
    assert "learns_from" not in report_view(plain_search).data
    assert "priors  off" in text_of(report_of([make_trial(0, 0.5)], has_priors=False))
    many = report_of([make_trial(0, 0.5)], [number_axis(f"p{n}", 0, 1, usually="0") for n in range(15)])
    assert "p11 0; and 3 more" in text_of(many)


def test_the_same_record_gives_the_same_report(small):
    found, folder = small
    assert report_view(report(RunFolder.open_existing(folder))) == report_view(found)


def test_a_report_of_every_kind_of_number_is_valid_json():
    scores = [1e300, -1e300, 1e-12, math.nan, math.inf, -math.inf, None]
    found = report_of([make_trial(n, score) for n, score in enumerate(scores)])
    document = json.dumps(report_view(found).data, allow_nan=False)
    assert json.loads(document)["trials"]
    assert plain({1: (math.nan, State.FAILED)}) == {"1": [None, "failed"]}
    with pytest.raises(TypeError):
        plain(object())


CONFIRMED = Confirmed(
    1,
    3,
    False,
    32,
    (
        Candidate(4, 0.986, (0.98, 0.976, 0.981), Interval(0.979, 0.975, 0.983), True, seconds=1.7),
        Candidate(0, 0.972, (0.97, math.nan, 0.971), Interval(0.9705, 0.96, 0.98), False, is_first=True),
    ),
    Quote(4, (0.98, 0.982, 0.984), Interval(0.982, 0.978, 0.986), Interval(0.97, 0.965, 0.994), n_valid=359,
          validation=Interval(0.98, 0.965, 0.99), tested={"test_accuracy": Interval(0.97, 0.96, 0.98)}),
    seed_deviation=0.0045,
)  # fmt: skip


def test_the_text_judges_no_candidate_while_fresh_runs_are_missing():
    trials = [make_trial(0, 0.972), make_trial(4, 0.986)]
    begun = [replace(one, scores=one.scores[:2]) for one in CONFIRMED.candidates]
    missing = replace(CONFIRMED, candidates=tuple(begun), quote=None, n_missing=2)
    text = text_of(report_of(trials, objective=ACCURACY, confirmed=missing))
    assert "confirmation  not complete, 2 fresh runs to do" in text
    assert "cannot be distinguished" not in text


def test_the_text_quotes_the_confirmed_score_with_its_interval_and_its_runs():
    found = report_of(
        [make_trial(0, 0.972), make_trial(4, 0.986)], objective=ACCURACY, confirmed=CONFIRMED, n_valid=359
    )
    text = text_of(found)
    assert "confirmed score  0.9820 ± 0.0040 (trial 4, 3 fresh runs after the choice, 95 %)" in text
    assert "one more training  0.965 to 0.994 (95 %)" in text
    assert "on new data  0.965 to 0.99 (95 %, from 359 validation examples)" in text
    assert "test_accuracy  0.970 ± 0.010 (the test data)" in text
    assert "the best  trial 4 is better than the others (95 %)" in text
    assert "noise of the score  0.0045 (standard deviation over seeds, 1.6 of 359 examples)" in text
    [chapter] = [chapter for chapter in chapters_of(found) if chapter.section]
    assert chapter.section.rows[0] == ("4", "0.986", "0.979", "0.975", "0.983", "3", "yes", "1.7")
    assert chapter.section.rows[1][0] == "0 (first)"
    assert chapter.section.rows[1][5:7] == ("2 of 3", "no")


def effects(reliability, *shares, **changes):
    parameters = tuple(
        ParameterEffect(f"p{n}", 30, share is not None, *[Share(share or 0, 0.0, 0.5)] * 2)
        for n, share in enumerate(shares)
    )
    return Effects(reliability, 0.9, 30, parameters=parameters, **changes)


def test_bars_show_the_shares_of_known_parameters_and_unknown_ones_are_no_zeros():
    axes = [number_axis(f"p{n}", 0, 1) for n in range(3)]
    trials = [make_trial(n, float(n)) for n in range(3)]
    found = report_of(trials, axes, effects=effects(Reliability.RELIABLE, 0.1, 0.6, None))
    text = text_of(found)
    assert (
        "Which parameters matter (share of the score's variance: the model explains 90 % of the variance of scores that it has not seen)"
        in text
    )
    assert text.index(f"p1  {'█' * 12:20}   60 %") < text.index(f"p0  {'█' * 2:20}   10 %")
    assert "unknown  p2: too few trials have it" in text
    provisional = report_of(trials, axes, effects=effects(Reliability.PROVISIONAL, 0.1, 0.6, 0.2))
    assert "provisional, the order may be wrong" in text_of(provisional)
    unknown = Effects(Reliability.UNKNOWN, reason="the model explains too little", n_missing=28)
    assert (
        "Which parameters matter\nnot known: the model explains too little; about 28 more trials can show it"
        in text_of(report_of(trials, axes, effects=unknown))
    )
    advised = report_of(trials, axes, effects=unknown)
    text = text_of(replace(advised, findings=findings(advised)[0]))
    assert "Which parameters matter\nnot known: the model explains too little\n" in text + "\n"
    assert text.count("complete trials. From then on") == 1, (
        "the advice alone says how many trials are missing"
    )


def test_a_bar_is_as_long_as_its_share():
    assert bar(0.0).strip() == ""
    assert bar(1.0) == "█" * 20
    assert bar(2.0) == "█" * 20
    assert bar(0.5).rstrip() == "█" * 10
    assert {len(bar(share / 97)) for share in range(98)} == {20}


def test_a_confirmation_with_missing_trainings_shows_no_set_and_the_command_that_continues_it():
    unfinished = replace(CONFIRMED, n_repeats=9, n_missing=7, options=" --top 2", quote=None)
    found = report_of([make_trial(0, 0.972), make_trial(4, 0.986)], objective=ACCURACY, confirmed=unfinished)
    text = text_of(found)
    assert (
        f"confirmation  not complete, 7 fresh runs to do: tunecli confirm {found.facts.path} --top 2" in text
    )
    assert "cannot be distinguished" not in text
    [chapter] = [chapter for chapter in chapters_of(found) if chapter.section]
    assert {row[6] for row in chapter.section.rows} == {"—"}


def test_a_bar_is_higher_for_a_lower_loss_and_finite_for_any_losses():
    assert loss_bars([3.0, 2.0, 1.0])[-1] == "█"
    assert loss_bars([1.0, 1.0]) == "██"
    assert len(loss_bars([1e300, -1e300, 0.0])) == 3
    assert len(loss_bars(list(map(float, range(1000))))) == 40


@pytest.mark.slow
def test_the_benchmark_of_reports_measures_a_small_study():
    command = [sys.executable, "-m", "tests.benchmarks.reports", "--trials", "25"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True)
    figures = done.stdout.splitlines()[1].split()
    assert figures[0] == "25"
    assert all(float(figure) >= 0 for figure in figures)
