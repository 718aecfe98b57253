"""Time `tunecli check` on a CSV file of very many columns.

python -m tests.benchmarks.wide [--columns 200000] [--rows 20]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

STUDY = """
study: wide
objective: {metric: val_accuracy, direction: maximize}
trial:
  data: {source: wide.csv, target: y}
  model: {name: mlp, hidden: [8]}
  optimizer: {name: adamw, lr: {loguniform: [1.0e-4, 1.0e-2]}}
  training: {epochs: 2, batch_size: 4}
search: {trials: 2}
"""


def write_table(path: Path, n_columns: int, n_rows: int) -> None:
    """Write a table of normal numbers with four decimals, and a target of two classes."""
    r = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("y," + ",".join(f"gene_{number}" for number in range(n_columns)) + "\n")
        for row in range(n_rows):
            file.write("ab"[row % 2] + "," + ",".join(f"{x:.4f}" for x in r.normal(size=n_columns)) + "\n")


def main() -> None:
    """Print the processor's time and the peak memory of one check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / "wide.csv", arguments.columns, arguments.rows)
        (Path(folder) / "wide.yaml").write_text(STUDY)
        command = [sys.executable, "-m", "tunecli", "check", "wide.yaml"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{arguments.columns:,} columns, {arguments.rows} rows: {used.ru_utime + used.ru_stime:.1f} s",
        end=", ",
    )
    print(f"{used.ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
