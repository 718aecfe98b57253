"""The options and arguments that verbs share: names, values and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tunecli.console.usage import whole_number

STDOUT = Path("-")
"""The file name that means stdout."""


def file_name(text: str | Path) -> Path:
    """The path that the text of an argument names.

    Raises:
        typer.BadParameter: the text is empty.
    """
    if not str(text):
        raise typer.BadParameter("the file name is empty")
    return Path(text)


def _regular_file_name(text: str | Path) -> Path:
    path = file_name(text)
    if path == STDOUT:
        raise typer.BadParameter("weights cannot go to stdout; for a file named `-`, write `./-`")
    return path


ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The study's YAML file.", show_default=False)
]
ForeignFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The other tool's file; `-` is stdin.", parser=file_name, show_default=False
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="KIND",
        help="The tool: wandb, hydra, ray, nni, katib or determined [default: by the content].",
    ),
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder, or a study's name.", show_default=False)
]
Runs = Annotated[
    list[str],
    typer.Argument(metavar="RUN", help="Run folders, or names of studies.", show_default=False),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Set a key of the file. VALUE may be a range."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Trials = Annotated[
    int | None,
    typer.Option("--trials", metavar="N", parser=whole_number(1), help="Total number of trials."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", parser=whole_number(1), help="Number of parallel trials."),
]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps or xpu.")
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="NAME", help="Where trials run: local, inline, ray, or a package's engine."
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="HOST:PORT", help="Run the trials on the Ray cluster with this head."),
]
ShownAddress = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="Also show the Ray cluster with this head [default: RAY_ADDRESS].",
    ),
]
BestOrTrial = Annotated[
    int | None,
    typer.Option("--trial", metavar="N", parser=whole_number(0), help="Use trial N [default: the best]."),
]


def _file_to_write(name: str, about: str) -> Any:
    """An option that names a regular file to write."""
    return typer.Option(name, metavar="FILE", parser=_regular_file_name, help=about)


WeightsFile = Annotated[
    Path | None,
    _file_to_write("--weights", "Also write the trained weights, as safetensors."),
]
ModelFile = Annotated[
    Path | None,
    _file_to_write("--model", "Also write the model with all that `tunecli predict` needs."),
]
ModelFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Format of --model: safetensors, onnx or pt2 [default: that of the file's ending].",
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
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics", metavar="[A,B]", help="Also show every metric of the trials, or only these metrics."
    ),
]
Failed = Annotated[bool, typer.Option("--failed", help="Show only failed trials, with their causes.")]
OneTrial = Annotated[
    int | None,
    typer.Option("--trial", metavar="N", parser=whole_number(0), help="Show everything about trial N."),
]
CurveTrial = Annotated[
    int | None,
    typer.Option("--trial", metavar="N", parser=whole_number(0), help="Draw trial N [default: the best]."),
]
LogTrial = Annotated[
    int | None,
    typer.Option("--trial", metavar="N", parser=whole_number(0), help="Show the log of trial N."),
]
RunOne = Annotated[bool, typer.Option("--run", help="Run the first trial for one epoch, at most a minute.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Wait for new output until the trial ends.")]
Predict = Annotated[
    bool,
    typer.Option("--predict", help="Add a model's noise-free estimate of each score, with its uncertainty."),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check the file and show the first trials that no result changes; run nothing."
    ),
]
Fork = Annotated[
    str | None,
    typer.Option("--fork", metavar="NAME", help="Start study NAME, which reuses the trials that fit."),
]
Tested = Annotated[bool, typer.Option("--test", help="Re-train the trial and measure it on `data.test`.")]
Exact = Annotated[bool, typer.Option("--exact", help="Require identical bits, not 1e-6 relative accuracy.")]
Sample = Annotated[
    int | None,
    typer.Option("--sample", metavar="N", parser=whole_number(1), help="Verify N random complete trials."),
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
PageFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        parser=file_name,
        help="Write the page here; `-` is stdout [default: RUN/report.html].",
    ),
]
NextFile = Annotated[
    Path | None,
    typer.Option(
        "--next",
        metavar="FILE",
        parser=file_name,
        help="Write the file of the next study, with a reason for each change, and no page.",
    ),
]
Watch = Annotated[
    int | None,
    typer.Option(
        "--watch",
        metavar="[SECONDS]",
        parser=whole_number(1),
        help="Write the page again every SECONDS (30) until the study ends; the page reloads itself.",
    ),
]
WatchStatus = Annotated[
    int | None,
    typer.Option(
        "--watch",
        metavar="[SECONDS]",
        parser=whole_number(1),
        help="Show a live table until the study ends; read it every SECONDS (30). A pipe and --json get a line at "
        "each change.",
    ),
]
NextConfig = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Continue with this file [default: RUN/config.yaml]."),
]
SchemaForm = Annotated[
    str, typer.Option("--format", metavar="FORM", help="json (for editors) or markdown (a table).")
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin a new study in place of the one in the run folder.")
]
Agreed = Annotated[
    bool, typer.Option("--yes", help="With --restart: move a study with scores aside without asking.")
]
EndedTrial = Annotated[
    int | None,
    typer.Option(
        "--trial", metavar="N", parser=whole_number(0), help="End only trial N; it counts as pruned."
    ),
]
Candidates = Annotated[
    int | None,
    typer.Option(
        "--top",
        metavar="N",
        parser=whole_number(0),
        help="Number of candidates that the record chooses [default: 3].",
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(
        "--repeats",
        metavar="R",
        parser=whole_number(0),
        help="Fresh runs of each trial, at least 3 [default: 5].",
    ),
]
CandidateTrials = Annotated[
    list[int] | None,
    typer.Option(
        "--trial", metavar="N", parser=whole_number(0), help="Confirm trial N; may be given several times."
    ),
]
Splits = Annotated[bool, typer.Option("--splits", help="Split the data anew for each repeat.")]
OpenTest = Annotated[
    bool, typer.Option("--test", help="Measure on `data.test` even if an earlier confirmation did.")
]
ConfirmedTrial = Annotated[
    bool, typer.Option("--confirmed", help="Use the confirmed trial, not the one with the best score.")
]
Refitted = Annotated[
    bool,
    typer.Option("--refit", help="Write the model trained on all rows but those of the test part."),
]
ConfirmedRun = Annotated[bool, typer.Option("--confirmed", help="Verify a fresh run of the confirmed trial.")]
Confirm = Annotated[
    bool, typer.Option("--confirm", help="After the sweep, train the best trials again with fresh seeds.")
]
Cost = Annotated[bool, typer.Option("--dry-run", help="Show the cost; train nothing.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return at once, without waiting for the end.")]
CurveMetric = Annotated[
    str | None,
    typer.Option("--metric", metavar="A[,B]", help="Metrics to show, or `all` [default: the objective]."),
]
CurveForm = Annotated[str, typer.Option("--format", metavar="FORM", help="table, csv or json.")]
OptunaFile = Annotated[
    Path | None,
    _file_to_write(
        "--optuna", "Write all trials into a new SQLite file in Optuna's format, for optuna-dashboard."
    ),
]
RunOrModel = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_MODEL", help="A run folder, a study's name, or a model file.", show_default=False
    ),
]
NewRows = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="The rows: a csv, parquet or npz file, or a folder of images.",
        parser=file_name,
        show_default=False,
    ),
]
PredictionFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        parser=file_name,
        help="Write the predictions here, as csv, parquet or npz; `-` is stdout [default: stdout].",
    ),
]
Ensemble = Annotated[
    int | None,
    typer.Option("--ensemble", metavar="K", parser=whole_number(1), help="Average the K best trials."),
]
Probabilities = Annotated[
    bool, typer.Option("--proba", help="Add a column with the probability of each class.")
]
CodeFolder = Annotated[
    Path | None,
    typer.Option(
        "--code", metavar="DIR", help="The folder of your own model's code [default: that of the study]."
    ),
]
RunsFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder that holds the studies.", parser=file_name)
]
OfTag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="List only studies with this tag.")]
SortStudies = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        help="Sort by study, state, ended, trials, metric, best, began, changed or size; `-COLUMN` sorts from high to "
        "low [default: -changed].",
    ),
]
NoteText = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", help="The new note; an empty text removes it.", show_default=False),
]
AppendNote = Annotated[bool, typer.Option("--append", help="Add TEXT to the note as a further line.")]
Tags = Annotated[
    list[str] | None,
    typer.Argument(metavar="TAG", help="Words of letters, digits and `_.-`.", show_default=False),
]
RemoveTags = Annotated[bool, typer.Option("--remove", help="Remove the TAGs.")]
WithoutAsking = Annotated[bool, typer.Option("--yes", help="Delete without asking.")]
TrialFiles = Annotated[
    bool,
    typer.Option("--all", help="Also delete the files of your own code in the folders of its trials."),
]
Template = Annotated[
    str | None,
    typer.Option("--template", metavar="NAME", help="mlp, cnn, csv, text, own or command."),
]
DataSource = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FILE",
        parser=file_name,
        help="Your data: a csv, parquet or npz file, or a folder of images.",
    ),
]
Target = Annotated[
    str | None, typer.Option("--target", metavar="NAME", help="The column of --data to predict.")
]
