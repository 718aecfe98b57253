"""The settings under ``run``: where and how trials run, their limits, and what happens after a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from tunecli.config.engine_sections import with_sections
from tunecli.config.events import Events
from tunecli.config.families import Engine
from tunecli.config.objectives import OWN_TRIAL
from tunecli.config.quantities import SIZE_SCHEMA, Duration, Size, in_bytes
from tunecli.config.ray import Ray
from tunecli.config.suggestions import nearest
from tunecli.config.surroundings import FileName, VariableName, VariableValue
from tunecli.knob import Auto, Count, Knob, Values
from tunecli.registry.engines import LOCAL, engine_info
from tunecli.registry.implementations import implementation
from tunecli.trial import FailureKind

DEVICE = r"^(auto|cpu|mps|(cuda|xpu)(:[0-9]+)?)$"
FOLDER = r"^/"

_LEAST_LOG_BYTES = 1024
_MOST_LOG_BYTES = 2**40
_LOG_SCHEMA = {
    "anyOf": [{"enum": ["off", 0], "enumDescriptions": ["No logs.", "No logs."]}, *SIZE_SCHEMA["anyOf"]]
}


def _log_bytes(value: Any) -> Any:
    n_bytes = 0 if value == "off" else in_bytes(value)
    is_count = isinstance(n_bytes, int) and not isinstance(n_bytes, bool) and n_bytes != 0
    if is_count and not _LEAST_LOG_BYTES <= n_bytes <= _MOST_LOG_BYTES:
        raise ValueError("must be from 1KiB to 1TiB, or `off`")
    return n_bytes


LogLimit = Annotated[int, Field(ge=0), BeforeValidator(_log_bytes), WithJsonSchema(_LOG_SCHEMA)]


class Limit(Knob):
    """Totals over all runs of a study, after which no further trial starts; running trials finish.

    Epochs and failures are counted over the trials whose results the next suggestion may use, so they do not depend on
    the speed of other trials (speed-independence).

    Attributes:
        time: largest time: seconds, or a text such as 2h or 1h30m.
        trials: largest number of trials.
        epochs: largest number of epochs, summed over the trials.
        failures: largest number of failed trials; 0 is no limit. Without it, a study ends when its first 5 trials all
            fail with the same message (digits aside) and no other trial has got further, or 15 if all of them have the
            same option of a choice.
    """

    time: Duration = None
    trials: Count | None = None
    epochs: Count | None = None
    failures: Annotated[int, Field(ge=0)] | None = None


class TrialLimit(Knob):
    """Limits of one trial.

    At its memory limit a trial fails as `oom`.
    At a time limit it fails as `timeout`; `on_failure: {timeout: keep}` makes it complete instead.

    Attributes:
        time: largest time of a trial: seconds, or a text such as 2h or 1h30m.
        idle: largest time without the end of an epoch.
        memory: largest memory of a trial with all processes that it started: a size such as 8GiB. It counts main
            memory, not that of a GPU, and is watched a few times a second; needs Linux.
        epochs: for commands and own functions: number of epochs after which a trial is complete; its program is
            ended.
    """

    time: Duration = None
    idle: Duration = None
    memory: Size | None = None
    epochs: Count | None = None

    @field_validator("epochs")
    @classmethod
    def _of_own_trials(cls, epochs: int | None, info: ValidationInfo) -> int | None:
        if epochs is not None and info.context and info.context.get(OWN_TRIAL) is False:
            raise ValueError(
                f"works for commands and own functions: write `trial: {{training: {{epochs: {epochs}}}}}`"
            )
        return epochs


class ResultsFile(Knob):
    """Further columns of results.csv.

    Attributes:
        metrics: metrics that get a column each, beside those of the objective: their names, or `all`. Built-in metrics
            that are not always computed are computed if they are named here.
    """

    metrics: Annotated[
        Annotated[Literal["all"], Values({"all": "Every recorded metric."}), Tag("word")]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Tag("names")],
        Discriminator(lambda value: "word" if isinstance(value, str) else "names"),
    ] = Field(default=[])


class CheckpointEvery(Knob):
    """A checkpoint at the end of every n-th epoch.

    Attributes:
        epochs: number of epochs between two checkpoints.
    """

    epochs: Count


def _checkpointing(value: Any) -> Any:
    if value in ("auto", "off") or isinstance(value, dict | CheckpointEvery):
        return value
    near = nearest(value, ("auto", "off")) if isinstance(value, str) else ""
    raise ValueError(f"must be `auto`, `off` or `{{epochs: n}}`{f'; {near}' if near else ''}")


Checkpointing = Annotated[
    Annotated[
        Literal["auto", "off"],
        Values({"auto": "As often as it costs little.", "off": "Never."}),
        Tag("word"),
    ]
    | Annotated[CheckpointEvery, Tag("map")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "map"),
    BeforeValidator(_checkpointing),
]

Policy = Literal["split", "retry", "skip", "keep"]
_SplitRetryOrSkip = Annotated[
    Literal["split", "retry", "skip"],
    Values(
        {
            "split": "Run it again with each batch in twice as many parts.",
            "retry": "Run the trial again, once per kind of failure.",
            "skip": "End the trial.",
        }
    ),
]
_RetryOrSkip = Annotated[
    Literal["retry", "skip"],
    Values(
        {
            "retry": "Run the trial again, once per kind of failure.",
            "skip": "End the trial.",
        }
    ),
]


class OnFailure(Knob):
    """What happens after a failed trial, by the kind of its failure. `skip` ends the trial.

    `retry` runs it again, once per kind. `split` runs it again with each batch in twice as many parts, which needs
    less memory for the same gradient. `keep` makes a trial at its time limit complete with its score so far.

    Attributes:
        oom: out of memory.
        crash: the worker process died.
        lost: the accelerator was lost.
        timeout: the trial exceeded a time limit of `trial_limit`; `keep` takes its score so far, if it has one.
        error: the training raised an error.
    """

    ABSENT: ClassVar[Mapping[str, str]] = {
        FailureKind.DIVERGED: "a trial that diverged would only diverge again, so it always ends"
    }

    oom: _SplitRetryOrSkip = "split"
    crash: _RetryOrSkip = "retry"
    lost: _RetryOrSkip = "retry"
    timeout: Annotated[
        Literal["retry", "skip", "keep"],
        Values(
            {
                "retry": "Run the trial again, once per kind of failure.",
                "skip": "End the trial.",
                "keep": "Take the score so far, if the trial has one.",
            }
        ),
    ] = "skip"
    error: _RetryOrSkip = "skip"

    def of(self, kind: FailureKind) -> Policy:
        """The policy for failures of this ``kind``; ``skip`` for kinds that the file cannot set."""
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

    Attributes:
        device: device: `auto`, `cpu`, `mps`, `cuda`, `xpu`, or one of several, such as `cuda:1`.
        workers: number of trials that run at the same time; `auto` is as many as `per_device` and `threads` allow.
        per_device: largest number of trials that run on one accelerator at the same time.
        threads: CPU threads per trial. The number is fixed, because the bits of a matrix product can depend on it.
        engine: how trials run: in worker processes (`local`), in this process, one at a time (`inline`), or on the
            nodes of a Ray cluster (`ray`).
        limit: totals after which no further trial starts.
        trial_limit: limits of one trial.
        checkpoint: how often a trial saves its state for resuming: as often as it costs little (`auto`), never, or
            every n epochs.
        fuse: how many trials of one shape are trained as one model: as many as pay off (`auto`), none (`off`), or at
            most n.
        on_failure: what happens after a failed trial, by the kind of its failure.
        isolate: whether each trial that runs your own Python code has a process of its own (`on`), or the trials of a
            worker share one process (`off`), which is faster for functions that end within milliseconds.
        log_limit: largest size of the log of a trial's own code: bytes, or a text such as 1MB or 64KiB; the middle of
            a longer output is left out. `off` writes no logs.
        folder: folder from which relative file names, modules and programs are resolved, instead of the file's own
            folder; it must be absolute.
        results: further columns of results.csv.
        report: whether `search` and `resume` write the page `report.html` into the run folder at their end (`on`), or
            not (`off`).
        baseline: whether simple models are fitted to the data of the best trial, so that the report shows the
            worth of the network (`on`), or not (`off`). They are a linear model and gradient-boosted trees, on tables
            only.
        events: other tools that get the trials while the study runs: TensorBoard's event files in the folder `events`
            of the run folder (`tensorboard`), runs of MLflow (`mlflow`), a list of both, or none (`off`).
        cwd: working folder of a `command` or of a training function: `config` (the folder of the file), `trial` (a
            folder of its own for each trial, in the run folder), or a path relative to the folder of the file. Without
            it, a command runs in the folder of the file, and a function where tunecli was started.
        link: files and folders that each trial finds in its own folder, with `cwd: trial`: names and patterns such as
            `*.yaml`, relative to the folder of the file or absolute. They are symbolic links to the originals.
        env: environment variables of a `command` or of a training function. A text may contain the placeholders of a
            command, such as `{lr}` or `{threads}`, and `${env:NAME}`; null removes the variable.
        python: interpreter that `python` and `python3` mean in a `command`: its file, or the folder of a virtual
            environment, which is activated. Without it, `python` is the interpreter that runs tunecli.
        devices_per_trial: number of accelerators that each trial of a `command` or of a training function uses, for
            programs that compute on several.
        ray: settings of `engine: ray`; other engines do not read them.
    """

    # further keys are the sections of plug-in engines, which `with_sections` reads
    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})

    device: Annotated[str, Field(pattern=DEVICE)] = "auto"
    workers: Count | Auto = "auto"
    per_device: Count = 1
    threads: Count = 1
    engine: Engine = LOCAL
    limit: Limit = Limit()
    trial_limit: TrialLimit = TrialLimit()
    checkpoint: Checkpointing = "auto"
    fuse: (
        Count
        | Annotated[
            Literal["auto", "off"],
            Values(
                {
                    "auto": "As many trials as pay off.",
                    "off": "Each trial by itself.",
                }
            ),
        ]
    ) = "auto"
    on_failure: OnFailure = OnFailure()
    isolate: Annotated[
        Literal["on", "off"],
        Values(
            {
                "on": "Each trial has a process of its own.",
                "off": "The trials of a worker share one process.",
            }
        ),
    ] = "on"
    log_limit: LogLimit = 1_000_000
    folder: Annotated[str, Field(pattern=FOLDER)] | None = None
    results: ResultsFile = ResultsFile()
    report: Annotated[
        Literal["on", "off"],
        Values(
            {
                "on": "Write the page.",
                "off": "Write no page.",
            }
        ),
    ] = "on"
    baseline: Annotated[
        Literal["on", "off"],
        Values(
            {
                "on": "Fit the simple models.",
                "off": "Fit no simple models.",
            }
        ),
    ] = "on"
    events: Events = []  # noqa: RUF012  (pydantic copies it)
    cwd: FileName | None = None
    link: list[FileName] = []  # noqa: RUF012  (pydantic copies it)
    env: dict[VariableName, VariableValue] = {}  # noqa: RUF012
    python: FileName | None = None
    devices_per_trial: Count = 1
    ray: Ray = Ray()

    @property
    def engine_name(self) -> str:
        """Name of the engine."""
        return self.engine if isinstance(self.engine, str) else self.engine.name

    @property
    def event_names(self) -> tuple[str, ...]:
        """Names of the tools that get the trials while the study runs."""
        return tuple(one if isinstance(one, str) else one.name for one in self.events)

    @property
    def engine_settings(self) -> Knob | None:
        """The settings of the engine: its section under ``run``, or those beside its name; None if it has none."""
        if not isinstance(self.engine, str):
            return self.engine
        return getattr(self, self.engine) if engine_info(self.engine).settings is not None else None

    @model_validator(mode="wrap")
    @classmethod
    def _with_sections_of_engines(cls, value: Any, handler: ModelWrapValidatorHandler[Run]) -> Run:
        run: Run = with_sections(cls, value, handler)
        return run

    @model_validator(mode="after")
    def _that_the_engine_can_run(self) -> Run:
        info = engine_info(self.engine_name)
        if info.conflicts and (problems := list(implementation(info.conflicts)(self))):
            raise ValueError("; ".join(problems))
        most = info.max_workers
        if most is not None and self.workers != "auto" and self.workers > most:
            has = "one worker" if most == 1 else f"at most {most} workers"
            raise ValueError(f"`engine: {self.engine_name}` has {has}; use `engine: {LOCAL}`")
        return self
