"""The way from a script's logs to the trial's reports, and from the trial's parameters to the script.

For a command, the environment variable ``TUNECLI_SHIM`` names the pipe for reports and the objective, and
``TUNECLI_PARAMS`` (or ``TUNECLI_PARAMS_FILE``) holds the parameters. For a function in tunecli's own process, tunecli
calls `use`. A report is ``{"epoch": 3, "val_loss": 0.4}``; without ``epoch`` it updates the metrics.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import UsageError

_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
_LETTERS = re.compile(r"[^A-Za-z0-9_./-]")
if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[int | None, dict[str, float]], None]


class Trial:
    """The trial that this process belongs to.

    Attributes:
        params: its parameters.
        objective: the metric that ends an epoch.
        number: its number.
        folder: its folder for files.
        is_script: whether the whole process is the trial; else it is a function in tunecli's process.
    """

    is_script = False

    def __init__(self, params: dict[str, Any], objective: str, number: int, folder: str, send: Send) -> None:
        self.params, self.objective, self.number, self.folder = params, objective, number, folder
        self._send, self._process_id = send, os.getpid()
        self._epoch = 0
        self._is_numbered: bool | None = None
        self._pending: dict[str, float] = {}
        self._last_step: int | None = None

    def log(self, values: dict[str, Any], step: int | None) -> None:
        """Report the metrics of one log.

        The log that holds the objective ends an epoch. Its number is ``epoch``, if the script logs whole numbers under
        that name; else epochs are counted. A second log of the same step does not end another epoch.
        """
        if os.getpid() != self._process_id:  # a child of the script, such as a worker that loads data
            return
        metrics = numbers_of(values)
        epoch = metrics.pop("epoch", None)
        self._pending.update(metrics)
        if self.objective not in metrics:
            return
        if self._is_numbered is None:
            self._is_numbered = epoch is not None and float(epoch).is_integer() and epoch >= 0
        is_same_step = step is not None and step == self._last_step
        self._last_step = step
        pending, self._pending = self._pending, {}
        if is_same_step or (self._is_numbered and (epoch is None or not float(epoch).is_integer())):
            self._send(None, pending)
            return
        self._epoch = int(epoch) if self._is_numbered and epoch is not None else self._epoch + 1
        self._send(self._epoch, pending)

    def update(self, values: dict[str, Any]) -> None:
        """Report metrics that belong to no epoch, such as the summary."""
        metrics = numbers_of(values)
        if metrics and os.getpid() == self._process_id:
            self._send(None, metrics)

    def flush(self) -> None:
        """Report the metrics that were logged after the last epoch."""
        pending, self._pending = self._pending, {}
        if pending and os.getpid() == self._process_id:
            self._send(None, pending)


_used: Trial | None = None


def use(params: dict[str, Any], objective: str, number: int, folder: str, send: Send) -> None:
    """Serve a function in this process."""
    global _used
    _used = Trial(params, objective, number, folder, send)


def trial() -> Trial:
    """The trial of this process.

    Raises:
        UsageError: the process belongs to no trial.
    """
    global _used
    if _used is None:
        _used = _of_environment()
    return _used


def _of_environment() -> Trial:
    try:
        facts = json.loads(os.environ["TUNECLI_SHIM"])
        named = os.environ.get("TUNECLI_PARAMS_FILE")
        text = os.environ["TUNECLI_PARAMS"] if named is None else Path(named).read_text(encoding="utf-8")
        params = json.loads(text)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(
            f"this wandb is tunecli's shim, which works only in a trial of a study with `shim: wandb` ({error!r})"
        ) from None
    is_silent = _rank(facts.get("ranks", {})) not in (None, "0")
    one_at_a_time = threading.Lock()

    def send(epoch: int | None, metrics: dict[str, float]) -> None:
        if is_silent:
            return
        line = json.dumps(metrics if epoch is None else {"epoch": epoch, **metrics}) + "\n"
        with one_at_a_time:
            _write(facts["reports"], line.encode())

    number = int(os.environ.get("TUNECLI_TRIAL", "0"))
    folder = os.environ.get("TUNECLI_CHECKPOINT_DIR") or str(Path.cwd())
    served = Trial(params, facts["objective"], number, folder, send)
    served.is_script = True
    return served


def _write(path: str, data: bytes) -> None:
    """Write to the pipe. A pipe without a reader means that the trial is over, so the report does not count."""
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return
        raise
    try:
        os.set_blocking(pipe, True)
        while data:
            data = data[os.write(pipe, data) :]
    except BrokenPipeError:
        pass
    finally:
        os.close(pipe)


def _rank(inherited: dict[str, str]) -> str | None:
    """The rank of this process among several that train together; None: it trains alone."""
    for name in _RANKS:
        rank = os.environ.get(name)
        if rank is not None and rank != inherited.get(name):
            return rank
    return None


def numbers_of(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a log, under names that a metric of tunecli can have; other values are left out."""
    numbers: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            numbers.update(numbers_of(value, f"{prefix}{key}."))
        else:
            number = _number(value)
            if number is not None:
                numbers[metric_name(f"{prefix}{key}")] = number
    return numbers


def metric_name(name: str) -> str:
    """The name with letters that a metric of tunecli can have."""
    clean = _LETTERS.sub("_", name)
    return clean if re.match(r"[A-Za-z]", clean) else f"m{clean}"


def _number(value: Any) -> float | None:
    """A number, or a tensor or array of one number; None for anything else."""
    try:
        if hasattr(value, "item"):
            value = value.item()
        return float(value) if isinstance(value, (bool, int, float)) else None
    except OverflowError:  # a whole number beyond the range of float
        return float("inf") if value > 0 else float("-inf")
    except Exception:  # the value's class decides, and a tensor of several numbers has no `item`
        return None
