"""The table of every key is complete, and docs/reference/keys.md shows it as it is."""

from __future__ import annotations

import re
from pathlib import Path

from tunecli.config.reference import key_rows, markdown_table
from tunecli.config.schema import TrialConfig
from tunecli.train.chains.learning_rate import LINKS
from tunecli.train.chains.weight_links import LINKS as WEIGHT_LINKS
from tunecli.train.data.augmentation import AUGMENTATIONS
from tunecli.train.initialisation import INITIALISATIONS
from tunecli.train.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from tunecli.train.models import MODELS
from tunecli.train.models.activations import ACTIVATIONS
from tunecli.train.optimizers import OPTIMIZERS

KEYS = Path(__file__).parents[2] / "docs" / "reference" / "keys.md"
VALUES = {row.key: row.values for row in key_rows()}


def names_of(knob: object) -> tuple[str, ...]:
    return tuple(knob.model_fields["name"].annotation.__args__)  # type: ignore[attr-defined]


def test_the_readmes_table_is_generated_from_the_knobs() -> None:
    found = re.search(r"<!-- keys -->\n(.*?)<!-- /keys -->", KEYS.read_text(), re.DOTALL)
    assert found is not None
    assert found.group(1) == markdown_table(), (
        "tunecli schema --format markdown prints what should stand there"
    )


def test_every_registered_name_stands_under_its_key() -> None:
    families = {
        "optimizer": OPTIMIZERS,
        "learning_rate": LINKS,
        "weights": WEIGHT_LINKS,
        "model": MODELS,
        "data.augment": AUGMENTATIONS,
        "loss": {**CLASSIFICATION_LOSSES, **REGRESSION_LOSSES},
    }
    for key, registry in families.items():
        for knob in registry:
            for name in names_of(knob):
                assert f"`{name}`" in VALUES[key], (key, name)
    for key, known in (("model.activation", ACTIVATIONS), ("model.init", INITIALISATIONS)):
        assert all(f"`{name}`" in VALUES[key] for name in known)


def test_every_top_level_key_of_a_trial_is_there() -> None:
    assert {key.partition(".")[0] for key in VALUES} == set(TrialConfig.model_fields)


def test_what_all_members_share_is_told_once() -> None:
    assert VALUES["learning_rate"].endswith("; each with every, from_epoch, until_epoch")
    assert VALUES["learning_rate"].count("from_epoch") == 1
