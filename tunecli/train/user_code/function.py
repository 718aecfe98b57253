"""The user's own training function, ``train(params, trial)``, run as a trial.

What it reports is told before its report returns, so it never runs ahead of the record and can be told there to stop:
where its objective is no number, where it is pruned, and where the sweep stops. Global generators are seeded for its
length (law 3), and torch's settings put back after it.
"""

from __future__ import annotations

import math
import operator
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

from pydantic import ValidationError

from tunecli.config.schema import FunctionTrial
from tunecli.config.secrets import resolved
from tunecli.errors import UsageError
from tunecli.messages import Event, Job, Started
from tunecli.seeding import seed_for, seed_of_32_bits
from tunecli.text import short_repr
from tunecli.train import machine
from tunecli.train.epoch_end import never
from tunecli.train.failures import failure_of, release_memory
from tunecli.train.user_code import code as own_code
from tunecli.train.user_code.isolation import once_loaded
from tunecli.train.user_code.reports import Reports, short_name
from tunecli.train.user_code.trial_files import trial_folder
from tunecli.trial import Failure, FailureKind

_Report = tuple[int, dict[str, float]]
_Said = Failure | dict[str, float]


class TrialStopped(Exception):  # noqa: N818  (what happened, not what is wrong)
    """The trial is to end here: raised by `UserTrial.report`, to be let through."""


class UserTrial:
    """What a training function gets beside its parameters.

    Attributes:
        number: the trial's number.
        seed: its seed, of 32 bits; the global generators of torch, ``random`` and NumPy are seeded from it already.
        device: where to compute, as torch names it: ``cpu``, ``cuda:0``, …
        threads: how many threads to compute with; torch is set to it already.
        checkpoint_dir: a folder for what the function wants to keep. It is there, and holds what an earlier run of
            the same trial left.
    """

    def __init__(self, job: Job, device: str, checkpoint_dir: Path, told: Callable[[_Report], bool]) -> None:
        """``told`` takes a report in, and says whether the function may go on."""
        self.number, self.device, self.threads = job.number, device, job.execution.threads
        self.seed = seed_of_32_bits(job.task.seed)
        self.checkpoint_dir = checkpoint_dir
        self._objective, self._note = job.task.objective, ""
        self._told, self._one_at_a_time = told, threading.RLock()
        self._process_id = os.getpid()
        self._is_stopped = False

    def report(self, epoch: int, **metrics: Any) -> None:
        """Say that an epoch ended, with its metrics by name; the last value of the objective is the trial's score.

        Args:
            epoch: its number, counted from 0 or 1.
            metrics: numbers, or tensors and arrays of one.

        Raises:
            TrialStopped: the trial is to end here.
            TypeError: ``epoch`` is no whole number, or a metric no number.
            RuntimeError: it is called in another process than the function.

        An epoch above 2^53 - 1, a name of more than 200 characters and more than 4,096 metrics end the trial as failed.
        """
        if os.getpid() != self._process_id:
            raise RuntimeError(
                "`trial.report` works in the process that runs the function; pass the numbers there"
            )
        if isinstance(epoch, bool) or not hasattr(epoch, "__index__"):
            raise TypeError(f"the epoch is a whole number; this is {short_repr(epoch)}")
        report = operator.index(epoch), {name: _number(name, value) for name, value in metrics.items()}
        with self._one_at_a_time:
            if not self._is_stopped:
                self._is_stopped = not self._told(report)
            if self._is_stopped:
                raise TrialStopped(f"trial {self.number} is to end here")

    def _run(self, trial: FunctionTrial, base_path: Path) -> _Said:
        """Call the function; what it said last, or how it failed."""
        try:
            with once_loaded(lambda: _threads(self.threads)):
                function = own_code.resolve(trial.python, base_path)
                with own_code.running(seed_for(self.seed, "function"), self.device, trial.python):
                    try:
                        value = function(trial.params, self)
                    except SystemExit as error:
                        if not _is_success(error):
                            raise
                        value = None  # a script's `sys.exit(0)`: what it reported counts
                    said: _Said = self._returned(value)
        except TrialStopped:
            said = {}
        except BaseException as error:  # SystemExit too: what the user's code does ends its trial alone
            if os.getpid() != self._process_id:
                _leave(error)
            said = failure_of(error)
        if os.getpid() != self._process_id:
            _leave(SystemExit(0))
        with self._one_at_a_time:
            self._is_stopped = True  # a thread that it left behind may report no more
        return said

    def _returned(self, value: Any) -> dict[str, float]:
        """The numbers that the function returns; other values of a mapping are left out, with a note."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            return {self._objective.metric: _number("what the function returns", value)}
        numbers, left_out = {}, []
        for key, each in value.items():
            name = str(key)
            try:
                numbers[name] = _number(name, each)
            except TypeError:
                if name in self._objective.metrics:
                    raise
                left_out.append(short_name(name))
        if left_out:
            more = f" and {len(left_out) - 4} more" if len(left_out) > 4 else ""
            names = f"{', '.join(left_out[:4])}{more}"
            self._note = f"what the function returned as {names} is no number, and is not kept"
        return numbers


def run(job: Job, is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Run a `FunctionTrial` as a generator of events; the function has a thread meanwhile.

    The two take turns: the function waits in its report until the next event is asked for. Args, events and errors
    are those of :func:`run_here`. Dropped half way, the function is stopped at the report in which it waits.
    """
    events: SimpleQueue[Event | BaseException | None] = SimpleQueue()
    turns: SimpleQueue[bool] = SimpleQueue()
    is_dropped = threading.Event()

    def tell(event: Event) -> None:
        if not is_dropped.is_set():
            events.put(event)
            turns.get()
        if is_dropped.is_set() and isinstance(event, Started):
            raise TrialStopped("the trial was dropped before its function was called")

    def work() -> None:
        try:
            run_here(job, lambda: is_dropped.is_set() or is_stop_wanted(), tell)
            events.put(None)
        except BaseException as error:
            events.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event  # a generator that is dropped leaves here
            turns.put(True)
    finally:
        is_dropped.set()
        turns.put(True)
        thread.join()


def run_here(job: Job, is_stop_wanted: Callable[[], bool], tell: Callable[[Event], None]) -> None:
    """Run a `FunctionTrial` in this thread, as a program would run it in its main one.

    Args:
        job: everything about it.
        is_stop_wanted: whether to stop at the next report.
        tell: called with `Started`, an `EpochEnded` for every epoch that is reported, then exactly one `Ended` or
            `Paused` or, where a stop was wanted, `Stopped`.

    Raises:
        DiskFull, StoreFailed: the disk takes no folder of its, which is no fault of the trial.
    """
    reports = Reports(job, job.execution.device)
    try:
        reports.device = machine.device_name(
            job.execution.device, job.execution.slot, job.execution.avoid_devices
        )
        trial = FunctionTrial.model_validate(resolved(job.task.config))
    except (UsageError, ValidationError) as error:
        tell(reports.started())
        tell(reports.ended(failure_of(error)))
        return
    tell(reports.started())
    if reports.is_over:  # an earlier attempt came to its end, and died before that was on record
        tell(reports.ended())
        return
    with ExitStack() as ending:
        try:
            folder = ending.enter_context(trial_folder(job))
        except OSError as error:
            tell(reports.ended(failure_of(error)))
            return
        tell(_ended(job, trial, reports, folder, is_stop_wanted, tell))


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    import torch

    torch.set_num_threads(n_threads)  # OpenMP keeps it by thread
    yield


def _ended(
    job: Job,
    trial: FunctionTrial,
    reports: Reports,
    folder: Path,
    is_stop_wanted: Callable[[], bool],
    tell: Callable[[Event], None],
) -> Event:
    """Call the function, telling of each epoch; how the attempt ended."""
    is_stopping = False

    def told(report: _Report) -> bool:
        nonlocal is_stopping
        event = reports.epoch_ended(*report)
        if event is not None:
            tell(event)
        is_stopping = not reports.is_over and is_stop_wanted()
        return not reports.is_over and not is_stopping

    own = UserTrial(job, reports.device, folder, told)
    said = own._run(trial, Path(job.files.base_path))
    if isinstance(said, Failure) and said.kind is FailureKind.OOM:
        release_memory(reports.device)
    if is_stopping:
        return reports.stopped()
    if isinstance(said, Failure):
        return reports.ended(said)
    reports.update(said)
    return reports.ended(note=own._note)


def _is_success(error: SystemExit) -> bool:
    """Whether Python would end with exit code 0."""
    return error.code is None or (isinstance(error.code, int) and error.code == 0)


def _leave(error: BaseException) -> NoReturn:
    """End a process that the function forked and did not end, as Python would end it."""
    code = error.code if isinstance(error, SystemExit) else 1
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
    elif isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201  (as Python does)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _number(name: str, value: Any) -> float:
    tensor: Any = getattr(sys.modules.get("torch"), "Tensor", ())
    if isinstance(value, tensor):
        value = value.detach()  # torch warns of a number made from what still wants a gradient
    try:
        return float(value)
    except OverflowError:  # a whole number beyond all floats
        return math.inf if value > 0 else -math.inf
    except Exception:  # the value's own class decides what it raises; torch's raises a RuntimeError
        kind = type(value).__name__
        raise TypeError(
            f"{short_name(name)} must be a number; this is {kind:.60} {short_repr(value)}"
        ) from None
