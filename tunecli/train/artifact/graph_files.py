"""A trained model as a file for other programs: ONNX, or an exported program of torch (`torch.export`, ending ``pt2``).

Each file is run after it is made, and its output is compared with the model's own. The file's metadata has the entry
`tunecli`: the facts of `graph.GraphFacts` as JSON.
"""

from __future__ import annotations

import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import Dim, ExportedProgram

from tunecli.errors import UsageError
from tunecli.registry.packages import install_command
from tunecli.train.artifact.graph import Graph
from tunecli.train.artifact.layout import ENTRY
from tunecli.train.artifact.model import TrainedModel
from tunecli.train.data.table import Table

GraphFormat = Literal["onnx", "pt2"]
TOLERANCE = 1e-5
"""The largest difference of a probability; or of a number, as a part of its size or of its target's deviation."""

_N_TRACED = 3  # rows of the example that is traced; 0 and 1 would be taken for constants
_MAX_CHECKED = 10_000
_PER_RUN = 1000

Run = Callable[[Sequence[NDArray[Any]]], NDArray[Any]]
"""A function from inputs to outputs, as the file computes them."""


@dataclass(frozen=True, slots=True)
class GraphFile:
    """A model for other programs.

    Attributes:
        content: the file.
        difference: the largest difference from the model's own output, in the units of `TOLERANCE`.
        n_checked: number of rows that were compared.
        outside: the duties of the program that uses it, a sentence each.
    """

    content: bytes
    difference: float
    n_checked: int
    outside: tuple[str, ...]


def graph_file(
    model: TrainedModel, form: GraphFormat, table: Table | None, rows: NDArray[np.int64]
) -> GraphFile:
    """Make the file, and compare it with the model.

    Args:
        model: the model, on the CPU.
        form: the format.
        table: examples, read with the model's schema; None: examples are drawn at random.
        rows: the examples of the table to compare on; at most 10,000 are used.

    Raises:
        UsageError: a package is missing, the format cannot express the model, or the outputs differ by more than
            `TOLERANCE`.
    """
    graph = Graph(model).eval().requires_grad_(False)
    facts = graph.facts
    traced = _drawn_inputs(model, graph, _N_TRACED)
    program = _program(graph, traced, form)
    content, run = (_onnx if form == "onnx" else _pt2)(
        program, traced, graph, json.dumps(asdict(facts), ensure_ascii=False)
    )
    if table is None:
        compared = _drawn_inputs(model, graph, _PER_RUN)
        expected = graph(*compared).numpy()
    else:
        rows = rows[:_MAX_CHECKED]
        compared = graph.inputs_of(table, rows)
        # Mixed precision is no part of the file, so such a model is compared in float32.
        is_exact = model.config.training.precision == "float32"
        expected = model.values(model.outputs(table))[rows] if is_exact else graph(*compared).numpy()
    difference = _difference(run, compared, expected, _unit(model))
    if not difference <= TOLERANCE:
        raise UsageError(
            f"the {form} file differs from the model by {difference:.2g}, more than {TOLERANCE}",
            hint="use the model file: `--format safetensors`",
        )
    return GraphFile(content, difference, len(expected), facts.outside)


def _difference(run: Run, inputs: Sequence[Tensor], expected: NDArray[Any], unit: float) -> float:
    largest = 0.0
    for first in range(0, len(expected), _PER_RUN):
        part = slice(first, first + _PER_RUN)
        found = run([one[part].numpy() for one in inputs])
        errors = np.abs(found - expected[part]) / np.maximum(unit, np.abs(expected[part]))
        largest = float(np.maximum(largest, errors.max()))  # `max` would drop NaN
    return largest


def _unit(model: TrainedModel) -> float:
    """1 for probabilities; the largest standard deviation of a target for numbers."""
    if model.task != "regression":
        return 1.0
    return float(np.max(np.asarray(model.models[0].fold.target_scale)))


def _drawn_inputs(model: TrainedModel, graph: Graph, n: int) -> tuple[Tensor, ...]:
    """Random inputs of the right shapes, always the same."""
    rng = np.random.default_rng(0)
    fold, schema = model.models[0].fold, model.schema
    assert fold.preparation is not None
    series = model.config.data.series
    windows = () if series is None else (series.window,)
    made: list[NDArray[Any]] = []
    for name in graph.input_names:
        if name == "numbers":
            numbers = fold.preparation.numbers
            draws = rng.standard_normal((n, *windows, *schema.shape))
            made.append(draws if numbers.powers.size else draws * numbers.scale + numbers.center)
        elif name == "codes":
            counts = [len(values) + 1 for values in graph.categories.values()]
            made.append(rng.integers(0, counts, (n, *windows, len(counts))))
        elif name == "tokens":
            vocabulary = fold.preparation.vocabulary
            shape = schema.shape if vocabulary is None else (vocabulary.length,)
            made.append(rng.integers(1, fold.inputs.n_tokens, (n, *shape)))
        else:
            made.append(rng.standard_normal((n, *fold.inputs.shape)).astype(np.float32))
    return tuple(torch.from_numpy(one) for one in made)


def _program(graph: Graph, traced: tuple[Tensor, ...], form: GraphFormat) -> ExportedProgram:
    rows = Dim("rows")
    shapes = (tuple({0: rows} for _ in traced),)
    try:
        with torch.no_grad(), _quiet():
            return torch.export.export(graph, traced, dynamic_shapes=shapes)
    except Exception as error:  # torch raises many kinds of errors for a module that it cannot trace
        raise _not_expressible(form, error) from error


def _pt2(program: ExportedProgram, traced: tuple[Tensor, ...], graph: Graph, facts: str) -> tuple[bytes, Run]:
    file = io.BytesIO()
    with _quiet():
        torch.export.save(program, file, extra_files={ENTRY: facts})
        loaded = torch.export.load(io.BytesIO(file.getvalue())).module()

    def run(inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        with torch.no_grad():
            outputs: NDArray[Any] = loaded(*map(torch.from_numpy, inputs)).numpy()
        return outputs

    return file.getvalue(), run


def _onnx(
    program: ExportedProgram, traced: tuple[Tensor, ...], graph: Graph, facts: str
) -> tuple[bytes, Run]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError as error:
        raise UsageError(
            f"ONNX needs the package {error.name}", hint=install_command("onnx", "onnx")
        ) from error
    try:
        with _quiet(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            made = torch.onnx.export(
                program,
                traced,
                input_names=list(graph.input_names),
                output_names=["predictions"],
                dynamo=True,
                verbose=False,
            )
            assert made is not None
            made.save(str(path))
            proto = onnx.load(str(path))
    except Exception as error:  # the exporter raises many kinds of errors
        raise _not_expressible("onnx", error) from error
    entry = proto.metadata_props.add()
    entry.key, entry.value = ENTRY, facts
    content: bytes = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        outputs: NDArray[Any] = session.run(None, dict(zip(graph.input_names, inputs, strict=True)))[0]
        return outputs

    return content, run


def _not_expressible(form: GraphFormat, error: Exception) -> UsageError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UsageError(
        f"the model cannot be written as {form}: {first[:300]}",
        hint="`--model FILE.safetensors` writes tunecli's own model file",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """A block without torch's own notes: they are about packages that these models do not use."""
    names = ("torch.onnx", "torch.export", "torch.onnx._internal.exporter._registration", "onnxscript")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
