"""The same sweep through tunecli and through others, as whole processes, start-up included.

    python tests/benchmarks/peers.py [--works mlp64 mlp256 cnn tabular transformer] [--runs 5] [--trials 64]

A work is a model, its data and a random search over its learning rate and weight decay. tunecli runs it from plain YAML
with two workers; Optuna runs it as most people write it, a DataLoader in a loop of one's own, in one process and in two
on SQLite, and with a loop over indexed tensors; Ray Tune likewise, where it is installed. All trial functions compute
on one thread.
Runs alternate, the medians and their ratios are printed, of the clock and, on Linux, of the processor time of all
processes together, which a busy machine spoils less; and beside them what the core gives in matrix products, measured
in the same run.
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
    """One workload: what stands under ``trial`` in the YAML; ``peer_work.py`` has the same by hand."""

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
    """The command that runs the work from YAML."""
    text = STUDY.format(
        trial=work.trial, epochs=work.epochs, batch_size=work.batch_size, trials=n_trials, workers=workers
    )
    (folder / "peers.yaml").write_text(text)
    return [sys.executable, "-m", "tunecli", "search", "peers.yaml", "--out", "run"]


def peer(library: str, loop: str, processes: int) -> Callable[[Work, int, Path], list[str]]:
    """The command that runs the work through another library."""

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
    """Wall time of a whole process, and the processor time of it and of all that it started."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    took = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr[-2000:]}")
    with contextlib.suppress(ChildProcessError):  # whoever outlived it, adopted by this process
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def adopt() -> None:
    """Let what outlives its parent become this process's, so that its time is counted; Linux has that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def peak() -> float:
    """What one core gives in a product of two 1,024 × 1,024 matrices, in 1e9 multiply-adds and adds a second."""
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
    """Run and print."""
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
                    place = Path(folder)
                    if name == "tabular":
                        subprocess.run(
                            [sys.executable, str(HERE / "peer_work.py"), "--make", "tabular.npz"],
                            cwd=place,
                            check=True,
                        )
                    times[method].append(seconds(command(work, n_trials, place), place))
        ours = next(iter(methods))
        print(f"\n{name}: {n_trials} trials, medians of {arguments.runs}")
        for method, each in times.items():
            line = f"  {method:34s}"
            for kind, of in zip(("", "processor"), zip(*each, strict=True), strict=True):
                mine = [pair[kind == "processor"] for pair in times[ours]]
                ratio = statistics.median(a / b for a, b in zip(of, mine, strict=True))
                line += f" {kind} {statistics.median(of):7.2f} s {ratio:5.2f} x"
            print(line, flush=True)


if __name__ == "__main__":
    main()
