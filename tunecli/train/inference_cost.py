"""What a model costs whoever uses it: its weights, and how long it takes for an answer.

Measured only where an objective names it. The clock is held to a model of the same structure that is built for it and
never trained, so what is trained is the same whether it is measured or not.
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
from tunecli.train.user_code import code as own_code

_WARM_UP_PASSES = 10
_LEAST_PASSES, _MOST_PASSES = 20, 200
_ENOUGH_S = 0.3


def footprint(
    objective: Objective, learner: Learner, config: TrialConfig, fold: Fold, seed: int, base_path: Path
) -> dict[str, float]:
    """Those of ``n_parameters`` and ``latency_ms`` that an objective names.

    Args:
        objective: what is optimised, and what is to hold besides.
        learner: whose model is counted.
        config: the trial.
        fold: the data that it is trained on.
        seed: the trial's.
        base_path: the folder of the user's own code.
    """
    found = {}
    if N_PARAMETERS in objective.metrics:
        found[N_PARAMETERS] = float(
            sum(weight.numel() for weight in learner.model.parameters() if weight.requires_grad)
        )
    if LATENCY in objective.metrics:
        found[LATENCY] = latency_ms(config, fold, seed, base_path)
    return found


def latency_ms(config: TrialConfig, fold: Fold, seed: int, base_path: Path) -> float:
    """The median time of a forward pass of one example, in milliseconds, on the device of the data.

    In the precision that the trial validates in, ten passes being made before the clock is looked at. It is a clock's:
    whatever else the machine does meanwhile is in it.
    """
    training, device = config.training, fold.placement.device
    model = build(config.model, fold.inputs, fold.n_outputs, base_path, seed_for(seed, "build")).to(device)
    x = fold.x_train[:1].to(device)
    if training.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.eval()
    forward = forward_of(model, "", training.compile) if training.compile else model
    has_own = own_code.is_in(config)
    drawing = own_code.running(seed_for(seed, "latency"), device) if has_own else nullcontext()
    times_s: list[float] = []
    with (
        drawing,
        torch.no_grad() if has_own else torch.inference_mode(),
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
    """An accelerator takes orders and answers later."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
