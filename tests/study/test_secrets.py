"""A study uses a secret, and neither its folder nor any output of the verbs contains it."""

import base64
import os

import pytest

from tests.support.forked import run_verb

SECRET = "s3cr3t'\"{x}\\\\ä"
FUNCTION = """\
study: own
objective: {metric: height, direction: minimize}
trial:
  python: mine:train
  params: {x: {uniform: [0.0, 1.0]}, key: {choice: ['${env:TUNECLI_KEY}', 'Bearer ${env:TUNECLI_KEY}']}, data: '${env:TUNECLI_PLACE}/x.txt'}
search: {sampler: quasirandom, trials: 4}
run: {device: cpu, workers: 1, on_failure: {error: retry}}
"""
MINE = """\
import os, pathlib

def train(params, trial):
    assert params["key"].endswith(os.environ["TUNECLI_KEY"])
    pathlib.Path(params["data"]).read_text()
    if params["x"] > 0.4:
        raise ValueError("refused: " + params["key"] + " and %r in %s" % (params["key"], params["data"]))
    return params["x"]
"""
COMMAND = """\
study: own
objective: {metric: height, direction: minimize}
trial:
  command: [sh, -c, 'test "$1" = "$TUNECLI_KEY" || exit 9; echo "{{\\"height\\": {x}}}"; printf "refused: %s" "$1" >&2; exit {end}', sh, '${env:TUNECLI_KEY}']
  params: {x: {uniform: [0.0, 1.0]}, end: {choice: [0, 3]}}
search: {sampler: quasirandom, trials: 4}
run: {device: cpu, workers: 1}
"""
TABLE = """\
study: own
objective: {metric: val_accuracy}
trial:
  data: {source: '${env:TUNECLI_PLACE}/mine.csv', target: y}
  model: {name: mlp, hidden: [{int: [2, 4]}]}
  training: {epochs: 2}
search: {sampler: quasirandom, trials: 2}
run: {device: cpu, workers: 1, checkpoint: {epochs: 1}}
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(FUNCTION, id="function"),
        pytest.param(COMMAND, id="command", marks=pytest.mark.slow),
        pytest.param(TABLE, id="table", marks=pytest.mark.slow),
    ],
)
def test_a_planted_secret_is_nowhere(tmp_path, text):
    place = tmp_path / "private place"
    place.mkdir()
    (place / "x.txt").write_text("")
    rows = "".join(f"{n % 7},{n % 5},{'ab'[n % 2]}\n" for n in range(60))
    (place / "mine.csv").write_text(f"a,b,y\n{rows}")
    study = tmp_path / "study"
    study.mkdir()
    (study / "mine.py").write_text(MINE)
    (study / "own.yaml").write_text(text)
    environment = {**os.environ, "TUNECLI_KEY": SECRET, "TUNECLI_PLACE": str(place)}

    said = ""
    for arguments in (
        ("check", "own.yaml"),
        ("search", "own.yaml"),
        ("resume", "own", "--trials", "5"),
        ("results", "own", "--format", "csv"),
        ("results", "own", "--json"),
        ("export", "own", "-o", "best.yaml"),
        ("train", "best.yaml", "--json"),
        ("verify", "own", "--all"),
        ("resume", "own", "--fork", "two", "--trials", "6"),
    ):
        done = run_verb(*arguments, cwd=study, environment=environment)
        assert done.returncode == 0, (arguments, done.stderr)
        said += done.stdout + done.stderr
    # All files of the study and all output of the verbs are searched for the secret.
    kept = b"".join(path.read_bytes() for path in (study / "runs").rglob("*") if path.is_file())
    kept += (study / "best.yaml").read_bytes()
    assert b"${env:TUNECLI_" in kept
    for forbidden in (SECRET, repr(SECRET)[1:-1], "s3cr3t", "private place"):
        assert forbidden.encode() not in kept
        assert forbidden not in said
    if text is not TABLE:
        assert b"refused: ${env:TUNECLI_KEY}" in kept or b"refused: Bearer ${env:TUNECLI_KEY}" in kept
    environment.pop("TUNECLI_KEY")
    environment.pop("TUNECLI_PLACE")
    done = run_verb("resume", "own", "--trials", "9", cwd=study, environment=environment)
    assert done.returncode == 2
    assert "is not set" in done.stderr
    assert run_verb("results", "own", cwd=study, environment=environment).returncode == 0


TOKEN = "ghp_" + "".join(chr(65 + (n * 11) % 26 + (n % 2) * 32) for n in range(80)) + "+/=9"
PROGRAM = """\
import base64, json, os, sys, urllib.parse

token, way = sys.argv[1], int(sys.argv[2])
if way == 0:
    print(json.dumps({"val_loss": token}), flush=True)
if way == 1:
    print(json.dumps({"val_loss": {"Authorization": token}}), flush=True)
if way == 2:
    sys.stderr.write("x" * 40 + token + "y" * (65536 - 30) + "\\nlast line\\n")
if way == 3:
    sys.stderr.write("Basic " + base64.b64encode(b"user:" + token.encode()).decode() + "\\n")
if way == 4:
    sys.stderr.write(token.upper() + " " + token.lower() + "\\n" + token[:30] + "\\n" + token[30:] + "\\n")
if way == 5:
    sys.stderr.write("https://host/?key=" + urllib.parse.quote(token, safe="") + "\\n")
if way == 6:
    print(json.dumps({"epoch": 1, "val_loss": 0.5, token: 1.0, "of " + token: 2.0}), flush=True)
    print(json.dumps({"val_loss": 0.5, token.upper(): 1.0}), flush=True)
    sys.exit(0)
if way == 7:
    print("loss:", token, flush=True)
sys.exit(3)
"""
WAYS = """\
study: own
objective: {metric: val_loss}
trial:
  command: [python, program.py, '${env:TUNECLI_KEY}', '{way}']
  params: {way: {choice: [0, 1, 2, 3, 4, 5, 6, 7]}}
search: {sampler: grid}
run: {device: cpu, workers: 1}
"""


@pytest.mark.parametrize(
    "metrics",
    [
        pytest.param("", id="json"),
        pytest.param("  metrics: {val_loss: 'loss: (.*)'}\n", id="patterns", marks=pytest.mark.slow),
    ],
)
def test_no_output_or_file_contains_a_part_of_a_token_that_a_program_prints(tmp_path, metrics):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "own.yaml").write_text(WAYS.replace("  params:", metrics + "  params:"))
    said = ""
    for arguments in (
        ("search", "own.yaml"),
        ("results", "own", "--format", "csv"),
        ("results", "own", "--json"),
        ("status", "own", "--json"),
        ("verify", "own", "--all"),
    ):
        done = run_verb(*arguments, cwd=tmp_path, environment={**os.environ, "TUNECLI_KEY": TOKEN})
        assert done.returncode in (0, 2, 3), (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        said += done.stdout + done.stderr
    kept = b"".join(path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file())
    assert b"${env:TUNECLI_KEY}" in kept
    encoded = [base64.b64encode(b"-" * n + TOKEN.encode())[4:-4] for n in range(3)]
    pieces = [TOKEN.encode(), *encoded]
    for text in (kept.lower(), said.lower().encode()):
        for piece in pieces:
            found = {piece[n : n + 8] for n in range(len(piece) - 7) if piece[n : n + 8].lower() in text}
            assert not found
