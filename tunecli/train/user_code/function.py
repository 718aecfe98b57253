"""Runs a training function of the user, ``train(params, trial)``, as a trial.

A report is recorded before it returns, so the function never runs ahead of the record. A report also ends the trial: if
its objective is not a number, if it is pruned, or if the sweep stops. Global generators are seeded while the function
runs (seeds-by-name), and torch's settings are restored afterwards.
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
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from tunecli.config.placeholders import PlaceholderError
from tunecli.config.schema import FunctionTrial
from tunecli.config.secrets import redacted, resolved
from tunecli.config.surroundings import secret_names
from tunecli.errors import DiskFull, StoreFailed, UsageError
from tunecli.messages import Event, Job, Order, Started
from tunecli.seeding import seed_for, seed_of_32_bits
from tunecli.text import short_repr
from tunecli.train import machine
from tunecli.train.epoch_end import never
from tunecli.train.failures import failure_of, release_memory
from tunecli.train.user_code import code as user_code
from tunecli.train.user_code.isolation import once_loaded
from tunecli.train.user_code.reports import Reports, short_name
from tunecli.train.user_code.shims import call_with_shim, shim_of_function
from tunecli.train.user_code.surroundings import entered, facts_of
from tunecli.train.user_code.trial_files import make_folder, trial_folder
from tunecli.trial import Failure, FailureKind

if TYPE_CHECKING:
    from tunecli.train.user_code.metric_sources import Sources

_Report = tuple[int, dict[str, float]]
_Result = Failure | dict[str, float]


class TrialStopped(Exception):  # noqa: N818  (an event, not an error)
    """Raised by `UserTrial.report` to end the trial; a training function should not catch it."""


class UserTrial:
    """The second argument of a training function.

    Attributes:
        number: the trial's number.
        seed: its seed, of 32 bits. The global generators of torch, ``random`` and NumPy are already seeded from it.
        device: the device to compute on, in torch's words: ``cpu``, ``cuda:0``, …
        threads: the number of threads to compute with. torch already uses it.
    """

    def __init__(
        self, job: Job, device: str, checkpoint_dir: Path, accept: Callable[[_Report], bool]
    ) -> None:
        """``accept`` handles a report, and returns whether the function may continue."""
        self.number, self.device, self.threads = job.number, device, job.execution.threads
        self.seed = seed_of_32_bits(job.task.seed)
        self._checkpoint_dir, self._has_folder = checkpoint_dir, False
        self._storage_error: DiskFull | StoreFailed | None = None
        self._objective, self._note = job.task.objective, ""
        self._accept, self._one_at_a_time = accept, threading.RLock()
        self._process_id = os.getpid()
        self._is_stopped = False

    @property
    def checkpoint_dir(self) -> Path:
        """An existing folder for files of the function. It keeps the files of earlier attempts of the same trial.

        It is made when the function first asks for it: most functions never do.

        Raises:
            DiskFull, StoreFailed: the disk refuses it; the trial ends, and the sweep with it.
            OSError: it cannot be made for another reason.
        """
        if not self._has_folder:
            try:
                make_folder(self._checkpoint_dir)
            except (DiskFull, StoreFailed) as error:
                self._storage_error = error
                raise
            self._has_folder = True
        return self._checkpoint_dir

    def report(self, epoch: int, **metrics: Any) -> None:
        """Report the end of an epoch, with its metrics. The last value of the objective is the trial's score.

        An epoch above 2^53 - 1, a name of more than 200 characters or more than 4,096 metrics fail the trial.

        Args:
            epoch: its number, counted from 0 or 1.
            metrics: by name, numbers, or tensors and arrays of one number.

        Raises:
            TrialStopped: the trial ends here.
            TypeError: ``epoch`` is not a whole number, or a metric is not a number.
            DiskFull, StoreFailed: the disk refuses the journal; the trial ends, and the sweep with it.
            RuntimeError: the call comes from another process than the function's.
        """
        if os.getpid() != self._process_id:
            raise RuntimeError(
                "`trial.report` works only in the process that runs the function; pass the numbers to it"
            )
        if isinstance(epoch, bool) or not hasattr(epoch, "__index__"):
            raise TypeError(f"the epoch must be a whole number; this is {short_repr(epoch)}")
        report = operator.index(epoch), {name: _number(name, value) for name, value in metrics.items()}
        with self._one_at_a_time:
            if not self._is_stopped:
                try:
                    self._is_stopped = not self._accept(report)
                except (DiskFull, StoreFailed) as error:
                    self._is_stopped, self._storage_error = True, error
                    raise
            if self._is_stopped:
                raise TrialStopped(f"trial {self.number} ends here")

    def _run(self, trial: FunctionTrial, base_path: Path) -> _Result:
        """Call the function. The result is the metrics that it returned, or its failure."""
        try:
            shim = shim_of_function(
                trial, self.number, self._objective.metric, self._checkpoint_dir, self.report
            )
            with once_loaded(lambda: _threads(self.threads)), shim as served:
                function = user_code.resolve(trial.python, base_path)
                with user_code.running(seed_for(self.seed, "function"), self.device, trial.python):
                    try:
                        value = self._called(function, trial)
                        served.finish()
                    except SystemExit as error:
                        if not _is_success(error):
                            raise
                        value = None  # `sys.exit(0)` ends a script in order, so its reports count
                    result: _Result = {**served.metrics, **self._returned(value)}
        except TrialStopped:
            result = {}
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: they end only this trial
            if os.getpid() != self._process_id:
                _leave(error)
            result = failure_of(error)
        if os.getpid() != self._process_id:
            _leave(SystemExit(0))
        if self._storage_error is not None:
            raise self._storage_error
        with self._one_at_a_time:
            self._is_stopped = True  # threads that the function left behind can no longer report
        return result

    def _called(self, function: Callable[..., Any], trial: FunctionTrial) -> Any:
        if trial.shim is not None:
            return call_with_shim(function, trial.params, self)
        return function(trial.params, self)

    def _returned(self, value: Any) -> dict[str, float]:
        """The metrics that the function returned. Values of a map that are not numbers are left out, with a note."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            return {self._objective.metric: _number("the function's return value", value)}
        numbers, left_out = {}, []
        for key, item in value.items():
            name = str(key)
            try:
                numbers[name] = _number(name, item)
            except TypeError:
                if name in self._objective.metrics:
                    raise
                left_out.append(short_name(name))
        if left_out:
            more = f" and {len(left_out) - 4} more" if len(left_out) > 4 else ""
            names = f"{', '.join(left_out[:4])}{more}"
            self._note = f"returned values that are not numbers are not kept: {names}"
        return numbers


def run(job: Job, is_stop_wanted: Callable[[], int] = never) -> Iterator[Event]:
    """Run a `FunctionTrial` as a generator of events, with the function in a thread.

    The two take turns: the function waits in its report until the caller requests the next event. Arguments, events and
    errors are those of `run_here`. If the generator is closed, the function stops at the report in which it waits.
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
            yield event  # a closed generator leaves here
            turns.put(True)
    finally:
        is_dropped.set()
        turns.put(True)
        thread.join()


def run_here(job: Job, is_stop_wanted: Callable[[], int], tell: Callable[[Event], None]) -> None:
    """Run a `FunctionTrial` in this thread, as a program runs it in its main thread.

    Args:
        job: the trial.
        is_stop_wanted: the coordinator's `Order`, which takes effect at the next report.
        tell: called with `Started`, an `EpochEnded` for every reported epoch, then exactly one `Ended` or `Paused`, or
            `Stopped` after a stop.

    Raises:
        DiskFull, StoreFailed: the disk refuses the trial's folder or journal; the trial itself has not failed.
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
    if reports.is_over:  # an earlier attempt ended the trial, and was killed before the end was recorded
        tell(reports.ended())
        return
    with ExitStack() as ending:
        try:
            is_named = bool(trial.shim or trial.metrics_from or job.task.surroundings.env)
            folder = ending.enter_context(trial_folder(job, is_made=is_named))
            ending.enter_context(entered(job, trial.params, partial(facts_of, job, reports.device, folder)))
        except (OSError, UsageError, PlaceholderError) as error:
            tell(reports.ended(failure_of(error)))
            return
        tell(_ended(job, trial, reports, folder, is_stop_wanted, tell))


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    import torch

    torch.set_num_threads(n_threads)  # OpenMP has one setting for each thread
    yield


def _ended(
    job: Job,
    trial: FunctionTrial,
    reports: Reports,
    folder: Path,
    is_stop_wanted: Callable[[], int],
    tell: Callable[[Event], None],
) -> Event:
    """Call the function, with an event for each epoch. The result is the event of the attempt's end.

    Files of metrics are read at each report, and when the function has returned.
    """
    order = Order.GO_ON
    try:
        files = _files(trial, job, reports, folder) if trial.metrics_from else None
    except PlaceholderError as error:
        return reports.ended(Failure(FailureKind.ERROR, f"metrics_from: {error} ({error.hint})"))

    def accept(report: _Report) -> bool:
        nonlocal order
        read = () if files is None else files.poll()
        for event in (*read, reports.epoch_ended(*report)):
            if event is not None:
                tell(event)
        order = Order.GO_ON if reports.is_over else Order(is_stop_wanted())
        return not reports.is_over and order is Order.GO_ON

    user_trial = UserTrial(job, reports.device, folder, accept)
    result = user_trial._run(trial, Path(job.files.base_path))
    if isinstance(result, Failure) and result.kind is FailureKind.OOM:
        release_memory(reports.device)
    if order is not Order.GO_ON:
        return reports.finished() if order is Order.FINISH else reports.stopped()
    if isinstance(result, Failure):
        return reports.ended(result)
    for event in () if files is None else files.close():
        tell(event)
    reports.update(result)
    failure = None
    if files is not None and reports.missing and reports.failure is None:
        clean = partial(redacted, names=secret_names(job.task), is_cut=True)
        failure = Failure(FailureKind.ERROR, f"{reports.missing_cause}; {files.explanation(clean)}")
    return reports.ended(failure, user_trial._note)


def _files(trial: FunctionTrial, job: Job, reports: Reports, folder: Path) -> Sources:
    from tunecli.train.user_code.metric_sources import files_of

    facts = facts_of(job, reports.device, folder)
    return files_of(trial, reports, facts, Path.cwd(), is_anew=not any(folder.iterdir()))


def _is_success(error: SystemExit) -> bool:
    """Whether Python would end with exit code 0."""
    return error.code is None or (isinstance(error.code, int) and error.code == 0)


def _leave(error: BaseException) -> NoReturn:
    """End a process that the function forked and that returned from the function, as Python would end it."""
    code = error.code if isinstance(error, SystemExit) else 1
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
    elif isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201  (like Python)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _number(name: str, value: Any) -> float:
    tensor: Any = getattr(sys.modules.get("torch"), "Tensor", ())
    if isinstance(value, tensor):
        value = value.detach()  # torch warns when a tensor with a gradient becomes a number
    try:
        return float(value)
    except OverflowError:  # a whole number beyond the range of float
        return math.inf if value > 0 else -math.inf
    except Exception:  # any error: the value's class decides, and torch raises RuntimeError
        kind = type(value).__name__
        raise TypeError(
            f"{short_name(name)} must be a number; this is {kind:.60} {short_repr(value)}"
        ) from None
