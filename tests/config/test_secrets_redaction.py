"""A value is removed from a text in every spelling, whole or cut."""

import ast
import base64
import html
import json
import shlex
import textwrap
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.config.secrets import redacted

TOKEN = "ghp_Zx81/qQ+7w==k~'Vm\"3-yT9_ä{r}%A"
LONG = "".join(chr(33 + (n * 37) % 90) for n in range(85)).replace("\\", "_")

BASE64 = [
    lambda value: base64.b64encode(value.encode()).decode(),
    lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    lambda value: base64.b64encode(b"u:" + value.encode()).decode(),
    lambda value: base64.b64encode(b"user:" + value.encode() + b"\n").decode(),
    lambda value: base64.urlsafe_b64encode(b"a" + value.encode() + b"z").decode().rstrip("="),
    lambda value: base64.encodebytes(
        b"some words before it, " * 2 + value.encode() + b" and after it"
    ).decode(),
]
SPELLINGS = [
    str,
    str.upper,
    str.lower,
    repr,
    ascii,
    json.dumps,
    lambda value: json.dumps(json.dumps(value)),
    lambda value: json.dumps(value, ensure_ascii=False),
    html.escape,
    shlex.quote,
    urllib.parse.quote,
    urllib.parse.quote_plus,
    lambda value: urllib.parse.quote(value, safe="").lower(),
    lambda value: urllib.parse.urlencode({"key": value}),
    lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    lambda value: value.encode().hex(),
    lambda value: "\n".join(textwrap.wrap(value, 20)),
    lambda value: value[:9] + "\r\n    " + value[9:],
    lambda value: value[:9] + " \\\n" + value[9:],
    lambda value: value[:9] + "\\n" + value[9:],
    *BASE64,
]


@pytest.mark.parametrize("value", [TOKEN, LONG, "pa ss\nword two\n"], ids=["token", "long", "lines"])
@pytest.mark.parametrize("spelling", range(len(SPELLINGS)))
def test_redaction_removes_every_spelling_of_a_value(value, spelling):
    told = redacted(f"[{SPELLINGS[spelling](value)}]", ["T"], {"T": value})
    left = told.replace("${env:T}", "").lower()
    assert "${env:T}" in told
    assert not any(value[n : n + 4].lower() in left for n in range(len(value) - 4)), told


@pytest.mark.parametrize("value", [TOKEN, LONG])
def test_a_value_with_each_character_on_its_own_line_is_redacted(value):
    assert redacted("\n".join(value), ["T"], {"T": value}) == "${env:T}"


@settings(deadline=None)
@given(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\n\r\\", min_codepoint=33), min_size=6, max_size=40
    ),
    st.binary(max_size=9),
    st.binary(max_size=9),
)
def test_values_are_found_at_every_offset_in_base64(value, before, after):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + value.encode() + after).decode()
        told = redacted(f"Basic {encoded};", ["T"], {"T": value})
        assert "${env:T}" in told
        assert len(told) - len("Basic ${env:T};") <= 4 * (len(before) + len(after)) / 3 + 3


@settings(deadline=None)
@given(st.integers(0, 84), st.integers(0, 84), st.text("xyz \n", max_size=5))
def test_parts_of_a_value_at_a_cut_are_redacted(first, last, around):
    start, end = LONG[first:], LONG[:last]
    told = redacted(f"{start}{around}{end}", ["T"], {"T": LONG}, is_cut=True).replace("${env:T}", "")
    assert not any(LONG[n : n + 4] in told for n in range(len(LONG) - 3)), told
    told = redacted(f"was {end}… and …{start} too", ["T"], {"T": LONG}, is_cut=True).replace("${env:T}", "")
    assert not any(LONG[n : n + 4] in told for n in range(len(LONG) - 3)), told


def test_a_text_that_only_starts_like_a_value_stays():
    environment = {"PLACE": "/home/alice/private"}
    assert redacted("no file /home/alice/public", ["PLACE"], environment) == "no file /home/alice/public"
    assert redacted("no file /home/alice", ["PLACE"], environment) == "no file /home/alice"


def test_short_values_are_redacted_only_in_their_exact_spelling():
    assert redacted("key abc, ABC, a\nbc", ["T"], {"T": "abc"}) == "key ${env:T}, ABC, a\nbc"
    assert redacted("a1 YWJj", ["T"], {"T": "abc"}) == "a1 ${env:T}"
    assert redacted("ab", ["T"], {"T": "ab"}) == "ab"


def test_values_that_overlap_leave_nothing():
    told = redacted("xx-secretone-two", ["A", "B"], {"A": "secretone", "B": "one-two"})
    assert told == "xx-${env:A}"
    assert redacted("abcdabcdabcd", ["A"], {"A": "abcdabcd"}) == "${env:A}"


def test_a_long_text_of_many_lines_takes_no_long_time():
    text = ("a line of the program's own, with … and ... in it\n" * 20_000)[: 2**20]
    assert redacted(text, ["T"], {"T": LONG}, is_cut=True) == text
    assert ast.literal_eval(redacted(repr(LONG), ["T"], {"T": LONG})) == "${env:T}"
