"""The sources of an own trial's metrics: the outputs of its program, and the files that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from tunecli.knob import Knob, Values
from tunecli.text import short_repr

JSON, JSONL, CSV, TENSORBOARD = "json", "jsonl", "csv", "tensorboard"
FILE_KINDS = (JSON, JSONL, CSV, TENSORBOARD)
"""The formats of files that metrics are read from."""

_FilePath = Annotated[str, Field(min_length=1, max_length=4096)]


class MetricsFile(Knob):
    """A file that the program writes metrics to. The path starts from the program's working folder.

    The path may have `{number}`, `{checkpoint_dir}`, wildcards such as `version_*` and, in a command, parameters.
    Only values that are written after the start of the trial count.

    Attributes:
        json: file with one JSON value, which the program rewrites: an object of metrics, or lists of epochs.
        jsonl: file with a JSON object on each line.
        csv: file with a row for each epoch, and the names of the columns on its first line.
        tensorboard: folder with event files of TensorBoard, also in its sub-folders.
    """

    json_: _FilePath | None = Field(None, alias="json")  # pydantic's models have a method `json`
    jsonl: _FilePath | None = None
    csv: _FilePath | None = None
    tensorboard: _FilePath | None = None

    @model_validator(mode="after")
    def _one_file(self) -> MetricsFile:
        if len(self._given) != 1:
            raise ValueError(
                "must name one file, for example `{csv: metrics.csv}`; write a list of maps for several files"
            )
        return self

    @property
    def _given(self) -> list[tuple[str, str]]:
        paths = (self.json_, self.jsonl, self.csv, self.tensorboard)
        return [(kind, path) for kind, path in zip(FILE_KINDS, paths, strict=True) if path is not None]

    @property
    def kind(self) -> str:
        """The format: one of `FILE_KINDS`."""
        return self._given[0][0]

    @property
    def path(self) -> str:
        """The path, with its placeholders."""
        return self._given[0][1]


OutputName = Literal["stdout", "stderr", "both"]
_Output = Annotated[
    OutputName,
    Values(
        {
            "stdout": "Lines that the program prints to standard output.",
            "stderr": "Lines that the program prints to standard error.",
            "both": "Lines of both outputs.",
        }
    ),
]


def _source(value: Any) -> Any:
    if isinstance(value, str) and value not in get_args(OutputName):
        raise ValueError(
            f"must be `stdout`, `stderr`, `both` or a file such as `{{csv: metrics.csv}}`, not {short_repr(value)}"
        )
    return value


def _kind_of_source(value: Any) -> str:
    return "word" if isinstance(value, str) else "list" if isinstance(value, list) else "map"


_Source = Annotated[
    Annotated[_Output, Tag("word")] | Annotated[MetricsFile, Tag("map")],
    Discriminator(_kind_of_source),
    BeforeValidator(_source),
]
MetricsFrom = Annotated[
    Annotated[_Output, Tag("word")]
    | Annotated[MetricsFile, Tag("map")]
    | Annotated[list[_Source], Field(min_length=1, max_length=8), Tag("list")],
    Discriminator(_kind_of_source),
    BeforeValidator(_source),
]
FilesOnly = Annotated[
    Annotated[MetricsFile, Tag("map")]
    | Annotated[list[MetricsFile], Field(min_length=1, max_length=8), Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "map"),
]
STEP = "step"
Every = Annotated[
    Literal["epoch", "step"],
    Values(
        {
            "epoch": "A report ends an epoch.",
            "step": "A report is a step.",
        }
    ),
]


def sources(metrics_from: str | MetricsFile | Sequence[str | MetricsFile]) -> tuple[str | MetricsFile, ...]:
    """The sources of a ``metrics_from``, in its order."""
    return (metrics_from,) if isinstance(metrics_from, str | MetricsFile) else tuple(metrics_from)
