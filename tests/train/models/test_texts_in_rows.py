"""Texts reach a model as the mean of their vectors, or beside the columns of their rows."""

from __future__ import annotations

import torch
from torch import nn

from tests.train.models.test_build import TEXT_AND_CODES, TOKENS, examples, model_of
from tunecli.train.data.table import Inputs
from tunecli.train.models import build
from tunecli.train.models.texts_in_rows import ColumnsAndMean, MeanOfTokens, TextBesideColumns


def test_the_mean_of_tokens_is_torchs_embedding_bag_without_padding() -> None:
    module = build(model_of({"name": "linear", "embedding": 4}), TOKENS, 2)
    assert isinstance(module, nn.Sequential)
    mean = module[0]
    assert isinstance(mean, MeanOfTokens)
    x = examples(TOKENS, 5)
    bag = nn.EmbeddingBag.from_pretrained(mean.vectors.weight, freeze=False, mode="mean", padding_idx=0)
    torch.testing.assert_close(mean(x), bag(x))
    assert not mean(torch.zeros_like(x)).any()


def test_a_plain_model_gets_numbers_then_vectors_of_codes_then_the_mean() -> None:
    module = build(model_of({"name": "linear", "embedding": 4}), TEXT_AND_CODES, 2)
    assert isinstance(module, nn.Sequential)
    front = module[0]
    assert isinstance(front, ColumnsAndMean)
    x = examples(TEXT_AND_CODES, 5)
    n_numbers = TEXT_AND_CODES.n_numbers
    values = front(x)
    assert values.shape == (5, n_numbers + 4 + 4 + 4)
    torch.testing.assert_close(values[:, :n_numbers], x[:, :n_numbers])
    torch.testing.assert_close(values[:, -4:], front.text(x[:, -TEXT_AND_CODES.text_length :].long()))


def test_a_model_of_texts_reads_the_text_of_a_row_and_then_its_columns() -> None:
    module = build(model_of({"name": "gru", "width": 6}), TEXT_AND_CODES, 2).eval()
    assert isinstance(module, TextBesideColumns)
    x = examples(TEXT_AND_CODES, 5)
    alone = build(model_of({"name": "gru", "width": 6}), TEXT_AND_CODES.texts, 6).eval()
    tokens = x[:, -TEXT_AND_CODES.text_length :].long()
    torch.testing.assert_close(module.text(tokens), alone(tokens))
    joined = torch.cat([module.columns(x[:, : -TEXT_AND_CODES.text_length]), alone(tokens)], 1)
    first, _, last = module.joint
    torch.testing.assert_close(module(x), last(first(joined).relu()))


def test_a_large_token_is_exact_in_a_row_of_floats() -> None:
    inputs = Inputs((2,), 2**24, text_length=1)
    row = torch.tensor([[0.5, float(2**24 - 1)]])
    assert row[:, -inputs.text_length :].long().item() == 2**24 - 1
