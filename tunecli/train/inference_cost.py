"""The cost of using a trained model: its number of parameters, and its latency.

Measured only if an objective names it. Latency is measured on a separate, untrained model of the same structure, so the
trial's results do not depend on whether it is measured.
"""

from __future__ import annotations

import statistics
import time
from contextlib import nullcontext
from pathlib import Path

import torch

from tunecli.config.metrics import LATENCY, N_PARAMETERS
from tunecli.config.schema import TrialConfig
from tunecli.objective import Objective
from tunecli.seeding import seed_for
from tunecli.train.compilation import forward_of
from tunecli.train.data.loading import Fold
from tunecli.train.learner import Learner
from tunecli.train.models import build
from tunecli.train.precision import autocast, kernels
from tunecli.train.user_code import code as user_code

_WARM_UP_PASSES = 10
_LEAST_PASSES, _MOST_PASSES = 20, 200
_ENOUGH_S = 0.3


def inference_cost(
    objective: Objective, learner: Learner, config: TrialConfig, fold: Fold, seed: int, base_path: Path
) -> dict[str, float]:
    """Measure those of ``n_parameters`` and ``latency_ms`` that an objective names.

    Args:
        objective: the goals and constraints.
        learner: holds the model whose parameters are counted.
        config: the trial.
        fold: its data.
        seed: the trial's seed.
        base_path: the folder of the user's own code.
    """
    costs = {}
    if N_PARAMETERS in objective.metrics:
        costs[N_PARAMETERS] = float(
            sum(weight.numel() for weight in learner.model.parameters() if weight.requires_grad)
        )
    if LATENCY in objective.metrics:
        costs[LATENCY] = latency_ms(config, fold, seed, base_path)
    return costs


def latency_ms(config: TrialConfig, fold: Fold, seed: int, base_path: Path) -> float:
    """The median time of a forward pass of one example, in milliseconds of wall time, on the trial's device.

    It uses the precision of the trial's validation, and ten passes to warm up. Other work of the machine adds to it.
    """
    training, device = config.training, fold.placement.device
    model = build(config.model, fold.inputs, fold.n_outputs, base_path, seed_for(seed, "build")).to(device)
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
