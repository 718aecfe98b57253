"""Output streams: characters that the encoding lacks are replaced, control sequences are removed, widths are checked."""

import io
import os
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.console.streams import prepare, seen, spoken, width_of, write_err, write_out
from tunecli.errors import DiskFull

ENCODINGS = ["ascii", "latin-1", "cp1252", "utf-8", "utf-16", "cp037", "shift_jis"]


def stream_of(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(text=st.text(st.characters()))
def test_any_text_is_written_in_any_encoding(encoding, text):
    with pytest.MonkeyPatch.context() as patch:
        stream = stream_of(encoding)
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        prepare()
        write_out(text)
        write_err(text)
        print(text, end="", flush=True)
        stream.buffer.getvalue().decode(encoding)
        spoken(text, stream).encode(encoding)


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("ascii", "a - b ... +/- ? ?"), ("latin-1", "a - b ... ± é ?"), ("utf-8", "a — b … ± é 漢")],
)
def test_glyphs_of_tunecli_are_replaced_if_the_encoding_lacks_them(encoding, written):
    assert spoken("a — b … ± é 漢", stream_of(encoding)) == written


@given(
    st.text(
        st.characters()
        | st.sampled_from("\x9b\x1b\u202e\u2066\u200b\u200d\ufeff\u2060\U000e0041\r\t\x85\u2028\u3164")
    )
)
def test_control_and_invisible_characters_are_removed(text):
    found = seen(text)
    assert all(character == "\n" or character.isprintable() for character in found)
    assert not any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        for character in found.replace("\n", "")
    )
    assert found.count("\n") == text.count("\n")
    assert seen(found) == found


@pytest.mark.parametrize(
    ("said", "width"),
    [("120", 120), ("40", 40), ("400", 400), ("1", 40), ("0", 80), ("", 80), ("-5", 80), ("wide", 80), ("²", 80), ("٣٠", 80),
     ("9" * 4000, 80), ("80.5", 80), (" 90", 80), (None, 80)],
)  # fmt: skip
def test_a_valid_columns_variable_sets_the_width(monkeypatch, said, width):
    monkeypatch.delenv("COLUMNS", raising=False)
    if said is not None:
        monkeypatch.setenv("COLUMNS", said)
    assert width_of(io.StringIO()) == width
    assert width_of(None) == width


def test_a_full_disk_is_an_error_on_stdout_and_none_on_stderr(monkeypatch):
    with Path("/dev/full").open("w") as out, Path("/dev/full").open("w") as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        with pytest.raises(DiskFull):
            write_out("x" * 10)
        write_err("x" * 10)
        write_err("again")
        write_out("and this goes nowhere")


def test_a_closed_pipe_and_a_closed_stream_are_no_error(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        write_err("x")
        write_out("x")
    write_out("to a closed file")
    write_err("to a closed file")
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    write_out("to none")
    write_err("to none")


def test_a_pipe_that_does_not_block_gets_everything(monkeypatch):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text, got = "x" * 1_000_000, bytearray()
    if (child := os.fork()) == 0:
        os.close(reader)
        sys.stdout = os.fdopen(writer, "w")
        write_out(text)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        got += stream.read()
    os.waitpid(child, 0)
    assert got.decode() == text


class NotebookStream(io.StringIO):
    """A stream of a kernel: it has the number of the kernel's own stderr, and writes elsewhere."""

    def fileno(self) -> int:
        return 2


def test_a_stream_of_a_notebook_gets_the_text_itself(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = NotebookStream()
    monkeypatch.setattr(sys, "stderr", stream)
    write_err("[1/4] trial 0\n")
    assert stream.getvalue() == "[1/4] trial 0\n"
    assert capfd.readouterr().err == ""
