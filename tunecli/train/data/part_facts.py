"""Facts about a data set that depend on its parts: unknown categories and tokens. No torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tunecli.config.schema.data import Data
from tunecli.train.data import splits
from tunecli.train.data.notes import Oddity, listed, short
from tunecli.train.data.sources import read_validation
from tunecli.train.data.table import Table
from tunecli.train.data.text_facts import TextFacts, text_facts
from tunecli.train.data.texts import TextSettings, learn_vocabulary

_UNLIKELY = 1e-9  # probability that a training part lacks a category that is not rare


def facts_of_texts(table: Table, data: Data, base_path: Path, study_seed: int) -> TextFacts | None:
    """The facts about the column of texts, with the vocabulary of the first training part."""
    if table.prose is None:
        return None
    validation = read_validation(data, base_path)
    part = splits.split(table, data, study_seed, validation)[0]
    column = table.prose
    vocabulary = learn_vocabulary(column.values[part.train_indices], TextSettings.of(data))
    validated = column if validation is None or validation.prose is None else validation.prose
    validation_texts = validated.values[part.valid_indices].tolist()
    return text_facts(column.name, vocabulary, column.values.tolist(), validation_texts)


def last_value_rmse(table: Table, data: Data, base_path: Path, study_seed: int) -> float | None:
    """The root mean squared error of forecasts that repeat the last value, on the first validation part.

    It is a first measure for the models of a time series (Hyndman & Koehler 2006). None without a series, or if the
    target is no single number that is an input.
    """
    name = data.targets[0] if len(data.past_targets) == 1 else ""
    if table.windows is None or table.task != "regression" or name not in table.feature_names:
        return None
    validation = read_validation(data, base_path)
    part = splits.split(table, data, study_seed, validation)[0]
    read = table if validation is None else validation
    assert read.windows is not None
    last_N = read.x[read.windows.ends[part.valid_indices], table.feature_names.index(name)]
    target_NK = read.y[part.valid_indices].reshape(len(last_N), -1)
    return float(np.sqrt(np.mean((target_NK - last_N[:, None]) ** 2)))


def unseen_categories(
    table: Table, counts: Mapping[str, Mapping[str, int]], data: Data, base_path: Path, study_seed: int
) -> Iterator[Oddity]:
    """Oddities of text columns whose validation part has categories that the training part lacks."""
    if not table.text or table.windows is not None:  # a window has rows of each part's past
        return
    validation = read_validation(data, base_path)
    parts = splits.split(table, data, study_seed, validation)
    n_valid = len({*np.concatenate([part.valid_indices for part in parts]).tolist()})
    # A frequent category is in every training part of single rows, so only rare ones are searched for.
    share_left = 1 - min(len(part.train_indices) for part in parts) / len(table.y)
    n_rare = math.log(_UNLIKELY) / math.log(share_left) if share_left > 0 else 0.0
    if not splits.is_plain(data, table.task):
        n_rare = math.inf
    for number, column in enumerate(table.text):
        known = counts[column.name]
        rare = {value for value, n in known.items() if n <= n_rare}
        beside = None if validation is None else Counter(validation.text[number].values.tolist())
        if not rare and (beside is None or known.keys() >= beside.keys() - {None}):
            continue
        n_rows, unseen = 0, dict[str, None]()
        for part in parts:
            absent = rare.difference(column.values[part.train_indices].tolist())
            if beside is None:
                strange = [value for value in column.values[part.valid_indices].tolist() if value in absent]
                n_rows += len(strange)
            else:
                strange = [
                    value for value in beside if value is not None and (value not in known or value in absent)
                ]
                n_rows += sum(beside[value] for value in strange)
            unseen.update(dict.fromkeys(strange))
        if unseen:
            encoded = "all zeros" if data.categories == "one_hot" else "the code of unknown categories"
            text = (
                f"column '{short(column.name)}': {n_rows:,} of {n_valid:,} validation rows have a category that "
                f"is not in the training part ({listed([*unseen])}); a model gets {encoded} for it"
            )
            yield Oddity("unseen", (column.name,), text)
