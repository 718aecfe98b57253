"""The objective of a recorded file, without the rest of the file, for a quick look at many studies.

It is a module of its own, so that a reader of many studies does not load the rest of `tunecli.config`.
"""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from tunecli.config.objectives import OWN_TRIAL, Goals
from tunecli.config.reader import MapNode, Node, plain_of, read
from tunecli.errors import ConfigError
from tunecli.objective import Objective

_OWN = {"python", "command"}
_GOALS: TypeAdapter[Goals] = TypeAdapter(Goals)


def objective_alone(text: str, overrides: tuple[str, ...], file: str) -> Objective | None:
    """The objective of a study's file.

    Args:
        text: the file, which was valid when the study began.
        overrides: the assignments ``path=value`` with which it began.
        file: the file's name for messages.

    Returns:
        The objective; None: only the whole file shows it.
    """
    try:
        root: Node = read(text.encode(), file)
        if any(assignment.strip().startswith("objective") for assignment in overrides):
            from tunecli.config.overrides import override  # a large import, which few studies need

            for assignment in overrides:
                root = override(root, assignment)
        goals, trial = (
            root.items.get(key) if isinstance(root, MapNode) else None for key in ("objective", "trial")
        )
        is_own = isinstance(trial, MapNode) and not _OWN.isdisjoint(trial.items)
        if goals is None:
            return None
        return _GOALS.validate_python(plain_of(goals), context={OWN_TRIAL: is_own}).objective
    except (ConfigError, ValidationError, ValueError):
        return None
