"""The metrics of a trained model: of its outputs on the validation or test part, and of the cost of using it.

Owns the formulas of the metrics that are always computed; a test compares them with scikit-learn. They are computed on
the device of the outputs and read from it once; undefined ones are left out. Those that are computed on request are in
requested_metrics.py. The cost (number of parameters, latency) is measured only if the file names it.

Axes: N examples, K classes, labels or targets.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from tunecli.config.metrics import LATENCY, N_PARAMETERS
from tunecli.config.schema import TrialConfig
from tunecli.config.schema.losses import Task
from tunecli.objective import Objective
from tunecli.seeding import seed_for
from tunecli.train import label_metrics
from tunecli.train.class_metrics import Classified, class_scores
from tunecli.train.compilation import forward_of
from tunecli.train.data.loading import Fold
from tunecli.train.models import build
from tunecli.train.number_metrics import Predicted, mae, r2, rmse
from tunecli.train.ranks import areas, mean_where
from tunecli.train.torch_state import autocast, kernels
from tunecli.train.user_code import code as user_code

_WARM_UP_PASSES = 10
_LEAST_PASSES, _MOST_PASSES = 20, 200
_ENOUGH_S = 0.3


def evaluate(
    task: Task,
    outputs: Tensor,
    y: Tensor,
    target_scale: float | Tensor = 1.0,
    part: str = "val",
    weight_N: Tensor | None = None,
    threshold: float | None = None,
) -> dict[str, float]:
    """The metrics of a part that are always computed, except the loss, by their names in an objective.

    Args:
        task: the kind of target.
        outputs: (N, K) logits, or (N, K) standardised predictions.
        y: (N,) classes; (N,) or (N, K) standardised targets; or (N, K), 1 where an example has a label.
        target_scale: the standard deviation that targets were divided by, (K,) of several; errors are multiplied by it.
        part: prefix of the names: ``val`` or ``test``.
        weight_N: float64 weights of the examples, on the CPU; None: all count the same.
        threshold: the probability above which the second of two classes, or a label, is decided; None: one half.

    Returns:
        ``val_accuracy``, ``val_balanced_accuracy``, ``val_f1``, ``val_auroc``; or ``val_mae``, ``val_rmse`` (in the
        targets' units) and ``val_r2``, each the mean over the targets; or of labels ``val_accuracy``, ``val_f1``,
        ``val_auroc`` and ``val_hamming_loss``. A metric that is undefined here (R² of a constant target, AUROC of one
        class) or not finite is absent.
    """
    if outputs.device.type == "mps" or weight_N is not None:  # mps has no float64
        outputs, y = outputs.cpu(), y.cpu()
    match task:
        case "classification":
            values = _classification(Classified(outputs, y, (), weight_N, threshold))
        case "multilabel":
            values = label_metrics.standard(label_metrics.Labelled(outputs, y, (), weight_N, threshold))
        case "regression":
            values = _regression(outputs, y, target_scale, weight_N)
    numbers = torch.stack(list(values.values())).tolist()
    metrics = {f"{part}_{name}": number for name, number in zip(values, numbers, strict=True)}
    for name in (f"{part}_mae", f"{part}_rmse"):
        if name in metrics and not isinstance(target_scale, Tensor):
            metrics[name] *= target_scale
    return finite(metrics)


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics whose values are finite."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _classification(part: Classified) -> dict[str, Tensor]:
    confusion_KK, weight_N = part.confusion_KK, part.weight_N
    hits_K = confusion_KK.diagonal()
    true_K, guessed_K = confusion_KK.sum(1), confusion_KK.sum(0)
    return {
        "accuracy": hits_K.sum() / (len(part.y_N) if weight_N is None else weight_N.sum()),
        "balanced_accuracy": mean_where(hits_K / true_K, true_K > 0),
        # 2 TP / (2 TP + FP + FN), over the classes that occur among targets or guesses.
        "f1": mean_where(2.0 * hits_K / (true_K + guessed_K), true_K + guessed_K > 0),
        "auroc": auroc(part.logits_NK, part.y_N, weight_N),
    }


def auroc(logits_NK: Tensor, y_N: Tensor, weight_N: Tensor | None = None) -> Tensor:
    """Area under the ROC curve: of the second of two classes; of more, the mean of each class against the rest.

    A class with all the examples or no examples is left out of the mean.

    Returns:
        A float64 scalar; NaN if no class is left.
    """
    areas_K = areas(*class_scores(logits_NK, y_N), weight_N)
    return mean_where(areas_K, ~areas_K.isnan())


def _regression(
    output_NK: Tensor, y: Tensor, scale: float | Tensor, weight_N: Tensor | None
) -> dict[str, Tensor]:
    """The metrics of standardised targets; of several targets, the mean of each one's, in its own units."""
    if y.dim() == 1:
        return _of_one_target(output_NK.squeeze(1), y, weight_N)
    values = [_of_one_target(output_N, y_N, weight_N) for output_N, y_N in zip(output_NK.T, y.T, strict=True)]
    scale_K = torch.as_tensor(scale, dtype=torch.float64, device=y.device)
    columns = {name: torch.stack([one[name] for one in values]) for name in values[0]}
    return {
        name: (value_K if name == "r2" else value_K * scale_K).mean() for name, value_K in columns.items()
    }


def _of_one_target(output_N: Tensor, y_N: Tensor, weight_N: Tensor | None) -> dict[str, Tensor]:
    if weight_N is not None:
        part = Predicted(output_N.double(), y_N.double(), weight_N)
        return {"mae": mae(part), "rmse": rmse(part), "r2": r2(part)}
    target_N = y_N.double()
    error_N = output_N.double() - target_N
    squares = error_N.square().sum()
    return {
        "mae": error_N.abs().mean(),
        "rmse": (squares / len(y_N)).sqrt(),
        "r2": 1.0 - squares / (target_N - target_N.mean()).square().sum(),
    }


def inference_cost(
    objective: Objective, model: nn.Module, config: TrialConfig, fold: Fold, seed: int, base_path: Path
) -> dict[str, float]:
    """Measure those of ``n_parameters`` and ``latency_ms`` that the file names.

    Args:
        objective: the goals and constraints.
        model: the model whose parameters are counted.
        config: the trial.
        fold: its data.
        seed: the trial's seed.
        base_path: the folder of the user's own code.
    """
    costs = {}
    if N_PARAMETERS in objective.recorded:
        costs[N_PARAMETERS] = float(
            sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        )
    if LATENCY in objective.recorded:
        costs[LATENCY] = latency_ms(config, fold, seed, base_path)
    return costs


def latency_ms(config: TrialConfig, fold: Fold, seed: int, base_path: Path) -> float:
    """The median time of a forward pass of one example, in milliseconds of wall time, on the trial's device.

    It is measured on a separate, untrained model of the same structure, so the trial's results do not depend on whether
    it is measured. It uses the precision of the trial's validation, and ten passes to warm up. Other work of the
    machine adds to it.
    """
    training, device = config.training, fold.placement.device
    own_seed = seed_for(seed, "build")
    model = build(
        config.model, fold.inputs, fold.n_outputs, base_path, own_seed, has_trained_weights=False
    ).to(device)
    x = fold.x_train[:1].to(device)
    if training.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.eval()
    forward = forward_of(model, "", training.compile) if training.compile else model
    has_user_code = user_code.has_user_code(config)
    drawing = user_code.running(seed_for(seed, "latency"), device) if has_user_code else nullcontext()
    times_s: list[float] = []
    with (
        drawing,
        torch.no_grad() if has_user_code else torch.inference_mode(),
        kernels(training),
        autocast(training.precision, device),
    ):
        for _ in range(_WARM_UP_PASSES):
            forward(x)
        _wait_for(device)
        began_s = time.perf_counter()
        while len(times_s) < _MOST_PASSES:
            before_s = time.perf_counter()
            if len(times_s) >= _LEAST_PASSES and before_s - began_s > _ENOUGH_S:
                break
            forward(x)
            _wait_for(device)
            times_s.append(time.perf_counter() - before_s)
    return 1000.0 * statistics.median(times_s)


def _wait_for(device: torch.device) -> None:
    """Wait until an accelerator, which computes asynchronously, has finished."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
