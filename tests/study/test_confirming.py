"""Fresh runs of a study's trials: which are decided on, what they leave unchanged, and what they show."""

from __future__ import annotations

import json
import math
import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.study.conftest import STUDY
from tests.study.folder_content import folder_of
from tests.study.sweeps import Silent, run_whole
from tunecli.commands.confirm import Confirmation, confirm
from tunecli.commands.confirm_view import confirm_view
from tunecli.errors import Interrupted, NoTrialSucceeded, StudyLocked, UsageError
from tunecli.seeding import seed_for
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.study.record.candidates import Request
from tunecli.study.record.confirmation import confirmed_of_study, fresh_runs, recorded_confirmations
from tunecli.study.record.lifecycle import Study, open_to_read, reopen
from tunecli.study.runner.waiting_jobs import WaitingJobs
from tunecli.study.sweep import sweep
from tunecli.trial import FreshRun, Stage

TWO_OPTIMIZERS = (
    STUDY.replace("trials: 6", "trials: 4")
    .replace("epochs: 4", "epochs: 1")
    .replace("engine: inline", "engine: inline, report: off")
    .replace("[1e-3, 1.0]}", "[1e-5, 1.0], default: 1e-5}")  # the first trial is the worst
)
SWEPT: dict[str, Path] = {}
"""The run folders of studies that were run before, by their file."""
CONFIRM = Request(n_top=2, n_repeats=3)

OWN = """\
study: own
seed: 5
objective: {metric: score, direction: maximize}
trial: {python: "mine:train", params: {x: {uniform: [0.0, 1.0]}}}
search: {sampler: random, trials: 4}
run: {device: cpu, workers: 1, isolate: off, engine: inline, report: off}
"""


@pytest.fixture
def swept(study_file, tmp_path, tmp_path_factory):
    """Run a study's file to its end; a copy of its run folder."""

    def run(text: str = TWO_OPTIMIZERS, name: str = "run") -> RunFolder:
        key = text if "python" not in text else f"{text}{tmp_path}"  # a study knows the folder of its code
        if key not in SWEPT:
            SWEPT[key] = tmp_path_factory.mktemp("swept") / "run"
            run_whole(study_file(text), SWEPT[key])
        return RunFolder(Path(shutil.copytree(SWEPT[key], tmp_path / name)))

    return run


@pytest.fixture
def own(tmp_path, swept):
    """Run a study of a function of the user's own, given as the body of `train(params, trial)`."""

    def run(body: str, text: str = OWN) -> RunFolder:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        (tmp_path / "mine.py").write_text(f"import random\n\ndef train(params, trial):\n{lines}\n")
        return swept(text)

    return run


def resumed(folder: RunFolder, n_trials: int) -> None:
    with reopen(folder, {"n_trials": n_trials}) as study:
        sweep(study, Silent())


def runs_of(folder: RunFolder) -> list[FreshRun]:
    with open_to_read(folder) as study:
        return study.log.fresh_runs()


def suggestions_of(folder: RunFolder) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder.database_path)) as connection:
        return connection.execute("SELECT number, parameters, seed FROM suggestion").fetchall()


def shown(confirmation: Confirmation) -> dict[str, str]:
    return dict(confirm_view(confirmation).lines)


def without_seconds(folder: RunFolder) -> str:
    lines = folder.results_path.read_text().splitlines()
    place = lines[0].split(",").index("seconds")
    return "\n".join(",".join(line.split(",")[:place] + line.split(",")[place + 1 :]) for line in lines)


def test_each_candidate_and_the_first_trial_are_trained_with_fresh_seeds(swept):
    folder = swept()
    confirmation = confirm(folder, CONFIRM)
    numbers = [candidate.number for candidate in confirmation.value.candidates]
    assert len(numbers) == 3 and 0 in numbers
    with open_to_read(folder) as study:
        seeds = {trial.number: trial.seed for trial in study.log.trials()}
        runs = study.log.fresh_runs()
    race = [run for run in runs if run.stage is Stage.RACE]
    assert {(run.number, run.repeat) for run in race} == {(n, j) for n in numbers for j in range(3)}
    assert all(run.seed == seed_for(seeds[run.number], "confirm", run.repeat) for run in runs)
    assert not {run.seed for run in runs} & set(seeds.values())
    assert all(run.outcome is not None and run.outcome.score is not None for run in runs)


def test_the_quoted_score_comes_from_further_runs_that_chose_nothing(swept):
    folder = swept()
    value = confirm(folder, CONFIRM).value
    assert value.quote is not None and value.n_missing == 0
    further = [run for run in runs_of(folder) if run.stage is Stage.QUOTE]
    assert {run.number for run in further} == {value.quote.number}
    assert [run.repeat for run in further] == [3, 4, 5]
    assert list(value.quote.scores) == [run.outcome.score for run in further if run.outcome]


def test_a_confirmed_study_resumes_as_one_that_was_never_confirmed(swept):
    plain, confirmed = swept(name="plain"), swept(name="confirmed")
    before = [path.read_bytes() for path in (confirmed.results_path, confirmed.best_path)]
    confirm(confirmed, CONFIRM)
    assert [path.read_bytes() for path in (confirmed.results_path, confirmed.best_path)] == before
    resumed(plain, 7)
    resumed(confirmed, 7)
    assert suggestions_of(plain) == suggestions_of(confirmed)
    assert without_seconds(plain) == without_seconds(confirmed)
    assert plain.best_path.read_text() == confirmed.best_path.read_text()
    files = [name for name in folder_of(confirmed.path).files if not name.startswith("confirmed.")]
    assert sorted(folder_of(plain.path).files) == sorted(files)


def test_resume_then_confirm_equals_confirm_in_a_study_that_was_not_interrupted(swept):
    whole = swept(name="whole")
    resumed_folder = swept(TWO_OPTIMIZERS.replace("trials: 4", "trials: 3"), "resumed")
    resumed(resumed_folder, 4)
    for folder in (whole, resumed_folder):
        confirm(folder, CONFIRM)
    assert whole.confirmed_path.read_bytes() == resumed_folder.confirmed_path.read_bytes()


def test_a_complete_confirmation_trains_nothing_and_needs_no_lock(swept):
    folder = swept()
    first = confirm(folder, CONFIRM)
    with hold(folder.path):
        again = confirm(folder, CONFIRM)
    assert again.value == first.value
    assert len(runs_of(folder)) == 12


def test_missing_runs_need_the_lock_before_anything_is_announced(swept):
    folder = swept()
    said: list[str] = []
    with hold(folder.path), pytest.raises(StudyLocked) as caught:
        confirm(folder, CONFIRM, said.append)
    assert caught.value.exit_code == 4 and not said


def test_every_output_shows_the_confirmation_of_the_last_command(swept):
    folder = swept()
    default = confirm(folder, CONFIRM).value
    named = confirm(folder, Request(numbers=(1,), n_repeats=3)).value
    with open_to_read(folder) as study:
        assert confirmed_of_study(study) == named
    text = folder.confirmed_path.read_text()
    said: list[str] = []
    again = confirm(folder, CONFIRM, said.append).value
    assert again == default and not said, "it is shown, and trains nothing"
    with open_to_read(folder) as study:
        assert confirmed_of_study(study) == default
    assert folder.confirmed_path.read_text() != text


def test_options_about_a_part_of_the_data_that_does_not_exist_are_refused(swept, own):
    with pytest.raises(UsageError, match=r"has no `data\.test`"):
        confirm(swept(name="built-in"), Request(n_top=2, n_repeats=3, is_test_opened=True))
    folder = own("trial.report(0, score=random.random())")
    with pytest.raises(UsageError, match=r"--splits needs `trial\.data`"):
        confirm(folder, Request(n_repeats=3, is_split=True))


def test_a_split_that_cannot_be_drawn_again_is_refused(swept, tmp_path):
    generator = np.random.default_rng(0)
    y = np.arange(40) % 2
    np.savez(tmp_path / "s.npz", x=generator.normal(size=(40, 3)), y=y, time=np.arange(40))
    text = TWO_OPTIMIZERS.replace(
        "source: iris", f"source: {tmp_path}/s.npz, validation: {{fraction: 0.2, by: time}}"
    )
    assert "by: time" in text
    with pytest.raises(UsageError, match="--splits cannot draw other parts"):
        confirm(swept(text, "timed"), Request(n_repeats=3, is_split=True))


def test_more_repeats_add_runs_and_fewer_repeats_change_nothing(swept):
    folder = swept()
    confirm(folder, CONFIRM)
    before = runs_of(folder)
    more = confirm(folder, Request(n_top=2, n_repeats=5)).value
    runs = runs_of(folder)
    assert runs[: len(before)] == before
    assert [len(candidate.scores) for candidate in more.candidates] == [5, 5, 5]
    assert more.quote is not None and len(more.quote.scores) == 5
    assert len({(run.number, run.repeat) for run in runs}) == len(runs)
    assert confirm(folder, CONFIRM).value == more
    assert confirm(folder, Request(n_top=2)).value == more


def test_a_study_that_went_on_gets_a_new_confirmation_with_unused_seeds(swept):
    folder = swept()
    confirm(folder, Request(n_top=1, n_repeats=3))
    resumed(folder, 12)
    value = confirm(folder, Request(n_top=3, n_repeats=3)).value
    assert value.id == 2
    runs = runs_of(folder)
    assert len({run.seed for run in runs}) == len(runs)
    with open_to_read(folder) as study:
        assert confirmed_of_study(study) == value


def test_the_trials_that_are_named_are_confirmed_with_the_first_one(swept):
    folder = swept()
    value = confirm(folder, Request(numbers=(3, 2, 3), n_repeats=3)).value
    assert [candidate.number for candidate in value.candidates] == [3, 2, 0]
    assert [candidate.is_first for candidate in value.candidates] == [False, False, True]


def test_a_single_trial_is_quoted_without_a_set(swept):
    folder = swept(TWO_OPTIMIZERS.replace("trials: 4", "trials: 1"))
    confirmation = confirm(folder, CONFIRM)
    assert len(runs_of(folder)) == 3
    quoted = confirmation.value.quote
    assert quoted is not None and quoted.number == 0 and len(quoted.scores) == 3
    assert "set" not in shown(confirmation) and "trial 0" in shown(confirmation)["confirmed score"]


def test_the_cost_is_known_before_anything_is_trained(swept):
    folder = swept()
    confirmation = confirm(folder, CONFIRM, is_dry=True)
    assert confirmation.cost.n_runs == 12 and confirmation.cost.seconds > 0
    assert "12 fresh runs" in shown(confirmation)["to do"]
    assert runs_of(folder) == [] and not folder.confirmed_path.exists()


def test_repeats_on_splits_of_their_own_share_each_split(swept):
    folder = swept()
    value = confirm(folder, Request(n_top=2, n_repeats=3, is_split=True)).value
    assert value.is_split
    race = [run for run in runs_of(folder) if run.stage is Stage.RACE]
    splits = {repeat: {run.split_seed for run in race if run.repeat == repeat} for repeat in range(3)}
    assert all(len(seeds) == 1 for seeds in splits.values())
    assert len(set.union(*splits.values())) == 3
    assert confirm(folder, CONFIRM).value.id == 2


@pytest.mark.slow
def test_two_workers_give_the_same_file_as_one(swept):
    text = TWO_OPTIMIZERS.replace("engine: inline", "engine: local")
    one, two = swept(text, "one"), swept(text.replace("workers: 1", "workers: 2"), "two")
    for folder in (one, two):
        confirm(folder, CONFIRM)
    assert one.confirmed_path.read_bytes() == two.confirmed_path.read_bytes()
    assert one.confirmed_best_path.read_bytes() == two.confirmed_best_path.read_bytes()


def test_fused_runs_have_the_scores_of_runs_trained_alone(swept, monkeypatch):
    text = TWO_OPTIMIZERS.replace("device: cpu", "device: cpu, fuse: 8")
    together, alone = swept(text, "together"), swept(text, "alone")
    confirm(together, CONFIRM)
    take_group = WaitingJobs.take_group
    monkeypatch.setattr(WaitingJobs, "take_group", lambda waiting, n_idle, _: take_group(waiting, n_idle, 1))
    confirm(alone, CONFIRM)
    assert together.confirmed_path.read_bytes() == alone.confirmed_path.read_bytes()


def test_a_repeated_trial_is_confirmed_by_repeated_runs(swept):
    folder = swept(TWO_OPTIMIZERS.replace("trials: 4", "trials: 2, repeats: 2"))
    value = confirm(folder, CONFIRM).value
    assert all(len(candidate.scores) == 3 for candidate in value.candidates)
    run = runs_of(folder)[0]
    assert run.outcome is not None and "val_accuracy_std" in run.outcome.metrics


def test_a_trial_that_paused_is_trained_to_its_end(swept):
    pausing = "trials: 4, pruner: {name: halving, factor: 2}, "
    folder = swept(
        STUDY.replace("inline}", "inline, report: off}")
        .replace("trials: 6, ", pausing)
        .replace("lookahead: 2", "lookahead: 1")
    )
    with open_to_read(folder) as study:
        paused = next(trial.number for trial in study.log.trials() if trial.state.value == "paused")
    confirm(folder, Request(numbers=(paused,), n_repeats=3))
    ends = [run.outcome for run in runs_of(folder) if run.number == paused]
    assert {end.epochs for end in ends if end} == {4}


class TestTheTestPart:
    TESTED = TWO_OPTIMIZERS.replace("{source: iris}", "{source: iris, test: {fraction: 0.2}}")

    def test_the_further_runs_open_it_once(self, swept):
        folder = swept(self.TESTED)
        confirmation = confirm(folder, CONFIRM)
        quoted = confirmation.value.quote
        assert quoted is not None and quoted.n_openings == 1 and "test_accuracy" in quoted.tested
        assert shown(confirmation)["test part"] == "opened 1 time"
        for run in runs_of(folder):
            assert run.outcome is not None
            assert ("test_accuracy" in run.outcome.metrics) == (run.stage is Stage.QUOTE)

    def test_a_second_confirmation_opens_it_only_on_request(self, swept):
        folder = swept(self.TESTED)
        confirm(folder, CONFIRM)
        second = Request(numbers=(1, 2), n_repeats=3)
        closed = confirm(folder, second)
        assert closed.value.quote is not None and not closed.value.quote.tested
        assert "--test opens it again" in shown(closed)["test part"]
        opened = confirm(folder, Request(numbers=(1, 2), n_repeats=3, is_test_opened=True)).value.quote
        assert opened is not None and opened.n_openings == 2 and opened.tested

    def test_the_opening_is_on_record_before_the_test_part_is_read(self, swept, monkeypatch):
        folder = swept(self.TESTED)
        seen: list[int] = []

        def look(queue: object) -> None:
            seen.append(max((run.opening for run in runs_of(folder)), default=0))
            original(queue)

        from tunecli.study.runner.fresh_queue import FreshQueue

        original = FreshQueue.hand_out
        monkeypatch.setattr(FreshQueue, "hand_out", look)
        confirm(folder, CONFIRM)
        assert seen[0] == 0 and seen[-1] == 1


class TestOwnFunctions:
    def test_their_fresh_runs_have_logs_and_seeds_of_their_own(self, own):
        folder = own("print('x', params['x'])\nreturn {'score': params['x'] + random.gauss(0, 0.1)}")
        confirmation = confirm(folder, CONFIRM)
        assert len({run.outcome.score for run in runs_of(folder) if run.outcome}) == 12
        logs = sorted(path.name for path in folder.trial_logs_path.glob("confirm-*.log"))
        assert len(logs) == 12 and "confirm-00000-000.log" in logs
        assert confirmation.value.seed_deviation is not None

    def test_a_training_that_ignores_its_seed_is_named(self, own):
        folder = own("return {'score': params['x']}")
        confirmation = confirm(folder, CONFIRM)
        assert confirmation.value.is_seed_ignored and confirmation.value.quote is None
        assert len(runs_of(folder)) == 9
        lines = shown(confirmation)
        assert "ignores its seed" in lines["seed"]
        assert not any("±" in text for text in lines.values())
        json.dumps(confirm_view(confirmation).data, allow_nan=False)

    def test_the_further_runs_do_not_change_how_the_race_is_decided(self, own):
        folder = own("return {'score': params['x'] + random.gauss(0, 0.1)}")
        confirm(folder, CONFIRM)
        with open_to_read(folder) as study:
            [recorded], trials = recorded_confirmations(study), study.log.trials()
            race = [run for run in recorded.runs if run.stage is Stage.RACE]
            near = [
                replace(run, outcome=replace(run.outcome, score=race[0].outcome.score * (1 + 1e-9)))
                for run in recorded.runs
                if run.stage is Stage.QUOTE
            ]
            both, alone = (replace(recorded, runs=tuple(runs)) for runs in ([*race, *near], race))
            assert fresh_runs(study, both, trials).step == fresh_runs(study, alone, trials).step

    def test_a_confirmation_without_a_score_to_quote_removes_the_file_of_an_earlier_one(self, own):
        folder = own("return {'score': params['x'] + random.gauss(0, 0.1) * (trial.number < 3_000_000)}")
        confirm(folder, CONFIRM)
        assert folder.confirmed_best_path.is_file()
        other = Request(numbers=(1,), n_repeats=3)
        value = confirm(folder, other).value
        assert value.quote is None and not folder.confirmed_best_path.exists()
        with hold(folder.path):
            assert confirm(folder, other).value == value

    def test_a_failed_run_is_on_record_and_is_not_repeated(self, own):
        body = "if trial.seed % 3 == 0:\n    raise ValueError('unlucky')\n"
        folder = own(body + "return {'score': params['x'] + random.gauss(0, 0.01)}", OWN.replace("4}", "9}"))
        value = confirm(folder, Request(n_top=4, n_repeats=6)).value
        failed = [run for run in runs_of(folder) if run.outcome and run.outcome.failure]
        assert failed
        assert any(math.isnan(score) for candidate in value.candidates for score in candidate.scores)
        again = confirm(folder, Request(n_top=4, n_repeats=6)).value
        assert len(runs_of(folder)) == (len(value.candidates) + 1) * 6
        assert [c.number for c in again.candidates] == [c.number for c in value.candidates]
        assert "unlucky" in folder.confirmed_path.read_text()

    def test_a_confirmation_of_which_every_run_fails_ends_with_code_3(self, own, tmp_path):
        folder = own("if trial.number >= 1000:\n    raise ValueError('no')\nreturn {'score': params['x']}")
        confirmation = confirm(folder, CONFIRM)
        from tunecli.commands.confirm import require_confirmed

        assert confirmation.value.quote is None and confirmation.n_failed == 9
        with pytest.raises(NoTrialSucceeded, match="all 9 fresh runs failed") as caught:
            require_confirmed(confirmation)
        assert caught.value.exit_code == 3

    def test_changed_code_is_refused(self, own, tmp_path):
        folder = own("return {'score': params['x']}")
        (tmp_path / "mine.py").write_text("def train(params, trial):\n    return {'score': 1.0}\n")
        with pytest.raises(UsageError, match="your own code has changed"):
            confirm(folder, CONFIRM)


class TestRefusals:
    @pytest.mark.parametrize(
        ("request_", "message", "hint"),
        [
            (Request(n_repeats=2), "--repeats 2 is too few", "--repeats 3"),
            (Request(n_top=0), "--top 0", "--top 1"),
            (Request(numbers=(77,), n_repeats=3), "there is no trial 77", "4 trials"),
        ],
    )
    def test_an_impossible_request_names_the_nearest_possible_one(self, swept, request_, message, hint):
        folder = swept()
        with pytest.raises(UsageError, match=message) as caught:
            confirm(folder, request_)
        assert caught.value.exit_code == 2 and hint in caught.value.hint

    def test_several_goals_need_trials_by_number(self, swept):
        text = TWO_OPTIMIZERS.replace(
            "objective: {metric: val_accuracy}",
            "objective: {pareto: [{metric: val_accuracy}, {metric: n_parameters}]}",
        )
        folder = swept(text)
        with pytest.raises(UsageError, match="one goal") as caught:
            confirm(folder, CONFIRM)
        number = int(caught.value.hint.split("--trial ")[1].split()[0])
        assert confirm(folder, Request(numbers=(number,), n_repeats=3)).value.quote is not None

    def test_a_study_without_a_score_names_the_command_that_makes_one(self, own):
        folder = own("raise ValueError('no')")
        with pytest.raises(NoTrialSucceeded) as caught:
            confirm(folder, CONFIRM)
        assert caught.value.exit_code == 3 and "tunecli" in caught.value.hint


def test_a_signal_ends_it_in_order_and_the_same_command_completes_it(swept):
    whole, stopped = swept(name="whole"), swept(name="stopped")
    confirm(whole, CONFIRM)
    n_told = 0

    def stop_after_three(line: str) -> None:
        nonlocal n_told
        n_told += 1
        if n_told == 4:  # the first line is the heading
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught:
        confirm(stopped, CONFIRM, stop_after_three)
    assert caught.value.exit_code == 143
    assert caught.value.hint == f"tunecli confirm {stopped.path} --top 2 --repeats 3"
    assert 0 < sum(run.outcome is not None for run in runs_of(stopped)) < 9
    confirm(stopped, CONFIRM)
    assert whole.confirmed_path.read_bytes() == stopped.confirmed_path.read_bytes()
    assert whole.confirmed_best_path.read_bytes() == stopped.confirmed_best_path.read_bytes()


def test_a_fork_does_not_carry_confirmations(swept, tmp_path):
    from tunecli.study.record.fork import fork

    folder = swept()
    confirm(folder, CONFIRM)
    with fork(folder, "other", {}) as study:
        assert isinstance(study, Study)
        assert study.log.confirmations() == [] and study.log.fresh_runs() == []


def test_the_sizes_of_the_parts_are_recorded(swept):
    folder = swept()
    sizes = confirm(folder, CONFIRM).sizes
    assert (sizes.n_train, sizes.n_valid, sizes.n_test) == (120, 30, 0)


def test_a_search_confirms_at_its_end_in_one_document(study_file, tmp_path, capsys, monkeypatch):
    from tests.verbs import called

    words = ("search", study_file(TWO_OPTIMIZERS), "--out", tmp_path / "run", "--confirm", "--json")
    code, out, _ = called(*words, capture=capsys, monkeypatch=monkeypatch)
    document = json.loads(out)
    assert code == 0 and document["kind"] == "search"
    assert document["confirmation"]["repeats"] == 5
    assert document["confirmation"]["quote"]["trial"] in document["confirmation"]["set"]
    assert document["confirmation"]["part_sizes"]["n_valid"] == 30


def test_a_search_of_several_goals_refuses_to_confirm_before_it_begins(
    study_file, tmp_path, capsys, monkeypatch
):
    from tests.verbs import called

    goals = "objective: {pareto: [{metric: val_accuracy}, {metric: n_parameters}]}"
    text = TWO_OPTIMIZERS.replace("objective: {metric: val_accuracy}", goals)
    words = ("search", study_file(text), "--out", tmp_path / "run", "--confirm")
    code, _, err = called(*words, capture=capsys, monkeypatch=monkeypatch)
    assert code == 2 and "one goal" in err and not (tmp_path / "run").exists()
