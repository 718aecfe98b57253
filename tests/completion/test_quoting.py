"""Words with and without quotes. `shlex` splits the same closed lines, and bash is the reference in `test_shells`."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.completion.quoting import dequoted, quoted, split_line

WORDS = st.text(st.sampled_from("ab \\'\"$`:=é&;()*"), min_size=1)


@given(st.lists(WORDS, min_size=1))
def test_quoted_words_are_split_again_into_the_same_words(words):
    line = " ".join(quoted(word, "") for word in words)
    assert split_line(line).words == words == shlex.split(line)


@pytest.mark.parametrize("quote", ["'", '"'])
@given(WORDS)
def test_a_word_inside_an_open_quote_is_read_as_it_was(quote, word):
    raw = quote + quoted(word, quote)
    line = split_line(f"tunecli status {raw}")
    assert line.words == ["tunecli", "status", word]
    assert line.last_raw == raw
    assert line.quote == quote


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_bash_reads_quoted_words_as_they_were(quote):
    words = [
        "a b",
        "$HOME",
        "`id`",
        "back\\slash",
        "it's",
        'say "a"',
        "a;b&c|d",
        "é*?[x]",
        "~",
        "#a",
        "!x",
        "(a)",
    ]
    typed = " ".join(
        f"{quote}{quoted(word, quote)}{quote}" for word in words if not (word == "~" and not quote)
    )
    done = subprocess.run(["bash", "--norc", "-c", f"printf '%s\\n' {typed}"], capture_output=True, text=True)
    assert done.stdout.splitlines() == [word for word in words if not (word == "~" and not quote)]


@pytest.mark.parametrize(
    ("line", "words", "last"),
    [
        ("tunecli ", ["tunecli", ""], ""),
        ("tunecli  search", ["tunecli", "search"], "search"),
        ("tunecli search my\\ f", ["tunecli", "search", "my f"], "my\\ f"),
        ("tunecli --set 'a b'=c", ["tunecli", "--set", "a b=c"], "'a b'=c"),
        ("", [""], ""),
        ("x \\", ["x", ""], "\\"),
    ],
)
def test_a_line_is_split_up_to_the_cursor(line, words, last):
    assert split_line(line).words == words
    assert split_line(line).last_raw == last


def test_one_word_loses_its_quotes():
    assert dequoted("'my st") == "my st"
    assert dequoted("my\\ st") == "my st"
    assert dequoted("") == ""
