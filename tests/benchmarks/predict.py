"""Times `tunecli predict`: 100,000 rows of 40 columns, 8 of them categories, with the start of the process taken apart.

Run: python -m tests.benchmarks.predict [--rows N] [--columns F]

The start is the time of the same command for one row: Python, torch, and the model. The parts are measured in one
process, by the functions that the command calls. On a busy machine, the processor's time says more than the wall time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

_N_TEXT = 8
_CITIES = np.array([f"city {n}" for n in range(40)])


def write_rows(path: Path, n_rows: int, n_columns: int) -> None:
    """A CSV file with categories, numbers, missing values and a target."""
    rng = np.random.default_rng(0)
    texts = _CITIES[rng.integers(0, len(_CITIES), (n_rows, _N_TEXT))]
    numbers = np.char.mod("%.4f", rng.normal(size=(n_rows, n_columns - _N_TEXT)))
    numbers[rng.random(numbers.shape) < 0.02] = ""
    target = np.where(rng.random((n_rows, 1)) < 0.5, "yes", "no")
    header = [f"c{n}" for n in range(_N_TEXT)] + [f"x{n}" for n in range(n_columns - _N_TEXT)] + ["y"]
    cells = np.concatenate([texts, numbers, target], axis=1)
    path.write_text("\n".join([",".join(header), *(",".join(row) for row in cells.tolist())]) + "\n")


def timed(what: str, work: Callable[[], object]) -> object:
    """Run ``work``, print its seconds of wall time and of the processor, and return its result."""
    began_s, before = time.perf_counter(), os.times()
    result = work()
    wall_s, after = time.perf_counter() - began_s, os.times()
    print(f"{what:28} {wall_s:6.2f} s, processor {sum(after[:4]) - sum(before[:4]):6.2f} s")
    return result


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=40)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"

    from tests.support.jobs import make_job
    from tunecli.commands.predict import Request, predict
    from tunecli.commands.prediction_files import csv_text
    from tunecli.objective import Objective
    from tunecli.train.artifact.loading import load_model
    from tunecli.train.artifact.model import TrainedModel
    from tunecli.train.data.table import Table
    from tunecli.train.loop import run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "t.csv", 2000, asked.columns)
        write_rows(folder / "new.csv", asked.rows, asked.columns)
        write_rows(folder / "one.csv", 1, asked.columns)
        config = {
            "data": {"source": "t.csv", "target": "y"},
            "model": {"name": "mlp", "hidden": [128, 128]},
            "training": {"epochs": 1},
        }
        files = {"base_path": name, "weights_path": str(folder / "m.safetensors")}
        list(run(make_job(0, config, Objective("val_accuracy", True), device="cpu", **files)))

        for rows in ("one", "new"):
            words = [
                sys.executable,
                "-m",
                "tunecli",
                "predict",
                "m.safetensors",
                f"{rows}.csv",
                "-o",
                "p.csv",
            ]
            run = partial(subprocess.run, words, cwd=folder, check=True, capture_output=True)
            timed(f"command, {rows}.csv", run)
        model = timed("load the model", lambda: load_model(folder / "m.safetensors"))
        assert isinstance(model, TrainedModel)
        table = timed("read the rows", lambda: model.read(folder / "new.csv"))
        assert isinstance(table, Table)
        timed("prepare the rows", lambda: model.preprocess(table))
        outputs = timed("prepare and compute", lambda: model.outputs(table))
        timed("metrics", lambda: model.metrics(table, outputs))  # type: ignore[arg-type]
        found = timed(
            "all of it", lambda: predict(str(folder / "m.safetensors"), folder / "new.csv", Request())
        )
        timed("as CSV", lambda: csv_text(found.rows))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
