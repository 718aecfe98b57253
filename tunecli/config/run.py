"""Where and how trials run, how long they may, and what follows when one fails: the keys under ``run``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from tunecli.config.families import Engine
from tunecli.config.suggestions import nearest
from tunecli.knob import Count, Knob, NamedKnob, Positive
from tunecli.registry.engines import LOCAL, engine_info
from tunecli.trial import FailureKind

DEVICE = r"^(auto|cpu|mps|(cuda|xpu)(:[0-9]+)?)$"
FOLDER = r"^/"
_DURATION_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^([0-9]{1,9}[dhms])+$"}]}
_DURATION = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")


def _seconds(value: Any) -> Any:
    """``2h``, ``1h30m`` and ``45s`` are durations; a number is seconds."""
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value)
    if not value or found is None:
        said = repr(value) if len(value) < 60 else "a long text"
        raise ValueError(
            f"invalid duration {said}: write seconds (7200), or days, hours, minutes and seconds: 2h, 1h30m, 90s"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


Duration = Annotated[Positive | None, BeforeValidator(_seconds), WithJsonSchema(_DURATION_SCHEMA)]


class Limit(Knob):
    """Totals over all runs of a study, after which no further trial is begun; those under way end.

    ``epochs`` and ``failures`` are counted over the trials whose results the next suggestion may see, so that
    they too do not depend on how fast a neighbour was (law 5). Without ``failures``, a sweep ends where its first 5
    trials have all failed with the same message, apart from digits, and no other trial has come further; with 0,
    no number of failures ends it.
    """

    time: Duration = None
    trials: Count | None = None
    epochs: Count | None = None
    failures: Annotated[int, Field(ge=0)] | None = None


class TrialLimit(Knob):
    """How long one trial may take, and how long it may go without an epoch's end; it then fails as `timeout`."""

    time: Duration = None
    idle: Duration = None


class CheckpointEvery(Knob):
    """A checkpoint at the end of every so many ``epochs``."""

    epochs: Count


def _checkpointing(value: Any) -> Any:
    if value in ("auto", "off") or isinstance(value, dict | CheckpointEvery):
        return value
    near = nearest(value, ("auto", "off")) if isinstance(value, str) else ""
    raise ValueError(f"say `auto`, `off` or `{{epochs: n}}`{f'; {near}' if near else ''}")


Checkpointing = Annotated[
    Annotated[Literal["auto", "off"], Tag("word")] | Annotated[CheckpointEvery, Tag("map")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "map"),
    BeforeValidator(_checkpointing),
]

Policy = Literal["split", "retry", "skip"]
_RetryOrSkip = Literal["retry", "skip"]


class OnFailure(Knob):
    """What follows when a trial fails, by the kind of its failure.

    ``skip``: that is its end. ``retry``: it is tried again, once for each kind. ``split``: it is tried again with each
    batch in twice as many parts as before, to the same gradient in less memory.
    """

    ABSENT: ClassVar[Mapping[str, str]] = {
        FailureKind.DIVERGED: "a trial that diverged would only diverge again, so it always ends"
    }

    oom: Policy = "split"
    crash: _RetryOrSkip = "retry"
    lost: _RetryOrSkip = "retry"
    timeout: _RetryOrSkip = "skip"
    error: _RetryOrSkip = "skip"

    def of(self, kind: FailureKind) -> Policy:
        """The policy for failures of this ``kind``; ``skip`` where the file can say none."""
        policies: dict[FailureKind, Policy] = {
            FailureKind.OOM: self.oom,
            FailureKind.CRASH: self.crash,
            FailureKind.LOST: self.lost,
            FailureKind.TIMEOUT: self.timeout,
            FailureKind.ERROR: self.error,
        }
        return policies.get(kind, "skip")


class Run(Knob):
    """Where and how trials run.

    ``workers`` jobs run at a time, and no more than ``per_device`` of them on one accelerator; ``auto`` is as many as
    that allows, or on the CPU one for every ``threads`` cores.
    ``threads`` is fixed, and not the cores divided by the workers, since the bits of a matrix product may
    depend on it and a trial's result must not depend on its neighbours (law 5). ``checkpoint`` says how often a trial
    keeps what it goes on from after an interruption: as often as costs little, never, or every so many epochs.
    ``fuse`` says how many trials of one shape are trained as one model: as many as pay, none (off), or at most so many.
    ``folder`` is where relative file names, modules and programs are looked for instead of in the file's own folder,
    so that an exported file runs from anywhere.
    """

    device: Annotated[str, Field(pattern=DEVICE)] = "auto"
    workers: Count | Literal["auto"] = "auto"
    per_device: Count = 1
    threads: Count = 1
    engine: Engine = LOCAL
    limit: Limit = Limit()
    trial_limit: TrialLimit = TrialLimit()
    checkpoint: Checkpointing = "auto"
    fuse: Count | Literal["auto", "off"] = "auto"
    on_failure: OnFailure = OnFailure()
    folder: Annotated[str, Field(pattern=FOLDER)] | None = None

    @property
    def engine_name(self) -> str:
        """What the engine is called."""
        return self.engine if isinstance(self.engine, str) else self.engine.name

    @property
    def engine_settings(self) -> NamedKnob | None:
        """What the file says of the engine beside its name; None: nothing."""
        return None if isinstance(self.engine, str) else self.engine

    @model_validator(mode="after")
    def _as_many_workers_as_the_engine_has(self) -> Run:
        most = engine_info(self.engine_name).max_workers
        if most is not None and self.workers != "auto" and self.workers > most:
            has = "one worker" if most == 1 else f"at most {most} workers"
            raise ValueError(f"the engine `{self.engine_name}` has {has}; `{LOCAL}` has more")
        return self
