"""`init` writes files that `check` accepts and `search` runs: templates, and a file for a person's own data."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.support.examples import CONFIGS, maker
from tests.support.messy_csv import messy_file
from tests.verbs import called
from tunecli.commands.check import check, check_view, load_checked
from tunecli.commands.data_plan import plan_of
from tunecli.commands.data_study import study_text
from tunecli.commands.starters import TEMPLATES, starter
from tunecli.errors import ConfigError, DataError, UsageError
from tunecli.registry.pruners import is_pausing
from tunecli.results.advice.budget import MIN_TRIALS, MIN_TRIALS_PER_PARAMETER

SHORT = {
    "own": ("trial.params.epochs=2",),
    "command": ("trial.command.7=3",),
    **dict.fromkeys(("mlp", "cnn", "csv", "text"), ("training.epochs=1",)),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # `python` of the template `command`
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    return tmp_path


@pytest.fixture
def run(here, capsys, monkeypatch):
    return partial(called, capture=capsys, monkeypatch=monkeypatch)


def written(source: str, target: str | None, folder: Path) -> str:
    """The file that `init --data` writes, after `check` has accepted it."""
    text = study_text(plan_of(Path(source), target, folder))
    (folder / "gen.yaml").write_text(text)
    load_checked(folder / "gen.yaml", ())
    return text


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_accepted_without_notes_and_its_first_trial_runs(run, template):
    code, _, err = run("init", "--template", template)
    assert code == 0
    assert all(f"wrote {name}" in err for name in starter(template).beside)
    spec = load_checked(Path("study.yaml"), ())
    assert check_view(check(spec)).notes == ()
    sets = ("run.engine=inline", "run.workers=1", "run.device=cpu", "run.baseline=off", *SHORT[template])
    if template == "cnn":
        sets = (*sets, "search.pruner=none")
    words = [part for one in sets for part in ("--set", one)]
    code, out, err = run("search", "study.yaml", "--trials", 1, *words)
    assert code == 0, err
    assert "complete" in out


@pytest.mark.slow
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_runs_as_it_is(run, template):
    assert run("init", "--template", template)[0] == 0
    code, out, err = run("search", "study.yaml", "--trials", 3)
    assert code == 0, err
    assert out.count("complete") >= 1


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_has_more_trials_than_its_parameters_need(here, template):
    files = starter(template)
    for name, content in {**files.beside, "study.yaml": files.text.encode()}.items():
        Path(name).write_bytes(content)
    spec = load_checked(Path("study.yaml"), ())
    needed = MIN_TRIALS + MIN_TRIALS_PER_PARAMETER * len(spec.space.parameters)
    search = spec.settings.search
    # `hyperband` pauses about 40 % of the trials of `cnn`, and the advice counts complete ones only
    assert search.trials >= needed * (2 if is_pausing(search.pruner) else 1)


@pytest.mark.slow
def test_the_first_report_of_the_template_cnn_has_advice_on_its_scores(run):
    assert run("init", "--template", "cnn")[0] == 0
    assert run("search", "study.yaml", "--workers", 2, "--set", "run.report=off")[0] == 0
    report = json.loads(run("report", "first-cnn", "--json")[1])
    assert {"too-few-trials", "importance-unknown"}.isdisjoint(
        finding["rule"] for finding in report["findings"]
    )
    assert report["effects"]["parameters"]


def test_the_longest_text_of_the_template_text_has_as_many_tokens_as_the_file_reads(run):
    assert run("init", "--template", "text")[0] == 0
    out = run("check", "study.yaml")[1]
    most = yaml.safe_load(Path("study.yaml").read_text())["trial"]["data"]["max_length"]
    assert f"at most {most} of them" in out and "0 of 300 texts cut" in out


def test_a_template_that_does_not_exist_is_refused_with_the_nearest_one(run):
    code, _, err = run("init", "--template", "mpl")
    assert code == 2
    assert "did you mean `mlp`?" in err
    assert not Path("study.yaml").exists()


def test_no_file_is_replaced_by_an_example(run):
    Path("own_training.py").write_text("mine")
    code, _, err = run("init", "--template", "own")
    assert code == 2
    assert "own_training.py exists already and differs" in err
    assert Path("own_training.py").read_text() == "mine" and not Path("study.yaml").exists()
    Path("own_training.py").write_bytes(starter("own").beside["own_training.py"])
    assert run("init", "--template", "own")[0] == 0
    assert run("init", "--template", "own")[0] == 2


def test_options_of_init_that_do_not_fit_together_are_refused(run):
    assert "exclude each other" in run("init", "--template", "csv", "--data", "x.csv")[2]
    assert "--target needs --data" in run("init", "--target", "x")[2]


def test_a_file_for_own_data_names_the_reason_of_each_decision(run, here):
    shutil.copy(CONFIGS / "data/passengers.csv", here)
    code, out, err = run("init", "-", "--data", "passengers.csv", "--target", "rescued")
    assert (code, err) == (0, "")
    assert "      id: ticket    # names the rows" in out
    assert "        - lifeboat    # tells the target alone" in out
    assert "validation: {folds: 4}    # stratified by class" in out
    assert "{columns: {time: booked}}" in out
    assert "missing_indicators:" in out and "categories:" in out


def test_a_file_for_own_data_is_written_with_its_schema_and_runs(run, here):
    shutil.copy(CONFIGS / "data/machines.csv", here)
    code, _, err = run("init", "m.yaml", "--data", "machines.csv", "--target", "failed")
    assert code == 0
    assert "wrote m.yaml" in err and Path("tunecli.schema.json").is_file()
    sets = ("run.engine=inline", "run.workers=1", "training.epochs=1", "run.baseline=off")
    code, _, err = run("search", "m.yaml", "--trials", 1, *(part for one in sets for part in ("--set", one)))
    assert code == 0, err


@pytest.mark.parametrize(
    ("name", "target", "lines"),
    [
        ("rents", "rent", ["metric: val_rmse", "target: rent"]),
        ("reviews", "recommends", ["text: review", "text_with_columns: true", "tokens: words", "id: number"]),
        ("words", "language", ["text: word", "tokens: characters"]),
        ("pumps", "faults", ["task: multilabel", "metric: val_f1", "id: pump"]),
        ("sales", "sold", ["{columns: {time: day}}"]),
    ],
)
def test_the_example_data_gets_a_file_that_check_accepts(here, name, target, lines):
    shutil.copy(CONFIGS / f"data/{name}.csv", here)
    text = written(f"{name}.csv", target, Path())
    assert [line for line in lines if line not in text] == []


def test_columns_that_help_no_model_are_dropped_with_a_reason(here):
    r = np.random.default_rng(0)
    rows = ["row,kind,copy,size,same,born,note,patient,y"]
    for n in range(400):
        size = r.normal()
        y = "ill" if size + r.normal() > 2.2 else "well"
        born = f"{1 + n % 12:02d}/{1 + n % 11:02d}/20{10 + n % 9}"
        rows.append(f"{n},{'ab'[n % 2]},{2 * size:.6f},{size:.6f},7,{born},{n % 40 or 'n.k.'},p{n % 30},{y}")
    Path("t.csv").write_text("\n".join(rows))
    text = written("t.csv", "y", Path())
    assert "id: row" in text
    assert "- same    # has one value" in text
    assert "- size    # says the same as copy" in text
    assert "born: dmy    # its dates have two readings" in text
    assert "{columns: {group: patient}}" in text
    assert "metric: val_average_precision" in text


def test_arrays_images_parquet_and_other_folders_work(here):
    r = np.random.default_rng(0)
    np.savez("a.npz", x=r.normal(size=(90, 5)), y=r.integers(0, 3, 90))
    np.savez("b.npz", x=r.normal(size=(60, 1, 12, 12)).astype("f4"), y=r.normal(size=60))
    assert "name: tabular_resnet" in written("a.npz", None, Path())
    assert "name: cnn" in written("b.npz", None, Path())
    script = maker()
    script.main(here / "data", [script.signs])
    assert "source: {name: images, path: data/signs/, size: 32}" in written("data/signs", None, Path())
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {"a": r.normal(size=80), "b": r.integers(0, 9, 80) * 1.5, "y": ["u", "v"] * 40}
    pq.write_table(pa.table(table), "t.parquet")
    Path("sub").mkdir()
    assert "source: ../t.parquet" in written("t.parquet", "y", Path("sub"))


def test_a_missing_target_lists_the_columns_and_guesses_one(run, here):
    Path("t.csv").write_text("a,label,c\n1,x,2\n3,y,4\n")
    code, _, err = run("init", "--data", "t.csv")
    assert code == 2
    assert "has 3 columns: a (number), label (text), c (number)" in err
    assert "--target 'label'" in err
    code, _, err = run("init", "--data", "t.csv", "--target", "lable")
    assert code == 2
    assert "has no column `lable`" in err and "did you mean `label`?" in err
    assert run("init", "--data", "none.csv", "--target", "a")[0] == 2
    assert not Path("study.yaml").exists()


def _accepts_messy(seed: int) -> bool:
    file = messy_file(seed)
    path = Path(f"m{seed}{file.ending}")
    path.write_bytes(file.content)
    try:
        plan = plan_of(path, "target", Path())
    except (DataError, UsageError):
        return False
    Path("gen.yaml").write_text(study_text(plan))
    try:
        load_checked(Path("gen.yaml"), ())
    except ConfigError as error:  # no key makes up for a target that cannot be learnt
        assert all("class" in str(problem) or "validat" in str(problem) for problem in error.problems), error
        return False
    return True


def test_messy_files_get_a_file_that_check_accepts_or_one_error(here):
    assert sum(map(_accepts_messy, range(12))) >= 5


@pytest.mark.slow
def test_many_messy_files_get_a_file_that_check_accepts_or_one_error(here):
    assert sum(map(_accepts_messy, range(12, 312))) >= 130
