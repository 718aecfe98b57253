"""The samplers a file may name, and what each takes. How they search is search's part."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from tunecli.knob import Knob

_WORDS = Literal["grid", "random", "quasirandom", "bayes", "tpe", "cmaes"]


class Bayes(Knob):
    """Where a model of the trials so far promises most.

    ``surrogate``: the model, a Gaussian process (gp) or scikit-optimize's forests. ``acquisition``: what it is asked
    for: expected improvement (ei), probability of improvement (pi), a lower confidence bound (lcb), or ei and lcb in
    turn (mixed), and once the search stalls also what may better the best by much.
    """

    name: Literal["bayes"] = "bayes"
    surrogate: Literal["gp", "extra_trees", "random_forest"] = "gp"
    acquisition: Literal["mixed", "ei", "lcb", "pi"] = "mixed"


def _shortened(value: Any) -> Any:
    """``{name: random}`` is long for ``random``."""
    if isinstance(value, dict) and set(value) == {"name"}:
        return value["name"]
    return value


Sampler = Annotated[
    Annotated[_WORDS, Tag("word")] | Annotated[Bayes, Tag("bayes")],
    Discriminator(lambda value: "bayes" if isinstance(value, dict | Bayes) else "word"),
    BeforeValidator(_shortened),
]
"""A sampler's name, or `bayes` with what it takes."""
