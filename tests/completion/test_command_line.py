"""What a command line expects at the cursor."""

import pytest

from tunecli.completion.command_line import locate, read_table

TABLE = read_table()


def source_at(*words: str) -> str:
    position = locate(words, TABLE)
    return position.slot.source if position.slot else ""


@pytest.mark.parametrize(
    ("words", "source"),
    [
        (["search", ""], "configs"),
        (["search", "--dry-run", ""], "configs"),
        (["search", "--out", "x", ""], "configs"),
        (["search", "--out=x", ""], "configs"),
        (["search", "--out", ""], "files"),
        (["search", "a.yaml", "--set", "a=1", "--set", ""], "keys"),
        (["search", "a.yaml", ""], ""),
        (["results", ""], "runs"),
        (["compare", "one", "two", ""], "runs"),
        (["results", "one", "--metrics", ""], "metrics"),
        (["results", "one", "--", ""], ""),
        (["results", "--", "--x"], "runs"),
        (["predict", ""], "runs_and_models"),
        (["predict", "one", ""], "files"),
        (["curve", "one", "--metric", ""], "metrics"),
        (["--install-completion", ""], "values"),
    ],
)
def test_the_source_of_values_follows_from_the_words_before_the_cursor(words, source):
    assert source_at(*words) == source


def test_an_option_whose_value_may_be_left_out_gives_way_to_the_next_option():
    position = locate(["results", "one", "--metrics", "--to"], TABLE)
    assert position.has_options
    assert position.text == "--to"
    assert locate(["results", "one", "--metrics", "--top", ""], TABLE).slot.names == ("--top",)


def test_a_joined_value_keeps_the_name_of_its_option():
    position = locate(["search", "a.yaml", "--set=opt"], TABLE)
    assert (position.head, position.text, position.slot.source) == ("--set=", "opt", "keys")


def test_the_values_before_the_cursor_are_found_by_their_option_or_source():
    given = locate(["resume", "one", "--config", "b.yaml", "--set", "x=1", "--set", ""], TABLE).given
    assert given == {"runs": ("one",), "--config": ("b.yaml",), "--set": ("x=1",)}


def test_a_line_without_a_verb_expects_one():
    assert locate([""], TABLE).verb is None
    assert locate([], TABLE).verb is None
    assert locate(["no-verb", "x"], TABLE).slot is None
