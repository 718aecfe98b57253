"""The user's own program, in any language, run as a trial.

Its arguments carry the parameters, its stdout the metrics, its exit code or the signal that ended it the outcome. No
shell stands between. Loads no torch.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunecli.errors import UsageError
from tunecli.seeding import seed_of_32_bits
from tunecli.spec.command import PlaceholderError, program_path, rendered
from tunecli.spec.knobs import CommandTrial
from tunecli.spec.secrets import names_in, redacted, resolved
from tunecli.train import accelerators, memory
from tunecli.train.own.folder import own_folder
from tunecli.train.own.program import Program
from tunecli.train.own.reports import Reports
from tunecli.train.stopping import never
from tunecli.trial import EpochEnded, Event, Failure, FailureKind, Job, Started

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
    reports, refused = Reports(job, job.device), None
    try:
        reports.device = _device(job)
    except UsageError as error:
        refused = Failure(FailureKind.ERROR, f"{error} ({error.hint})")
    yield Started(job.number, job.attempt, reports.device, os.getpid())
    if refused is not None:
        yield reports.ended(refused)
        return
    n_killed = memory.n_killed_for_memory()
    with ExitStack() as ending:
        try:
            trial = CommandTrial.model_validate(resolved(job.config))
            folder = ending.enter_context(own_folder(job))
            program = ending.enter_context(_started(trial, job, reports.device, folder))
        except (PlaceholderError, UsageError, OSError, ValueError) as error:
            cause = f"the program was not started: {str(error).splitlines()[0]}"
            yield reports.ended(Failure(FailureKind.ERROR, cause))
            return
        patterns = {name: re.compile(pattern) for name, pattern in trial.metrics.items()}
        reader = _Patterns(patterns, reports) if patterns else _JsonLines(reports)
        stopping = _Latch(is_stop_wanted)
        for line in program.lines(stopping):
            event = reader.read(line)
            if event is not None:
                yield event
            if reports.is_over:
                yield reports.ended()
                return
        exit_code = None if stopping.is_set else program.wait(stopping)
        if exit_code is None:
            program.stop(_STOP_S)
            yield reports.stopped()
            return
        reader.close()
        stderr = redacted(
            program.stderr_tail, names_in(job.config), is_cut=True
        )  # before it is cut into lines
        is_killed = memory.n_killed_for_memory() > n_killed
        yield reports.ended(_failure(exit_code, stderr, is_killed=is_killed))


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
    if job.device == "auto" or job.device in job.avoid_devices:
        return accelerators.resolved(job.device, job.slot, job.avoid_devices)
    return job.device


def _started(trial: CommandTrial, job: Job, device: str, folder: Path) -> Program:
    seed = seed_of_32_bits(job.seed)
    facts = {"number": job.number, "seed": seed, "device": device, "checkpoint_dir": str(folder)}
    program, *arguments = [rendered(argument, trial.params, facts) for argument in trial.command]
    base_path = Path(job.base_path)
    path = program_path(program, base_path)
    if path is None:
        raise FileNotFoundError(f"there is no program `{program}` on PATH or in {base_path.resolve()}")
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
    """What is left of its stderr, redacted before anything is cut from it: a half line may hold half of a value."""
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
    is_full = any(memory.tells_of_memory(line) for line in lines[-_LAST_LINES:])
    if exit_code < 0:
        cause = f"the program was killed by {_signal_name(-exit_code)}"
        return Failure(FailureKind.OOM if is_full else FailureKind.CRASH, cause, stderr)
    cause = f"exit code {exit_code}: {said}"
    return Failure(FailureKind.OOM if is_full else FailureKind.ERROR, cause, stderr)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True, slots=True)
class _JsonLines:
    """Lines that are JSON objects: ``{"epoch": 3, "val_loss": 0.41}`` ends an epoch, and one without ``epoch`` updates
    the metrics; ``null`` is no finite number, as JavaScript writes one. All other lines are the program's own.
    """

    reports: Reports

    def read(self, line: str) -> EpochEnded | None:
        if not line.lstrip().startswith("{"):
            return None
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return None
        epoch, objective = found.pop("epoch", None), self.reports.job.objective.metric
        if objective in found and _number(found[objective]) is None:
            names = names_in(self.reports.job.config)  # before the text is cut, so that none of a value stays
            said = redacted(json.dumps(found[objective]), names)[:60]
            cause = f"the program reported {objective} as {said}, which is no number"
            self.reports.failure = Failure(FailureKind.ERROR, cause)
            return None
        metrics = {name: number for name, value in found.items() if (number := _number(value)) is not None}
        count = _number(epoch)
        if epoch is None or count is None or not count.is_integer():
            self.reports.update(metrics)
            return None
        return self.reports.epoch_ended(int(count), metrics)

    def close(self) -> None:
        pass


def _number(value: Any) -> float | None:
    """A JSON value as a metric's; None where it is none."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


@dataclass(slots=True)
class _Patterns:
    """What regular expressions find, each searched in every line.

    An epoch ends with the line in which the objective is found, and takes with it what the others found since the
    last one; a pattern named ``epoch`` gives its number, which is counted otherwise.
    """

    patterns: Mapping[str, re.Pattern[str]]
    reports: Reports
    _found: dict[str, float] = field(default_factory=dict)

    def read(self, line: str) -> EpochEnded | None:
        texts = {name: match[1] for name, each in self.patterns.items() if (match := each.search(line))}
        for name, text in texts.items():
            try:
                self._found[name] = float(text)
            except (TypeError, ValueError):
                cause = f"the pattern of {name} found {text!r}, which is no number"
                self.reports.failure = Failure(FailureKind.ERROR, cause)
                return None
        if self.reports.job.objective.metric not in texts:
            return None
        metrics, self._found = self._found, {}
        count = metrics.pop("epoch", math.nan)
        return self.reports.epoch_ended(int(count) if count.is_integer() else self.reports.epoch + 1, metrics)

    def close(self) -> None:
        """What was found after the last epoch belongs to the trial."""
        self._found.pop("epoch", None)
        self.reports.update(self._found)
