"""Resuming a study whose file, code or data have changed: allowed changes are applied, others are refused."""

import os

import pytest

from tests.study.sweeps import Silent, comparable, run_whole
from tunecli.commands.check import load_checked
from tunecli.commands.export import export
from tunecli.commands.status import status
from tunecli.config.load import parse_study
from tunecli.errors import ConfigError, UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.record.config_change import raised_total
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.record.suggestions import n_without_model
from tunecli.study.sweep import sweep

FOUR = """
study: four
objective: {metric: val_loss}
trial:
  command: [python, p.py, "{a}", "{b}", "{c}", "{d}"]
  params: {a: {uniform: [0, 1]}, b: {uniform: [0, 1]}, c: {uniform: [0, 1]}, d: {uniform: [0, 1]}}
search: {sampler: bayes}
"""


@pytest.fixture
def begun(study_file, tmp_path):
    """A study of six trials, of which two have ended."""
    with begin(load_checked(study_file(), ("search.trials=2",)), tmp_path / "run") as study:
        sweep(study, Silent())
    return RunFolder.open_existing(tmp_path / "run")


def edit(path, **replaced):
    text = path.read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def resumed(folder, changes=None, overrides=(), **options):
    """Resume a study; the lines for the user, and the table."""
    lines: list[str] = []
    with reopen(folder, changes or {}, overrides, say=lines.append, **options) as study:
        return lines, sweep(study, Silent()).table


def facts(folder):
    with open_to_read(folder) as study:
        return study.log.facts()


def test_an_edit_of_the_file_in_the_folder_is_applied_and_reported(begun, study_file, tmp_path):
    edit(begun.config_path, **{"trials: 6": "trials: 4", "engine: inline": "engine: inline, checkpoint: off"})
    lines, table = resumed(begun)
    assert lines == ["changed: search.trials: 2 → 4", "changed: run.checkpoint: auto → off"]
    assert comparable(table) == comparable(run_whole(study_file(), tmp_path / "whole", "search.trials=4"))
    assert facts(begun)["config"] == begun.config_path.read_text()
    assert "search.trials=2" not in facts(begun)["overrides"], "the edit is later than the override"
    assert resumed(begun)[0] == [], "a change is reported once"
    assert status(begun).n_trials == 4


def test_another_file_replaces_that_of_the_folder(begun, tmp_path):
    wish = tmp_path / "elsewhere" / "wish.yaml"
    wish.parent.mkdir()
    wish.write_text((begun.config_path).read_text().replace("trials: 6", "trials: 3"))
    lines, table = resumed(begun, config_path=wish)
    assert lines == ["changed: search.trials: 2 → 3"]
    assert len(table.rows) == 3
    assert begun.config_path.read_text() == wish.read_text()
    assert resumed(begun)[0] == []


def test_a_named_file_takes_precedence_over_an_edited_one_with_a_note(begun, tmp_path):
    wish = tmp_path / "wish.yaml"
    wish.write_text(begun.config_path.read_text().replace("trials: 6", "trials: 3"))
    edit(begun.config_path, **{"trials: 6": "trials: 4"})
    lines, table = resumed(begun, config_path=wish)
    assert lines == [
        f"note: {begun.config_path} was edited too; {wish} is used",
        "changed: search.trials: 2 → 3",
    ]
    assert len(table.rows) == 3


def test_an_edit_that_changes_no_key_is_recorded_without_a_line(begun):
    begun.config_path.write_text("# what I think of it\n" + begun.config_path.read_text())
    assert resumed(begun)[0] == []
    assert facts(begun)["config"].startswith("# what I think of it")
    assert facts(begun)["overrides"] == ["search.trials=2"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seed: 3", "seed: 4", "seed: 3 → 4"),
        ("val_accuracy", "val_f1", "objective.metric: val_accuracy → val_f1"),
        ("epochs: 4", "epochs: 5", "trial.training.epochs: 4 → 5"),
        ("sampler: random", "sampler: bayes", "search.sampler: random → bayes"),
        ("lookahead: 2", "lookahead: 3", "search.lookahead: 2 → 3"),
        ("lookahead: 2", "lookahead: 2, repeats: 2", "search.repeats: 1 → 2"),
        ("lookahead: 2", "lookahead: 2, pruner: median", "search.pruner: none → {name: median"),
        ("engine: inline", "engine: inline, threads: 2", "run.threads: 1 → 2"),
        ("study: small", "study: other", "study: small → other"),
    ],
)
def test_a_change_of_the_studys_identity_is_refused_with_a_hint(begun, old, new, line):
    before = facts(begun)
    edit(begun.config_path, **{old: new})
    with pytest.raises(UsageError) as caught, reopen(begun, {}):
        pass
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith("these changes would make it a different study:\n  " + line)
    assert f"tunecli resume {begun.path} --fork NAME" in caught.value.hint
    assert facts(begun) == before
    begun.config_path.unlink()
    lines, _ = resumed(begun)
    assert lines == []
    assert old in begun.config_path.read_text(), "the missing file is written again from the record"


def test_all_refused_changes_are_reported_at_once(begun):
    with (
        pytest.raises(UsageError) as caught,
        reopen(begun, {}, ("seed=4", "training.epochs=5", "run.limit.time=1h")),
    ):
        pass
    assert caught.value.message.splitlines()[1:] == ["  seed: 3 → 4", "  trial.training.epochs: 4 → 5"]


def test_flags_and_overrides_are_applied_after_the_edits_of_the_file(begun):
    edit(begun.config_path, **{"trials: 6": "trials: 4"})
    lines, table = resumed(begun, {"n_trials": 3}, ("run.limit.epochs=1000",))
    assert lines == ["changed: search.trials: 2 → 3", "changed: run.limit.epochs: nothing → 1000"]
    assert len(table.rows) == 3
    lines, table = resumed(begun, {"n_trials": 5, "n_workers": 1})
    assert lines == ["changed: search.trials: 3 → 5"]
    assert len(table.rows) == 5
    with open_to_read(begun) as study:
        assert study.spec.settings.run.limit.epochs == 1000, "the earlier override still applies"


def test_the_engine_and_the_workers_may_change(begun, study_file, tmp_path):
    lines, table = resumed(begun, {"n_trials": 4}, ("run.engine=local", "run.workers=2"))
    assert lines == [
        "changed: search.trials: 2 → 4",
        "changed: run.workers: 1 → 2",
        "changed: run.engine: inline → local",
    ]
    with open_to_read(begun) as study:
        assert (study.plan.engine, study.plan.n_workers, study.plan.lookahead) == ("local", 2, 2)
    assert comparable(table) == comparable(run_whole(study_file(), tmp_path / "whole", "search.trials=4"))


def test_a_total_below_the_number_of_suggested_trials_is_refused(begun):
    for changes, overrides in (({"n_trials": 1}, ()), ({}, ("search.trials=1",))):
        with (
            pytest.raises(UsageError, match="2 trials were suggested already"),
            reopen(begun, changes, overrides),
        ):
            pass
    edit(begun.config_path, **{"trials: 6": "trials: 1"})
    with pytest.raises(UsageError, match="2 trials were suggested already"), reopen(begun, {}):
        pass


def test_an_invalid_file_is_reported_with_its_position(begun, tmp_path):
    edit(begun.config_path, **{"trials: 6": "trials: 0"})
    with pytest.raises(ConfigError) as caught, reopen(begun, {}):
        pass
    assert f"{begun.config_path}:12:" in str(caught.value)
    with (
        pytest.raises(ConfigError, match="1 problem") as caught,
        reopen(begun, {}, config_path=tmp_path / "none.yaml"),
    ):
        pass
    assert "file not found" in str(caught.value)


@pytest.mark.parametrize("how", ["missing", "not UTF-8", "forbidden"])
def test_an_unreadable_file_in_the_folder_is_replaced_by_the_record(begun, how):
    path, text = begun.config_path, begun.config_path.read_text()
    path.unlink()
    if how == "not UTF-8":
        path.write_bytes(b"\xff" * 20)
    if how == "forbidden":
        path.write_text(text)
        path.chmod(0)
        if os.geteuid() == 0:  # root can read it anyway
            path.chmod(0o644)
    lines, _ = resumed(begun)
    is_noted = how == "not UTF-8" or (how == "forbidden" and os.geteuid() != 0)
    assert lines == ([f"note: {path} cannot be read; the recorded copy is used"] if is_noted else [])
    if how == "missing":
        assert path.read_text() == text


def test_a_change_whose_record_a_crash_prevented_is_applied_again(begun):
    """A crash can leave the new file beside the old record."""
    begun.config_path.write_text(begun.config_path.read_text().replace("trials: 6", "trials: 3"))
    assert len(resumed(begun)[1].rows) == 3


CODE = "def train(params, trial):\n    trial.report(1, height=params['x'] ** 2)\n"
OWN = """\
study: own
objective: {metric: height, direction: minimize}
trial: {python: mine:train, params: {x: {uniform: [-1, 1]}}}
search: {sampler: random, trials: 2, lookahead: 1}
run: {device: cpu, engine: inline}
"""


def test_changed_code_is_refused_with_a_hint_and_with_all_other_changes(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "own.yaml").write_text(OWN)
    run_whole(tmp_path / "own.yaml", tmp_path / "run")
    folder = RunFolder.open_existing(tmp_path / "run")
    (tmp_path / "mine.py").write_text(CODE + "\n")
    with (
        pytest.raises(
            UsageError, match=r"your own code has changed since the study began: mine\.py has changed"
        ) as caught,
        reopen(folder, {}),
    ):
        pass
    assert "--fork NAME" in caught.value.hint
    with pytest.raises(UsageError) as caught, reopen(folder, {}, ("seed=9",)):
        pass
    assert "seed: 0 → 9" in caught.value.message
    assert "mine.py has changed" in caught.value.message


def test_changed_data_is_refused_with_a_hint(study_file, tmp_path):
    rows = "".join(f"{n % 7},{n % 5},{'ab'[n % 2]}\n" for n in range(60))
    (tmp_path / "mine.csv").write_text(f"a,b,y\n{rows}")
    path = study_file(**{"{source: iris}": "{source: mine.csv, target: y}"})
    run_whole(path, tmp_path / "run", "search.trials=1")
    (tmp_path / "mine.csv").write_text(f"a,b,y\n{rows}1,2,a\n")
    folder = RunFolder.open_existing(tmp_path / "run")
    with (
        pytest.raises(
            UsageError, match=r"the data have changed since the study began: mine\.csv has changed"
        ) as caught,
        reopen(folder, {}),
    ):
        pass
    assert "--fork NAME" in caught.value.hint


def test_changed_versions_are_noted_and_do_not_prevent_a_resume(begun):
    with reopen(begun, {}) as study:
        study.log.set_fact("versions", {**study.log.facts()["versions"], "torch": "1.0", "scipy": "0.1"})
    lines, _ = resumed(begun)
    assert [line.partition(",")[0] for line in lines] == ["note: torch was 1.0", "note: scipy was 0.1"]


def test_a_study_named_by_its_file_keeps_that_name(study_file, tmp_path):
    path = study_file(**{"study: small\n": ""})
    run_whole(path, tmp_path / "run", "search.trials=1")
    folder = RunFolder.open_existing(tmp_path / "run")
    assert status(folder).study == "small"
    assert "study: small" in export(folder, None, None).text
    assert resumed(folder, config_path=path)[0] == []
    assert resumed(folder, {"n_trials": 2})[0] == ["changed: search.trials: 1 → 2"]
    assert status(folder).study == "small"


UNUSED = """\
study: old
objective: {metric: loss, direction: minimize}
trial:
  command: [sh, -c, 'echo "{{\\"loss\\": $TUNECLI_TRIAL}}"']
  params: {lr: {uniform: [0, 1]}}
search: {sampler: random, trials: 1}
run: {engine: inline}
"""


def test_an_old_study_with_a_parameter_that_no_argument_mentions_is_resumed_and_forked(tmp_path):
    with begin(parse_study(UNUSED.encode(), "old.yaml", (), tmp_path), tmp_path / "run") as study:
        sweep(study, Silent())
    folder = RunFolder.open_existing(tmp_path / "run")
    assert len(resumed(folder, {"n_trials": 2})[1].rows) == 2
    edit(folder.config_path, **{"params:": "unused: allow\n  params:"})
    lines, table = resumed(folder, {"n_trials": 3})
    assert "changed: trial.unused: nothing → allow" in lines
    assert len(table.rows) == 3
    with fork(folder, "new", {}, say=lines.append) as study:
        assert study.spec.settings.study == "new"
    (tmp_path / "old.yaml").write_text(UNUSED)
    with pytest.raises(ConfigError, match="no argument of `command` mentions it"):
        load_checked(tmp_path / "old.yaml", ())


def test_a_raised_total_is_noted_if_the_model_came_earlier_than_in_a_longer_study(study_file):
    spec = load_checked(study_file(random="bayes"), ())
    (note,) = raised_total(spec, 6, 20, n_suggested=6)
    assert note.endswith("the sampler `bayes` began with 3 trials without a model, not 5")
    assert raised_total(spec, 6, 20, n_suggested=3) == ()
    assert raised_total(spec, 10, 20, n_suggested=10) == ()


def test_a_raised_total_is_not_noted_for_first_trials_that_the_pruner_counts(tmp_path):
    plain = parse_study(FOUR.encode(), "four.yaml", (), tmp_path)
    pruned = parse_study(
        FOUR.encode(), "four.yaml", ("search.pruner={name: curves, max_epochs: 9}",), tmp_path
    )
    assert [n_without_model(spec, total) for spec in (plain, pruned) for total in (8, 20)] == [4, 5, 4, 4]
    notes = [" ".join(raised_total(spec, 8, 20, n_suggested=9)) for spec in (plain, pruned)]
    assert ["without a model" in note for note in notes] == [True, False]
