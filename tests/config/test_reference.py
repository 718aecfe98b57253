"""The table of every key is complete, and docs/reference/keys.md shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from tunecli.config.reference import key_rows, markdown_table
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

KEYS = Path(__file__).parents[2] / "docs" / "reference" / "keys.md"
VALUES = {row.key: row.values for row in key_rows()}


def names_of(knob: object) -> tuple[str, ...]:
    return tuple(knob.model_fields["name"].annotation.__args__)  # type: ignore[attr-defined]  # a pydantic model


def test_the_table_of_keys_is_generated_from_the_knobs() -> None:
    found = re.search(r"<!-- keys -->\n(.*?)<!-- /keys -->", KEYS.read_text(), re.DOTALL)
    assert found is not None
    assert found.group(1) == markdown_table(), "`tunecli schema --format markdown` prints the table"


def test_every_registered_name_is_listed_under_its_key() -> None:
    families = {
        "optimizer": AnyOptimizer,
        "learning_rate": AnyLink,
        "weights": AnyWeightLink,
        "model": AnyModel,
        "data.augment": AnyAugmentation,
        "loss": AnyLoss,
        "model.activation": AnyActivation,
        "model.init": AnyInitialisation,
    }
    for key, family in families.items():
        for knob in set(get_args(family)) - {UserCode}:
            for name in names_of(knob):
                assert f"`{name}`" in VALUES[key], (key, name)


def test_every_top_level_key_of_a_trial_is_in_the_schema() -> None:
    assert {key.partition(".")[0] for key in VALUES} == set(TrialConfig.model_fields)


def test_shared_arguments_are_listed_once() -> None:
    assert VALUES["learning_rate"].endswith("; each with every, from_epoch, until_epoch")
    assert VALUES["learning_rate"].count("from_epoch") == 1
