"""Time of fused training compared with training one by one, and the fraction of the peak arithmetic that it reaches.

    OMP_NUM_THREADS=1 python tests/benchmarks/fused.py [--runs 5] [--widths 1,4,8,16,32] [--only mlp64]
    python tests/benchmarks/fused.py --device cuda:0 --widths 64,256

The trials train on digits with batch 64 and AdamW for 20 epochs (the convolutional net and the transformer for 3), with
validation after each epoch, on one thread. On a CPU the benchmark measures processor time, since it depends less on
other processes; on an accelerator it measures wall time, after synchronising. Runs alternate, and the table shows
medians. The arithmetic of a step is that of the matrix products forward and backward, without the gradient of the
inputs, which is not computed. The peak is the best of several square products, measured in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch

from tests.support.jobs import make_job
from tunecli.messages import Ended, Event, Job
from tunecli.objective import Objective
from tunecli.train import checkpoint
from tunecli.train.fused.group import run_group
from tunecli.train.fused.member import Member
from tunecli.train.fused.trainer import FusedTrainer
from tunecli.train.loop import run

BATCH = 64
WORKS: dict[str, dict[str, Any]] = {
    "mlp64": {"model": {"name": "mlp", "hidden": [64, 64]}, "training": {"epochs": 20, "batch_size": BATCH}},
    "mlp256": {
        "model": {"name": "mlp", "hidden": [256, 256]},
        "training": {"epochs": 20, "batch_size": BATCH},
    },
    "cnn": {"model": {"name": "cnn", "channels": [8, 16]}, "training": {"epochs": 3, "batch_size": BATCH}},
    "transformer": {
        "model": {"name": "transformer", "width": 32, "layers": 1, "patch": 2},
        "training": {"epochs": 3, "batch_size": BATCH},
    },
}


def now_s(device: torch.device) -> float:
    """Processor time of this process, or wall time after an accelerator has finished its work, in seconds."""
    if device.type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize(device)
    return time.perf_counter()


def jobs_of(work: dict[str, Any], n: int, device: torch.device) -> list[Job]:
    """``n`` trials that differ in seed and learning rate."""
    return [
        make_job(
            number,
            {
                "data": {"source": "digits"},
                "optimizer": {"name": "adamw", "lr": 1e-3 * (1 + number % 4)},
                **work,
            },
            Objective("val_accuracy", True),
            study_seed=0,
            seed=number,
            device=str(device),
        )
        for number in range(n)
    ]


def spent_s(train: Callable[[], Iterable[Event]], device: torch.device) -> float:
    """Seconds of a training; fails if a trial has no score."""
    began_s = now_s(device)
    for event in train():
        assert not isinstance(event, Ended) or event.outcome.score is not None, event
    return now_s(device) - began_s


def step_s(work: dict[str, Any], n: int, device: torch.device) -> float:
    """Seconds of a step per trial in a group of ``n``: the lowest of several epochs."""
    group = FusedTrainer(
        [Member(job, device, checkpoint.LoadedCheckpoint()) for job in jobs_of(work, n, device)]
    )
    n_steps = len(group.members[0].sizes())
    times_s = []
    for _ in range(6):
        began_s = now_s(device)
        group.train_epoch()
        times_s.append((now_s(device) - began_s) / n_steps / n)
        for member in group.members:
            member.progress.epochs += 1
    return min(times_s)


def peak(device: torch.device) -> float:
    """GFLOP/s of square matrix products on one core or an accelerator."""
    best = 0.0
    for n in (256, 384, 512) if device.type == "cpu" else (2048, 4096):
        a, b, c = (torch.randn(n, n, device=device) for _ in range(3))
        for _ in range(12):
            began_s = now_s(device)
            for _ in range(8):
                torch.mm(a, b, out=c)
            best = max(best, 8 * 2 * n**3 / (now_s(device) - began_s) / 1e9)
    return best


def gflop_of_a_step(work: dict[str, Any]) -> float:
    """GFLOP of a step of a perceptron with 64 inputs and 10 classes, averaged over the batches of an epoch."""
    widths = [64, *work["model"]["hidden"], 10]
    products = [a * b for a, b in pairwise(widths)]
    mean_batch = 1437 / 23
    return 2 * mean_batch * (3 * sum(products) - products[0]) / 1e9


def main() -> None:
    """Print a table for every workload."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--widths", default="1,4,8,16,32")
    parser.add_argument("--only", default="")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    widths = [int(width) for width in options.widths.split(",")]
    torch.set_num_threads(1)
    for name, work in WORKS.items():
        if options.only not in ("", name):
            continue
        jobs = jobs_of(work, max(widths), device)
        plain: list[float] = []
        fused: dict[int, list[float]] = {width: [] for width in widths}
        spent_s(lambda jobs=jobs: run(jobs[0]), device)
        for _ in range(options.runs):
            plain.append(spent_s(lambda jobs=jobs: run(jobs[0]), device))
            for width in widths:
                fused[width].append(
                    spent_s(lambda jobs=jobs, width=width: run_group(jobs[:width]), device) / width
                )
        plain_ms = statistics.median(plain) * 1e3
        print(f"{name}: plain {plain_ms:.1f} ms a trial")
        for width, times in fused.items():
            each_ms = statistics.median(times) * 1e3
            line = f"  {width:3} as one {each_ms:7.1f} ms a trial, {plain_ms / each_ms:5.2f} ×"
            if "hidden" in work["model"]:
                reached, best = gflop_of_a_step(work) / step_s(work, width, device), peak(device)
                line += f";  step {reached:5.1f} GFLOP/s of {best:5.1f} = {reached / best:.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
