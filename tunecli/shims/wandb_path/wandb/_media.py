"""Media, tables and artifacts: accepted, so that the script runs, and kept nowhere."""

from __future__ import annotations

from typing import Any

from ._errors import absent

_PLOTS = ("bar", "confusion_matrix", "histogram", "line", "line_series", "pr_curve", "roc_curve", "scatter")


class _Kept:
    """A value that is kept nowhere."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args, self.options = (), {}  # type: ignore[var-annotated]  # the data is dropped at once


class Image(_Kept):
    """An image."""


class Video(_Kept):
    """A video."""


class Audio(_Kept):
    """A sound."""


class Html(_Kept):
    """A page."""


class Object3D(_Kept):
    """A scene."""


class Molecule(_Kept):
    """A molecule."""


class Plotly(_Kept):
    """A plot of plotly."""


class Graph(_Kept):
    """A graph of a model."""


class Histogram(_Kept):
    """A histogram."""


class Table(_Kept):
    """A table."""

    def add_data(self, *row: Any) -> None:
        """Keep nothing."""

    def add_row(self, *row: Any) -> None:
        """Keep nothing."""

    def add_column(self, name: str, data: Any, optional: bool = False) -> None:
        """Keep nothing."""


class Artifact(_Kept):
    """An artifact."""

    def __init__(self, name: str = "", type: str = "", *args: Any, **options: Any) -> None:  # noqa: A002  # of W&B
        super().__init__()
        self.name, self.type, self.metadata = name, type, dict(options.get("metadata") or {})
        self.aliases: list[str] = []

    def add_file(self, *args: Any, **options: Any) -> None:
        """Keep nothing."""

    def add_dir(self, *args: Any, **options: Any) -> None:
        """Keep nothing."""

    def add_reference(self, *args: Any, **options: Any) -> None:
        """Keep nothing."""

    def add(self, *args: Any, **options: Any) -> None:
        """Keep nothing."""

    def wait(self, *args: Any, **options: Any) -> Artifact:
        """Return at once."""
        return self


class Plots:
    """`wandb.plot`: every plot is accepted and kept nowhere."""

    def __getattr__(self, name: str) -> Any:
        if name not in _PLOTS:
            raise absent(f"wandb.plot.{name}")
        return Plotly
