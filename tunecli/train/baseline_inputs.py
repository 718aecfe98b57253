"""The inputs of the simple models of baseline.py: one row of numbers for each example, dense or sparse.

Axes: N examples, F features, K targets, T tokens, V tokens of a vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.config.schema.data import Data
from tunecli.train.data import splits
from tunecli.train.data.loading import Fold
from tunecli.train.data.sources import read_source, read_validation
from tunecli.train.data.table import Inputs
from tunecli.train.data.texts import PADDING


def baseline_data(data: Data) -> Data:
    """The data of a trial as the simple models read them: numbers are standardised, and texts are read by words."""
    scaled = data.model_copy(update={"normalize": "standard"})
    if data.text is None or data.tokens == "words":
        return scaled
    return scaled.model_copy(update={"tokens": "words", "max_tokens": None})


def rows_of(fold: Fold) -> tuple[Any, Any]:
    """The training and the validation examples of a fold, each (N, F).

    A column of codes becomes one 0/1 column for each code, a window the numbers of all its rows. The tokens of a text
    become their weights: number of occurrences times the logarithm of the inverse document frequency, which is fitted
    to the training part, over their norm (`sklearn.feature_extraction.text.TfidfTransformer`). With tokens, the rows
    are sparse.
    """
    blocks = [(_columns(x, fold.inputs), _tokens(x, fold.inputs)) for x in (fold.x_train, fold.x_valid)]
    if not fold.inputs.n_tokens:
        return blocks[0][0], blocks[1][0]
    from scipy.sparse import csr_array, hstack
    from sklearn.feature_extraction.text import TfidfTransformer

    counts = [_counts(tokens_NT, fold.inputs.n_tokens) for _, tokens_NT in blocks]
    weights = TfidfTransformer().fit(counts[0])
    train, valid = (
        csr_array(hstack([csr_array(columns_NF), weights.transform(count)]))
        for (columns_NF, _), count in zip(blocks, counts, strict=True)
    )
    return train, valid


def last_values(data: Data, base_path: Path, study_seed: int) -> list[NDArray[np.float64]] | None:
    """By fold, the last value (N,) of the target in each validation window, in the target's own units.

    None: the data are no time series, or their target is no single number that is an input and never missing.

    Args:
        data: the data of a trial.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split.
    """
    name = data.targets[0] if len(data.past_targets) == 1 else ""
    table, validation = read_source(data, base_path), read_validation(data, base_path)
    if table.windows is None or table.task != "regression" or name not in table.feature_names:
        return None
    read = table if validation is None else validation
    assert read.windows is not None
    last_N = read.x[read.windows.ends, table.feature_names.index(name)].astype(np.float64)
    if not np.isfinite(last_N).all():
        return None
    return [last_N[part.valid_indices] for part in splits.split(table, data, study_seed, validation)]


def repeated(last_N: NDArray[np.float64], fold: Fold) -> Tensor:
    """Forecasts that repeat the last value, as the outputs (N, K) of a network: standardised."""
    last_NK = torch.from_numpy(last_N)[:, None].expand(-1, fold.n_outputs)
    return ((last_NK - fold.target_center) / fold.target_scale).float()


def n_values_of(folds: Sequence[Fold]) -> int:
    """The size of the training examples of all folds, once for each target."""
    return sum(fold.x_train.numel() * (fold.n_outputs if fold.y_train.dim() == 2 else 1) for fold in folds)


def _columns(x: Tensor, inputs: Inputs) -> NDArray[np.float32]:
    """The features as numbers; no columns for texts alone."""
    if inputs.kind == "sequence":
        return np.asarray(x.reshape(len(x), -1).numpy(), dtype=np.float32)
    x_NF: NDArray[np.float32] = x.numpy()[:, : inputs.shape[0] - inputs.text_length]
    if inputs.kind == "tokens":
        return np.zeros((len(x), 0), dtype=np.float32)
    codes_NC = x_NF[:, inputs.n_numbers :].astype(np.int64)
    blocks = [
        np.eye(n, dtype=np.float32)[codes] for codes, n in zip(codes_NC.T, inputs.categories, strict=True)
    ]
    return np.concatenate([x_NF[:, : inputs.n_numbers], *blocks], axis=1) if blocks else x_NF


def _tokens(x: Tensor, inputs: Inputs) -> NDArray[np.int64]:
    """The tokens (N, T); no columns without texts."""
    if inputs.kind == "tokens":
        return np.asarray(x.numpy(), dtype=np.int64)
    tokens_NT: NDArray[np.int64] = x.numpy()[..., x.shape[-1] - inputs.text_length :].astype(np.int64)
    return tokens_NT


def _counts(tokens_NT: NDArray[np.int64], n_tokens: int) -> Any:
    """How often each example has each token (N, V), without padding; sparse."""
    from scipy.sparse import csr_array

    rows, places = np.nonzero(tokens_NT != PADDING)
    ones = np.ones(len(rows), dtype=np.float32)
    counts = csr_array((ones, (rows, tokens_NT[rows, places])), shape=(len(tokens_NT), n_tokens))
    counts.sum_duplicates()
    return counts
