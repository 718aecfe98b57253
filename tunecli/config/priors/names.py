"""The usual names of known settings in people's own functions and commands: `learning_rate`, `num_layers`, `dropout`.

A name alone may mean something else: boosted trees have a learning rate too. So names count only if the parameters have
at least two different ones. A setting that the file names beside a range (`as:`) comes before the range's own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tunecli.config.expressions import Expression, Group
from tunecli.config.priors.table import BATCH, DECAY, MOMENTUM, OPTIMIZER, RATE
from tunecli.trial import Scalar

_MIN_SETTINGS = 2

NAMES_BY_SETTING: Mapping[str, str] = MappingProxyType(
    {
        RATE: "lr learning_rate base_lr base_learning_rate peak_lr max_lr init_lr initial_lr initial_learning_rate "
        "learning_rate_init",
        DECAY: "weight_decay wd",
        MOMENTUM: "momentum sgd_momentum",
        BATCH: "batch_size batchsize batch minibatch_size mini_batch_size train_batch_size "
        "per_device_train_batch_size",
        OPTIMIZER: "optimizer optim optimizer_name",
        "optimizer.betas.0": "beta1 beta_1 adam_beta1",
        "optimizer.betas.1": "beta2 beta_2 adam_beta2",
        "training.epochs": "epochs n_epochs num_epochs max_epochs num_train_epochs",
        "training.grad_clip.norm": "grad_clip grad_clip_norm clip_norm clip_grad_norm max_grad_norm gradient_clip_val",
        "learning_rate.warmup.epochs": "warmup_epochs",
        "loss.label_smoothing": "label_smoothing label_smoothing_factor",
        "model.dropout": "dropout dropout_rate dropout_prob dropout_p drop_rate hidden_dropout hidden_dropout_prob "
        "max_dropout",
        "model.attention_dropout": "attention_dropout attn_dropout attention_probs_dropout_prob",
        "model.width": "width hidden_size hidden_dim hidden_units n_hidden num_hidden n_units num_units max_units",
        "model.depth": "n_layers num_layers num_hidden_layers n_hidden_layers",
        "model.heads": "n_heads num_heads num_attention_heads nhead",
        "model.activation": "activation activation_fn activation_function nonlinearity",
        "data.augment.mixup.alpha": "mixup_alpha",
    }
)
"""Names of arguments of PyTorch, Keras, scikit-learn, Transformers, timm, Lightning and Auto-PyTorch."""
_KNOBS: Mapping[str, str] = MappingProxyType(
    {name: knob for knob, names in NAMES_BY_SETTING.items() for name in names.split()}
)


def is_own_program(tree: Expression) -> bool:
    """Whether the trial is a function or a command of the user."""
    return isinstance(tree, Group) and not tree.items.keys().isdisjoint(("python", "command"))


def knob_named(path: str) -> str:
    """The setting that the parameter at ``path`` has the name of; empty if there is none.

    The name is the last step that is not a position: ``params.net.numLayers`` is `model.depth`.
    """
    steps = [step for step in path.split(".") if not step.isdigit()]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", steps[-1] if steps else "")
    return _KNOBS.get(words.lower().replace("-", "_"), "")


def knobs_by_name(paths: Iterable[str]) -> dict[str, str]:
    """The settings that paths have the names of, by path; empty if the names are of fewer than two settings."""
    named = {path: knob for path in paths if (knob := knob_named(path))}
    return named if len(set(named.values())) >= _MIN_SETTINGS else {}


def fixed_values(plain: Any, path: str = "") -> Iterator[tuple[str, Scalar]]:
    """Yield the path and the value of each leaf of a plain map, outside of lists."""
    if isinstance(plain, dict):
        for step, value in plain.items():
            yield from fixed_values(value, f"{path}.{step}" if path else str(step))
    elif not isinstance(plain, list):
        yield path, plain
