"""Runs a command of the user, a program in any language, as a trial.

Its arguments carry the parameters, its output the metrics, and its exit code or signal the outcome. It is started
without a shell. Loads no torch.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tunecli.config.command import words_of
from tunecli.config.placeholders import PlaceholderError
from tunecli.config.schema import CommandTrial
from tunecli.config.secrets import redacted, resolved
from tunecli.config.surroundings import secret_names
from tunecli.errors import UsageError
from tunecli.messages import Event, Job, Order
from tunecli.train import machine, main_memory
from tunecli.train.epoch_end import never
from tunecli.train.user_code.metric_sources import reader_for
from tunecli.train.user_code.near_lines import NearLines
from tunecli.train.user_code.output import MetricsReader, compiled, last_lines, short_line
from tunecli.train.user_code.parameters import Parameters, parameters_of
from tunecli.train.user_code.program import LINE_BYTES, Program
from tunecli.train.user_code.reports import Reports
from tunecli.train.user_code.shims import ServedShim, shim_of_command, with_shim
from tunecli.train.user_code.surroundings import facts_of, start_of, working_folder
from tunecli.train.user_code.trial_files import trial_folder
from tunecli.train.user_code.trial_log import TrialLog, log_file
from tunecli.trial import Failure, FailureKind

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # the program itself was killed, or a child of its shell
_LAST_LINES = 3
_STOP_S = 5.0  # from SIGTERM to SIGKILL


def run(job: Job, is_stop_wanted: Callable[[], int] = never) -> Iterator[Event]:
    """Run a `CommandTrial`.

    The program runs in the folder that ``run.cwd`` names. Its environment has the facts about the trial:
    ``TUNECLI_TRIAL``, ``TUNECLI_SEED``, ``TUNECLI_DEVICE``, ``TUNECLI_CHECKPOINT_DIR`` and so on, and the variables of
    `parameters_of`.

    Args:
        job: the trial.
        is_stop_wanted: the coordinator's `Order`; at a stop the program gets SIGTERM at once, and SIGKILL five seconds
            later. Its output until then counts if the trial finishes.

    Yields:
        `Started`, an `EpochEnded` for every epoch that the program reports, then exactly one `Ended` or `Paused`, or
        `Stopped` after a stop. If the trial is pruned or the generator is closed, the program and everything that it
        started are killed. A trial that is complete by a limit of epochs first sends it SIGTERM.

    Raises:
        DiskFull, StoreFailed: the disk refuses the trial's folder, journal or log; the trial itself has not failed.
    """
    reports, refused = Reports(job, job.execution.device), None
    try:
        reports.device = _device(job)
    except UsageError as error:
        refused = Failure(FailureKind.ERROR, f"{error} ({error.hint})")
    yield reports.started()
    if (
        refused is not None or reports.is_over
    ):  # an earlier attempt may have ended the trial before it was killed
        yield reports.ended(refused)
        return
    n_killed = main_memory.n_killed_for_memory()
    with ExitStack() as ending:
        try:
            trial = CommandTrial.model_validate(resolved(job.task.config))
            folder = ending.enter_context(trial_folder(job))
            cwd = ending.enter_context(working_folder(job))
            is_anew = not any(folder.iterdir()) and cwd.is_empty
            log = ending.enter_context(TrialLog(log_file(job)))
            facts = facts_of(job, reports.device, folder)
            shim = ending.enter_context(shim_of_command(trial, job.task.objective.metric))
            sources = reader_for(trial, reports, facts, cwd.path, is_anew=is_anew)
            ending.callback(sources.release)
            parameters = ending.enter_context(parameters_of(trial))
            program = ending.enter_context(_started(trial, job, facts, cwd.path, parameters, log, shim))
        except (PlaceholderError, UsageError, OSError, ValueError) as error:
            cause = f"the program was not started: {_start_cause(error)}"
            yield reports.ended(Failure(FailureKind.ERROR, cause))
            return
        reader = with_shim(trial, reports, sources)
        near = NearLines(reports.job.task.objective.metric, compiled(trial))
        stopping = _Latch(is_stop_wanted)
        for line in program.lines(stopping, has_ticks=True):
            if line.text and near.name not in reports.metrics:
                near.note(line.text)
            yield from reader.read(line.text, line.stream) if line.text else reader.poll()
            if reports.is_over:
                if reports.is_complete:
                    program.stop(_STOP_S)
                yield reports.ended()
                return
        exit_code = None if stopping.is_set else program.wait(stopping)
        if exit_code is None and stopping.order is Order.FINISH:
            for line in program.last_output(_STOP_S):
                yield from reader.read(line.text, line.stream)
            yield from reader.close()
            _forgive_torn_files(reports)
            yield reports.finished()
            return
        if exit_code is None:
            program.stop(_STOP_S)
            yield reports.stopped()
            return
        yield from reader.close()
        stderr = _without_secrets(program, secret_names(job.task))
        is_killed = main_memory.n_killed_for_memory() > n_killed
        failure = _failure(exit_code, stderr, is_killed=is_killed)
        if failure is not None:
            _forgive_torn_files(reports)
        if failure is None and reports.missing and reports.failure is None:
            failure = _unreported(reports, reader, near, program)
        yield reports.ended(failure)


def _forgive_torn_files(reports: Reports) -> None:
    """Drop an error of the last reading: a program that fails or is stopped can leave incomplete files."""
    if reports.failure is not None and reports.failure.kind is FailureKind.ERROR:
        reports.failure = None


@dataclass(slots=True)
class _Latch:
    """Whether an order to stop or to finish came; the first one stays."""

    ask: Callable[[], int]
    order: Order = Order.GO_ON

    def __call__(self) -> bool:
        self.order = self.order or Order(self.ask())
        return self.is_set

    @property
    def is_set(self) -> bool:
        return self.order is not Order.GO_ON


def _device(job: Job) -> str:
    """The device's name, never ``auto`` or ``cuda`` alone. Loads torch only if the name alone is not enough.

    Raises:
        UsageError: every suitable device is in ``avoid_devices``.
    """
    device, avoid_devices = job.execution.device, job.execution.avoid_devices
    if ":" not in device or device in avoid_devices:
        return machine.device_name(device, job.execution.slot, avoid_devices)
    return device


def _started(
    trial: CommandTrial,
    job: Job,
    facts: Mapping[str, Any],
    cwd: Path,
    parameters: Parameters,
    log: TrialLog,
    shim: ServedShim,
) -> Program:
    words = [word.text for word in words_of(trial, {**facts, **parameters.files})]
    if not words:
        raise ValueError("no argument of `command` is left in this trial")
    inherited = parameters.environment(os.environ)
    words, environment = start_of(words, inherited, trial.params, {**facts, **parameters.files}, job)
    return Program(words, cwd, shim.environment(environment), log, shim.pipe)


def _start_cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return "its arguments are too long for this system: pass the parameters in a file, {params_json}"
    return str(error).splitlines()[0]


def _without_secrets(program: Program, names: Sequence[str]) -> str:
    """The end of its stderr, redacted before it is cut: a half line may hold half of a secret value."""
    stderr = program.stderr_tail
    if names and program.is_stderr_cut:
        stderr = stderr.partition("\n")[2] or stderr
    return redacted(stderr, names, is_cut=True)


def _failure(exit_code: int, stderr: str, *, is_killed: bool = False) -> Failure | None:
    """The failure that a program's end means; None if there is none.

    Args:
        exit_code: negative for a signal.
        stderr: the end of its output there.
        is_killed: whether the kernel killed a process for memory while the program ran.
    """
    if exit_code == 0:
        return None
    if is_killed and exit_code in _KILLED:
        return Failure(FailureKind.OOM, "memory ran out, and the system killed the program", stderr)
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    last_line = lines[-1] if lines else "it printed nothing on stderr"
    is_full = any(main_memory.is_out_of_memory(line) for line in lines[-_LAST_LINES:])
    if exit_code < 0:
        cause = f"the program was killed by {_signal_name(-exit_code)}"
        return Failure(FailureKind.OOM if is_full else FailureKind.CRASH, cause, stderr)
    cause = f"exit code {exit_code}: {last_line}"
    return Failure(FailureKind.OOM if is_full else FailureKind.ERROR, cause, stderr)


def _unreported(reports: Reports, reader: MetricsReader, near: NearLines, program: Program) -> Failure:
    """The failure for a metric that is missing at the end, with the program's last lines, which may explain it."""
    clean = partial(redacted, names=secret_names(reports.job.task), is_cut=True)
    divergence = near.divergence(clean) if reports.missing == near.name else ""
    stdout, stderr = clean(program.stdout_tail), _without_secrets(program, secret_names(reports.job.task))
    explanation = reader.explanation(clean)
    nearness = near.explanation(clean) if reports.missing == near.name else ""
    too_long, last = _too_long(program, clean), last_lines(stdout, stderr)
    causes = (
        reports.missing_cause,
        too_long,
        explanation,
        nearness,
        last or "it printed nothing" * (not too_long),
    )
    output = f"stdout:\n{stdout}\nstderr:\n{stderr}"
    if divergence:
        return Failure(FailureKind.DIVERGED, divergence, output)
    return Failure(FailureKind.ERROR, "; ".join(filter(None, causes)), output)


def _too_long(program: Program, clean: Callable[[str], str]) -> str:
    """A message about lines that were too long to read; empty if there were none."""
    n_lines, first, stream = program.too_long
    if not n_lines:
        return ""
    lines, verb = (f"{n_lines} lines", "were") if n_lines > 1 else ("a line", "was")
    return (
        f"{lines} of {LINE_BYTES:,} bytes or more on {stream} {verb} not read: `{short_line(clean(first))}`"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
