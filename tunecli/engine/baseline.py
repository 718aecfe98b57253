"""The baseline of a study in a process of its own, so that the caller loads neither torch nor scikit-learn.

The process gets a job on its standard input, and writes a line of JSON for each model as soon as it is fitted. So the
models that were fitted before a time limit count. The process has the priority of its caller, who waits for it: with a
niceness of 10, it got a sixth of the processor time on a busy machine, and loading torch and scikit-learn takes most of
its 3 to 6 s of a processor.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tunecli.engine.fork_client import safe_path
from tunecli.engine.wire import pack_jobs, unpack_jobs
from tunecli.errors import TunecliError
from tunecli.messages import Job

_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from tunecli.engine.baseline import main; main()"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def fitted_baseline(job: Job, limit_s: float) -> tuple[list[dict[str, Any]], str]:
    """Fit the simple models of `tunecli.train.baseline` to the data of a trial, on one core.

    Args:
        job: the trial.
        limit_s: the wall time after which the process is ended, in seconds.

    Returns:
        The fields of `Fitted` for each model; and why models are missing, empty if none is.
    """
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    command = [sys.executable, *flags, "-P", "-c", _PROGRAM, *safe_path()]
    # One thread: the sums of several are added in an order that depends on their number.
    environment = {**os.environ, **_ONE_THREAD}
    try:
        done = subprocess.run(
            command,
            input=pack_jobs([job]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        return _read(expired.stdout or b"", f"the fit took longer than {limit_s:.0f} s")
    except OSError as error:
        return [], f"no process could be started: {error.strerror}"
    return _read(done.stdout, "" if done.returncode == 0 else "the fit ended with an error")


def _read(output: bytes, note: str) -> tuple[list[dict[str, Any]], str]:
    """The models, and the process's own note, or ``note`` if it has none."""
    fitted: list[dict[str, Any]] = []
    for line in output.splitlines():
        with contextlib.suppress(ValueError):  # the last line of a process that was killed
            body = json.loads(line)
            if "note" in body:
                note = str(body["note"])
            else:
                fitted.append(body)
    return fitted, note


def main() -> None:
    """Read a job, fit the models, and write their results."""
    with os.fdopen(os.dup(1), "wb", buffering=0) as results:
        os.dup2(2, 1)  # whatever a library prints
        job = unpack_jobs(sys.stdin.buffer.read())[0]
        for body in _bodies(job):
            results.write(json.dumps(body).encode() + b"\n")


def _bodies(job: Job) -> Sequence[dict[str, Any]] | Any:
    from tunecli.train.baseline import fitted_models

    try:
        for fitted in fitted_models(job):
            yield fitted._asdict()
    except TunecliError as error:
        yield {"note": error.message}
    except MemoryError:
        yield {"note": "the fit needs more memory than there is"}
    except Exception as error:
        yield {"note": f"the fit failed: {type(error).__name__}: {error}".splitlines()[0]}
