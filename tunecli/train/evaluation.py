"""A model's outputs on examples, and their loss and metrics: the same passes in validation, in tests and in `predict`.

Equal weights and examples always give equal bits: this module alone decides the examples of a pass, the precision and
the kernels. Knows neither training nor files.

Axes: N examples, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tunecli.config.metrics import THRESHOLD
from tunecli.config.schema import TrialConfig
from tunecli.train.compilation import begin_step
from tunecli.train.data.loading import Fold
from tunecli.train.losses import LossFunction, TargetScale, predictor, weighted_mean
from tunecli.train.metrics import evaluate, finite
from tunecli.train.requested_metrics import NO_FURTHER, FurtherMetrics, part_of, requested_values
from tunecli.train.thresholds import tuned_threshold
from tunecli.train.torch_state import autocast, kernels
from tunecli.train.user_code import code as user_code

ROWS_PER_PASS = 8192
"""Examples of one forward pass in validation, unless the trial splits its batches."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """A model in evaluation mode.

    Attributes:
        config: the trial.
        fold: its data: the task, the classes, the scale of the target and the place of the examples.
        model: the model, on the fold's device.
        forward: its forward pass, which may be compiled.
        rows_per_pass: examples of one forward pass.
        seed: seed of the user's own code, which may draw numbers.
        loss: the loss without class weights; None: no loss is computed.
    """

    config: TrialConfig
    fold: Fold
    model: nn.Module
    forward: Callable[[Tensor], Tensor]
    rows_per_pass: int
    seed: int
    loss: LossFunction | None = None

    def passes(self, x: Tensor) -> Tensor:
        """The model's outputs (N, K), on its device, for examples on the device that holds the fold's.

        The caller puts the model in evaluation mode.
        """
        device = self.fold.placement.device
        parts = []
        for part in torch.split(x, self.rows_per_pass):
            begin_step(self.config.training.compile, device)
            parts.append(self.forward(part.to(device)))
        return torch.cat(parts)

    def outputs(self, x: Tensor) -> Tensor:
        """The model's outputs (N, K) in evaluation mode, float32."""
        with self._computing():
            return self._outputs(x)

    def evaluate(
        self,
        x: Tensor,
        y_N: Tensor,
        part: str,
        further: FurtherMetrics = NO_FURTHER,
        averaged: AbstractContextManager[None] | None = None,
        weight_N: Tensor | None = None,
    ) -> dict[str, float]:
        """The metrics on examples, with the loss; undefined metrics are absent.

        Args:
            x: the examples, on the device that holds the fold's.
            y_N: classes, or standardised targets, on the model's device.
            part: prefix of the names: ``val`` or ``test``.
            further: metrics that are computed in addition.
            averaged: a block in which the model has the weights to evaluate; None: it has them.
            weight_N: float64 weights of the examples, on the CPU; None: all count the same.
        """
        with self._computing(averaged, runs_metrics=bool(further.own)):
            return self._scored(self._outputs(x), y_N, part, further, weight_N)

    def score(
        self,
        outputs: Tensor,
        y_N: Tensor,
        part: str,
        further: FurtherMetrics = NO_FURTHER,
        weight_N: Tensor | None = None,
    ) -> dict[str, float]:
        """The metrics of outputs that `outputs` gave, as `evaluate` computes them."""
        with self._computing(runs_metrics=bool(further.own)):
            return self._scored(outputs, y_N, part, further, weight_N)

    def decided(
        self, x: Tensor, y_N: Tensor, weight_N: Tensor | None = None, threshold: float | None = None
    ) -> tuple[tuple[float, float, float], ...]:
        """By class or label, the number (or weight) of examples that have it and get it, have it, and get it.

        Args:
            x, y_N, weight_N: as for `evaluate`.
            threshold: as for `evaluate` of `metrics`.

        Returns:
            One entry for each class or label; empty for regression.
        """
        if self.fold.task == "regression":
            return ()
        outputs = self.outputs(x)
        if outputs.device.type == "mps" or weight_N is not None:  # mps has no float64
            outputs, y_N = outputs.cpu(), y_N.cpu()
        counts = part_of(self.fold, outputs, y_N, weight_N, threshold).counts
        hits, true, guessed = (one.tolist() for one in counts)
        return tuple(zip(hits, true, guessed, strict=True))

    def predictions(self, outputs: Tensor) -> Tensor:
        """Logits (N, K) from outputs; or predictions of the standardised target (N, 1)."""
        target = TargetScale(self.fold.target_center, self.fold.target_scale)
        return predictor(self.config.loss, target)(outputs)

    def in_units(self, values: Tensor) -> Tensor:
        """Predictions or targets in the target's own units; logits, classes and labels unchanged."""
        if self.fold.task != "regression":
            return values
        center, scale = TargetScale(self.fold.target_center, self.fold.target_scale).like(values)
        return (values.view(-1) if self.fold.n_outputs == 1 else values) * scale + center

    def _outputs(self, x: Tensor) -> Tensor:
        with autocast(self.config.training.precision, self.fold.placement.device):
            outputs = self.passes(x)
        return outputs.float()

    def _scored(
        self, outputs: Tensor, y_N: Tensor, part: str, further: FurtherMetrics, weight_N: Tensor | None
    ) -> dict[str, float]:
        losses = {}
        if self.loss is not None and weight_N is None:
            losses = {f"{part}_loss": float(self.loss(outputs, y_N))}
        elif self.loss is not None and weight_N is not None:
            value = weighted_mean(self.loss, outputs, y_N, weight_N.to(outputs.device, outputs.dtype))
            losses = {f"{part}_loss": float(value)}
        if math.isnan(float(outputs.sum())) and bool(outputs.isnan().any()):
            # argmax of NaN is some class, so an accuracy would be meaningless
            return {f"{part}_loss": math.nan}
        outputs = self.predictions(outputs)
        threshold = self._threshold(outputs, y_N, further, weight_N)
        metrics = evaluate(self.fold.task, outputs, y_N, self.fold.target_scale, part, weight_N, threshold)
        if part == "val" and threshold is not None:
            metrics[THRESHOLD] = threshold
        for name, value in requested_values(
            further.requested, self.fold, outputs, y_N, weight_N, threshold
        ).items():
            metrics[f"{part}_{name}"] = float(value)
        for own in further.own:
            metrics[f"{part}_{own.name}"] = own.score(self.in_units(outputs), self.in_units(y_N))
        return {**losses, **finite(metrics)}

    def _threshold(
        self, outputs: Tensor, y_N: Tensor, further: FurtherMetrics, weight_N: Tensor | None
    ) -> float | None:
        """The probability above which the second of two classes, or a label, is decided; None: one half."""
        if further.tuned is None or self.fold.task not in further.tuned.functions:
            return further.threshold
        if outputs.device.type == "mps" or weight_N is not None:  # mps has no float64
            outputs, y_N = outputs.cpu(), y_N.cpu()
        return tuned_threshold(part_of(self.fold, outputs, y_N, weight_N, None), further.tuned)

    @contextmanager
    def _computing(
        self, averaged: AbstractContextManager[None] | None = None, *, runs_metrics: bool = False
    ) -> Iterator[None]:
        training, device = self.config.training, self.fold.placement.device
        has_user_code = runs_metrics or user_code.has_user_code(self.config)
        drawing = user_code.running(self.seed, device) if has_user_code else nullcontext()
        # tensors of inference mode cannot take part in a later gradient, and the user's code may keep them
        evaluating = torch.no_grad() if has_user_code else torch.inference_mode()
        self.model.eval()
        with drawing, evaluating, averaged or nullcontext(), kernels(training):
            yield
