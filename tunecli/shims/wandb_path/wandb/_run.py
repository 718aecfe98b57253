"""`wandb.run`: the run of a script, which is the trial."""

from __future__ import annotations

import atexit
import fnmatch
import os
from typing import TYPE_CHECKING, Any

from ._config import Config, as_dict
from ._errors import Error, UsageError, absent
from ._reports import Trial, metric_name, numbers_of, trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SUMMARIES = ("min", "max", "mean", "best", "last", "first", "none", "copy")


class Settings:
    """Options of `wandb.init`; none of them has an effect."""

    def __init__(self, **options: Any) -> None:
        self.__dict__.update(options)

    def update(self, *others: Any, **options: Any) -> None:
        """Set options."""
        for other in others:
            self.__dict__.update(as_dict(other))
        self.__dict__.update(options)


class Summary:
    """`wandb.summary`: the last value of each metric; a value that the script sets is a metric of the trial."""

    def __init__(self, served: Trial) -> None:
        self.__dict__["_items"], self.__dict__["_trial"] = {}, served

    def update(self, d: Any = None, **more: Any) -> None:
        """Set several values."""
        values = {**as_dict(d), **more}
        self._items.update(values)
        self._trial.update(values)

    def get(self, key: str, default: Any = None) -> Any:
        """The value at a key, or the default."""
        return self._items.get(key, default)

    def keys(self) -> Any:
        """The keys."""
        return self._items.keys()

    def _keep(self, values: dict[str, Any]) -> None:
        self._items.update(values)

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_items"][name]
        except KeyError:
            raise AttributeError(f"the summary has no key `{name}`") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)


class _Definition:
    """How a metric is summarised."""

    def __init__(self, summaries: tuple[str, ...], goal: str) -> None:
        self.summaries, self.is_maximized = summaries, goal.startswith("max")
        self.n, self.total, self.least, self.most = 0, 0.0, 0.0, 0.0

    def add(self, name: str, value: float) -> dict[str, float]:
        """The summaries after another value, by name."""
        self.least = value if self.n == 0 else min(self.least, value)
        self.most = value if self.n == 0 else max(self.most, value)
        self.n, self.total = self.n + 1, self.total + value
        best = self.most if self.is_maximized else self.least
        known = {"min": self.least, "max": self.most, "mean": self.total / self.n, "best": best}
        return {f"{name}.{word}": known[word] for word in self.summaries if word in known}


class Run:
    """A run. Use it as a context manager, or call `finish`."""

    def __init__(
        self, served: Trial, config: Config, options: dict[str, Any], on_end: Callable[[], None]
    ) -> None:
        self._trial, self._on_end, self._options = served, on_end, options
        self._row: dict[str, Any] = {}
        self._definitions: dict[str, _Definition] = {}
        self._patterns: list[tuple[str, tuple[str, ...], str]] = []
        self._is_over, self._step = False, 0
        self.config, self.summary = config, Summary(served)
        self.name = str(options.get("name") or f"trial-{served.number}")
        self.id = str(options.get("id") or f"tunecli-{served.number}")
        self.dir, self.project = served.folder, options.get("project") or "tunecli"
        self.entity, self.group = options.get("entity") or "", options.get("group") or ""
        self.job_type, self.notes = options.get("job_type") or "", options.get("notes") or ""
        self.tags: tuple[str, ...] = tuple(options.get("tags") or ())
        self.sweep_id, self.path = "tunecli", f"tunecli/{self.id}"
        self.url = self.project_url = self.sweep_url = ""
        self.resumed, self.disabled, self.offline = False, False, True
        self.settings = options.get("settings") or Settings()

    @property
    def step(self) -> int:
        """The number of the next log."""
        return self._step

    def log(
        self, data: dict[str, Any], step: int | None = None, commit: bool | None = None, sync: Any = None
    ) -> None:
        """Report metrics; see `wandb.log`."""
        if not isinstance(data, dict) and not hasattr(data, "keys"):
            raise TypeError("wandb.log must be passed a dictionary")
        self._refuse_if_over()
        if step is not None:
            if step < self._step and self._step:
                return  # as W&B does: a step cannot be logged after a later one
            self._step = int(step)
        self._row.update(as_dict(data))
        if commit is False:
            return
        self._commit(step)
        if step is None:
            self._step += 1

    def _commit(self, step: int | None) -> None:
        row, self._row = self._row, {}
        summaries: dict[str, float] = {}
        for name, value in numbers_of(row).items():
            definition = self._definition(name)
            if definition is not None:
                summaries.update(definition.add(name, value))
        self.summary._keep({**row, **summaries})
        self._trial.log({**summaries, **row}, step)

    def _definition(self, name: str) -> _Definition | None:
        if name not in self._definitions:
            patterns = [entry for entry in self._patterns if fnmatch.fnmatchcase(name, entry[0])]
            if not patterns:
                return None
            self._definitions[name] = _Definition(patterns[-1][1], patterns[-1][2])
        return self._definitions[name]

    def define_metric(
        self,
        name: str,
        step_metric: Any = None,
        summary: str | None = None,
        goal: str | None = None,
        **_: Any,
    ) -> Any:
        """Say how a metric is summarised; see `wandb.define_metric`."""
        words = tuple(word.strip() for word in (summary or "").split(",") if word.strip())
        unknown = [word for word in words if word not in _SUMMARIES]
        if unknown:
            raise Error(f"unknown summary `{unknown[0]}`: use {', '.join(_SUMMARIES)}")
        if words:
            star = str(name).endswith("*")
            pattern = metric_name(str(name).rstrip("*")) + "*" if star else metric_name(str(name))
            self._patterns.append((pattern, words, goal or "minimize"))
        return self

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run, and report the logs that are not committed yet."""
        if self._is_over:
            return
        if self._row:
            self._commit(None)
        self._trial.flush()
        self._is_over = True
        self._on_end()

    join = finish

    def watch(self, *args: Any, **options: Any) -> tuple[()]:
        """Do nothing: gradients are kept nowhere."""
        return ()

    def _nothing(self, *args: Any, **options: Any) -> None:
        """Do nothing."""

    unwatch = log_code = alert = mark_preempting = _label = display = _nothing
    log_model = link_model = link_artifact = _nothing

    def save(self, *args: Any, **options: Any) -> list[str]:
        """Keep nothing."""
        return []

    def log_artifact(self, artifact: Any, *args: Any, **options: Any) -> Any:
        """Keep nothing."""
        return artifact

    def get_url(self) -> str:
        """Nothing: the run has no page."""
        return ""

    get_project_url = get_sweep_url = get_url

    def use_artifact(self, *args: Any, **options: Any) -> Any:
        """Refuse: artifacts lie on W&B's servers."""
        raise UsageError("tunecli's shim of wandb has no artifacts to use: read the data from a file")

    use_model = use_artifact

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.finish()

    def __getattr__(self, name: str) -> Any:
        raise absent(f"wandb.run.{name}")

    def _refuse_if_over(self) -> None:
        if self._is_over:
            raise UsageError("the run is finished: call wandb.init() again")


def start(config: Any, options: dict[str, Any], on_end: Callable[[], None]) -> Run:
    """The run of this trial. A script that does not finish it reports its last log when Python ends."""
    served = trial()
    defaults = as_dict(config)
    include, exclude = options.get("config_include_keys"), options.get("config_exclude_keys") or ()
    kept = {
        key: value
        for key, value in defaults.items()
        if (not include or key in include) and key not in exclude
    }
    started = Run(served, Config(kept, served.params), options, on_end)
    process_id = os.getpid()
    if served.is_script:
        atexit.register(lambda: started.finish() if os.getpid() == process_id else None)
    return started
