"""The kinds of a model's parameters, for torch's kinds of layers."""

from __future__ import annotations

from torch import Tensor, nn

from tunecli.train.optimizers import Part, parts_of


class Everything(nn.Module):
    """A model with one layer of each kind, its output last; it is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(Tensor(3, 4))
        self.words = nn.Embedding(9, 4)
        self.bag = nn.EmbeddingBag(9, 4)
        self.conv = nn.Conv1d(4, 4, 3)
        self.batch = nn.BatchNorm1d(4)
        self.lstm = nn.LSTM(4, 4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.layer = nn.LayerNorm(4)
        self.group = nn.GroupNorm(2, 4)
        self.rms = nn.RMSNorm(4)
        self.instance = nn.InstanceNorm1d(4, affine=True)
        self.hidden = nn.Linear(4, 4)
        self.output = nn.Linear(4, 2)


def by_name(model: nn.Module) -> dict[str, Part]:
    parts = {part.parameter: part for part in parts_of(model)}
    return {name: parts[parameter] for name, parameter in model.named_parameters()}


def test_every_parameter_appears_once_in_the_models_order() -> None:
    model = Everything()
    assert [id(part.parameter) for part in parts_of(model)] == [id(each) for each in model.parameters()]


def test_the_kinds_of_a_parameter_follow_from_its_layer() -> None:
    kinds = {name: set(part.kinds) for name, part in by_name(Everything()).items() if part.kinds}
    assert kinds == {
        "words.weight": {"embedding"},
        "bag.weight": {"embedding"},
        "conv.bias": {"bias"},
        "batch.weight": {"norm"},
        "batch.bias": {"norm", "bias"},
        "lstm.bias_ih_l0": {"bias"},
        "lstm.bias_hh_l0": {"bias"},
        "attention.in_proj_bias": {"bias"},
        "attention.out_proj.bias": {"bias"},
        "layer.weight": {"norm"},
        "layer.bias": {"norm", "bias"},
        "group.weight": {"norm"},
        "group.bias": {"norm", "bias"},
        "rms.weight": {"norm"},
        "instance.weight": {"norm"},
        "instance.bias": {"norm", "bias"},
        "hidden.bias": {"bias"},
        "output.bias": {"bias"},
    }


def test_hidden_matrices_are_those_of_all_matrix_layers_but_the_last() -> None:
    hidden = [name for name, part in by_name(Everything()).items() if part.is_hidden_matrix]
    assert hidden == [
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "hidden.weight",
    ]


def test_a_weight_shared_with_the_output_is_an_embedding() -> None:
    words, hidden, output = nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 9, bias=False)
    output.weight = words.weight
    parts = parts_of(nn.Sequential(words, hidden, output))
    assert [set(part.kinds) for part in parts] == [{"embedding"}, set(), {"bias"}]
    assert [part.is_hidden_matrix for part in parts] == [False, True, False]
