"""The candidates at a place of a command line, from real studies and files."""

import pytest

from tunecli.completion.command_line import locate, read_table
from tunecli.completion.values import SOURCES, candidates, is_left_to_the_shell

TABLE = read_table()


@pytest.fixture(autouse=True)
def inside(folder_of_studies, monkeypatch):
    monkeypatch.chdir(folder_of_studies)


def values(*words: str) -> list[str]:
    return [one.value for one in candidates(locate(words, TABLE), TABLE)]


def test_verbs_come_with_their_help():
    found = candidates(locate(["resu"], TABLE), TABLE)
    assert [(one.value, one.about) for one in found] == [
        ("results", "Show the ranked table, or one trial."),
        ("resume", "Continue an interrupted or extended sweep."),
    ]


def test_options_of_the_verb_and_of_the_program_are_completed():
    assert values("curve", "x", "--f") == ["--format"]
    assert "--install-completion" in values("--")


def test_an_option_is_offered_once_unless_it_may_be_given_often():
    assert "--top" not in values("results", "x", "--top", "3", "--")
    assert "--set" in values("search", "x", "--set", "a=1", "--")


def test_fixed_values_of_an_option_are_completed():
    assert values("results", "digits", "--format", "") == ["table", "csv", "json", "markdown"]
    assert values("results", "digits", "--format=c") == ["--format=csv"]
    assert values("import", "x", "--from", "wa") == ["wandb"]
    assert values("export", "digits", "--format", "o") == ["onnx"]


def test_a_run_is_completed_by_its_name_or_path():
    assert values("status", "") == ["digits", "old/"]
    assert values("status", "runs/") == ["runs/digits", "runs/my study"]
    assert values("status", "old/") == ["old/a:b"]
    assert values("status", "./ru") == ["./runs/"]


def test_only_folders_that_hold_studies_are_offered_as_runs():
    assert not [name for name in values("status", "") if "empty" in name or "my files" in name]
    assert values("status", "nowhere/") == []


def test_files_of_studies_are_yaml_files_and_folders():
    assert values("search", "m") == ["mine.yaml", "my files/"]
    assert values("search", "my files/") == ["my files/a b.yml"]
    assert "notes.txt" not in values("search", "")


def test_a_path_in_a_home_folder_and_other_files_are_left_to_the_shell():
    for words in (["status", "~/"], ["predict", "digits", ""], ["export", "digits", "-o", ""]):
        assert is_left_to_the_shell(locate(words, TABLE))
    assert not is_left_to_the_shell(locate(["predict", "digits", "--"], TABLE))


def test_trials_come_with_state_and_score():
    found = candidates(locate(["export", "digits", "--trial", ""], TABLE), TABLE)
    assert [(one.value, one.about) for one in found] == [
        ("0", "complete 0.5"),
        ("1", "complete 0.25"),
        ("2", "failed"),
        ("3", "not finished"),
    ]


def test_metrics_of_a_curve_are_completed_item_by_item():
    assert values("curve", "digits", "--metric", "") == ["loss", "val_loss", "all"]
    assert values("curve", "digits", "--metric", "loss,v") == ["loss,val_loss"]


def test_columns_are_those_of_the_ranked_table():
    assert values("results", "digits", "--columns", "rank,r") == ["rank,rate"]
    assert values("results", "digits", "--sort", "-lo") == ["-loss"]
    assert values("results", "digits", "--sort", "lo") == ["loss"]


def test_tags_are_those_of_the_studies(folder_of_studies):
    (folder_of_studies / "runs/digits/about.json").write_text('{"note": "", "tags": ["best", "paper"]}')
    (folder_of_studies / "runs/my study/about.json").write_text("broken")
    assert values("list", "--tag", "") == ["best", "paper"]
    assert values("list", "old", "--tag", "") == []
    assert values("tag", "digits", "p") == ["paper"]


def test_every_source_of_the_table_is_known():
    slots = [slot for verb in TABLE.verbs.values() for slot in (*verb.arguments, *verb.options)]
    assert {slot.source for slot in slots if slot.source} <= SOURCES


def test_names_that_would_break_the_protocol_are_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a\nb.yaml").write_text("")
    (tmp_path / "a\tb.yaml").write_text("")
    (tmp_path / "ab.yaml").write_text("")
    assert values("search", "a") == ["ab.yaml"]
