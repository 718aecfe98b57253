"""Run one golden study by the command line, and hash its results."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.golden.studies import OWN, PROGRAM, Study
from tunecli import failpoints
from tunecli.store.database import Log

KNOWN_PATH = Path(__file__).with_name("known.json")
_CLOCKS = ("seconds", "device")
_ADDED_LATER = "lr"  # an earlier version did not record it; the weights depend on it, so their scores hold it


def hash_of(name: str, study: Study, place: Path) -> str:
    """The SHA-256, shortened, of the ranked table without its clocks and of every epoch's metrics.

    Raises:
        RuntimeError: the study did not end with exit code 0.
    """
    place.mkdir(parents=True)
    (place / "own.py").write_text(OWN)
    (place / "program.py").write_text(PROGRAM)
    (place / "study.yaml").write_text(study.yaml(name))
    if study.killed_at:
        _killed(place, study.killed_at)
        _run(place, "resume", "run")
    else:
        _run(place, "search", "study.yaml", "--out", "run")
    digest = hashlib.sha256()
    with (place / "run" / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            kept = {key: value for key, value in row.items() if key not in _CLOCKS}
            digest.update(repr(sorted(kept.items())).encode())
    with Log.open_to_read(place / "run" / "study.db") as log:
        for trial in log.trials():
            for epoch in log.epochs(trial.number):
                metrics = sorted(
                    (metric, value.hex()) for metric, value in epoch.metrics.items() if metric != _ADDED_LATER
                )
                digest.update(repr((trial.number, epoch.epoch, metrics)).encode())
    return digest.hexdigest()[:16]


def _run(place: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tunecli", *words],
        cwd=place,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with exit code {done.returncode}:\n{done.stderr}")


def _killed(place: Path, point: int) -> None:
    """Begin the study, and kill the process (worker or coordinator) that reaches durable step ``point``."""
    armed = {**_environment(), failpoints.VARIABLE: f"kill:{point}:{place / 'points'}"}
    words = [sys.executable, "-m", "tunecli", "search", "study.yaml", "--out", "run"]
    code = subprocess.run(words, cwd=place, env=armed, capture_output=True).returncode
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the study was not killed; it ended with exit code {code}")


def _environment() -> dict[str, str]:
    """The environment of this process, in which a study imports the same package as this process."""
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": str(root)}


def machine() -> str:
    """The processor's model and the versions of the numeric packages, on which the bits depend."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    wide = " ".join(flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags)
    packages = ("torch", "numpy", "scipy", "scikit-learn", "scikit-optimize", "optuna", "cmaes")
    kernel = os.environ.get("OPENBLAS_CORETYPE", "")
    return "; ".join(
        [model or platform.machine(), wide, kernel, *(f"{name} {version(name)}" for name in packages)]
    )


def known_hashes() -> dict[str, str]:
    """The recorded hashes for this machine, by study; empty if this machine has no record."""
    recorded: dict[str, dict[str, str]] = json.loads(KNOWN_PATH.read_text())
    return recorded.get(machine(), {})


def record(hashes: dict[str, str]) -> None:
    """Record hashes for this machine."""
    recorded = json.loads(KNOWN_PATH.read_text()) if KNOWN_PATH.is_file() else {}
    recorded[machine()] = {**recorded.get(machine(), {}), **hashes}
    KNOWN_PATH.write_text(json.dumps(recorded, indent=2) + "\n")
