"""The table of every key is complete, and docs/reference/keys.md shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from tunecli.config.metrics import METRICS
from tunecli.config.range_words import RANGE_WORDS
from tunecli.config.reference import markdown_table, sections
from tunecli.config.schema import TrialConfig
from tunecli.config.schema.activations import AnyActivation
from tunecli.config.schema.augmentations import AnyAugmentation
from tunecli.config.schema.initialisations import AnyInitialisation
from tunecli.config.schema.learning_rate import AnyLink
from tunecli.config.schema.losses import AnyLoss
from tunecli.config.schema.models import AnyModel
from tunecli.config.schema.optimizers import AnyOptimizer
from tunecli.config.schema.user_code import UserCode
from tunecli.config.schema.weights import AnyWeightLink
from tunecli.registry.samplers import SAMPLERS

KEYS = Path(__file__).parents[2] / "docs" / "reference" / "keys.md"
SECTIONS = {section.title: section for section in sections()}


def names_of(knob: object) -> tuple[str, ...]:
    return tuple(knob.model_fields["name"].annotation.__args__)  # type: ignore[attr-defined]  # a pydantic model


def test_the_table_of_keys_is_generated_from_the_knobs() -> None:
    found = re.search(r"<!-- keys -->\n(.*?)<!-- /keys -->", KEYS.read_text(), re.DOTALL)
    assert found is not None
    assert found.group(1) == markdown_table(), "`tunecli schema --format markdown` prints the table"


def test_every_registered_name_is_listed_under_its_key() -> None:
    families = {
        "trial.optimizer": AnyOptimizer,
        "trial.learning_rate": AnyLink,
        "trial.weights": AnyWeightLink,
        "trial.model": AnyModel,
        "data.augment": AnyAugmentation,
        "trial.loss": AnyLoss,
        "model.activation": AnyActivation,
        "model.init": AnyInitialisation,
    }
    for key, family in families.items():
        listed = {row.key for row in SECTIONS[f"`{key}`"].rows}
        for knob in set(get_args(family)) - {UserCode}:
            for name in names_of(knob):
                assert f"**`{name}`**" in listed, (key, name)


def test_every_sampler_is_listed() -> None:
    assert {f"**`{name}`**" for name in SAMPLERS} <= {row.key for row in SECTIONS["`search.sampler`"].rows}


def test_every_top_level_key_has_a_section() -> None:
    titles = " ".join(SECTIONS)
    assert all(f"`{key}`" in titles for key in ("objective", "search", "run"))
    assert all(f"`trial.{key}`" in titles for key in TrialConfig.model_fields)


def test_every_row_says_what_its_key_does() -> None:
    missing = [
        (title, row.key) for title, section in SECTIONS.items() for row in section.rows if not row.text
    ]
    assert missing == []


def test_every_metric_and_range_is_listed() -> None:
    assert [row.key for row in SECTIONS["Metrics: `objective.metric`"].rows] == [
        f"`{name}`" for name in METRICS
    ]
    assert {f"`{word}`" for word in RANGE_WORDS} <= {row.key for row in SECTIONS["Ranges"].rows}
