"""The links of the learning-rate chain in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tunecli.config.concrete_trial import resolve_trial
from tunecli.config.json_schema import json_schema
from tunecli.config.load import parse_study
from tunecli.config.reader import MapNode, Node, ScalarNode, read
from tunecli.config.schema.learning_rate import (
    Clip,
    Cosine,
    CosineRestarts,
    Cut,
    Exponential,
    MultiStep,
    OneCycle,
    OnPlateau,
    WarmupStableDecay,
)
from tunecli.config.space import default_point
from tunecli.errors import ConfigError

FILE = """
objective: {{metric: val_loss}}
trial:
  data: {{source: digits}}
  learning_rate: {chain}
"""


def text_of(chain: str) -> bytes:
    return FILE.format(chain=chain).encode()


def plain(node: Node) -> Any:
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, MapNode):
        return {key: plain(item) for key, item in node.items.items()}
    return [plain(item) for item in node.items]


@pytest.fixture(scope="module")
def schema() -> Any:
    return jsonschema.Draft202012Validator(json_schema())


ACCEPTED: list[tuple[str, Any]] = [
    ("{cut: {on_plateau: {patience: 3}, factor: 0.5}}", Cut(on_plateau=OnPlateau(patience=3), factor=0.5)),
    ("{cut: {on_plateau: {}, factor: .5}}", Cut(on_plateau=OnPlateau(), factor=0.5)),
    (
        "{cut: {on_plateau: {threshold: 0.1, threshold_mode: absolute, cooldown: 2}, factor: 0.1}}",
        Cut(on_plateau=OnPlateau(threshold=0.1, threshold_mode="absolute", cooldown=2), factor=0.1),
    ),
    ("{cut: {at: [3, 6], factor: 0.5}}", Cut(at=[3, 6], factor=0.5)),
    ("{cut: {floor: 1e-5}}", Cut(floor=1e-5)),
    ("{name: cut, floor: 1e-5}", Cut(floor=1e-5)),
    ("{clip: {min: 1e-6, max: 1e-1}}", Clip(min=1e-6, max=0.1)),
    ("{multistep: {at: [3, 6], gamma: 0.5}}", MultiStep(at=[3, 6], gamma=0.5)),
    ("{cosine_restarts: {epochs: 2, factor: 2}}", CosineRestarts(epochs=2, factor=2)),
    ("{one_cycle: {shape: linear, warmup_fraction: 0.2}}", OneCycle(shape="linear", warmup_fraction=0.2)),
    ("warmup_stable_decay", WarmupStableDecay()),
    ("{exponential: {every: step}}", Exponential(every="step")),
    (
        "{cosine: {every: epoch, from_epoch: 2, until_epoch: 9}}",
        Cosine(every="epoch", from_epoch=2, until_epoch=9),
    ),
]


@pytest.mark.parametrize(("link", "expected"), ACCEPTED)
def test_a_link_is_read_and_the_schema_accepts_it(link: str, expected: Any, schema: Any) -> None:
    text = text_of(f"[{link}]")
    spec = parse_study(text, "study.yaml", (), Path())
    found = resolve_trial(spec.space, default_point(spec.space) or {})
    assert found.learning_rate == [expected]
    assert [error.message for error in schema.iter_errors(plain(read(text, "study.yaml")))] == []


@pytest.mark.parametrize(
    ("link", "parameter", "message"),
    [
        ("{cut: {}}", "trial.learning_rate.0", "write exactly one of `at` with `factor`"),
        ("{cut: {at: [3], floor: 0.1}}", "trial.learning_rate.0", "write exactly one of `at` with `factor`"),
        ("{cut: {on_plateau: {}}}", "trial.learning_rate.0", "`on_plateau` needs a `factor`"),
        ("{cut: {at: [3]}}", "trial.learning_rate.0", "`at` needs a `factor`"),
        ("{cut: {floor: 0.1, factor: 0.5}}", "trial.learning_rate.0", "`floor` takes no `factor`"),
        (
            "{cut: {on_plateau: {threshold: 2.0}, factor: 0.5}}",
            "trial.learning_rate.0.cut.on_plateau",
            "below 1",
        ),
        (
            "{cut: {on_plateau: {patienc: 2}, factor: 0.5}}",
            "trial.learning_rate.0.cut.on_plateau.patienc",
            "known",
        ),
        (
            "{cosine: {from_epoch: 4, until_epoch: 4}}",
            "trial.learning_rate.0.cosine",
            "must be above `from_epoch` (4)",
        ),
        ("{cosine: {every: week}}", "trial.learning_rate.0.cosine.every", "must be one of `step`, `epoch`"),
        ("{cosine: {from_epoch: 1.5}}", "trial.learning_rate.0.cosine.from_epoch", "a whole number"),
        ("{cosine_restarts: {factor: 0.5}}", "trial.learning_rate.0.cosine_restarts.factor", "at least 1"),
        ("multistep", "trial.learning_rate.0.at", "missing key `at`"),
    ],
)
def test_impossible_links_are_reported_at_their_place(link: str, parameter: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_study(text_of(f"[{link}]"), "study.yaml", (), Path())
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.parameter.startswith(parameter)
    assert problem.line == 5


def test_every_key_of_a_link_may_be_searched() -> None:
    chain = """
    - {cosine: {every: {choice: [step, epoch]}, from_epoch: {int: [0, 3]}, until_epoch: {int: [5, 20]}}}
    - {cut: {on_plateau: {patience: {int: [1, 5]}, cooldown: {int: [0, 2]}}, factor: {uniform: [0.1, 0.9]}}}
    - {cut: {at: {list: {of: {int: [1, 19]}, length: 2}}, factor: 0.5}}
"""
    spec = parse_study(text_of(chain), "study.yaml", (), Path())
    assert {"learning_rate.0.cosine.every", "learning_rate.1.cut.on_plateau.patience"} <= set(
        spec.space.names
    )
