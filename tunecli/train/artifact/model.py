"""A trained model in use: loaded from its file, it prepares new rows and predicts them.

The passes are those of the trial's own validation, so equal rows give the recorded bits on the same machine. Loading
runs no code of the file: a model of the user's own code needs the folder of that code.

Axes: N examples, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunecli.config.schema import TrialConfig
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.train.artifact.rows import table_of_rows
from tunecli.train.artifact.writing import ModelFacts
from tunecli.train.data import preparation
from tunecli.train.data.loading import Fold
from tunecli.train.data.series import measured
from tunecli.train.data.table import Table, TableSchema
from tunecli.train.evaluation import ROWS_PER_PASS, Evaluator
from tunecli.train.requested_metrics import FurtherMetrics, requested_metrics
from tunecli.train.torch_state import scoped_settings


@dataclass(frozen=True, slots=True, eq=False)
class FoldModel:
    """One trained network, with the data's facts that it was trained with.

    Attributes:
        fold: how its rows are prepared, and the classes; without examples.
        evaluator: its forward passes and metrics.
    """

    fold: Fold
    evaluator: Evaluator

    @property
    def module(self) -> nn.Module:
        """The network, in evaluation mode."""
        return self.evaluator.model

    def prepare(self, table: Table, rows: NDArray[np.int64] | None = None) -> Tensor:
        """The inputs of the network, on the CPU, for some examples of a table; None: for all of them."""
        assert self.fold.preparation is not None
        rows = np.arange(len(table.y)) if rows is None else rows
        return torch.from_numpy(preparation.apply(self.fold.preparation, table, rows).x)

    def targets(self, table: Table) -> Tensor:
        """The targets, on the CPU, for every row of a table."""
        assert self.fold.preparation is not None
        rows = np.arange(len(table.y))
        return torch.from_numpy(preparation.apply_to_target(self.fold.preparation, table, rows))

    def outputs(self, x: Tensor) -> Tensor:
        """The network's outputs in evaluation, (N, K) float32 on its device, for inputs on the CPU."""
        return self.evaluator.outputs(x)

    def values(self, outputs: Tensor) -> NDArray[np.float64]:
        """Probabilities (N, K), or predictions in the target's own units: (N,), or (N, K) of several targets."""
        outputs = self.evaluator.predictions(outputs).cpu().double()
        match self.fold.task:
            case "classification":
                return outputs.softmax(1).numpy()
            case "multilabel":
                return outputs.sigmoid().numpy()
        return self.evaluator.in_units(outputs).numpy()


class TrainedModel:
    """A trained model, from `tunecli.load_model`.

    Attributes:
        config: the trial.
        facts: how the model was made: its score, seeds, versions and device.
        models: one network for each fold and repeat; their predictions are averaged.
    """

    def __init__(self, config: TrialConfig, facts: ModelFacts, models: Sequence[FoldModel]) -> None:
        self.config = config
        self.facts = facts
        self.models = tuple(models)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes or labels; empty for regression."""
        return self.models[0].fold.class_names

    @property
    def task(self) -> str:
        """``classification``, ``multilabel`` or ``regression``."""
        return self.models[0].fold.task

    @property
    def device(self) -> torch.device:
        """The device that computes."""
        return self.models[0].fold.placement.device

    @property
    def schema(self) -> TableSchema:
        """The columns, kinds and classes of the training data."""
        schema = self.models[0].fold.schema
        assert schema is not None
        return schema

    @property
    def module(self) -> nn.Module | list[nn.Module]:
        """The network, a `torch.nn.Module` in evaluation mode; a list of them with folds or repeats."""
        modules = [model.module for model in self.models]
        return modules[0] if len(modules) == 1 else modules

    def read(self, rows: Any) -> Table:
        """Read new rows, with the names, kinds and classes of the training data.

        Args:
            rows: as for `predict`.

        Raises:
            DataError: the rows cannot be read, or differ from the training data. The message lists every column that
                cannot be used.
        """
        return rows if isinstance(rows, Table) else table_of_rows(rows, self.config.data, self.schema)

    def preprocess(self, rows: Any) -> Tensor | list[Tensor]:
        """The inputs of `module` for new rows, on the CPU; a list, one for each network, with folds or repeats.

        Args:
            rows: as for `predict`.

        Raises:
            DataError: as `read`.
        """
        table = self.read(rows)
        inputs = [model.prepare(table) for model in self.models]
        return inputs[0] if len(inputs) == 1 else inputs

    def predict(self, rows: Any) -> NDArray[Any]:
        """The predictions for new rows.

        Args:
            rows: the path of a CSV, Parquet or NPZ file or of a folder of images; a map of columns or a data frame; a
                list of maps; or an array. Columns are matched by name, in any order; the target may be absent.

        Returns:
            (N,) the names of the classes, as text; numbers in the target's own units, (N, K) of several targets;
            or (N, L) truth values for labels, in the order of `classes`.

        Raises:
            DataError: as `read`.
        """
        return self.decided(self.values(self.outputs(self.read(rows))))

    def decided(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """The predictions that follow from `values`; see `predict`."""
        decided: NDArray[Any] = values
        threshold = self.facts.threshold
        if self.task == "classification" and threshold is not None:
            decided = np.array(self.classes, dtype=object)[(values[:, 1] > threshold).astype(np.int64)]
        elif self.task == "classification":
            decided = np.array(self.classes, dtype=object)[values.argmax(1)]
        elif self.task == "multilabel":
            decided = values > (0.5 if threshold is None else threshold)
        return decided

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """The probabilities of new rows.

        Args:
            rows: as for `predict`.

        Returns:
            (N, K), in the order of `classes`. Those of labels do not add up to 1.

        Raises:
            DataError: as `read`.
            UsageError: the model predicts numbers.
        """
        if self.task == "regression":
            raise UsageError("a model that predicts numbers has no probabilities", hint="use predict")
        return self.values(self.outputs(self.read(rows)))

    def outputs(self, table: Table) -> list[Tensor]:
        """The outputs of each network, (N, K) float32, for every row of a table.

        Each block of rows is prepared right before its forward pass, while the processor's cache holds it. The blocks
        are whole passes, so the bits are those of one block.
        """
        parts: dict[int, list[Tensor]] = {id(model): [] for model in self.models}
        size = self.models[0].evaluator.rows_per_pass
        size *= max(1, ROWS_PER_PASS // size)
        for start in range(0, len(table.y), size):
            rows = np.arange(start, min(start + size, len(table.y)))
            for model, x in self._prepared(table, rows):
                parts[id(model)].append(model.outputs(x))
        return [torch.cat(parts[id(model)]) for model in self.models]

    def values(self, outputs: Sequence[Tensor]) -> NDArray[np.float64]:
        """Probabilities (N, K), or predictions in units, (N,) or (N, K): the mean over the networks."""
        return mean([model.values(one) for model, one in zip(self.models, outputs, strict=True)])

    def measured(self, table: Table) -> tuple[Table | None, NDArray[np.int64] | slice]:
        """The examples of new rows whose targets are known, and their places; None: none is.

        Of a time series, these are the windows whose later target is in the rows too.
        """
        if table.has_target:
            return table, slice(None)
        data = self.config.data
        found = None if data.series is None else measured(table, data.series, data.past_targets)
        return (None, slice(None)) if found is None else found

    def metrics(self, table: Table, outputs: Sequence[Tensor]) -> dict[str, float]:
        """The metrics on rows with targets, by the names of a test part.

        With one network they are what training computes; with several, they are those of the mean prediction, without
        a loss.
        """
        if len(self.models) == 1:
            with self._threads():
                return self._score(self.models[0].evaluator, outputs[0], self.models[0].targets(table), table)
        return self.metrics_of(table, self.values(outputs))

    def metrics_of(self, table: Table, values: NDArray[np.float64]) -> dict[str, float]:
        """The metrics of `values`, without a loss."""
        first = self.models[0]
        config = self.config.model_copy(update={"loss": None})  # the values are predictions already
        evaluator = replace(first.evaluator, config=config, loss=None)
        outputs = torch.from_numpy(values)
        if self.task == "classification":
            outputs = outputs.clamp_min(torch.finfo(torch.float64).tiny).log()
        elif self.task == "multilabel":
            outputs = outputs.logit(eps=torch.finfo(torch.float64).eps)
        else:
            outputs = outputs.view(len(values), -1)
            outputs = (outputs - first.fold.target_center) / first.fold.target_scale
        with self._threads():
            device = first.fold.placement.device
            return self._score(evaluator, outputs.to(device), first.targets(table), table)

    def _score(self, evaluator: Evaluator, outputs: Tensor, y_N: Tensor, table: Table) -> dict[str, float]:
        further = FurtherMetrics(
            requested=requested_metrics(Objective("val_loss", False, also=self.facts.recorded)),
            threshold=self.facts.threshold,
        )
        weight_N = None if table.roles.weight is None else torch.from_numpy(table.roles.weight)
        return evaluator.score(outputs, y_N.to(outputs.device), "test", further, weight_N)

    def _prepared(self, table: Table, rows: NDArray[np.int64]) -> Iterator[tuple[FoldModel, Tensor]]:
        """Each network with its inputs for some rows. Repeats of one fold share them."""
        n_folds = self.facts.n_folds
        with self._threads():
            for fold, first in enumerate(self.models[:n_folds]):
                inputs = first.prepare(table, rows)
                for model in self.models[fold::n_folds]:
                    yield model, inputs

    def _threads(self) -> AbstractContextManager[None]:
        """A block with the number of threads that the score was computed with: the bits can depend on it."""
        if self.models[0].fold.placement.device.type != "cpu":
            return nullcontext()
        return scoped_settings({"threads": self.facts.threads})


def mean(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of several models' values; those of one model unchanged."""
    return values[0] if len(values) == 1 else np.mean(np.stack(values), axis=0)
