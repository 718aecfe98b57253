"""tunecli: tune deep-learning models from one YAML file."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunecli.train.user_code.function import TrialStopped

__version__ = "0.1.0"
__all__ = ["TrialStopped", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "TrialStopped":  # loads much that few of those who import this need
        from tunecli.train.user_code.function import TrialStopped

        return TrialStopped
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
