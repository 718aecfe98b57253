"""The user's own training function, ``train(params, trial)``, run as a trial.

The function has a thread, so that what it reports can be a generator's events like any other trial's. The two take
turns: while an event is in others' hands the function waits in `OwnTrial.report`, so it never runs ahead of the record
and can be told there to stop: where its objective is no number, where it is pruned, and where the sweep stops. Global
generators are seeded for its length (law 3), and torch's settings put back after it.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pydantic import ValidationError

from tunecli.errors import UsageError
from tunecli.seeding import seed_for, seed_of_32_bits
from tunecli.spec.knobs import FunctionTrial
from tunecli.spec.secrets import resolved
from tunecli.train import accelerators
from tunecli.train.failures import failure_of, release_memory
from tunecli.train.own import code as own_code
from tunecli.train.own.bounds import shown, shown_name
from tunecli.train.own.folder import own_folder
from tunecli.train.own.late_torch import once_loaded
from tunecli.train.own.reports import Reports
from tunecli.train.stopping import never
from tunecli.trial import Event, Failure, FailureKind, Job

_Report = tuple[int, dict[str, float]]
_Said = _Report | Failure | dict[str, float]


class TrialStopped(Exception):  # noqa: N818  (what happened, not what is wrong)
    """The trial is to end here: raised by `OwnTrial.report`, to be let through."""


class OwnTrial:
    """What a training function gets beside its parameters.

    Attributes:
        number: the trial's number.
        seed: its seed, of 32 bits; the global generators of torch, ``random`` and NumPy are seeded from it already.
        device: where to compute, as torch names it: ``cpu``, ``cuda:0``, …
        threads: how many threads to compute with; torch is set to it already.
        checkpoint_dir: a folder for what the function wants to keep. It is there, and holds what an earlier run of
            the same trial left.
    """

    def __init__(self, job: Job, device: str, checkpoint_dir: Path) -> None:
        self.number, self.device, self.threads = job.number, device, job.threads
        self.seed = seed_of_32_bits(job.seed)
        self.checkpoint_dir = checkpoint_dir
        self._objective, self._note = job.objective, ""
        self._said: SimpleQueue[_Said] = SimpleQueue()
        self._may_go_on: SimpleQueue[bool] = SimpleQueue()
        self._is_stopped = False

    def report(self, epoch: int, **metrics: Any) -> None:
        """Say that an epoch ended, with its metrics by name; the last value of the objective is the trial's score.

        Args:
            epoch: its number, counted from 0 or 1.
            metrics: numbers, or tensors and arrays of one.

        Raises:
            TrialStopped: the trial is to end here.
            TypeError: ``epoch`` is no whole number, or a metric no number.

        An epoch above 2^53 - 1, a name of more than 200 characters and more than 4,096 metrics end the trial as failed.
        """
        if isinstance(epoch, bool) or not hasattr(epoch, "__index__"):
            raise TypeError(f"the epoch is a whole number; this is {shown(epoch)}")
        report = epoch.__index__(), {name: _number(name, value) for name, value in metrics.items()}
        if not self._is_stopped:
            self._said.put(report)
            self._is_stopped = not self._may_go_on.get()
        if self._is_stopped:
            raise TrialStopped(f"trial {self.number} is to end here")

    def _run(self, trial: FunctionTrial, base_path: Path) -> None:
        """The thread: call the function, and say last how it ended."""
        try:
            with once_loaded(lambda: _threads(self.threads)):
                function = own_code.resolve(trial.python, base_path)
                with own_code.running(seed_for(self.seed, "function"), self.device, trial.python):
                    said: _Said = self._returned(function(trial.params, self))
        except TrialStopped:
            said = {}
        except BaseException as error:  # SystemExit too: what the user's code does ends its trial alone
            said = failure_of(error)
        self._said.put(said)

    def _returned(self, value: Any) -> dict[str, float]:
        """The numbers of what the function returns; what else a mapping holds is left out, with a note."""
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
                left_out.append(shown_name(name))
        if left_out:
            more = f" and {len(left_out) - 4} more" if len(left_out) > 4 else ""
            names = f"{', '.join(left_out[:4])}{more}"
            self._note = f"what the function returned as {names} is no number, and is not kept"
        return numbers


def run(job: Job, is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Run a `FunctionTrial`.

    Args:
        job: everything about it.
        is_stop_wanted: whether to stop at the next report.

    Yields:
        `Started`, an `EpochEnded` for every epoch that is reported, then exactly one `Ended` or, where a stop was
        wanted, `Stopped`. Dropped half way, the function is stopped at the report in which it waits.

    Raises:
        DiskFull, StoreFailed: the disk takes no folder of its, which is no fault of the trial.
    """
    reports = Reports(job, job.device)
    try:
        reports.device = accelerators.resolved(job.device, job.slot, job.avoid_devices)
        trial = FunctionTrial.model_validate(resolved(job.config))
    except (UsageError, ValidationError) as error:
        yield reports.started()
        yield reports.ended(failure_of(error))
        return
    yield reports.started()
    if reports.is_over:  # an earlier attempt came to its end, and died before that was on record
        yield reports.ended()
        return
    with ExitStack() as ending:
        try:
            folder = ending.enter_context(own_folder(job))
        except OSError as error:
            yield reports.ended(failure_of(error))
            return
        own = OwnTrial(job, reports.device, folder)
        yield from _events(own, trial, reports, is_stop_wanted)


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    import torch

    torch.set_num_threads(n_threads)  # OpenMP keeps it by thread
    yield


def _events(
    own: OwnTrial, trial: FunctionTrial, reports: Reports, is_stop_wanted: Callable[[], bool]
) -> Iterator[Event]:
    base_path, is_stopping = Path(reports.job.base_path), False
    thread = threading.Thread(target=own._run, args=(trial, base_path), daemon=True)
    thread.start()
    while isinstance(said := own._said.get(), tuple):
        event = reports.epoch_ended(*said)
        try:
            if event is not None:
                yield event
        except GeneratorExit:
            own._may_go_on.put(False)
            thread.join()
            raise
        is_stopping = not reports.is_over and is_stop_wanted()
        own._may_go_on.put(not reports.is_over and not is_stopping)
    thread.join()
    if isinstance(said, Failure) and said.kind is FailureKind.OOM:
        release_memory(reports.device)
    if is_stopping:
        yield reports.stopped()
    elif isinstance(said, Failure):
        yield reports.ended(said)
    else:
        reports.update(said)
        yield reports.ended(note=own._note)


def _number(name: str, value: Any) -> float:
    tensor: Any = getattr(sys.modules.get("torch"), "Tensor", ())
    if isinstance(value, tensor):
        value = value.detach()  # torch warns of a number made from what still wants a gradient
    try:
        return float(value)
    except (TypeError, ValueError):
        kind = type(value).__name__
        raise TypeError(f"{shown_name(name)} must be a number; this is {kind:.60} {shown(value)}") from None
    except OverflowError:  # a whole number beyond all floats
        return math.inf if value > 0 else -math.inf
