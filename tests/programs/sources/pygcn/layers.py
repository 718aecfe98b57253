"""The package that the trainer imports by name."""


def loss_of(hidden: int) -> float:
    """A loss that more units lower."""
    return 1.0 + 1.0 / hidden
