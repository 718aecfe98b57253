"""Time of the same sweep in tunecli and in other libraries, as whole processes with their start-up.

    python tests/benchmarks/peers.py [--works mlp64 mlp256 cnn tabular transformer] [--runs 5] [--trials 64]

A workload is a model, its data, and a random search over its learning rate and weight decay. tunecli runs it from YAML
with two workers. Optuna runs it with the usual loop over a DataLoader, in one process and in two processes on SQLite,
and with a loop over indexed tensors. Ray Tune runs it with indexed tensors, if it is installed. All trials compute on
one thread. Runs alternate. The table shows medians and their ratios, of wall time and, on Linux, of the processor time
of all processes together, which depends less on other processes. The benchmark also prints the speed of a core in
matrix products, measured in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Work:
    """One workload: the value of ``trial`` in the YAML; ``peer_work.py`` has the same model and data by hand."""

    name: str
    trial: str
    epochs: int
    batch_size: int
    n_trials: int


MLP = "data: {{source: digits}}\n  model: {{name: mlp, hidden: [{width}, {width}]}}"
WORKS = {
    work.name: work
    for work in (
        Work("mlp64", MLP.format(width=64), 20, 64, 64),
        Work("mlp256", MLP.format(width=256), 20, 64, 32),
        Work("cnn", "data: {source: digits}\n  model: {name: cnn, channels: [16, 32]}", 10, 64, 8),
        Work("tabular", "data: {source: tabular.npz}\n  model: {name: mlp, hidden: [64, 64]}", 2, 256, 8),
        Work(
            "transformer",
            "data: {source: wine}\n  model: {name: transformer, width: 32, layers: 2, heads: 4}",
            20,
            32,
            8,
        ),
    )
}
STUDY = """\
study: peers
seed: 1
objective: {{metric: val_accuracy}}
trial:
  {trial}
  optimizer: {{name: adamw, lr: {{loguniform: [1e-4, 1e-1]}}, weight_decay: {{loguniform: [1e-6, 1e-1]}}}}
  training: {{epochs: {epochs}, batch_size: {batch_size}}}
search: {{sampler: random, trials: {trials}}}
run: {{device: cpu, workers: {workers}}}
"""


def tunecli(work: Work, n_trials: int, workers: int, folder: Path) -> list[str]:
    """The command that runs the workload from YAML."""
    text = STUDY.format(
        trial=work.trial, epochs=work.epochs, batch_size=work.batch_size, trials=n_trials, workers=workers
    )
    (folder / "peers.yaml").write_text(text)
    return [sys.executable, "-m", "tunecli", "search", "peers.yaml", "--out", "run"]


def peer(library: str, loop: str, processes: int) -> Callable[[Work, int, Path], list[str]]:
    """The command that runs the workload in another library."""

    def command(work: Work, n_trials: int, folder: Path) -> list[str]:
        script = str(HERE / "peer_work.py")
        options = ["--work", work.name, "--trials", str(n_trials), "--processes", str(processes)]
        options += ["--epochs", str(work.epochs), "--batch", str(work.batch_size), "--loop", loop]
        return [sys.executable, script, "--peer", library, *options]

    return command


METHODS: dict[str, Callable[[Work, int, Path], list[str]]] = {
    "tunecli": lambda work, n, folder: tunecli(work, n, 2, folder),
    "Optuna, 1 process, DataLoader": peer("optuna", "dataloader", 1),
    "Optuna, 2 processes, DataLoader": peer("optuna", "dataloader", 2),
    "Optuna, 2 processes, indexed": peer("optuna", "indexed", 2),
    "Ray Tune, indexed": peer("ray", "indexed", 2),
}


def seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall seconds of a whole process, and the processor seconds of it and of all processes that it started."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    took = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr[-2000:]}")
    with contextlib.suppress(ChildProcessError):  # wait for adopted processes that outlived it
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def adopt() -> None:
    """Adopt orphans of child processes, so that their time is counted; works on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def peak() -> float:
    """GFLOP/s of one core in a product of two 1,024 × 1,024 matrices."""
    import torch

    torch.set_num_threads(1)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    rates = []
    for _ in range(5):
        began = time.perf_counter()
        a @ b
        rates.append(2 * 1024**3 / (time.perf_counter() - began) / 1e9)
    return max(rates)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--trials", type=int, help="instead of each work's own number")
    arguments = parser.parse_args()
    methods = {name: METHODS[name] for name in arguments.methods}
    if "Ray Tune, indexed" in methods and importlib.util.find_spec("ray") is None:
        print("Ray Tune is not installed: left out")
        del methods["Ray Tune, indexed"]
    adopt()
    print(f"one core's matrix product: {peak():.0f} GFLOP/s")
    for name in arguments.works:
        work = WORKS[name]
        n_trials = arguments.trials or work.n_trials
        times: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
        for _ in range(arguments.runs):
            for method, command in methods.items():
                with tempfile.TemporaryDirectory() as folder:
                    folder_path = Path(folder)
                    if name == "tabular":
                        subprocess.run(
                            [sys.executable, str(HERE / "peer_work.py"), "--make", "tabular.npz"],
                            cwd=folder_path,
                            check=True,
                        )
                    times[method].append(seconds(command(work, n_trials, folder_path), folder_path))
        ours = next(iter(methods))
        print(f"\n{name}: {n_trials} trials, medians of {arguments.runs}")
        for method, pairs in times.items():
            line = f"  {method:34s}"
            for kind, of in zip(("", "processor"), zip(*pairs, strict=True), strict=True):
                mine = [pair[kind == "processor"] for pair in times[ours]]
                ratio = statistics.median(a / b for a, b in zip(of, mine, strict=True))
                line += f" {kind} {statistics.median(of):7.2f} s {ratio:5.2f} x"
            print(line, flush=True)


if __name__ == "__main__":
    main()
