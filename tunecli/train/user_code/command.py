"""The user's own program, in any language, run as a trial.

Its arguments carry the parameters, its stdout the metrics, its exit code or the signal that ended it the outcome. No
shell stands between. Loads no torch.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tunecli.config.command import PlaceholderError, program_path, rendered
from tunecli.config.schema import CommandTrial
from tunecli.config.secrets import names_in, redacted, resolved
from tunecli.errors import UsageError
from tunecli.messages import Event, Job
from tunecli.seeding import seed_of_32_bits
from tunecli.train import machine
from tunecli.train.epoch_end import never
from tunecli.train.user_code.output import JsonLines, Patterns, last_lines, short_line
from tunecli.train.user_code.program import LINE_BYTES, Program
from tunecli.train.user_code.reports import Reports
from tunecli.train.user_code.trial_files import trial_folder
from tunecli.trial import Failure, FailureKind

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # itself, or what a shell waited for
_LAST_LINES = 3
_STOP_S = 5.0  # for a program that is asked to stop to put its things in order


def run(job: Job, is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Run a `CommandTrial`.

    The program runs in the configuration's folder, with the trial's facts in its environment too: ``TUNECLI_TRIAL``,
    ``TUNECLI_SEED``, ``TUNECLI_DEVICE``, ``TUNECLI_CHECKPOINT_DIR``.

    Args:
        job: everything about it.
        is_stop_wanted: whether to stop; the program then gets SIGTERM at once, and SIGKILL five seconds later.

    Yields:
        `Started`, an `EpochEnded` for every epoch that it prints, then exactly one `Ended` or, where a stop was
        wanted, `Stopped`. Pruned, or dropped half way, the program is killed with all that it started.

    Raises:
        DiskFull, StoreFailed: the disk takes no folder of its, which is no fault of the trial.
    """
    reports, refused = Reports(job, job.execution.device), None
    try:
        reports.device = _device(job)
    except UsageError as error:
        refused = Failure(FailureKind.ERROR, f"{error} ({error.hint})")
    yield reports.started()
    if refused is not None or reports.is_over:  # an earlier attempt may have come to its end, and died there
        yield reports.ended(refused)
        return
    n_killed = machine.n_killed_for_memory()
    with ExitStack() as ending:
        try:
            trial = CommandTrial.model_validate(resolved(job.task.config))
            folder = ending.enter_context(trial_folder(job))
            is_anew = not any(folder.iterdir())
            program = ending.enter_context(_started(trial, job, reports.device, folder))
        except (PlaceholderError, UsageError, OSError, ValueError) as error:
            cause = f"the program was not started: {str(error).splitlines()[0]}"
            yield reports.ended(Failure(FailureKind.ERROR, cause))
            return
        patterns = {name: re.compile(pattern) for name, pattern in trial.metrics.items()}
        reader = Patterns(patterns, reports, is_anew) if patterns else JsonLines(reports)
        stopping = _Latch(is_stop_wanted)
        for line in program.lines(stopping):
            yield from reader.read(line)
            if reports.is_over:
                yield reports.ended()
                return
        exit_code = None if stopping.is_set else program.wait(stopping)
        if exit_code is None:
            program.stop(_STOP_S)
            yield reports.stopped()
            return
        reader.close()
        stderr = _without_secrets(program, names_in(job.task.config))
        is_killed = machine.n_killed_for_memory() > n_killed
        failure = _failure(exit_code, stderr, is_killed=is_killed)
        if failure is None and reports.missing and reports.failure is None:
            failure = _unreported(reports, reader, program, stderr)
        yield reports.ended(failure)


@dataclass(slots=True)
class _Latch:
    """Whether something was ever so when it was asked."""

    asked: Callable[[], bool]
    is_set: bool = False

    def __call__(self) -> bool:
        self.is_set = self.is_set or self.asked()
        return self.is_set


def _device(job: Job) -> str:
    """The device by name: a program takes no ``auto``. Torch is asked only where the name alone does not tell.

    Raises:
        UsageError: every device that it could mean is to be avoided.
    """
    if job.execution.device == "auto" or job.execution.device in job.execution.avoid_devices:
        return machine.device_name(job.execution.device, job.execution.slot, job.execution.avoid_devices)
    return job.execution.device


def _started(trial: CommandTrial, job: Job, device: str, folder: Path) -> Program:
    seed = seed_of_32_bits(job.task.seed)
    facts = {"number": job.number, "seed": seed, "device": device, "checkpoint_dir": str(folder)}
    program, *arguments = [rendered(argument, trial.params, facts) for argument in trial.command]
    base_path = Path(job.files.base_path)
    path = program_path(program, base_path)
    if path is None:
        raise FileNotFoundError(f"program `{program}` not found on PATH or in {base_path.resolve()}")
    environment = {
        "PYTHONUNBUFFERED": "1",  # into a pipe, Python would keep its lines back
        **os.environ,
        "TUNECLI_TRIAL": str(job.number),
        "TUNECLI_SEED": str(seed),
        "TUNECLI_DEVICE": device,
        "TUNECLI_CHECKPOINT_DIR": str(folder),
    }
    return Program([path, *arguments], base_path, environment)


def _without_secrets(program: Program, names: Sequence[str]) -> str:
    """The end of its stderr, redacted before it is cut: a half line may hold half of a secret value."""
    stderr = program.stderr_tail
    if names and program.is_stderr_cut:
        stderr = stderr.partition("\n")[2] or stderr
    return redacted(stderr, names, is_cut=True)


def _failure(exit_code: int, stderr: str, *, is_killed: bool = False) -> Failure | None:
    """What a program's end says; ``is_killed``: the kernel has ended processes for memory meanwhile."""
    if exit_code == 0:
        return None
    if is_killed and exit_code in _KILLED:
        return Failure(FailureKind.OOM, "memory ran out, and the system killed the program", stderr)
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = lines[-1] if lines else "it said nothing on stderr"
    is_full = any(machine.is_out_of_memory(line) for line in lines[-_LAST_LINES:])
    if exit_code < 0:
        cause = f"the program was killed by {_signal_name(-exit_code)}"
        return Failure(FailureKind.OOM if is_full else FailureKind.CRASH, cause, stderr)
    cause = f"exit code {exit_code}: {said}"
    return Failure(FailureKind.OOM if is_full else FailureKind.ERROR, cause, stderr)


def _unreported(reports: Reports, reader: JsonLines | Patterns, program: Program, stderr: str) -> Failure:
    """The failure for a metric that is missing at the end, with the program's last lines, which may tell why."""
    clean = partial(redacted, names=names_in(reports.job.task.config), is_cut=True)
    stdout = clean(program.stdout_tail)
    explanation = reader.explanation(stderr, clean)
    too_long, last = _too_long(program, clean), last_lines(stdout, stderr)
    found = (reports.missing_cause, too_long, explanation, last or "it printed nothing" * (not too_long))
    output = f"stdout:\n{stdout}\nstderr:\n{stderr}"
    return Failure(FailureKind.ERROR, "; ".join(filter(None, found)), output)


def _too_long(program: Program, clean: Callable[[str], str]) -> str:
    """That lines were too long to be read, in words; empty where none was."""
    n_lines, first = program.too_long
    if not n_lines:
        return ""
    lines = f"{n_lines} lines" if n_lines > 1 else "a line"
    return f"{lines} of {LINE_BYTES:,} bytes or more on stdout not read: `{short_line(clean(first))}`"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
