"""Every verb's output, in any encoding, at any width, on a terminal and into a pipe: no traceback, nothing that drives the
terminal, no line that a terminal folds, and JSON in ASCII."""

import io
import json
import re
import sys
import unicodedata

import pytest
from rich.cells import cell_len

from tunecli.cli import main

OWN = """
def train(params, trial):
    if trial.number % 4 == 1:
        raise ValueError("bad shape \\x1b[31m\\x9b31m — \\u202e\\udce9 é 漢 " + "on and on " * 20)
    if trial.number % 4 == 2:
        raise RuntimeError("another, in one line\\nand a second")
    for epoch in range(1, 4):
        trial.report(epoch, val_loss=params["x"] / epoch, accuracy=1 - params["x"], size=params["x"])
"""
PARAMS = r"""{x: {uniform: [0, 1]}, naïve_漢字: {choice: ["é—…", "c1\u009b31mX", "a\u202egnp", "z\u200b=1+1;=2", "1", 1, null, "null"]},
    opt: {choice: [{name: sgd, lr: {loguniform: [1e-4, 1]}}, {name: adam, lr: {loguniform: [1e-5, 1]}, a_parameter_of_a_long_name_indeed: {int: [1, 9]}}]},
    layers: {list: {of: {logint: [16, 256]}, length: {int: [1, 3]}}}}"""
ONE_GOAL = "{metric: val_loss}"
GOALS = '{pareto: [{metric: val_loss, direction: minimize}, {metric: accuracy, direction: maximize}], subject_to: {size: "<= 0.5"}}'
STUDY = "study: {}\nobjective: {}\ntrial: {{python: 'hostile_own:train', params: {}}}\nsearch: {{sampler: random, trials: {}}}\nrun: {{engine: inline, device: cpu, workers: 1}}\n"
STREAMS = [("ascii", True), ("ascii", False), ("latin-1", False), ("cp1252", True), ("utf-8", False), ("utf-8", True),
           ("utf-16", False), ("cp037", True)]  # fmt: skip
WIDTHS = ["40", "60", "80", "120", "200", "400", "", "0", "garbage", "²"]
MIXED = [(("ascii", True), "40"), (("utf-8", True), "60"), (("cp037", True), "200"), (("utf-8", True), "garbage"),
         (("utf-16", False), "")]  # fmt: skip
"""Streams and widths of the ordinary tests: the narrowest and a wide terminal, a width that is no number, and a pipe.

Each command takes the first one and two of the others in turns; the slow tests take all encodings and all widths.
"""
READING = [
    ["--help"], ["-h"], ["results", "-h"], ["--version"], ["bogus"], ["results"], ["search", "x", "--trials", "abc"],
    ["results", "nowhere"], ["check", "bad.yaml"], ["check", "one.yaml"], ["search", "one.yaml", "--dry-run"],
    ["status", "one"], ["status", "goals"], ["status", "fails"], ["status", "one", "--watch"], ["status", "goals", "--watch", "--json"], ["status", "fails", "--watch", "5"], ["results", "one"], ["results", "goals"], ["results", "fails"],
    ["results", "one", "--failed"], ["results", "one", "--trial", "0"], ["results", "one", "--trial", "1"],
    ["results", "one", "--columns", "trial,x,naïve_漢字,failure", "--sort", "-x"], ["results", "one", "--columns", "lrr"],
    ["results", "one", "--format", "csv"], ["results", "one", "--format", "markdown"], ["results", "one", "--json"],
    ["results", "one", "--trial", "1", "--json"], ["check", "one.yaml", "--json"], ["check", "bad.yaml", "--json"],
    ["logs", "one"], ["logs", "one", "--json"], ["logs", "goals", "--trial", "0", "--json"], ["logs", "one", "--trial", "0", "--follow"],
    ["curve", "one"], ["curve", "goals", "--metric", "all"], ["curve", "one", "--json"], ["curve", "goals", "--trial", "0"],
    ["curve", "one", "--format", "csv"], ["report", "one"], ["report", "goals"], ["report", "fails"], ["report", "one", "--json"], ["compare", "one", "goals"],
    ["bogus", "--json"], ["export", "one"], ["export", "one", "--json"], ["schema", "--format", "markdown"], ["resume", "goals"],
    ["list", "runs"], ["list", "runs", "--json"], ["list", "runs", "--format", "csv"], ["note", "one"], ["tag", "one"],
]  # fmt: skip
RUNNING = [["search", "one.yaml", "--out", "{new}"], ["search", "fails.yaml", "--out", "{new}"], ["verify", "one"],
           ["train", "best.yaml"], ["init", "{new}.yaml"], ["doctor"]]  # fmt: skip
AS_IT_IS = ("csv", "markdown", "export", "schema")  # documents with the same text at every width
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
EXIT_CODES = {"bogus": 2, "nowhere": 2, "bad.yaml": 2, "abc": 2, "lrr": 2, "fails.yaml": 3}


class Stream(io.TextIOWrapper):
    """A stream of a given encoding that can claim to be a terminal."""

    def __init__(self, encoding: str, *, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Three studies with hostile names: with one objective, with several, and with only failed trials."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile_own.py").write_text(OWN)
    for name, goals, n_trials in (("one", ONE_GOAL, 13), ("goals", GOALS, 13)):
        (folder / f"{name}.yaml").write_text(STUDY.format(name, goals, PARAMS, n_trials))
    (folder / "fails.yaml").write_text(
        STUDY.format("fails", "{metric: never, direction: minimize}", PARAMS, 5)
    )
    (folder / "bad.yaml").write_text('study: bad\n"\\u202e\\u009b31m": [1\n', encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, code in (("one", 0), ("goals", 0), ("fails", 3)):
            assert run(patch, ["search", f"{name}.yaml"])[0] == code
        assert run(patch, ["export", "one", "-o", "best.yaml"])[0] == 0
    return folder


def run(patch, words, *, encoding="utf-8", columns="80", is_terminal=False):
    """The exit code, the stdout and the stderr of a command."""
    out, err = (Stream(encoding, is_terminal=is_terminal) for _ in range(2))
    patch.setattr(sys, "stdout", out)
    patch.setattr(sys, "stderr", err)
    patch.setattr(sys, "argv", ["tunecli", *words])
    patch.setenv("COLUMNS", columns)
    patch.setenv("TERM", "xterm")
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code or 0, out.text, err.text


def check(patch, studies, words, **how):
    patch.chdir(studies)
    new = f"new-{len(list(studies.iterdir()))}"
    words = [word.format(new=new) for word in words]
    code, out, err = run(patch, words, **how)
    wanted = next((code for word, code in EXIT_CODES.items() if word in words), 0)
    assert code == (2 if words == ["results"] else wanted), err
    assert out or err
    is_json = "--json" in words
    if is_json:
        for text in filter(None, (out, err)):
            assert text.isascii()
            assert json.loads(text)["schema_version"] == 1
    width = (
        int(how["columns"]) if how.get("columns", "").isascii() and how.get("columns", "").isdigit() else 80
    )
    width = width or 80
    for stream in (out, err):
        text = ESCAPES.sub("", stream).replace("\r", "") if how.get("is_terminal") else stream
        assert "Traceback" not in text or "--trial" in words
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"]
        if how.get("is_terminal") or not set(words) & set(AS_IT_IS):
            assert not [c for c in text if unicodedata.category(c) == "Cf"]
        is_folded_by_nature = is_json or set(words) & set(AS_IT_IS) or "--trial" in words
        if how.get("is_terminal") and not is_folded_by_nature:
            for line in text.split("\n"):
                is_command = "tunecli " in line or "runs/" in line or stream is err
                assert cell_len(line) <= width or is_command or set(words) & {"-h", "--help"}, line


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_every_output_is_written_in_any_encoding_at_any_width(monkeypatch, studies, words):
    first, *others = MIXED
    turn = READING.index(words) % len(others)
    for (encoding, is_terminal), columns in (first, others[turn - 1], others[turn]):
        check(monkeypatch, studies, words, encoding=encoding, columns=columns, is_terminal=is_terminal)


@pytest.mark.slow
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_every_output_is_written_in_every_encoding(monkeypatch, studies, words):
    for encoding, is_terminal in STREAMS:
        check(monkeypatch, studies, words, encoding=encoding, is_terminal=is_terminal)


@pytest.mark.slow
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_every_output_fits_every_width(monkeypatch, studies, words):
    for columns in WIDTHS:
        check(monkeypatch, studies, words, columns=columns, is_terminal=True)


@pytest.mark.parametrize("words", RUNNING, ids=" ".join)
@pytest.mark.parametrize(
    ("encoding", "columns", "is_terminal"),
    [
        ("ascii", "40", True),
        ("utf-8", "", False),
        pytest.param("utf-8", "60", True, marks=pytest.mark.slow),
        pytest.param("latin-1", "200", True, marks=pytest.mark.slow),
        pytest.param("ascii", "", False, marks=pytest.mark.slow),
    ],
)
def test_a_running_sweep_is_shown_on_every_stream(
    monkeypatch, studies, words, encoding, columns, is_terminal
):
    check(monkeypatch, studies, words, encoding=encoding, columns=columns, is_terminal=is_terminal)


@pytest.mark.parametrize("words", [*READING, *RUNNING], ids=" ".join)
def test_a_closed_stream_is_no_error(monkeypatch, studies, words):
    monkeypatch.chdir(studies)
    new = f"closed-{len(list(studies.iterdir()))}"
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as caught:
        main([word.format(new=new) for word in words])
    assert caught.value.code in (0, 2, 3)


def test_the_winner_is_at_the_bottom_of_a_screen_of_24_lines(monkeypatch, studies):
    monkeypatch.chdir(studies)
    for words in (["search", "one.yaml", "--out", "winner"], ["results", "winner"]):
        _, out, _ = run(monkeypatch, words, is_terminal=True)
        bottom = out.rstrip("\n").split("\n")[-23:]
        [best] = [place for place, line in enumerate(bottom) if line.startswith("best  trial ")]
        number = bottom[best].split()[2]
        first = next(line.split() for line in out.split("\n") if line.split()[:1] == ["1"])
        assert first[1] == number
        assert any(line.split()[:1] == ["params.x"] for line in bottom[best:])


def test_a_terminal_gets_a_fitted_table_and_a_pipe_the_whole_table(monkeypatch, studies):
    monkeypatch.chdir(studies)
    _, piped, _ = run(monkeypatch, ["results", "one"], columns="40")
    assert {"rank", "status", "params.opt.lr", "seed", "device", "failure"} <= set(
        piped.split("\n")[0].split()
    )
    _, shown, _ = run(monkeypatch, ["results", "one"], columns="80", is_terminal=True)
    heading, *rows = ESCAPES.sub("", shown).split("\n")
    assert heading.split()[:4] == ["rank", "trial", "status", "val_loss"]
    assert not {"seed", "device", "failure"} & set(heading.split())
    assert sum(row[:4].strip() in {"—", *map(str, range(1, 8))} for row in rows[:13]) == 13, (
        "a row is one line"
    )
    assert "more column" in shown and "--columns" in shown
    assert "3 trials failed: ValueError: bad shape" in shown
    assert "(hostile_own.py:4)" in shown
