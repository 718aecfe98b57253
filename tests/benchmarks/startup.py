"""The time of the start: `import tunecli`, `--help`, a completion, `check`, `status` and `list`.

Run `python tests/benchmarks/startup.py [ROUNDS]`. The commands alternate, so that other load meets all of them; the
table has each median and its ratio to `python -c pass`. `import tunecli` shall take at most 1.2 times `import pydantic`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STUDY = """\
study: small
objective: {metric: val_accuracy}
trial: {data: {source: iris}, optimizer: {name: adamw, lr: {loguniform: [1e-4, 0.1]}}, training: {epochs: 1}}
search: {trials: 2, sampler: random}
"""
COMPLETES = {"_TUNECLI_COMPLETE": "complete_zsh"}
PROGRAM = ("-m", "tunecli")
COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "python -c pass": (("-c", "pass"), {}),
    "import pydantic": (("-c", "import pydantic"), {}),
    "import tunecli": (("-c", "import tunecli"), {}),
    "--help": ((*PROGRAM, "--help"), {}),
    "complete a verb": ((*PROGRAM, "se"), COMPLETES),
    "complete a run": ((*PROGRAM, "status", ""), COMPLETES),
    "complete --set": ((*PROGRAM, "search", "small.yaml", "--set", "opt"), COMPLETES),
    "complete --trial": ((*PROGRAM, "export", "small", "--trial", ""), COMPLETES),
    "check": ((*PROGRAM, "check", "small.yaml"), {}),
    "status": ((*PROGRAM, "status", "small"), {}),
    "list": ((*PROGRAM, "list"), {}),
}


def main(n_rounds: int) -> None:
    """Print the medians over ``n_rounds`` rounds, in milliseconds."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "small.yaml").write_text(STUDY)
        quiet: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([sys.executable, *PROGRAM, "search", "small.yaml"], check=True, **quiet)
        for _ in range(n_rounds):
            for name, (words, environ) in COMMANDS.items():
                begin = time.perf_counter()
                subprocess.run([sys.executable, *words], env={**os.environ, **environ}, **quiet)
                seconds[name].append(time.perf_counter() - begin)
    base = statistics.median(seconds["python -c pass"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:18}{median * 1000:8.0f} ms{median / base:7.1f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
