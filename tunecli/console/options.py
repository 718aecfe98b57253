"""The options and arguments that verbs share: their names, their values and their help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tunecli.console.usage import whole_number

STDOUT = Path("-")
"""What a person writes for stdout in the place of a file."""


def file_name(text: str | Path) -> Path:
    """What reads the name of a file from a command line; `-` may be stdout."""
    if not str(text):
        raise typer.BadParameter("the name of the file is empty")
    return Path(text)


def _regular_file_name(text: str | Path) -> Path:
    path = file_name(text)
    if path == STDOUT:
        raise typer.BadParameter("weights go to a file and not to stdout; `./-` is a file of that name")
    return path


def overrides_of(sets: Sequence[str] | None, flags: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """``path=value`` texts: those of ``--set``, then one for each other option that changes a key of the file."""
    given = (f"{path}={value}" for path, value in (flags or {}).items() if value is not None)
    return (*(sets or ()), *given)


ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The study's YAML file.", show_default=False)
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder, or a study's name.", show_default=False)
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override one key of the file. VALUE may be a range."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Trials = Annotated[
    int | None,
    typer.Option("--trials", metavar="N", parser=whole_number(1), help="Total number of trials."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", parser=whole_number(1), help="Number of trials run in parallel."),
]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps or xpu.")
]
BestOrTrial = Annotated[
    int | None,
    typer.Option("--trial", metavar="N", parser=whole_number(0), help="Use trial N [default: the best]."),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        parser=_regular_file_name,
        help="Also write the trained weights, as safetensors.",
    ),
]
Top = Annotated[
    int | None,
    typer.Option("--top", metavar="N", parser=whole_number(1), help="Show only the first N rows."),
]
Form = Annotated[str, typer.Option("--format", metavar="FORM", help="table, csv, json or markdown.")]
SortBy = Annotated[
    str | None,
    typer.Option("--sort", metavar="COLUMN", help="Sort by COLUMN; `-COLUMN` sorts from high to low."),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="A,B,C", help="Show these columns, in this order."),
]
Failed = Annotated[bool, typer.Option("--failed", help="Show failed trials only, with the cause.")]
OneTrial = Annotated[
    int | None,
    typer.Option("--trial", metavar="N", parser=whole_number(0), help="Show everything about trial N."),
]
Predict = Annotated[
    bool,
    typer.Option("--predict", help="Add the model's noise-free estimate of each score and its uncertainty."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check only, and show the first trials.")]
Fork = Annotated[
    str | None,
    typer.Option(
        "--fork", metavar="NAME", help="Start a new study NAME that reuses the trials that still fit."
    ),
]
Tested = Annotated[bool, typer.Option("--test", help="Re-train it and print its metrics on `data.test`.")]
Exact = Annotated[bool, typer.Option("--exact", help="Require identical bits, not 1e-6 relative.")]
Sample = Annotated[
    int | None,
    typer.Option("--sample", metavar="N", parser=whole_number(1), help="Verify N complete trials at random."),
]
RunFolderPath = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="The run folder [default: runs/<study>].")
]
ExportFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        parser=file_name,
        help="Write the file here; `-` is stdout [default: stdout].",
    ),
]
NextConfig = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Continue with this file [default: RUN/config.yaml]."),
]
SchemaForm = Annotated[
    str, typer.Option("--format", metavar="FORM", help="json (for editors) or markdown (a table).")
]
