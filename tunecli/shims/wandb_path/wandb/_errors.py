"""The errors of the shim."""

from __future__ import annotations


class Error(Exception):
    """Base of the errors of this package."""


class UsageError(Error):
    """The script asks for something that a trial does not do."""


class CommError(Error):
    """A failure of the network. This package uses none, so it never raises it."""


class ConfigError(Error):
    """A value of the config would change without ``allow_val_change=True``."""


def absent(name: str) -> AttributeError:
    """The error for a part of W&B that the shim does not have."""
    return AttributeError(
        f"tunecli's shim of wandb has no `{name}`: it serves config, log, summary and define_metric; "
        "remove `shim: wandb` from the study's file to use the real wandb"
    )
