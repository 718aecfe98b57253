"""The recurrent nets against torch's nets of several layers and directions, on whole and on packed sequences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tunecli.config.schema.models import Recurrent
from tunecli.train.data.table import Inputs
from tunecli.train.models import build
from tunecli.train.models.recurrent import RecurrentNet

KERNELS: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = torch.tensor([5, 1, 3])
TEXTS = torch.tensor([[4, 2, 9, 1, 3], [7, 0, 0, 0, 0], [5, 5, 8, 0, 0]])


def net_of(inputs: Inputs, **knobs: Any) -> RecurrentNet:
    module = build(Recurrent.model_validate(knobs), inputs, 2)
    assert isinstance(module, RecurrentNet)
    return module


def torchs_own(net: RecurrentNet, name: str, n_in: int, *, bidirectional: bool) -> nn.RNNBase:
    """torch's net of two layers with the same weights."""
    reference: nn.RNNBase = KERNELS[name](n_in, 6, 2, batch_first=True, bidirectional=bidirectional)
    state = {}
    for number, layer in enumerate(net.layers):
        for direction, suffix in (("onward", ""), ("reverse", "_reverse")):
            if hasattr(layer, direction) and getattr(layer, direction) is not None:
                for key, tensor in getattr(layer, direction).state_dict().items():
                    state[f"{key.removesuffix('0')}{number}{suffix}"] = tensor
    reference.load_state_dict(state)
    return reference


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", KERNELS)
def test_outputs_for_whole_sequences_equal_those_of_torchs_network(name: str, bidirectional: bool) -> None:
    net = net_of(Inputs((5, 3)), name=name, width=6, layers=2, bidirectional=bidirectional)
    reference = torchs_own(net, name, 3, bidirectional=bidirectional)
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    _, state = reference(x)
    last_DBH = state[0] if name == "lstm" else state
    expected = net.output(torch.cat([*last_DBH[-2 if bidirectional else -1 :]], 1))
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", KERNELS)
def test_outputs_for_padded_texts_equal_those_for_packed_sequences(
    name: str, bidirectional: bool, pool: str
) -> None:
    net = net_of(
        Inputs((5,), 10), name=name, width=6, layers=2, bidirectional=bidirectional, embedding=3, pool=pool
    )
    reference = torchs_own(net, name, 3, bidirectional=bidirectional)
    packed = pack_padded_sequence(net.steps(TEXTS), LENGTHS, batch_first=True, enforce_sorted=False)
    steps, state = reference(packed)
    steps_BTD, _ = pad_packed_sequence(steps, batch_first=True)
    if pool == "last":
        last_DBH = state[0] if name == "lstm" else state
        pooled = torch.cat([*last_DBH[-2 if bidirectional else -1 :]], 1)
    else:
        each: list[Tensor] = [own[:length] for own, length in zip(steps_BTD, LENGTHS, strict=True)]
        pooled = torch.stack([own.mean(0) if pool == "mean" else own.amax(0) for own in each])
    torch.testing.assert_close(net(TEXTS), net.output(pooled))


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
def test_more_padding_changes_nothing_and_an_empty_text_has_a_score(pool: str) -> None:
    net = net_of(Inputs((5,), 10), name="gru", width=6, bidirectional=True, pool=pool)
    padded = nn.functional.pad(TEXTS, (0, 3))
    torch.testing.assert_close(net(padded), net(TEXTS))
    assert net(torch.zeros(1, 5, dtype=torch.int64)).isfinite().all()


def test_an_image_is_read_row_by_row() -> None:
    rows = net_of(Inputs((2, 3, 4)), name="lstm", width=6)
    steps = net_of(Inputs((3, 8)), name="lstm", width=6)
    x = torch.randn(5, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    by_hand = torch.stack([torch.cat([x[:, 0, row], x[:, 1, row]], 1) for row in range(3)], 1)
    torch.testing.assert_close(rows(x), steps(by_hand))
