"""The fields of the documents that `--json` prints, from real runs of the verbs on a small study."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.support.forked import run_verb

STUDY = """study: small
seed: 1
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [8]}
  optimizer: {name: adamw, lr: {loguniform: [1e-3, 1e-1]}}
  training: {epochs: 2}
search: {sampler: random, trials: 3}
run: {workers: 1, device: cpu}
"""
RUNS = (
    ("check", "check study.yaml"),
    ("search --dry-run", "search study.yaml --dry-run"),
    ("search", "search study.yaml"),
    ("", "search study.yaml --out runs/other"),
    ("", "report runs/small"),  # fits the baseline, which so short a sweep does not wait for
    ("resume", "resume runs/small --trials 4"),
    ("status", "status runs/small"),
    ("results", "results runs/small"),
    ("results --trial", "results runs/small --trial 0"),
    ("report", "report runs/small"),
    ("compare", "compare runs/small runs/other"),
    ("curve", "curve runs/small"),
    ("logs", "logs runs/small"),
    ("export", "export runs/small -o best.yaml"),
    ("train", "train best.yaml"),
    ("verify", "verify runs/small"),
    ("confirm", "confirm runs/small --top 2 --repeats 3"),
    ("predict", "predict runs/small new.csv"),
    ("import", "import sweep.yaml"),
    ("doctor", "doctor"),
    ("an error", "status runs/missing"),
)
"""What the documents are of, and the words of a verb that prints one."""
MAPS = {"parameters", "metrics", "counts", "failures", "devices", "versions", "packages", "labels"}
"""Fields whose keys are names of the study or of the machine, not names of fields."""


def json_page(found: dict[str, Any]) -> str:
    """The page of all documents."""
    from dev.reference import NOTE

    parts = [
        "# JSON documents",
        NOTE,
        "With `--json` each verb prints one document on stdout; an error is a document on stderr. This page lists its fields, from runs on a small study. "
        "A field whose list is empty there, or whose value is null, is shown as `[]` or `null`.",
    ]
    for title, document in found.items():
        rows = [f"| `{path}` | {kind} |" for path, kind in fields(document)]
        parts += [f"## {title}", "\n".join(["| field | type |", "|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def documents() -> dict[str, Any]:
    """Each verb's document, from a run in a temporary folder."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(STUDY)
        (folder / "new.csv").write_text(
            "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5,3,1,0.2\n"
        )
        (folder / "sweep.yaml").write_text(
            "program: train.py\nmethod: random\nmetric: {name: loss}\nparameters: {lr: {min: 0.1, max: 1.0}}\n"
        )
        for title, words in RUNS:
            done = run_verb(*words.split(), "--json", cwd=folder)
            assert (done.returncode == 0) == (title != "an error"), f"{words}: {done.stderr}"
            if title:
                found[title] = json.loads(done.stdout or done.stderr)
    return found


def fields(value: Any, path: str = "") -> list[tuple[str, str]]:
    """The path and the type of each field, in the order of the document; a list is shown by its first value."""
    if isinstance(value, dict) and value and path.rsplit(".", 1)[-1].rstrip("[]") not in MAPS:
        return [row for key, inner in value.items() for row in fields(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return fields(value[0], f"{path}[]")
    return [(path, _type_of(value))]


def _type_of(value: Any) -> str:
    if isinstance(value, dict):
        return "object by name"
    if isinstance(value, list):
        return f"list of {_type_of(value[0])}" if value else "`[]`"
    names = {bool: "true or false", int: "number", float: "number", str: "text", type(None): "`null`"}
    return names[type(value)]
