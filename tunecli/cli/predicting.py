"""The verb that uses a trained model: `predict`."""

from __future__ import annotations

from tunecli.cli.app import verb
from tunecli.console.options import (
    STDOUT,
    BestOrTrial,
    CodeFolder,
    ConfirmedTrial,
    Device,
    Ensemble,
    Json,
    NewRows,
    PredictionFile,
    Probabilities,
    RunOrModel,
)


@verb(short_help="Predict new rows with a trained model.")
def predict(
    source: RunOrModel,
    data: NewRows,
    out: PredictionFile = None,
    trial: BestOrTrial = None,
    n_best: Ensemble = None,
    is_confirmed: ConfirmedTrial = False,
    has_probabilities: Probabilities = False,
    device: Device = None,
    code: CodeFolder = None,
    is_json: Json = False,
) -> None:
    """Predict the rows of DATA with the best trial of RUN, or with a model file.

    DATA is a CSV, Parquet or NPZ file, or a folder of images. Its columns are matched by name. The predictions go to
    stdout as CSV, or to `-o FILE`. If DATA has the target, stderr shows the metrics.
    """
    from tunecli.commands.predict import Request, predict_view
    from tunecli.console import Console

    console = Console(is_json=is_json)
    request = Request(trial, n_best, device, code, has_probabilities, is_confirmed)
    console.show(predict_view(source, data, None if out == STDOUT else out, request, console.say))
