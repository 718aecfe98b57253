"""A trained model as one torch module that other programs can run: raw inputs in, probabilities or predictions out.

`graph_files` writes it as ONNX or as an exported program of torch. The preparation of numbers and of categories is a
part of the module. Reading files, dates, words and windows is not: `GraphFacts` names the duties of the caller.

Axes: N examples, T steps or tokens, F features, C text columns, K outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunecli.errors import UsageError
from tunecli.train.artifact.model import FoldModel, TrainedModel
from tunecli.train.data.category_inputs import codes_of
from tunecli.train.data.number_inputs import Numbers
from tunecli.train.data.preparation import Preparation
from tunecli.train.data.table import Table
from tunecli.train.data.texts import encode

InputName = Literal["numbers", "codes", "tokens", "prepared"]


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """The facts that a program needs to use the module.

    Attributes:
        inputs: by the input's name, its meaning in words.
        columns: the columns of ``numbers``, in order; empty if they have no names.
        categories: by text column, its categories: the first one is code 1, and code 0 is missing or unknown.
        tokens: the texts of the tokens, in order: the first one is token 2; empty if there are none.
        length: the number of tokens of a text; 0 if there are none.
        output: the meaning of the output, in words.
        classes: names of the classes or labels, in the order of the outputs; empty for numbers.
        threshold: the probability above which the second class or a label is predicted; None: the largest, or one half.
        outside: the duties of the caller, a sentence each.
    """

    inputs: dict[str, str]
    columns: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    tokens: tuple[str, ...]
    length: int
    output: str
    classes: tuple[str, ...]
    threshold: float | None
    outside: tuple[str, ...]


class Graph(nn.Module):
    """The networks of a trained model with their preparation; its output is the mean over them."""

    def __init__(self, model: TrainedModel) -> None:
        """Put a model together.

        Args:
            model: a model on the CPU.

        Raises:
            UsageError: its networks prepare texts or quantiles in different ways, which one module cannot express.
        """
        super().__init__()
        self._model = model
        preparations = [_preparation(one) for one in model.models[: model.facts.n_folds]]
        self.categories = _all_categories(model, preparations)
        self.input_names = _input_names(model, preparations)
        if len(preparations) > 1 and {"tokens", "prepared"} & {*self.input_names}:
            what = "their own words" if "tokens" in self.input_names else "their own quantiles"
            raise UsageError(
                f"the model has {len(preparations)} networks of different folds, each with {what}: "
                "one file cannot hold them all",
                hint="tunecli export RUN --refit trains one network on all rows",
            )
        self.networks = nn.ModuleList(
            [
                _Network(one, self.input_names, list(self.categories.values()), model.facts.n_folds > 1)
                for one in model.models
            ]
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Probabilities (N, K); or predictions in the target's own units, (N,), or (N, K) of several targets."""
        values = [network(*inputs) for network in self.networks]
        return values[0] if len(values) == 1 else torch.stack(values).mean(0)

    @property
    def facts(self) -> GraphFacts:
        """The facts that a program needs to use the module."""
        model, schema = self._model, self._model.schema
        vocabulary = _preparation(model.models[0]).vocabulary
        return GraphFacts(
            {name: _MEANINGS[name] for name in self.input_names},
            schema.feature_names if "numbers" in self.input_names else (),
            self.categories if "codes" in self.input_names else {},
            vocabulary.tokens if vocabulary is not None else (),
            vocabulary.length if vocabulary is not None else 0,
            _output_of(model),
            model.classes,
            model.facts.threshold,
            tuple(_outside(model, self.input_names)),
        )

    def inputs_of(self, table: Table, examples: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """The inputs of `forward` for some examples of a table that was read with the model's schema."""
        made: dict[InputName, NDArray[Any]] = {}
        preparation = _preparation(self._model.models[0])
        rows = examples if table.windows is None else table.windows.rows_of(examples)
        if "prepared" in self.input_names:
            return (self._model.models[0].prepare(table)[torch.from_numpy(examples)],)
        if "numbers" in self.input_names:
            made["numbers"] = table.x[rows].astype(np.float64)
        if "codes" in self.input_names:
            made["codes"] = np.stack(
                [_codes(column.values[rows], self.categories[column.name]) for column in table.text],
                axis=-1,
            )
        if "tokens" in self.input_names:
            if table.prose is not None and preparation.vocabulary is not None:
                made["tokens"] = encode(preparation.vocabulary, table.prose.values[rows].tolist())
            else:
                made["tokens"] = table.x[rows]
        return tuple(torch.from_numpy(np.ascontiguousarray(made[name])) for name in self.input_names)


_MEANINGS: dict[InputName, str] = {
    "numbers": "float64: the values as the file has them, NaN for a missing one; images have values from 0 to 1",
    "codes": "int64: for each text column the place of its value in `categories`, from 1; 0 if missing or unknown",
    "tokens": "int64: the tokens of each text, cut or filled with 0 to `length`; 1 is an unknown token",
    "prepared": "the inputs of the network, as `tunecli.load_model(FILE).preprocess(rows)` gives them",
}


class _Network(nn.Module):
    """One network with the preparation of its fold."""

    def __init__(
        self,
        model: FoldModel,
        input_names: Sequence[InputName],
        categories: Sequence[Sequence[str]],
        is_one_of_folds: bool,
    ) -> None:
        super().__init__()
        self._model = model
        self._input_names = tuple(input_names)
        self.network = model.module
        preparation = _preparation(model)
        self.numbers = _NumberPreparation(preparation.numbers) if "numbers" in input_names else None
        self._n_categories = [len(values) for values in preparation.categories.values]
        self._are_codes = preparation.categories.are_codes
        self._is_one_of_folds = is_one_of_folds
        if is_one_of_folds and "codes" in input_names:  # a fold may lack categories of the others
            for column, own in enumerate(preparation.categories.values):
                codes = [0, *codes_of(categories[column], own).tolist()]
                self.register_buffer(f"codes{column}", torch.tensor(codes))

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs = self._model.evaluator.predictions(self.network(self._prepared(*inputs)).double())
        match self._model.fold.task:
            case "classification":
                return outputs.softmax(1)
            case "multilabel":
                return outputs.sigmoid()
        return self._model.evaluator.in_units(outputs)

    def _prepared(self, *inputs: Tensor) -> Tensor:
        given = dict(zip(self._input_names, inputs, strict=True))
        if "prepared" in given:
            return given["prepared"]
        blocks = []
        if self.numbers is not None:
            blocks += self.numbers(given["numbers"])
        if "codes" in given:
            blocks += self._encoded(given["codes"])
        if "tokens" in given:
            if not blocks:
                return given["tokens"]
            blocks.append(given["tokens"].float())
        return torch.cat(blocks, -1) if len(blocks) > 1 else blocks[0]

    def _encoded(self, codes: Tensor) -> Iterator[Tensor]:
        for column, n_categories in enumerate(self._n_categories):
            codes_N = codes[..., column]
            if self._is_one_of_folds:
                codes_N = self.get_buffer(f"codes{column}")[codes_N]
            if self._are_codes:
                yield codes_N[..., None].float()
            else:
                places = torch.arange(1, n_categories + 1, device=codes.device)
                yield (codes_N[..., None] == places).float()


class _NumberPreparation(nn.Module):
    """`number_inputs.apply_numbers` in torch, without quantiles."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__()
        arrays: dict[str, NDArray[Any]] = {
            "median": numbers.median,
            "center": numbers.center,
            "scale": numbers.scale,
            "powers": numbers.powers,
            "is_flat": numbers.is_flat if numbers.is_flat.any() else numbers.is_flat[:0],
            "indicated": np.flatnonzero(numbers.is_indicated),
        }
        for name, values in arrays.items():
            # None instead of an empty tensor, which torch cannot save in an exported program
            self.register_buffer(name, torch.from_numpy(np.array(values)) if values.size else None)

    def forward(self, x: Tensor) -> list[Tensor]:
        indicators = []
        median, indicated, powers, is_flat = (
            self._buffers[name] for name in ("median", "indicated", "powers", "is_flat")
        )
        if median is not None:
            is_missing = x.isnan()
            if indicated is not None:
                indicators.append(is_missing.index_select(-1, indicated).float())
            x = torch.where(is_missing, median, x)
        if powers is not None:
            is_image = self.get_buffer("center").dim() == 3
            x = _yeo_johnson(x.movedim(1, -1), powers).movedim(-1, 1) if is_image else _yeo_johnson(x, powers)
        x = (x - self.get_buffer("center")) / self.get_buffer("scale")
        if is_flat is not None:
            x = torch.where(is_flat, torch.zeros_like(x), x)
        return [x.float(), *indicators]


def _yeo_johnson(x: Tensor, power_F: Tensor) -> Tensor:
    """`transforms.yeo_johnson` (Yeo and Johnson 2000, equation 2.1)."""
    up = _power(x.clamp_min(0.0).log1p(), power_F)
    down = _power((-x).clamp_min(0.0).log1p(), 2.0 - power_F)
    return torch.where(x >= 0, up, -down)


def _power(log: Tensor, power_F: Tensor) -> Tensor:
    is_zero_F = power_F.abs() <= np.spacing(1.0)
    safe_F = torch.where(is_zero_F, torch.ones_like(power_F), power_F)
    return torch.where(is_zero_F, log, torch.expm1(safe_F * log) / safe_F)


def _preparation(model: FoldModel) -> Preparation:
    assert model.fold.preparation is not None
    return model.fold.preparation


def _all_categories(model: TrainedModel, preparations: Sequence[Preparation]) -> dict[str, tuple[str, ...]]:
    """By text column, the categories of all folds in order."""
    found = {}
    for column, text in enumerate(model.schema.text):
        own = {value for one in preparations for value in one.categories.values[column]}
        found[text.name] = tuple(sorted(own))
    return found


def _input_names(model: TrainedModel, preparations: Sequence[Preparation]) -> tuple[InputName, ...]:
    schema = model.schema
    if any(one.numbers.quantiles.size for one in preparations):
        return ("prepared",)
    names: list[InputName] = []
    if schema.kind != "tokens" and (schema.shape[-1] or not schema.text):
        names.append("numbers")
    if schema.text:
        names.append("codes")
    if schema.prose or schema.kind == "tokens":
        names.append("tokens")
    return tuple(names)


def _codes(values: NDArray[np.object_], categories: Sequence[str]) -> NDArray[np.int64]:
    return codes_of(values.reshape(-1).tolist(), categories).reshape(values.shape)


def _output_of(model: TrainedModel) -> str:
    match model.task:
        case "classification":
            return "float64 (N, K): the probability of each class"
        case "multilabel":
            return "float64 (N, L): the probability of each label"
    return "float64: the predictions in the target's own units"


def _outside(model: TrainedModel, input_names: Sequence[InputName]) -> Iterator[str]:
    """The duties of the caller, a sentence each."""
    schema = model.schema
    if "prepared" in input_names:
        yield "prepare all inputs, because quantiles (`data.normalize: quantile`) have no operators in the formats"
    if schema.formats:
        yield f"read the numbers of columns that are not plain: {', '.join(schema.formats)}"
    for date in schema.dates:
        if date.inputs:
            yield f"turn the date {date.name} into the numbers {', '.join(date.inputs)}"
    if "codes" in input_names:
        yield "turn each category into its code: `categories` in the file's facts lists them, from code 1"
    if schema.prose:
        yield f"turn the text {schema.prose} into tokens: `tokens` in the file's facts lists them"
    if schema.kind == "image":
        yield "read images as arrays (N, channels, height, width) with values from 0 to 1, of the size of `data.source`"
    if model.config.data.series is not None:
        yield "cut the rows into windows"
    precision = model.config.training.precision
    if precision != "float32":
        yield f"expect small differences: the trial computed in {precision}, and the file computes in float32"
